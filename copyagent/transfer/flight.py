"""Requests in flight together over one connection: how many, since when unanswered, what failed.

The first failure ends them all and is the one that is raised; silence for too long is a failure.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

import trio

from copyagent.transfer.target import LinkLost, TargetError

#: Requests in flight. 64 blocks of 255 KiB fill a line of 1 Gbit/s at a round trip of 130 ms.
WINDOW = 64


@dataclass(slots=True)
class Flight:
    """Some requests of one connection. The tasks that make them run within *scope*.

    *free* is taken before a request and released when what came of it is used up, which bounds the
    memory as well.
    """

    scope: trio.CancelScope
    patience_s: float
    free: trio.Semaphore
    failure: TargetError | None = None
    idle: bool = False

    @classmethod
    def begin(cls, patience_s: float, window: int = WINDOW) -> Self:
        """Begin one in which something must be answered every *patience_s* seconds."""
        scope = trio.CancelScope(deadline=trio.current_time() + patience_s)
        return cls(scope, patience_s, trio.Semaphore(window))

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
