"""Whole contents on the move: the source's to the target, the target's back for a digest.

Many requests are in flight at once; the first failure ends them all and is the one raised. Reading
and digesting the source is done in a thread.
"""

from collections.abc import Callable
from dataclasses import dataclass

import trio

from copyagent.transfer.source import Digests, Hasher, SourceProblem, SourceTape
from copyagent.transfer.target import LinkLost, TargetError, TargetFile

#: Requests in flight. 64 blocks of 255 KiB fill a line of 1 Gbit/s at a round trip of 130 ms.
WINDOW = 64

#: How much of the source is read and digested at a time.
_READ = 4 * 1024 * 1024

Report = Callable[[int], None]


@dataclass(slots=True)
class _Traffic:
    """Requests in flight together: their number, the time of the last answer, the first failure."""

    scope: trio.CancelScope
    patience_s: float
    free: trio.Semaphore
    failure: TargetError | None = None

    def answered(self) -> None:
        """Note that something moved: a slow line is no dead one."""
        self.scope.deadline = trio.current_time() + self.patience_s

    def failed(self, error: TargetError) -> None:
        self.failure = self.failure or error
        self.scope.cancel()

    def settle(self) -> None:
        """Raise what ended the traffic early, if anything did; called outside the scope."""
        if self.failure is not None:
            raise self.failure
        if self.scope.cancelled_caught:
            raise LinkLost(f"no request was answered for {self.patience_s:g} s")


def _traffic(patience_s: float) -> _Traffic:
    scope = trio.CancelScope(deadline=trio.current_time() + patience_s)
    return _Traffic(scope, patience_s, trio.Semaphore(WINDOW))


async def send(
    source: SourceTape, stage: TargetFile, *, block: int, patience_s: float, report: Report
) -> Digests:
    """Write the whole of *source* into *stage*, in pieces of *block* bytes; return its digests.

    Raises `TargetError` for the target's failures, LinkLost if for *patience_s* seconds nothing is
    acknowledged; `SourceDiffers` or OSError for the source's.
    """
    traffic = _traffic(patience_s)
    total = source.identity.size
    hasher = Hasher()
    acknowledged = 0

    async def write(offset: int, data: bytes) -> None:
        nonlocal acknowledged
        try:
            await stage.write(offset, data)
        except TargetError as error:
            traffic.failed(error)
            return
        acknowledged += len(data)
        traffic.answered()
        traffic.free.release()
        report(acknowledged)

    problem: SourceProblem | OSError | None = None
    with traffic.scope:
        async with trio.open_nursery() as nursery:
            try:
                for start in range(0, total, _READ):
                    data = await trio.to_thread.run_sync(_read, source, hasher, start)
                    # A slow disk here is no dead target; a full window stops this loop soon.
                    traffic.answered()
                    for at in range(0, len(data), block):
                        await traffic.free.acquire()
                        nursery.start_soon(write, start + at, data[at : at + block])
            except (SourceProblem, OSError) as error:
                # Raised below: a nursery would wrap it in a group.
                problem = error
                traffic.scope.cancel()
    if problem is not None:
        raise problem
    traffic.settle()
    return hasher.result()


def _read(source: SourceTape, hasher: Hasher, start: int) -> bytes:
    data = source.read(start, min(_READ, source.identity.size - start))
    hasher.update(data)
    return data


async def digest_source(source: SourceTape, report: Report) -> Digests:
    """Return the digests of the whole of *source*; raises `SourceDiffers` or OSError."""
    hasher = Hasher()
    for start in range(0, source.identity.size, _READ):
        await trio.to_thread.run_sync(_read, source, hasher, start)
        report(min(start + _READ, source.identity.size))
    return hasher.result()


async def digest_file(
    file: TargetFile, size: int, *, block: int, patience_s: float, report: Report
) -> Digests:
    """Read *size* bytes of a file at the target back; return their digests.

    A file that is shorter gives the digests of what there is. Raises `TargetError`.
    """
    traffic = _traffic(patience_s)
    hasher = Hasher()
    send_block, blocks = trio.open_memory_channel[trio.MemoryReceiveChannel[bytes]](WINDOW)

    async def fetch(offset: int, result: trio.MemorySendChannel[bytes]) -> None:
        try:
            data = await _read_all(file, offset, min(block, size - offset))
        except TargetError as error:
            traffic.failed(error)
            return
        traffic.answered()
        result.send_nowait(data)

    async def request(nursery: trio.Nursery) -> None:
        async with send_block:
            for offset in range(0, size, block):
                await traffic.free.acquire()
                mine, theirs = trio.open_memory_channel[bytes](1)
                nursery.start_soon(fetch, offset, mine)
                await send_block.send(theirs)

    done = 0
    with traffic.scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(request, nursery)
            async for result in blocks:
                data = await result.receive()
                hasher.update(data)
                traffic.free.release()
                done += len(data)
                report(done)
    traffic.settle()
    return hasher.result()


async def _read_all(file: TargetFile, offset: int, size: int) -> bytes:
    pieces = b""
    while len(pieces) < size:
        piece = await file.read(offset + len(pieces), size - len(pieces))
        if not piece:
            break
        pieces += piece
    return pieces
