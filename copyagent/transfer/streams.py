"""The source's bytes on the move to the target: ranges of it, with what a map needs read along.

Reading and digesting the source is done in a thread, while what was read before is on its way.
"""

import heapq
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import trio

from copyagent.transfer import ranges
from copyagent.transfer.chunks import MapBuilder, chunk_ranges
from copyagent.transfer.pacing import UNPACED, Pace
from copyagent.transfer.source import SourceTape
from copyagent.transfer.target import TargetFile
from copyagent.transfer.together import together
from vtsfs.contract.extents import ExtentSet, Range

#: How many blocks of the source are read and digested at a time.
_BLOCKS = 16

#: How many such pieces wait to be sent: the line must not wait for the disk and the digests.
_AHEAD = 1

#: How many bytes are read and digested at a time when nothing is sent.
_READ = 4 * 1024 * 1024

Report = Callable[[int], None]
Acknowledged = Callable[[int, int], None]

#: What was read of the source: offsets, and the bytes that are to be sent there.
Blocks = list[tuple[int, memoryview]]


def _nobody(start: int, end: int) -> None:
    """Nobody wants to know what was acknowledged."""


@dataclass(frozen=True, slots=True)
class Sending:
    """What is sent of a tape and how.

    *send* are the ranges to be sent, *unread* whole chunks of which *builder* wants to see every
    byte, *data* what of the source is no hole. *sparse*: the file has zeros where nothing was
    written, so zeros are not sent. *acknowledged* is told each range that the server has written.
    """

    send: ExtentSet
    unread: ExtentSet = field(default_factory=ExtentSet)
    builder: MapBuilder | None = None
    data: ExtentSet | None = None
    sparse: bool = False
    acknowledged: Acknowledged = _nobody

    def segments(self, step: int) -> Iterator[tuple[int, int, bool]]:
        """Return what has to be looked at, in order, in pieces of *step* bytes; True for holes."""
        wanted = ranges.joined(self.send, self.unread)
        holes = ranges.exact() if self.data is None else ranges.without(wanted, self.data)
        read = _pieces(ranges.without(wanted, holes), step)
        passed = holes if self.sparse else _pieces(holes, step)
        return heapq.merge(
            ((start, end, False) for start, end in read),
            ((start, end, True) for start, end in passed),
        )


def _pieces(wanted: Iterable[Range], step: int) -> Iterator[Range]:
    for start, end in wanted:
        for at in range(start, end, step):
            yield at, min(at + step, end)


async def send(
    source: SourceTape,
    stage: TargetFile,
    sending: Sending,
    *,
    block: int,
    patience_s: float,
    report: Report,
    pace: Pace = UNPACED,
) -> int:
    """Write what *sending* says into *stage*, in requests of at most *block* bytes.

    Returns how many bytes were sent. Raises `TargetError` for the target's failures, LinkLost if
    for *patience_s* seconds nothing is acknowledged; `SourceDiffers` or OSError for the source's.
    """
    sent = acknowledged = 0

    def written(start: int, end: int) -> None:
        nonlocal acknowledged
        acknowledged += end - start
        sending.acknowledged(start, end)
        report(acknowledged)

    looked, to_send = trio.open_memory_channel[Blocks](_AHEAD)

    async def look_ahead() -> None:
        with looked:
            for segment in sending.segments(_BLOCKS * block):
                await looked.send(
                    await trio.to_thread.run_sync(_look, source, sending, segment, block)
                )

    async def put_all() -> None:
        nonlocal sent
        async for blocks in to_send:
            for offset, data in blocks:
                await pace.send(len(data))
                await writer.put(offset, data)
                sent += len(data)

    async with stage.writing(patience_s=patience_s, acknowledged=written) as writer:
        with to_send:
            await together([look_ahead, put_all])
    return sent


def _look(
    source: SourceTape, sending: Sending, segment: tuple[int, int, bool], block: int
) -> Blocks:
    """Read one segment, show the builder what it wants, and return what is to be sent of it."""
    start, end, hole = segment
    builder = sending.builder
    if hole:
        if builder is not None:
            for first, last in ranges.clipped(sending.unread, start, end):
                builder.feed_zeros(first, last)
        if sending.sparse:
            return []
    data = memoryview(bytes(end - start) if hole else source.read(start, end - start))
    if builder is not None and not hole:
        for first, last in ranges.clipped(sending.unread, start, end):
            builder.feed(first, data[first - start : last - start])
    blocks = []
    for first, last in ranges.clipped(sending.send, start, end):
        for at, size in _even(first, last, block):
            piece = data[at - start : at - start + size]
            if not (sending.sparse and is_zero(piece)):
                blocks.append((at, piece))
    return blocks


def _even(start: int, end: int, block: int) -> Iterator[Range]:
    """Cut a range into offsets and sizes of equal parts, not into blocks and a crumb."""
    size = -(-(end - start) // max(-(-(end - start) // block), 1))
    for at in range(start, end, max(size, 1)):
        yield at, min(size, end - at)


_ZEROS = memoryview(bytes(256 * 1024))


def is_zero(data: memoryview) -> bool:
    """Tell whether *data* is zero bytes only."""
    if data[:16] != _ZEROS[: len(data[:16])]:
        return False
    return all(
        data[at : at + len(_ZEROS)] == _ZEROS[: len(data) - at]
        for at in range(0, len(data), len(_ZEROS))
    )


async def digest_chunks(
    source: SourceTape, indexes: Iterable[int], data: ExtentSet | None, report: Report
) -> dict[int, bytes]:
    """Read those chunks of *source* and return their digests; raises `SourceDiffers` or OSError."""
    builder = MapBuilder(source.identity.size)
    wanted = chunk_ranges(indexes, source.identity.size)
    looking = Sending(ExtentSet(), wanted, builder, data, sparse=True)
    done = 0
    segments = looking.segments(_READ)
    while some := list(_some(segments)):

        def look(some: list[tuple[int, int, bool]] = some) -> None:
            for segment in some:
                _look(source, looking, segment, _READ)

        await trio.to_thread.run_sync(look)
        done += sum(end - start for start, end, _ in some)
        report(done)
    return builder.known()


def _some(segments: Iterator[tuple[int, int, bool]]) -> Iterator[tuple[int, int, bool]]:
    """Return the next segments, of some megabytes together."""
    size = 0
    while size < _READ and (segment := next(segments, None)) is not None:
        size += segment[1] - segment[0]
        yield segment
