"""A copy brought back from a target into a directory here: whole, proven and durable, or not at all.

It is built under a name of its own, which begins with a dot, compared with the record of its
publication, made durable, and only then given the name it is meant to have. If the line fails before,
what has come stays under that other name, and the next fetch of the same content goes on with what of it
is right by the chunk map.
"""

import fcntl
import hashlib
import os
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self

import trio

from copyagent.core.copying import PublishedCopy
from copyagent.transfer import ranges
from copyagent.transfer.chunks import ChunkMap, MapBuilder, chunk_ranges, digest
from copyagent.transfer.published import Reader
from copyagent.transfer.reading import read_ranges
from copyagent.transfer.target import EntryKind, TargetEntry, TargetError, TargetMissing
from vtsfs.contract.errors import RequestFailed, Unprotected
from vtsfs.contract.extents import ExtentSet
from vtsfs.contract.units import format_size

#: Zeros are left out of the file in pieces of this size, aligned to it.
_HOLE = 64 * 1024

#: How much of a content's name is in that of the file that is being made.
_ROOT_SHOWN = 16

_FLAGS = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Place:
    """Where a fetched copy goes: *name* in *directory*. *replace*: a file of that name is replaced.

    *check* is asked last, before the name is given, and raises what keeps it from being given.
    *owner* is user and group of the new file, None for whoever runs this.
    """

    directory: Path
    name: str
    replace: bool = False
    owner: tuple[int, int] | None = None
    check: Callable[[], None] = lambda: None

    @property
    def path(self) -> Path:
        """The file that comes of it."""
        return self.directory / self.name


async def fetch(
    reader: Reader, path: str, copy: PublishedCopy, chunk_map: ChunkMap | None, place: Place
) -> int:
    """Bring the file *path* of the target, which *copy* is the record of, to *place*.

    Returns how many bytes came over the line: holes are not read where *chunk_map* shows them, and
    arrive as holes; nor is what an earlier fetch has left of the same content. Raises `TargetError`,
    OSError, `Unprotected` if what came is not what was published, `RequestFailed` if it cannot be
    kept.
    """
    entry = await reader.target.lstat(path)
    if entry is None or entry.kind is not EntryKind.FILE:
        raise TargetMissing(f"fetching {path}")
    if entry.size != copy.size:
        raise Unprotected(
            f"{path} has {entry.size} bytes, {copy.size} were published; nothing was fetched"
        )
    arrival = await trio.to_thread.run_sync(Arrival.begin, place, copy, chunk_map)
    try:
        got = await _receive(reader, path, copy, chunk_map, arrival)
        await trio.to_thread.run_sync(partial(arrival.finish, entry))
    except (Unprotected, RequestFailed, OSError):
        raise
    except BaseException as error:
        if arrival.keep_for_later() and isinstance(error, TargetError):
            error.next_step += (
                f"; what came is kept: {arrival.path}; the same command goes on with it"
            )
        raise
    finally:
        arrival.close()
    return got


async def _receive(
    reader: Reader,
    path: str,
    copy: PublishedCopy,
    chunk_map: ChunkMap | None,
    arrival: "Arrival",
) -> int:
    zeros = chunk_map.zeros() if chunk_map is not None else ExtentSet()
    wanted = ranges.without([(0, copy.size)], zeros)
    if chunk_map is not None:
        held = await trio.to_thread.run_sync(arrival.take_stock, chunk_map)
        wanted = ranges.without(wanted, chunk_ranges(held, copy.size))
    file = await reader.target.open(path)
    got = 0

    async def take(offset: int, data: bytes) -> None:
        nonlocal got
        await trio.to_thread.run_sync(arrival.take, offset, data)
        got += len(data)
        reader.report(got)

    await read_ranges(file, wanted, take, reader.how)
    await file.close()
    for start, end in zeros:
        arrival.builder.feed_zeros(start, end)
    if not arrival.proves(copy):
        raise Unprotected(
            f"what came of {path} is not what was published there: nothing was kept; see: "
            "copyagent verify"
        )
    return got


