"""How fast a target takes in bytes: tried with at most 64 MiB, and not for long."""

import secrets
from dataclasses import dataclass

import trio

from copyagent.transfer.target import Space, Target, TargetError, TargetFile

#: Most that is written, in bytes, and for how long, in seconds.
MOST = 64 * 1024 * 1024
LONGEST_S = 5.0

_IN_FLIGHT = 32

#: The share of the free space that a trial may take for a moment.
_SHARE = 0.01


@dataclass(slots=True)
class SpeedTest:
    """Writes one file, *path*, which is the caller's to remove."""

    target: Target
    path: str
    _next: int = 0
    _failure: TargetError | None = None

    @staticmethod
    def size_for(space: Space | None) -> int:
        """Return how much may be written: a hundredth of what is free, at most `MOST`."""
        return MOST if space is None else min(MOST, int(space.free * _SHARE))

    async def run(self, size: int) -> tuple[int, float]:
        """Write up to *size* bytes; return how many it were, and the seconds until all were durable.

        Raises `TargetError`.
        """
        file = await self.target.create(self.path)
        begun = trio.current_time()
        block = secrets.token_bytes(self.target.max_block)
        async with trio.open_nursery() as nursery:
            for _ in range(_IN_FLIGHT):
                nursery.start_soon(self._write, file, block, size, begun + LONGEST_S)
        if self._failure is not None:
            raise self._failure
        await file.sync()
        took = trio.current_time() - begun
        await file.close()
        return self._next, took

    async def _write(self, file: TargetFile, block: bytes, size: int, until: float) -> None:
        while self._next < size and self._failure is None and trio.current_time() < until:
            at, data = self._next, block[: size - self._next]
            self._next += len(data)
            try:
                await file.write(at, data)
            except TargetError as error:
                # Raised by the caller: a nursery would wrap it in a group.
                self._failure = error
