"""Following a file that grows and is rotated, losing nothing: what ``tail -F`` leaves open.

Blocking; `copyagent.ems.printed_file` calls it in a thread. What becomes of a file, and what is
done about it:

=========================  ======================================================================
renamed, and created anew  the old one is read on until the new one has something in it
rotated twice meanwhile    the files in between are read, in order
written anew, and longer   it is read on from the same place (a mirror that renames its copies)
deleted                    as if renamed; absent for too long, it counts as unreadable
a link set to another      as if renamed
truncated (copytruncate)   the rest is read from the copy, if there is one, then the file from its
                           beginning; a gap is told, since what was written between the copying and
                           the truncation is lost
anything but a file        unreadable
=========================  ======================================================================

A truncated file is recognised by the last bytes read, which are no longer there: it may have
grown beyond its former size by the time it is looked at.
"""

from __future__ import annotations

import os
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from copyagent.ems.rotation import (
    FileTrouble,
    Known,
    Rotated,
    Search,
    identity_of,
    of_error,
    open_regular,
    rotated_files,
)

CHUNK: Final = 65536
"""Most bytes read at once."""
REMEMBERED: Final = 64
"""Bytes read last that are compared at the next reading."""
TRUNCATED: Final = "the file was truncated"


@dataclass(slots=True)
class _Source:
    """One open file, read up to *offset*; *tail* is what was read last of it.

    *gap* says why text may be missing before its beginning.
    """

    path: Path
    fd: int
    offset: int = 0
    tail: bytes = b""
    gap: str = ""

    @classmethod
    def at(cls, path: Path, fd: int, offset: int, gap: str = "") -> _Source:
        back = min(offset, REMEMBERED)
        return cls(path, fd, offset, os.pread(fd, back, offset - back), gap)

    def read(self) -> bytes | None:
        """Return what comes next, empty at the end; None if what was read last is not there."""
        known = len(self.tail)
        data = os.pread(self.fd, CHUNK + known, self.offset - known)
        if data[:known] != self.tail:
            return None
        new = data[known:]
        self.offset += len(new)
        self.tail = (self.tail + new)[-REMEMBERED:]
        return new


