"""Requests in flight together over one connection: how many, since when unanswered, what failed.

The first failure ends them all and is the one that is raised; silence for too long is a failure.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import trio

from copyagent.transfer.target import LinkLost, TargetError

#: What is asked for is counted in units of so many bytes, and no request is less than one.
UNIT = 32 * 1024

#: Units in flight. 16 MiB fill a line of 1 Gbit/s at a round trip of 130 ms.
WINDOW = 512

#: Units in flight to begin with, and on a near line for ever: a server keeps answers that the line
#: does not take in a buffer that it moves and clears as a whole, which costs it several times as much
#: as reading them.
NEAR_WINDOW = 64

#: So many answers tell how far away the server is.
_FIRST = 8

#: If even the quickest of the first answers took so many seconds, the line is no near one.
_FAR_S = 0.005


@dataclass(slots=True)
class Flight:
    """Some requests of one connection. The tasks that make them run within *scope*.

    Room is taken before a request and given back when what came of it is used up, which bounds the
    memory as well.
    """

    scope: trio.CancelScope
    patience_s: float
    _free: trio.Semaphore
    failure: TargetError | None = None
    idle: bool = False
    _answers: int = 0
    _quickest_s: float = math.inf

    @classmethod
    def begin(cls, patience_s: float, window: int = NEAR_WINDOW) -> Self:
        """Begin one in which something must be answered every *patience_s* seconds."""
        scope = trio.CancelScope(deadline=trio.current_time() + patience_s)
        return cls(scope, patience_s, trio.Semaphore(window))

    async def take_room(self, size: int) -> None:
        """Wait until *size* bytes more may be asked for."""
        for _ in range(_units(size)):
            await self._free.acquire()

    def give_room(self, size: int) -> None:
        """Let as much be asked for again."""
        for _ in range(_units(size)):
            self._free.release()

    @contextmanager
    def resting(self) -> Iterator[None]:
        """Ask nothing more of the target within the block: it may be silent for as long as that."""
        self.idle = True
        self.scope.deadline = float("inf")
        try:
            yield
        finally:
            self.idle = False
            self.answered()

    def answered(self) -> None:
        """Note that something moved: a slow line is no dead one."""
        if not self.idle:
            self.scope.deadline = trio.current_time() + self.patience_s

    def took(self, seconds: float) -> None:
        """Note how long an answer took; once there are enough, let more be asked for on a far line."""
        self._answers += 1
        self._quickest_s = min(self._quickest_s, seconds)
        if self._answers == _FIRST and self._quickest_s >= _FAR_S:
            for _ in range(WINDOW - NEAR_WINDOW):
                self._free.release()

    def failed(self, error: TargetError) -> None:
        """End everything for *error*, unless something else was first."""
        self.failure = self.failure or error
        self.scope.cancel()

    def settle(self) -> None:
        """Raise what ended the flight early, if anything did; called outside the scope."""
        if self.failure is not None:
            raise self.failure
        if self.scope.cancelled_caught:
            raise LinkLost(f"no request was answered for {self.patience_s:g} s")


def _units(size: int) -> int:
    return max(1, -(-size // UNIT))
