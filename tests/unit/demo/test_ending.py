import os
from pathlib import Path

import pytest

from tests.demo import ending
from tests.demo.place import PREFIX, Place, all_places, kept, pointer
from tests.support.processes import Program, identify, is_alive


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory for demonstrations, with nothing of the machine's own."""
    (tmp_path / "run").mkdir()
    (tmp_path / "scratch").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("VTS_TEST_SCRATCH", str(tmp_path / "scratch"))
    return tmp_path / "scratch"


def place_in(here: Path, name: str) -> Place:
    root = here / f"{PREFIX}{name}"
    root.mkdir()
    return Place(root)


def test_what_runs_is_found_and_ended(here: Path, tmp_path: Path) -> None:
    place = place_in(here, "one")
    program = Program(["sleep", "600"], tmp_path / "output")
    with program:
        process = identify(program.pid)
        assert process is not None
        ending.record(place, "agent", process)
        assert ending.is_running(place)
        assert ending.keep(place).root == place.root
        (ended,) = ending.end_all()
        assert ended.was_running == ["agent"]
        assert not is_alive(process)
    assert not place.root.exists()
    assert not pointer().is_symlink()
    assert ending.end_all() == []


def test_one_that_is_being_shown_is_left_alone(here: Path) -> None:
    place = place_in(here, "shown")
    ending.record(place, ending.PLAYER, ending.this_process())
    new = place_in(here, "new")
    assert ending.end_all() == []
    os.utime(new.root, (1, 1))
    assert [ended.place for ended in ending.end_all()] == [new]
    assert list(all_places()) == [place]


def test_what_a_killed_one_has_left_is_removed(here: Path) -> None:
    place = place_in(here, "killed")
    gone = ending.this_process()._replace(started=1)
    ending.record(place, ending.PLAYER, gone)
    assert [ended.place for ended in ending.end_all()] == [place]


def test_the_one_that_is_kept_stays_the_one(here: Path) -> None:
    first, second = place_in(here, "first"), place_in(here, "second")
    ending.record(first, "host", ending.this_process())
    assert ending.keep(first) == first
    assert ending.keep(second) == first
    ending.forget(second)
    assert kept() == first
    ending.forget(first)
    assert kept() is None


def test_one_that_no_longer_runs_makes_room(here: Path) -> None:
    first, second = place_in(here, "first"), place_in(here, "second")
    assert ending.keep(first) == first
    assert ending.keep(second) == second
    assert not first.root.exists()


def test_a_pointer_that_is_none_of_ours_is_not_followed(here: Path, tmp_path: Path) -> None:
    pointer().symlink_to(tmp_path)
    assert kept() is None
    pointer().unlink()
    pointer().mkdir()
    assert kept() is None
