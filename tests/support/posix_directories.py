"""Cases of the POSIX suite: directories that are read while they change."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.posix_case import case

#: Entries of a directory, with names so long that the C library asks for them in several pieces.
COUNT = 900
_REST = "." + 60 * "x"

_libc = ctypes.CDLL(None, use_errno=True)
_libc.opendir.restype = ctypes.c_void_p
_libc.readdir64.restype = ctypes.c_void_p
_libc.telldir.restype = ctypes.c_long
_libc.seekdir.argtypes = [ctypes.c_void_p, ctypes.c_long]
for _call in (_libc.readdir64, _libc.telldir, _libc.rewinddir, _libc.closedir):
    _call.argtypes = [ctypes.c_void_p]

#: What readdir(3) tells of an entry: name, inode number and type.
Entry = tuple[str, int, int]


class Directory:
    """An open directory with the calls that Python does not offer."""

    def __init__(self, path: Path) -> None:
        self._open = _libc.opendir(os.fsencode(path))
        assert self._open, path

    def read(self) -> Entry | None:
        """Return the next entry, None at the end."""
        entry = _libc.readdir64(self._open)
        if not entry:
            return None
        number = ctypes.c_uint64.from_address(entry).value
        kind = ctypes.c_uint8.from_address(entry + 18).value
        return os.fsdecode(ctypes.string_at(entry + 19)), number, kind

    def rest(self) -> list[Entry]:
        return list(iter(self.read, None))

    def names(self) -> list[str]:
        return [name for name, _, _ in self.rest()]

    def tell(self) -> int:
        return int(_libc.telldir(self._open))

    def seek(self, position: int) -> None:
        _libc.seekdir(self._open, position)

    def rewind(self) -> None:
        _libc.rewinddir(self._open)

    def close(self) -> None:
        _libc.closedir(self._open)


@contextmanager
def reading(path: Path) -> Iterator[Directory]:
    """Open a directory for the length of the block."""
    directory = Directory(path)
    try:
        yield directory
    finally:
        directory.close()


def fill(top: Path) -> None:
    """Make files of the names that `named` tells."""
    for number in range(COUNT):
        os.mknod(top / named(number), 0o644)


def named(number: int) -> str:
    return f"t{number:05d}{_REST}"


@case
def positions_in_a_directory(top: Path) -> None:
    fill(top)
    with reading(top) as directory:
        marks = [(directory.tell(), directory.read()) for _ in range(COUNT + 2)]
        assert directory.read() is None
        assert {entry[0] for _, entry in marks if entry} == {".", "..", *os.listdir(top)}
        for at in (COUNT - 300, 7, COUNT + 1, 450):
            directory.seek(marks[at][0])
            assert directory.read() == marks[at][1]
            assert len(directory.rest()) == COUNT + 1 - at


@case
def numbers_and_kinds_in_a_directory(top: Path) -> None:
    (top / "inner").mkdir()
    inner = top / "inner"
    (inner / "link").symlink_to("elsewhere")
    (inner / "sub").mkdir()
    (inner / "file").touch()
    os.mkfifo(inner / "fifo")
    with reading(inner) as directory:
        for name, number, kind in directory.rest():
            found = (inner / name).lstat()
            assert (number, kind) == (found.st_ino, found.st_mode >> 12), name


@case
def a_rewound_directory_shows_what_is_new(top: Path) -> None:
    fill(top)
    with reading(top) as directory:
        assert len(directory.names()) == COUNT + 2
        (top / "new").touch()
        (top / named(0)).unlink()
        directory.rewind()
        names = directory.names()
        assert "new" in names
        assert named(0) not in names
        assert len(names) == len(set(names)) == COUNT + 2


@case
def what_stays_is_read_exactly_once(top: Path) -> None:
    fill(top)
    seen = []
    with reading(top) as directory:
        for number in range(0, COUNT, 3):
            seen += [entry[0] for entry in (directory.read(), directory.read()) if entry]
            (top / named(number)).unlink()
            (top / f"new.{number}").touch()
            (top / named(number + 1)).rename(top / f"renamed.{number}")
        seen += directory.names()
    stayed = sorted(name for name in seen if name[0] == "t" and int(name[1:6]) % 3 == 2)
    assert stayed == [named(number) for number in range(2, COUNT, 3)]


@case
def two_readers_of_one_directory(top: Path) -> None:
    fill(top)
    with reading(top) as one, reading(top) as other:
        first = [one.read() for _ in range(500)]
        assert other.names()[:500] == [entry[0] for entry in first if entry]
        assert len(one.rest()) == COUNT + 2 - 500


@case
def a_directory_is_emptied_and_removed_while_read(top: Path) -> None:
    inner = top / "inner"
    inner.mkdir()
    fill(inner)
    with reading(inner) as directory:
        while (entry := directory.read()) is not None:
            if entry[0].startswith("t"):
                (inner / entry[0]).unlink()
        inner.rmdir()
        directory.rewind()
        assert directory.rest() == []
