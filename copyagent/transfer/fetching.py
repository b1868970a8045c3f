"""A copy brought back from a target into a directory here: whole, proven and durable, or not at all.

It is built under a name of its own, which begins with a dot, compared with the record of its
publication, made durable, and only then given the name it is meant to have.
"""

import hashlib
import os
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self

import trio

from copyagent.core.copying import PublishedCopy
from copyagent.transfer import ranges
from copyagent.transfer.chunks import ChunkMap, MapBuilder
from copyagent.transfer.published import Reader
from copyagent.transfer.reading import read_ranges
from copyagent.transfer.target import EntryKind, TargetEntry, TargetMissing
from vtsfs.contract.errors import RequestFailed, Unprotected
from vtsfs.contract.extents import ExtentSet
from vtsfs.contract.units import format_size

#: Zeros are left out of the file in pieces of this size, aligned to it.
_HOLE = 64 * 1024


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
    arrive as holes. Raises `TargetError`, OSError, `Unprotected` if what came is not what was
    published, `RequestFailed` if it cannot be kept.
    """
    entry = await reader.target.lstat(path)
    if entry is None or entry.kind is not EntryKind.FILE:
        raise TargetMissing(f"fetching {path}")
    if entry.size != copy.size:
        raise Unprotected(
            f"{path} has {entry.size} bytes, {copy.size} were published; nothing was fetched"
        )
    arrival = await trio.to_thread.run_sync(Arrival.begin, place, copy)
    try:
        got = await _receive(reader, path, copy, chunk_map, arrival)
        await trio.to_thread.run_sync(partial(arrival.finish, entry))
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
    _sha256: "hashlib._Hash" = field(default_factory=hashlib.sha256)
    _broken: bool = False

    @classmethod
    def begin(cls, place: Place, copy: PublishedCopy) -> Self:
        """Make the file; raises OSError, and `RequestFailed` if there is no room for it."""
        directory_fd = os.open(place.directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            space = os.fstatvfs(directory_fd)
            free = space.f_bavail * space.f_frsize
            if free < copy.size:
                raise RequestFailed(
                    f"{place.directory} has {format_size(free)} free and {place.name} needs "
                    f"{format_size(copy.size)}; make room, or say --to another directory"
                )
            temporary = f".{place.name[:200]}.fetch-{secrets.token_hex(6)}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            fd = os.open(temporary, flags, 0o600, dir_fd=directory_fd)
        except BaseException:
            os.close(directory_fd)
            raise
        return cls(place, copy, directory_fd, temporary, fd, MapBuilder(copy.size))

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
            if data.count(0, at, end) != end - at:
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
        os.close(self.fd)
        with suppress(FileNotFoundError):
            os.unlink(self.temporary, dir_fd=self.directory_fd)
        os.close(self.directory_fd)
