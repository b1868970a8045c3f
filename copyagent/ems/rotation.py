"""The files that a rotated file consists of, and where in them a host's time begins.

Rotated files are those beside it whose name goes on with a number or a date (``FILE.1``,
``FILE-20261122``) and that are not compressed; their order is that of their last writing.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from copyagent.core.host_clock import PIVOT, as_printed

BEGINNING: Final = 64
"""Bytes by whose sameness a file is known again: a first line has its date and time."""
BLOCK: Final = 1 << 20
MOST_SEARCHED: Final = 256 << 20
"""Bytes that are searched backwards for a time, at most; what lies before is taken for lost."""
SLACK_S: Final = 60
"""How much earlier than the event before it in a file an event may be: it is printed late."""

_SUFFIX: Final = r"[.\-_]\d[\dT.\-_]*"
_NUMBER = re.compile(r"\.(\d{1,3})\Z")
_HEADER = re.compile(rb"(?m)^(\d\d-[01]\d-[0-3]\d)[ \t]{1,9}([0-2]\d:[0-5]\d:[0-5]\d)(?=\s)")
_HEADER_LENGTH: Final = 32

_KINDS: Final = (
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


class FileTrouble(Exception):
    """The file cannot be read; the text names it and the cause. *absent* if there is none."""

    def __init__(self, text: str, *, absent: bool = False) -> None:
        super().__init__(text)
        self.absent = absent


def of_error(path: Path, error: OSError) -> FileTrouble:
    """Say of *path* what the system said."""
    absent = isinstance(error, FileNotFoundError)
    return FileTrouble(f"{path}: {os.strerror(error.errno or 0)}", absent=absent)


def open_regular(path: Path) -> int:
    """Open a regular file for reading, by way of symbolic links; raises `FileTrouble`."""
    try:
        # Asked first: to open a FIFO or a device does something to it.
        _demand_regular(path, os.stat(path).st_mode)
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise of_error(path, error) from error
    try:
        _demand_regular(path, os.fstat(fd).st_mode)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _demand_regular(path: Path, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = next((name for test, name in _KINDS if test(mode)), "no file")
        raise FileTrouble(f"{path} is {kind}; it should be a regular file")


Identity = tuple[int, int, bytes]
"""Device, inode number, and how a file begins: inode numbers are used again."""


@dataclass(frozen=True, slots=True)
class Rotated:
    """A file that was rotated away: its name, and what it is known again by."""

    path: Path
    identity: Identity
    mtime_ns: int


class Known:
    """Remember files, those that had something in them: what comes into an empty one is new.

    A copy of one is the same file: two files of events do not begin with the same event.
    """

    def __init__(self, identities: Iterable[Identity] = ()) -> None:
        self._beginnings: dict[tuple[int, int], bytes] = {}
        self._whole: set[bytes] = set()
        self.add(*identities)

    def add(self, *identities: Identity) -> None:
        """Remember these as well."""
        for device, inode, beginning in identities:
            if beginning:
                self._beginnings[device, inode] = beginning
            if len(beginning) == BEGINNING:
                self._whole.add(beginning)

    def has(self, identity: Identity) -> bool:
        """Tell whether this is one of them, which may have grown since."""
        device, inode, beginning = identity
        known = self._beginnings.get((device, inode))
        return beginning in self._whole or (known is not None and beginning.startswith(known))

    def without(self, found: Iterable[Rotated]) -> list[Rotated]:
        """Return those that are none of them, and in which there is something."""
        return [each for each in found if each.identity[2] and not self.has(each.identity)]


def identity_of(fd: int) -> Identity:
    """Return what an open file is known again by, also when its inode number is used anew."""
    found = os.fstat(fd)
    return found.st_dev, found.st_ino, os.pread(fd, BEGINNING, 0)


def rotated_files(path: Path) -> list[Rotated]:
    """List the rotated files of *path*, the one written last at the end; unreadable ones are left out.

    Where *path* is a symbolic link, those of the file it points to count as well.
    """
    found: dict[Identity, Rotated] = {}
    places = {(path.parent, path.name)}
    if path.is_symlink():
        real = Path(os.path.realpath(path))
        places.add((real.parent, re.sub(rf"{_SUFFIX}\Z", "", real.name)))
    for directory, name in places:
        pattern = re.compile(re.escape(name) + _SUFFIX)
        try:
            names = os.listdir(directory)
        except OSError:
            continue
        for candidate in filter(pattern.fullmatch, names):
            rotated = _look_at(directory / candidate)
            if rotated is not None:
                found[rotated.identity] = rotated
    return sorted(found.values(), key=_age)


def _look_at(path: Path) -> Rotated | None:
    try:
        fd = open_regular(path)
    except FileTrouble:
        return None
    try:
        return Rotated(path, identity_of(fd), os.fstat(fd).st_mtime_ns)
    except OSError:
        return None
    finally:
        os.close(fd)


def _age(rotated: Rotated) -> tuple[int, int, str]:
    number = _NUMBER.search(rotated.path.name)
    # Written within one tick of the clock: the higher number is the older file, the higher date not.
    return rotated.mtime_ns, -int(number[1]) if number else 0, rotated.path.name


@dataclass(slots=True)
class Search:
    """Look backwards through files, the newest first, for where a host's clock reached *since*.

    `begins_at` is the first place from which on all events are of that time or later, but for
    late ones; None if there is none in what was searched.
    """

    since: int
    left: int = MOST_SEARCHED
    begins_at: int | None = None
    _first: bytes = field(init=False)
    _too_old: bytes = field(init=False)

    def __post_init__(self) -> None:
        self._first = _sortable(as_printed(self.since).encode())
        self._too_old = _sortable(as_printed(self.since - SLACK_S).encode())

    def through(self, fd: int) -> bool:
        """Look through one file; return whether the file before it has to be looked through, too."""
        self.begins_at = None
        end = os.fstat(fd).st_size
        while end > 0 and self.left > 0:
            start = max(0, end - BLOCK)
            # One byte before tells whether a line begins at the block's; a header may end after it.
            before = min(start, 1)
            data = os.pread(fd, end - start + before + _HEADER_LENGTH, start - before)
            if not self._through_block(data, start - before, before, end - start + before):
                return False
            self.left -= end - start
            end = start
        return self.left > 0

    def _through_block(self, data: bytes, offset: int, first: int, last: int) -> bool:
        """Look through *data*, which stands at *offset*, for headers that begin in first to last.

        If the first of them is late enough, none of the others is so much earlier that it ends the
        search, and a block of ten thousand events need not be read.
        """
        found = _HEADER.search(data, first)
        if found is None or found.start() >= last:
            return True
        if _time_of(found) >= self._first:
            self.begins_at = offset + found.start()
            return True
        for found in reversed(list(_HEADER.finditer(data, first))):
            time = _time_of(found)
            if time < self._too_old:
                return False
            if time >= self._first and found.start() < last:
                self.begins_at = offset + found.start()
        return True


def _time_of(header: re.Match[bytes]) -> bytes:
    return _sortable(b" ".join(header.groups()))


def _sortable(printed_at: bytes) -> bytes:
    """Put the century before a printed time: to read millions of them would take minutes."""
    return (b"19" if printed_at >= b"%d" % PIVOT else b"20") + printed_at
