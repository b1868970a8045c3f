"""How fast a target takes in bytes: tried with at most 64 MiB, and not for long."""

import secrets
from dataclasses import dataclass

import trio

from copyagent.transfer.pacing import UNPACED, Pace
from copyagent.transfer.target import Space, Target, TargetError, TargetFile

#: Most that is written, in bytes, and for how long, in seconds.
MOST = 64 * 1024 * 1024
LONGEST_S = 5.0

_IN_FLIGHT = 32

#: A line that takes longer for one block is slow: what is under way must end soon, too.
_SOON_S = 0.5

#: The share of the free space that a trial may take for a moment.
_SHARE = 0.01


@dataclass(slots=True)
class SpeedTest:
    """Writes one file, *path*, which is the caller's to remove; keeps the limits of *pace*."""

    target: Target
    path: str
    pace: Pace = UNPACED
    _next: int = 0
    _writers: int = 0
    _failure: TargetError | None = None

    @staticmethod
    def size_for(space: Space | None) -> int:
        """Return how much may be written: a hundredth of what is free, at most `MOST`."""
        return MOST if space is None else min(MOST, int(space.free * _SHARE))

    async def run(self, size: int, longest_s: float = LONGEST_S) -> tuple[int, float]:
        """Write up to *size* bytes, and begin nothing after *longest_s* seconds.

        Returns how many bytes it were, and the seconds until all of them were durable.

        Raises `TargetError`.
        """
        file = await self.target.create(self.path)
        begun = trio.current_time()
        block = secrets.token_bytes(self.target.max_block)
        async with trio.open_nursery() as nursery:
            self._writers = 1
            nursery.start_soon(self._write, file, block, size, begun + longest_s, nursery)
        if self._failure is not None:
            raise self._failure
        await file.sync()
        took = trio.current_time() - begun
        await file.close()
        return self._next, took

    async def _write(
        self, file: TargetFile, block: bytes, size: int, until: float, nursery: trio.Nursery
    ) -> None:
        """Write block after block; as long as answers come soon, have one more do the same."""
        while self._next < size and self._failure is None and trio.current_time() < until:
            at, data = self._next, block[: size - self._next]
            self._next += len(data)
            begun = trio.current_time()
            try:
                await self.pace.send(len(data))
                await file.write(at, data)
            except TargetError as error:
                # Raised by the caller: a nursery would wrap it in a group.
                self._failure = error
            if trio.current_time() - begun < _SOON_S and self._writers < _IN_FLIGHT:
                self._writers += 1
                nursery.start_soon(self._write, file, block, size, until, nursery)
