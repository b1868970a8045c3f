"""Ranges of a file at the target, read with many requests in flight and handed over in order."""

from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import trio

from copyagent.transfer.flight import WINDOW, Flight
from copyagent.transfer.pacing import UNPACED, Pace
from copyagent.transfer.source import SourceProblem
from copyagent.transfer.target import TargetError
from vtsfs.contract.errors import VtsError
from vtsfs.contract.extents import Range

#: Takes a piece of the file: its offset and its bytes.
Take = Callable[[int, bytes], Awaitable[None]]

#: What was asked for: offset, size, and where its bytes come.
_OnWay = tuple[int, int, trio.MemoryReceiveChannel[bytes]]


class Readable(Protocol):
    """As much of a `TargetFile` as reading needs."""

    async def read(self, offset: int, size: int) -> bytes:
        """Read up to *size* bytes; less only before the end of the file, nothing at its end."""


@dataclass(frozen=True, slots=True)
class Reading:
    """How it is read: in requests of at most *block* bytes, within the limits of *pace*.

    For *patience_s* seconds nothing may come until the link counts as lost.
    """

    block: int
    patience_s: float
    pace: Pace = UNPACED


async def read_ranges(file: Readable, ranges: Iterable[Range], take: Take, how: Reading) -> None:
    """Read *ranges* of *file*; give each piece to *take*, in order.

    A piece is shorter than asked for, or empty, only where the file ends before. Raises
    `TargetError`; and what *take* raises, which may be OSError, `SourceProblem` or `VtsError`.
    """
    flight, pace = Flight.begin(how.patience_s), how.pace
    problem: OSError | SourceProblem | VtsError | None = None
    on_way_in, on_way_out = trio.open_memory_channel[_OnWay](WINDOW)

    async def fetch(offset: int, size: int, result: trio.MemorySendChannel[bytes]) -> None:
        begun = trio.current_time()
        try:
            data = await _read_all(file, offset, size)
        except TargetError as error:
            flight.failed(error)
            return
        flight.took(trio.current_time() - begun)
        flight.answered()
        result.send_nowait(data)

    async def request(nursery: trio.Nursery) -> None:
        async with on_way_in:
            for offset, size in _blocks(ranges, pace.block(how.block)):
                await flight.take_room(size)
                # Whoever has to wait for his turn does not wait for the target.
                with flight.resting():
                    await pace.read(size)
                mine, theirs = trio.open_memory_channel[bytes](1)
                nursery.start_soon(fetch, offset, size, mine)
                await on_way_in.send((offset, size, theirs))

    with flight.scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(request, nursery)
            try:
                async for offset, size, result in on_way_out:
                    data = await result.receive()
                    await take(offset, data)
                    # Whoever takes slowly, such as a full disk's queue, is no dead target.
                    flight.answered()
                    flight.give_room(size)
            except (OSError, SourceProblem, VtsError) as error:
                # Raised below: a nursery would wrap it in a group.
                problem = error
                flight.scope.cancel()
    if problem is not None:
        raise problem
    flight.settle()


def _blocks(ranges: Iterable[Range], block: int) -> Iterator[tuple[int, int]]:
    """Cut *ranges* into offsets and sizes; a range is cut evenly, not into a block and a crumb."""
    for start, end in ranges:
        pieces = max(-(-(end - start) // block), 1)
        size = -(-(end - start) // pieces)
        for offset in range(start, end, max(size, 1)):
            yield offset, min(size, end - offset)


async def _read_all(file: Readable, offset: int, size: int) -> bytes:
    data = await file.read(offset, size)
    while len(data) < size:
        more = await file.read(offset + len(data), size - len(data))
        if not more:
            break
        data += more
    return data