class Follower:
    """Read the text of *path* from where *since* begins, without end.

    With *since* None it begins at the present end of the file, or at its beginning where
    *is_new* says that there was no such file before. Raises `FileTrouble`.
    """

    def __init__(
        self, path: Path, since: int | None, *, patience: float, is_new: bool = False
    ) -> None:
        self.gap = ""
        """Why text may be missing before what `read` gives next; the reader empties it."""
        self._path = path
        self._patience = patience
        self._absent_since: float | None = None
        self._next: deque[_Source] = deque()
        self._known = Known()
        fd = open_regular(path)
        try:
            self._source = self._begin(fd, since, is_new=is_new)
        except OSError as error:
            os.close(fd)
            raise of_error(path, error) from error

    def close(self) -> None:
        """Close all files; it cannot be read any more."""
        for fd in {source.fd for source in (self._source, *self._next)}:
            os.close(fd)
        self._next.clear()

    def read(self, now: float) -> bytes:
        """Return what comes next, empty if nothing has been written; *now* is any clock's time."""
        try:
            return self._read(now)
        except OSError as error:
            raise of_error(self._path, error) from error

    # ---- where to begin --------------------------------------------------------------------------

    def _begin(self, fd: int, since: int | None, *, is_new: bool) -> _Source:
        mine = identity_of(fd)
        older = [found for found in rotated_files(self._path) if found.identity != mine]
        self._known = Known(found.identity for found in older)
        if since is None:
            return _Source.at(self._path, fd, 0 if is_new else os.fstat(fd).st_size)
        search = Search(since)
        looked_at = [_Source(self._path, fd)]
        begins: tuple[int, int] | None = None
        for index in range(len(older) + 1):
            if index:
                opened = _open(older[-index])
                looked_at += [opened] if opened is not None else []
                if opened is None:
                    continue
            goes_on = search.through(looked_at[-1].fd)
            if search.begins_at is not None:
                begins = len(looked_at) - 1, search.begins_at
            if not goes_on:
                break
        return self._from(looked_at, begins)

    def _from(self, newest_first: list[_Source], begins: tuple[int, int] | None) -> _Source:
        """Read on from a place in one of the files; without one, from the newest's end."""
        live = newest_first[0]
        index, offset = begins if begins is not None else (0, os.fstat(live.fd).st_size)
        for unneeded in newest_first[index + 1 :]:
            os.close(unneeded.fd)
        self._next.extend(reversed(newest_first[:index]))
        first = newest_first[index]
        return _Source.at(first.path, first.fd, offset)

    # ---- what comes next -------------------------------------------------------------------------

    def _read(self, now: float) -> bytes:
        text = b""
        while not text:
            is_first = not self._source.offset
            data = self._source.read()
            if data and is_first and self._was_copied_before():
                continue
            if data is None:
                text = self._truncated()
            elif data:
                text = data
            elif self._next:
                text = self._turn_over()
            else:
                self._look_at_the_name(now)
                if not self._next:
                    break
                # Once more: what was written until the new file had something in it comes first.
        return text

    def _turn_over(self) -> bytes:
        """Go on to the next file; a line that the last one left without an end is ended."""
        done = self._source
        self._source = self._next.popleft()
        goes_on = self._source.offset == done.offset and self._source.tail == done.tail != b""
        self.gap = self._source.gap or self.gap
        if done.fd != self._source.fd:
            os.close(done.fd)
        return b"" if goes_on else _end_of_line(done)

    def _look_at_the_name(self, now: float) -> None:
        """See whether the name stands for another file by now, and prepare to read that."""
        try:
            found = os.stat(self._path)
        except FileNotFoundError as error:
            if self._absent_since is None:
                self._absent_since = now
            if now - self._absent_since >= self._patience:
                raise of_error(self._path, error) from error
            return
        self._absent_since = None
        if os.path.samestat(found, os.fstat(self._source.fd)):
            return
        fd = open_regular(self._path)
        if os.fstat(fd).st_size == 0:
            # Whoever prints has the old one open still.
            os.close(fd)
            return
        live = _Source(self._path, fd)
        if not self._goes_on_in(live):
            self._next.extend(self._between(live))
        self._next.append(live)

    def _goes_on_in(self, other: _Source) -> bool:
        """Tell whether *other* is the present file once more, and longer; if so, skip what was read.

        A mirror writes its copy anew and renames it.
        """
        mine = self._source
        if not mine.tail or identity_of(other.fd)[2] != identity_of(mine.fd)[2]:
            return False
        edition = _Source(other.path, other.fd, mine.offset, mine.tail)
        if not _goes_on(edition):
            return False
        other.offset, other.tail = edition.offset, edition.tail
        return True

    def _is_named(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.stat(self._path), os.fstat(fd))
        except OSError:
            return False

    def _between(self, live: _Source) -> list[_Source]:
        """Open what was begun after the present file and rotated away before *live*, in order."""
        mine = identity_of(self._source.fd)
        last_written = os.fstat(self._source.fd).st_mtime_ns
        rotated = rotated_files(self._path)
        self._known.add(mine, identity_of(live.fd))
        opened: list[_Source] = []
        for found in rotated:
            is_mine = found.identity[:2] == mine[:2]
            is_new = found.mtime_ns >= last_written and not self._known.has(found.identity)
            source = None if is_mine else _open(found)
            if source is None:
                continue
            if self._goes_on_in(source) or (is_new and found.identity[2]):
                opened.append(source)
            else:
                os.close(source.fd)
        self._known = Known(found.identity for found in rotated)
        self._known.add(mine, identity_of(live.fd))
        return opened

    def _was_copied_before(self) -> bool:
        """Tell whether the file was copied and truncated before anything of it was read.

        Then there is nothing to recognise that by but the copy, which has appeared since; it is
        read first.
        """
        if self._source.path != self._path or not self._is_named(self._source.fd):
            return False
        new = self._known.without(rotated_files(self._path))
        self._known.add(*(found.identity for found in new))
        if not new:
            return False
        copies = [opened for found in new if (opened := _open(found)) is not None]
        self._next.extendleft(reversed([*copies, _anew(self._source)]))
        self._source = self._next.popleft()
        return True

    def _truncated(self) -> bytes:
        """Read the rest from the copy that was made, if one is found, then begin anew."""
        lost = self._source
        anew = _anew(lost)
        for found in reversed(rotated_files(self._path)):
            copy = _open(found)
            if copy is None:
                continue
            copy.offset, copy.tail = lost.offset, lost.tail
            if lost.tail and _goes_on(copy):
                self._next.appendleft(anew)
                self._known.add(found.identity)
                self._source = copy
                return b""
            os.close(copy.fd)
        self._source = anew
        self.gap = anew.gap
        return _end_of_line(lost)


def _open(rotated: Rotated) -> _Source | None:
    try:
        return _Source(rotated.path, open_regular(rotated.path))
    except FileTrouble:
        return None


def _goes_on(copy: _Source) -> bool:
    """Tell whether what was read last stands in *copy* at the same place."""
    back = len(copy.tail)
    return os.pread(copy.fd, back, copy.offset - back) == copy.tail


def _anew(source: _Source) -> _Source:
    """Begin at the first byte that there is: who goes on writing at his place leaves a hole."""
    try:
        offset = os.lseek(source.fd, 0, os.SEEK_DATA)
    except OSError:
        offset = 0
    return _Source.at(source.path, source.fd, offset, TRUNCATED)


def _end_of_line(done: _Source) -> bytes:
    return b"" if not done.tail or done.tail.endswith(b"\n") else b"\n"
