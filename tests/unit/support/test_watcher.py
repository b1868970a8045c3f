"""The watcher sees what stood at a name only for a moment."""

from functools import partial
from pathlib import Path

import pytest

from tests.support.waiting import wait_until
from tests.support.watcher import NameWatcher, digest

OLD, NEW = b"old" * 1000, b"new" * 1000


@pytest.fixture
def allowed(tmp_path: Path) -> set[str]:
    found = set[str]()
    for content in (OLD, NEW):
        path = tmp_path / "content"
        path.write_bytes(content)
        found.add(digest(path))
    return found


def put(path: Path, content: bytes) -> None:
    """Give the name another file in one step."""
    other = path.with_name("other")
    other.write_bytes(content)
    other.replace(path)


def has_seen(watcher: NameWatcher, count: int) -> bool:
    return len(watcher.seen) >= count


def test_whole_generations_are_seen_in_order(tmp_path: Path, allowed: set[str]) -> None:
    path = tmp_path / "X00001"
    with NameWatcher(path, allowed) as watcher:
        for number, content in enumerate((OLD, NEW, OLD), 1):
            put(path, content)
            wait_until(partial(has_seen, watcher, number), 10, "it is seen")
    assert watcher.strange == []
    assert set(watcher.seen) == allowed
    assert watcher.seen[0] == watcher.seen[2] != watcher.seen[1]


def test_a_part_of_a_generation_fails_the_block(tmp_path: Path, allowed: set[str]) -> None:
    path = tmp_path / "X00001"
    put(path, OLD)

    def look_on() -> None:
        with NameWatcher(path, allowed) as watcher:
            put(path, NEW[:-1])
            wait_until(lambda: watcher.strange, 10, "it is seen")
            put(path, NEW)

    with pytest.raises(AssertionError, match="no generation of the tape"):
        look_on()


def test_a_change_in_place_is_seen(tmp_path: Path, allowed: set[str]) -> None:
    path = tmp_path / "X00001"
    put(path, OLD)

    def look_on() -> None:
        with NameWatcher(path, allowed) as watcher:
            wait_until(lambda: watcher.seen, 10, "it is seen")
            with path.open("r+b") as file:
                file.write(b"n")

    with pytest.raises(AssertionError, match="no generation of the tape"):
        look_on()


def test_what_stands_there_at_the_end_is_looked_at(tmp_path: Path, allowed: set[str]) -> None:
    path = tmp_path / "X00001"
    with NameWatcher(path, allowed) as watcher:
        put(path, NEW)
    assert watcher.seen[-1] == digest(path)
