from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bench.frame import Side, Sides, Work, run_work, select


class Diary:
    """Two sides that note when they run; the second takes three times as long."""

    def __init__(self) -> None:
        self.entries: list[str] = []

    def side(self, name: str, seconds: float) -> Side:
        def run() -> float:
            self.entries.append(name)
            return seconds

        return Side(name, run)

    @contextmanager
    def prepare(self, directory: Path) -> Iterator[Sides]:
        self.entries.append(f"up in {directory.name}")
        try:
            yield Sides(self.side("ours", 1.0), self.side("theirs", 3.0))
        finally:
            self.entries.append("down")


def test_runs_are_interleaved_after_a_warm_up(tmp_path: Path) -> None:
    diary = Diary()
    result = run_work(Work("ems", "flood", diary.prepare, pairs=2), tmp_path / "here")
    assert diary.entries == ["up in here", *["ours", "theirs"] * 3, "down"]
    assert (result["ratio"], result["runs"]) == (3.0, 2)
    assert (result["subject"], result["against"]) == ("ours", "theirs")


def test_what_was_brought_up_is_taken_down_after_a_failure(tmp_path: Path) -> None:
    diary = Diary()

    @contextmanager
    def prepare(directory: Path) -> Iterator[Sides]:
        with diary.prepare(directory) as sides:
            yield Sides(sides.subject, Side("theirs", lambda: 1 // 0))

    with pytest.raises(ZeroDivisionError):
        run_work(Work("ems", "flood", prepare, pairs=2), tmp_path)
    assert diary.entries[-1] == "down"


def test_works_are_selected_by_bench() -> None:
    prepare = Diary().prepare
    overlay, ems = (Work(name, "any", prepare, pairs=1) for name in ("overlay", "ems"))
    assert select([overlay, ems], "") == [overlay, ems]
    assert select([overlay, ems], " ems ,") == [ems]
    assert select([overlay, ems], "ems,overlay") == [overlay, ems]


def test_an_unknown_bench_is_refused_by_name() -> None:
    overlay = Work("overlay", "any", Diary().prepare, pairs=1)
    with pytest.raises(ValueError, match=r"no such bench: tape; there are overlay$"):
        select([overlay], "tape")
