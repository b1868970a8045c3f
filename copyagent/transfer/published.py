"""A published copy, looked at again: is it still what was published?

Only reading; nothing at the target is changed. What has to be there is told by a record of the
publication, which the caller answers for.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from copyagent.core.copying import PublishedCopy
from copyagent.transfer.chunks import MAX_BYTES, ChunkMap, MapBuilder, decode
from copyagent.transfer.commands import parse_sha256, sha256_command
from copyagent.transfer.comparing import compare
from copyagent.transfer.layout import Layout
from copyagent.transfer.pacing import UNPACED, Pace
from copyagent.transfer.reading import Reading, read_ranges
from copyagent.transfer.target import EntryKind, Target, TargetEntry, TargetFile, TargetMissing
from copyagent.transfer.verification import (
    READBACK,
    SHA256,
    digest_patience_s,
    readback_of,
    sample,
)
from vtsfs.contract.extents import ExtentSet

Report = Callable[[int], None]


class Result(StrEnum):
    """What was found."""

    GOOD = "good"
    WRONG = "wrong"
    MISSING = "missing"
    UNPROVEN = "unproven"


@dataclass(frozen=True, slots=True)
class Looked:
    """What was found, and *how*; *detail* says what is wrong, or worth knowing.

    *wrong* are the byte ranges of chunks that differ, as far as they could be told.
    """

    result: Result
    how: str = ""
    detail: str = ""
    wrong: ExtentSet | None = None


@dataclass(frozen=True, slots=True)
class Reader:
    """How files at one target are read, and who hears of it."""

    target: Target
    patience_s: float
    report: Report
    pace: Pace = UNPACED

    @property
    def how(self) -> Reading:
        """How it is read."""
        return Reading(self.target.max_block, self.patience_s, self.pace)

    async def compare(self, file: TargetFile, chunk_map: ChunkMap, chunks: set[int]) -> ExtentSet:
        """Return which bytes of *chunks* differ; see `comparing.compare`."""
        return await compare(file, chunk_map, chunks, self.how, self.report)

    async def digest(self, file: TargetFile, size: int) -> tuple[str, str]:
        """Read *size* bytes; return the root of their chunk map and their SHA-256.

        Both are empty if the file is shorter by now.
        """
        builder, sha256, done = MapBuilder(size), hashlib.sha256(), 0

        async def take(offset: int, data: bytes) -> None:
            nonlocal done
            if offset == done:
                builder.feed(offset, data)
                sha256.update(data)
                done += len(data)
                self.report(done)

        await read_ranges(file, [(0, size)], take, self.how)
        return (builder.result().root, sha256.hexdigest()) if done == size else ("", "")


async def read_map(target: Target, layout: Layout, root: str) -> ChunkMap | None:
    """Return the chunk map of that *root* from the target's records; None if it is not there."""
    path = layout.map(root)
    entry = await target.lstat(path) if root else None
    if entry is None or entry.kind is not EntryKind.FILE or entry.size > MAX_BYTES:
        return None
    file = await target.open(path)
    data = b""
    while len(data) < entry.size:
        piece = await file.read(len(data), min(entry.size - len(data), target.max_block))
        if not piece:
            break
        data += piece
    await file.close()
    found = decode(data)
    return found if found is not None and found.root == root else None


async def look(
    reader: Reader,
    path: str,
    copy: PublishedCopy,
    chunk_map: ChunkMap | None,
    *,
    share: float | None = None,
    chance: Random | None = None,
) -> Looked:
    """Compare the file *path* with what *copy* says was published there; raises `TargetError`.

    *chunk_map* is the map of *copy*'s root, if there is one: without it nobody can tell where the
    file differs, and no *share* of it can be read instead of the whole.
    """
    entry = await reader.target.lstat(path)
    if entry is None:
        return Looked(Result.MISSING, detail="there is no such file")
    if entry.kind is not EntryKind.FILE:
        return Looked(Result.WRONG, detail="it is no plain file")
    if entry.size != copy.size:
        return Looked(Result.WRONG, detail=f"it has {entry.size} bytes, {copy.size} were published")
    if not copy.root and not copy.sha256:
        return Looked(Result.UNPROVEN, detail="no digest of it is on record")
    try:
        return await _content(reader, path, copy, chunk_map, entry, share=share, chance=chance)
    except TargetMissing:
        return Looked(Result.MISSING, detail="it went away while it was read")


async def _content(
    reader: Reader,
    path: str,
    copy: PublishedCopy,
    chunk_map: ChunkMap | None,
    entry: TargetEntry,
    *,
    share: float | None,
    chance: Random | None,
) -> Looked:
    if share is None and copy.sha256:
        theirs = await _digest_there(reader, path, copy.size)
        if theirs == copy.sha256:
            return Looked(Result.GOOD, SHA256, _dated(copy, entry))
    file = await reader.target.open(path)
    if chunk_map is not None:
        everything = set(range(len(chunk_map)))
        chosen = everything if share is None else sample(chunk_map, share, chance)
        wrong = await reader.compare(file, chunk_map, chosen)
        how = READBACK if chosen == everything else readback_of(share or 1.0)
        found = Looked(Result.GOOD, how, _dated(copy, entry))
        if wrong:
            found = Looked(Result.WRONG, how, _places(wrong), wrong)
    else:
        root, sha256 = await reader.digest(file, copy.size)
        same = root == copy.root if copy.root else sha256 == copy.sha256
        found = Looked(Result.GOOD, READBACK, _dated(copy, entry))
        if not same:
            found = Looked(Result.WRONG, READBACK, "its content is another one")
    await file.close()
    return found


async def _digest_there(reader: Reader, path: str, size: int) -> str | None:
    if reader.target.can.commands is False:
        return None
    answer = await reader.target.run(sha256_command(path), digest_patience_s(size))
    return parse_sha256(answer.output) if answer and answer.status == 0 else None


def _dated(copy: PublishedCopy, entry: TargetEntry) -> str:
    """Say what a date alone can tell: somebody may have written what was there before."""
    return "" if entry.mtime == copy.stamp.mtime or copy.stamp.size < 0 else "its date was changed"


def _places(wrong: ExtentSet) -> str:
    first, _ = next(iter(wrong))
    return f"{wrong.total()} bytes are in chunks that differ, the first from byte {first} on"
