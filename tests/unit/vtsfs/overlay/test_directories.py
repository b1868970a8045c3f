import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from vtsfs.overlay.directories import Directories
from vtsfs.overlay.inodes import InodeTable


@pytest.fixture
def table(tmp_path: Path) -> Iterator[InodeTable]:
    made = InodeTable(tmp_path)
    yield made
    made.close()


@pytest.fixture
def directories(table: InodeTable) -> Directories:
    return Directories(table)


def names(directories: Directories, handle: int, start: int = 0) -> list[bytes]:
    return [name for name, _ in directories.entries(handle, start)]


def test_a_directory_is_read_anew_from_its_beginning(
    directories: Directories, table: InodeTable, tmp_path: Path
) -> None:
    handle = directories.open(table.root)
    assert sorted(names(directories, handle)) == [b".", b".."]
    (tmp_path / "X00001").write_bytes(b"")
    assert sorted(names(directories, handle)) == [b".", b"..", b"X00001"]
    directories.close(handle)
    assert len(directories) == 0


def test_reading_goes_on_where_it_stopped(
    directories: Directories, table: InodeTable, tmp_path: Path
) -> None:
    wanted = {b".", b".."}
    for number in range(1500):
        (tmp_path / f"T{number:05d}").touch()
        wanted.add(b"T%05d" % number)
    handle = directories.open(table.root)
    seen: list[bytes] = []
    position = 0
    for taken in itertools.cycle((1, 7, 200)):
        piece = list(itertools.islice(directories.entries(handle, position), taken + 1))
        # The last of them did not fit into the answer: it comes again.
        seen += [name for name, _ in piece[:taken]]
        if len(piece) <= taken:
            break
        position = piece[taken - 1][1]
    assert len(seen) == len(wanted)
    assert set(seen) == wanted
    directories.close(handle)


def test_a_position_can_be_returned_to(
    directories: Directories, table: InodeTable, tmp_path: Path
) -> None:
    for number in range(100):
        (tmp_path / f"T{number}").touch()
    handle = directories.open(table.root)
    entries = list(directories.entries(handle, 0))
    for at in (50, 10, 99):
        assert list(directories.entries(handle, entries[at][1])) == entries[at + 1 :]
    directories.close(handle)


def test_what_stays_is_seen_once_while_others_come_and_go(
    directories: Directories, table: InodeTable, tmp_path: Path
) -> None:
    for number in range(1500):
        (tmp_path / f"S{number}").touch()
        (tmp_path / f"G{number}").touch()
    handle = directories.open(table.root)
    seen = []
    for count, (name, _) in enumerate(directories.entries(handle, 0)):
        seen.append(name)
        if count % 2 == 0 and count < 3000:
            (tmp_path / f"G{count // 2}").unlink()
            (tmp_path / f"N{count}").touch()
    stayed = [name for name in seen if name.startswith(b"S")]
    assert sorted(stayed) == sorted(b"S%d" % number for number in range(1500))
    directories.close(handle)


def test_a_directory_removed_while_open_is_empty(
    directories: Directories, table: InodeTable, tmp_path: Path
) -> None:
    (tmp_path / "BILL").mkdir()
    handle = directories.open(table.lookup(table.root, b"BILL")[0])
    (tmp_path / "BILL").rmdir()
    assert names(directories, handle) == []
    directories.close(handle)


def test_reading_fails_as_below(
    directories: Directories, table: InodeTable, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    handle = directories.open(table.root)
    file = os.open(tmp_path / "file", os.O_RDONLY)
    os.dup2(file, directories[handle].fd)
    os.close(file)
    with pytest.raises(NotADirectoryError):
        names(directories, handle)
    directories.close(handle)


def test_only_directories_are_opened(
    directories: Directories, table: InodeTable, tmp_path: Path
) -> None:
    (tmp_path / "X00001").touch()
    with pytest.raises(NotADirectoryError):
        directories.open(table.lookup(table.root, b"X00001")[0])


def test_the_dots_of_the_root_are_the_root(
    directories: Directories, table: InodeTable, tmp_path: Path
) -> None:
    (tmp_path / "BILL").mkdir()
    pool, _ = table.lookup(table.root, b"BILL")
    for inode, dot, wanted in (
        (table.root, b".", 1),
        (table.root, b"..", 1),
        (pool, b".", pool.number),
        (pool, b"..", 1),
    ):
        handle = directories.open(inode)
        number, found = directories.dot(directories[handle], dot)
        assert number == wanted
        assert found.st_mode == tmp_path.stat().st_mode or dot == b".." or inode is pool
        directories.close(handle)


def test_attributes_from_a_long_listing_are_good_for_longer(
    directories: Directories, table: InodeTable, tmp_path: Path
) -> None:
    (tmp_path / "BILL").mkdir()
    handle = directories.open(table.lookup(table.root, b"BILL")[0])
    short = directories[handle].patience_s
    directories.close(handle)
    for number in range(1500):
        (tmp_path / "BILL" / f"T{number:05d}").touch()
    handle = directories.open(table.lookup(table.root, b"BILL")[0])
    assert 0 <= short < 0.05 < directories[handle].patience_s < 9
    directories.close(handle)


async def test_making_durable(directories: Directories, table: InodeTable) -> None:
    handle = directories.open(table.root)
    await directories.sync(handle, data_only=False)
    await directories.sync(handle, data_only=True)
    directories.close(handle)
