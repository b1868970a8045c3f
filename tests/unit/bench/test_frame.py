from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.bench.frame import Side, Work, select


class Diary:
    """Three sides that note when they run: ours, one as slow again, and one three times as slow."""

    def __init__(self) -> None:
        self.entries: list[str] = []

    def side(self, name: str, seconds: float) -> Side:
        calls: list[float] = []

        def run() -> float:
            self.entries.append(name)
            calls.append(seconds / 10)
            return seconds

        return Side(name, run, calls)

    @contextmanager
    def prepare(self, directory: Path) -> Iterator[Sequence[Side]]:
        self.entries.append(f"up in {directory.name}")
        try:
            yield self.side("ours", 1.0), self.side("slow", 2.0), self.side("slower", 3.0)
        finally:
            self.entries.append("down")


def test_every_side_runs_once_a_round_after_a_warm_up(tmp_path: Path) -> None:
    diary = Diary()
    Work("ems", "flood", diary.prepare, rounds=4).rows(tmp_path / "here")
    sides = ["ours", "slow", "slower"]
    assert diary.entries[0] == "up in here"
    assert diary.entries[1:4] == sides, "the warm-up"
    rounds = [diary.entries[start : start + 3] for start in range(4, 16, 3)]
    assert all(sorted(entries) == sides for entries in rounds)
    assert len({tuple(entries) for entries in rounds}) == 4, "always in another order"
    assert diary.entries[16:] == ["down"]


def test_there_is_a_row_for_each_peer(tmp_path: Path) -> None:
    rows = Work("ems", "flood", Diary().prepare, rounds=2).rows(tmp_path)
    assert [(row["subject"], row["against"], row["ratio"], row["runs"]) for row in rows] == [
        ("ours", "slow", 2.0, 2),
        ("ours", "slower", 3.0, 2),
    ]


def test_speeds_are_told_in_the_unit_of_the_work(tmp_path: Path) -> None:
    work = Work("ems", "flood", Diary().prepare, rounds=2, amount=6.0, unit="tapes/s")
    assert [row["speed"] for row in work.rows(tmp_path)] == [
        {"subject": 6.0, "against": 3.0, "unit": "tapes/s"},
        {"subject": 6.0, "against": 2.0, "unit": "tapes/s"},
    ]


def test_only_a_promised_ratio_is_wanted(tmp_path: Path) -> None:
    work = Work("ems", "flood", Diary().prepare, rounds=2, wanted={"slower": 2.5})
    first, second = work.rows(tmp_path)
    assert "wanted" not in first
    assert second["wanted"] == 2.5


def test_single_calls_are_told_without_those_of_the_warm_up(tmp_path: Path) -> None:
    (row, _) = Work("ems", "flood", Diary().prepare, rounds=5).rows(tmp_path)
    assert row["latency_us"]["subject"]["calls"] == 5
    assert row["latency_us"]["subject"]["p50"] == 100_000
    assert row["latency_us"]["against"]["p50"] == 200_000


def test_what_was_brought_up_is_taken_down_after_a_failure(tmp_path: Path) -> None:
    diary = Diary()

    @contextmanager
    def prepare(directory: Path) -> Iterator[Sequence[Side]]:
        with diary.prepare(directory) as (subject, *_):
            yield subject, Side("theirs", lambda: 1 // 0)

    with pytest.raises(ZeroDivisionError):
        Work("ems", "flood", prepare, rounds=2).rows(tmp_path)
    assert diary.entries[-1] == "down"


WORKS = [
    Work(bench, name, Diary().prepare, rounds=1)
    for bench, name in (("overlay", "stat"), ("overlay", "write"), ("ems", "flood"))
]
STAT, WRITE, FLOOD = WORKS


@pytest.mark.parametrize(
    ("only", "chosen"),
    [
        ("", [STAT, WRITE, FLOOD]),
        (" ems ,", [FLOOD]),
        ("ems,overlay", [STAT, WRITE, FLOOD]),
        ("overlay/write", [WRITE]),
        ("overlay/stat,ems", [STAT, FLOOD]),
    ],
)
def test_works_are_selected_by_bench_or_one_by_one(only: str, chosen: list[Work]) -> None:
    assert select(WORKS, only) == chosen


@pytest.mark.parametrize(
    ("only", "said"),
    [
        ("tape", r"no such bench: tape; there are ems, overlay$"),
        ("overlay/tape", r"no such bench: overlay/tape; there are overlay/stat, overlay/write$"),
        ("tape/stat", r"no such bench: tape/stat; there are ems, overlay$"),
    ],
)
def test_an_unknown_bench_is_refused_by_name(only: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        select(WORKS, only)
