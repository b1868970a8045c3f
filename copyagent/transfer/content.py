"""What a whole file holds, named by digests: the source's tape, or a file at the target.

A file at the target is digested by its own ``sha256sum`` where that works and is enough, so that its
bytes need not cross the line; else it is read back, which gives a chunk map.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import trio

from copyagent.core.copying import PublishedCopy
from copyagent.transfer.attempt import Attempt
from copyagent.transfer.chunks import ChunkMap, MapBuilder, chunk_count
from copyagent.transfer.commands import parse_sha256, sha256_command
from copyagent.transfer.progress import Phase
from copyagent.transfer.reading import Reading, read_ranges
from copyagent.transfer.source import SourceTape
from copyagent.transfer.streams import digest_chunks

#: What a digest command is given: some time to start, and the slowest disk we put up with.
_COMMAND_S = 60.0
_SLOWEST_DISK = 2 * 1024 * 1024

#: Below this, starting a command costs more than reading back.
_COMMAND_PAYS = 8 * 1024 * 1024

_READ = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Content:
    """A content of *size* bytes: its map or its hex SHA-256, or both; *how* it was read."""

    size: int
    chunk_map: ChunkMap | None = None
    sha256: str = ""
    how: str = ""

    @property
    def root(self) -> str:
        """The digest of the map, empty without one."""
        return self.chunk_map.root if self.chunk_map else ""

    @property
    def short(self) -> str:
        """Name the content for people."""
        return f"SHA-256 {self.sha256[:12]}" if self.sha256 else f"BLAKE3 root {self.root[:12]}"

    def is_of(self, copy: PublishedCopy) -> bool:
        """Tell whether this is what *copy* records; False if the two have no digest in common."""
        if copy.size != self.size:
            return False
        if copy.root and self.root:
            return copy.root == self.root
        return bool(self.sha256) and copy.sha256 == self.sha256

    def equals(self, other: "Content") -> bool:
        """Tell whether both are the same content; False if they have no digest in common."""
        if self.root and other.root:
            return self.root == other.root
        return bool(self.sha256) and self.sha256 == other.sha256


async def content_of_source(attempt: Attempt, other: Content) -> Content:
    """Digest the tape in the way in which *other* was; always with a map.

    Raises `SourceDiffers` or OSError.
    """
    size = attempt.source.identity.size
    sha256 = ""
    if not other.root:
        sha256 = await trio.to_thread.run_sync(_sha256, attempt.source)
        if sha256 != other.sha256:
            return Content(size, sha256=sha256)
    return Content(size, await map_source(attempt), sha256)


async def map_source(attempt: Attempt) -> ChunkMap:
    """Read what was not read yet of the tape, and return its map."""
    size = attempt.source.identity.size
    report = attempt.reporter(Phase.COMPARING, size)
    missing = [i for i in range(chunk_count(size)) if i not in attempt.digests]
    attempt.digests |= await digest_chunks(attempt.source, missing, attempt.data, report)
    return MapBuilder(size, attempt.digests).result()


def _sha256(source: SourceTape) -> str:
    hasher = hashlib.sha256()
    for start in range(0, source.identity.size, _READ):
        hasher.update(source.read(start, min(_READ, source.identity.size - start)))
    return hasher.hexdigest()


async def content_of_target(attempt: Attempt, size: int, known: Sequence[PublishedCopy]) -> Content:
    """Digest the published file, which has *size* bytes, so that it can be told from all *known*.

    Raises `TargetError`.
    """
    named = all(copy.sha256 for copy in known if copy.size == size)
    if named and size >= _COMMAND_PAYS and attempt.route.verify != "readback":
        attempt.reporter(Phase.COMPARING, size)
        patience_s = _COMMAND_S + size / _SLOWEST_DISK
        command = sha256_command(attempt.layout.destination)
        answer = await attempt.target.run(command, patience_s)
        sha256 = parse_sha256(answer.output) if answer and answer.status == 0 else None
        if sha256:
            return Content(size, sha256=sha256, how="sha256")
    return await _read_back(attempt, size)


async def _read_back(attempt: Attempt, size: int) -> Content:
    """Read the published file; if it is shorter by now, it is no content that anybody knows."""
    builder, hasher = MapBuilder(size), hashlib.sha256()
    report = attempt.reporter(Phase.COMPARING, size)

    at = 0

    async def take(offset: int, data: bytes) -> None:
        nonlocal at
        if offset != at:
            return  # it became shorter meanwhile; what is missing stays missing
        await trio.to_thread.run_sync(builder.feed, offset, data)
        hasher.update(data)
        at += len(data)
        report(at)

    file = await attempt.target.open(attempt.layout.destination)
    whole = [(0, size)] if size else []
    route = attempt.route
    how = Reading(route.pace.block(attempt.target.max_block), route.patience_s, route.pace)
    await read_ranges(file, whole, take, how)
    await file.close()
    if builder.missing():
        return Content(size, how="readback")
    return Content(size, builder.result(), hasher.hexdigest(), "readback")