@dataclass(slots=True)
class Arrival:
    """The file that is being made; every method but `close` blocks."""

    place: Place
    copy: PublishedCopy
    directory_fd: int
    temporary: str
    fd: int
    builder: MapBuilder
    resumable: bool = False
    _sha256: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    _broken: bool = False
    _over: bool = False
    _stays: bool = False

    @classmethod
    def begin(cls, place: Place, copy: PublishedCopy, chunk_map: ChunkMap | None = None) -> Self:
        """Make the file, or find it; raises OSError, and `RequestFailed` if there is no room.

        Only the chunk map tells what of one that is found is right.
        """
        directory_fd = os.open(place.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            space = os.fstatvfs(directory_fd)
            free = space.f_bavail * space.f_frsize
            name = f".{place.name[:200]}.fetch-"
            again = f"{name}{copy.root[:_ROOT_SHOWN]}" if copy.root and chunk_map else ""
            if free + _taken(directory_fd, again) < copy.size:
                raise RequestFailed(
                    f"{place.directory} has {format_size(free)} free and {place.name} needs "
                    f"{format_size(copy.size)}; make room, or say --to another directory"
                )
            temporary, fd = again, _open_again(directory_fd, again)
            if fd is None:
                temporary = f"{name}{secrets.token_hex(6)}"
                fd = os.open(temporary, _FLAGS | os.O_EXCL, 0o600, dir_fd=directory_fd)
        except BaseException:
            os.close(directory_fd)
            raise
        builder = MapBuilder(copy.size)
        resumable = temporary == again
        return cls(place, copy, directory_fd, temporary, fd, builder, resumable=resumable)

    @property
    def path(self) -> Path:
        """The file under the name that it has meanwhile."""
        return self.place.directory / self.temporary

    def take_stock(self, chunk_map: ChunkMap) -> list[int]:
        """Return which chunks are there, and right; cut the file where a hole has bytes."""
        size, held = os.fstat(self.fd).st_size, []
        self._over = size > 0
        for index, (start, end) in enumerate(chunk_map.ranges()):
            if start >= size:
                break
            data = self._read(start, min(end, size))
            if len(data) == end - start and digest(data) == chunk_map.digest(index):
                self.builder.feed(start, data)
                held.append(index)
            elif chunk_map.is_zero(index) and any(data):
                os.ftruncate(self.fd, start)
                break
        return held

    def _read(self, start: int, end: int) -> bytes:
        data = b""
        while piece := os.pread(self.fd, end - start - len(data), start + len(data)):
            data += piece
        return data

    def keep_for_later(self) -> bool:
        """Let the file stay if the next fetch can go on with it; tell whether it does."""
        self._stays = self.resumable and os.fstat(self.fd).st_size > 0
        return self._stays

    def take(self, offset: int, data: bytes) -> None:
        """Write the bytes at *offset*; what is zero becomes a hole."""
        try:
            self.builder.feed(offset, data)
        except ValueError:
            # Bytes are missing before: the target's file was cut meanwhile.
            self._broken = True
        self._sha256.update(data)
        at = 0
        while at < len(data):
            end = min(at + _HOLE - (offset + at) % _HOLE, len(data))
            if self._over or data.count(0, at, end) != end - at:
                self._write(offset + at, memoryview(data)[at:end])
            at = end

    def _write(self, offset: int, view: memoryview) -> None:
        while view:
            written = os.pwrite(self.fd, view, offset)
            view, offset = view[written:], offset + written

    def proves(self, copy: PublishedCopy) -> bool:
        """Tell whether what has come is what *copy* is the record of."""
        if self._broken or self.builder.missing():
            return False
        if copy.root:
            return self.builder.result().root == copy.root
        return bool(copy.sha256) and self._sha256.hexdigest() == copy.sha256

    def finish(self, entry: TargetEntry) -> None:
        """Give it size, owner, mode and date, make it durable, and give it its name."""
        os.ftruncate(self.fd, self.copy.size)
        if self.place.owner is not None:
            os.fchown(self.fd, *self.place.owner)
        os.fchmod(self.fd, entry.mode)
        modified = self.copy.source.mtime_ns
        os.utime(self.fd, ns=(modified, modified))
        os.fsync(self.fd)
        self.place.check()
        if self.place.replace:
            here = self.directory_fd
            os.rename(self.temporary, self.place.name, src_dir_fd=here, dst_dir_fd=here)
        else:
            self._name_if_free()
        os.fsync(self.directory_fd)

    def _name_if_free(self) -> None:
        """Give the name unless somebody has it; a link is the way that cannot replace anything."""
        here = self.directory_fd
        try:
            os.link(self.temporary, self.place.name, src_dir_fd=here, dst_dir_fd=here)
        except FileExistsError as error:
            raise RequestFailed(
                f"{self.place.path} is there already; say --to another directory, or move it away"
            ) from error

    def close(self) -> None:
        """Close all, and remove what has not got its name."""
        if not self._stays:
            with suppress(FileNotFoundError):
                os.unlink(self.temporary, dir_fd=self.directory_fd)
        os.close(self.fd)
        os.close(self.directory_fd)


def _taken(directory_fd: int, name: str) -> int:
    """Return how much room the file *name* has taken already, in bytes."""
    try:
        return os.stat(name, dir_fd=directory_fd, follow_symlinks=False).st_blocks * 512
    except OSError:
        return 0


def _open_again(directory_fd: int, name: str) -> int | None:
    """Open the file *name*, or make it; None if it is not ours alone.

    Others may have put something in its place, and another fetch may be at work on it.
    """
    if not name:
        return None
    try:
        fd = os.open(name, _FLAGS, 0o600, dir_fd=directory_fd)
    except OSError:
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        opened = os.fstat(fd)
        named = os.stat(name, dir_fd=directory_fd, follow_symlinks=False)
        is_plain = stat.S_ISREG(opened.st_mode) and opened.st_nlink == 1
        same = (opened.st_dev, opened.st_ino) == (named.st_dev, named.st_ino)
        if is_plain and same and opened.st_uid == os.geteuid():
            return fd
    except OSError:
        pass
    os.close(fd)
    return None
