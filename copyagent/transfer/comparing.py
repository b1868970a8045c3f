"""A file at the target, compared with a chunk map by reading its bytes back."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import blake3
import trio

from copyagent.transfer import ranges
from copyagent.transfer.chunks import ChunkMap, chunk_ranges
from copyagent.transfer.reading import Readable, Reading, read_ranges
from vtsfs.contract.extents import ExtentSet, Range

#: So many bytes are compared at a time: a change of threads for every small piece takes too long.
_AT_ONCE = 1024 * 1024


@dataclass(slots=True)
class _Compared:
    """Digests chunks as their bytes come, in ascending order; *good* are those that are right."""

    chunk_map: ChunkMap
    good: set[int] = field(default_factory=set)
    _index: int = -1
    _hasher: blake3.blake3 = field(default_factory=blake3.blake3)

    def take(self, offset: int, data: bytes) -> None:
        """Take in the bytes at *offset*; a gap leaves the chunk it is in wrong."""
        view, chunk = memoryview(data), self.chunk_map.chunk
        while view:
            index = offset // chunk
            if index != self._index:
                self.conclude()
                self._index, self._hasher = index, blake3.blake3()
            piece = view[: (index + 1) * chunk - offset]
            self._hasher.update(piece)
            offset += len(piece)
            view = view[len(piece) :]

    def conclude(self) -> None:
        """Judge the chunk whose bytes came last."""
        if self._index >= 0 and self._hasher.digest() == self.chunk_map.digest(self._index):
            self.good.add(self._index)
        self._index = -1


async def compare(
    file: Readable,
    chunk_map: ChunkMap,
    chunks: Collection[int],
    how: Reading,
    report: Callable[[int], None],
) -> ExtentSet:
    """Read *chunks* (their numbers) of *file* back; return where it differs from *chunk_map*.

    Whole chunks are returned: which of its bytes are wrong a digest does not tell. What lies past
    the end of the file is wrong, holes are read as the zeros they stand for. Raises `TargetError`.
    """
    compared = _Compared(chunk_map)
    done = 0

    async def take(offset: int, data: bytes) -> None:
        nonlocal done
        compared.take(offset, data)
        done += len(data)
        report(done)

    await read_ranges(file, chunk_ranges(chunks, chunk_map.size), take, how)
    compared.conclude()
    return chunk_ranges((i for i in chunks if i not in compared.good), chunk_map.size)


async def compare_with(
    file: Readable,
    pieces: ExtentSet,
    read: Callable[[int, int], bytes],
    how: Reading,
    report: Callable[[int], None],
) -> ExtentSet:
    """Read *pieces* of *file* back; return where it differs from what *read* gives.

    *read* is asked for an offset and a size, and is run in a thread, for many small pieces at once;
    what it raises is raised here (see `read_ranges`). Whole requests are returned. Raises
    `TargetError`.
    """
    good: list[Range] = []
    come: list[tuple[int, bytes]] = []
    waiting = done = 0

    def judge() -> None:
        for offset, data in come:
            if data and data == read(offset, len(data)):
                good.append((offset, offset + len(data)))
        come.clear()

    async def take(offset: int, data: bytes) -> None:
        nonlocal waiting, done
        come.append((offset, data))
        waiting += len(data)
        if waiting >= _AT_ONCE:
            await trio.to_thread.run_sync(judge)
            waiting = 0
        done += len(data)
        report(done)

    await read_ranges(file, pieces, take, how)
    await trio.to_thread.run_sync(judge)
    return ranges.without(pieces, good)
