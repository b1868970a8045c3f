"""A file of printed events, as a `Wire`: for sites where something else receives them already.

Nobody is logged on to and nothing can be said. The link is up as long as the file can be read.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Protocol, TypeVar

import trio

from copyagent.core.host_events import LinkTrouble
from copyagent.ems.dialogue import LinkFailure
from copyagent.ems.following import Follower
from copyagent.ems.link_settings import LinkSettings
from copyagent.ems.plain_text import LineEnds
from copyagent.ems.rotation import FileTrouble

_T = TypeVar("_T")

LOOK_S: Final = 1.0
"""How often a file to which nothing is written is looked at, in seconds."""
HANG_S: Final = 10.0
"""How long a file system may take to answer, in seconds."""


class Reading(Protocol):
    """What is read in a thread: `Follower`."""

    gap: str

    def read(self, now: float) -> bytes:
        """Return what comes next, empty if nothing does; raises `FileTrouble`."""

    def close(self) -> None:
        """Let go of all files."""


class _Shared:
    """A reading that is closed by whoever is last: the wire, or a thread that hangs in it."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._lock = threading.Lock()
        self._is_busy = False
        self._is_closed = False

    def read(self, now: float) -> tuple[bytes, str]:
        """Return what comes next, and why something may be missing before it."""
        if not self._take():
            return b"", ""
        try:
            data = self._reading.read(now)
            gap, self._reading.gap = self._reading.gap, ""
            return data, gap
        finally:
            self._give_back()

    def _take(self) -> bool:
        with self._lock:
            self._is_busy = not self._is_closed
            return self._is_busy

    def _give_back(self) -> None:
        with self._lock:
            self._is_busy = False
            if self._is_closed:
                self._reading.close()

    def close(self) -> None:
        with self._lock:
            if not self._is_closed and not self._is_busy:
                self._reading.close()
            self._is_closed = True


class PrintedFile:
    """A `Wire` from a file that grows and is rotated."""

    is_terminal = False

    def __init__(
        self,
        reading: Reading,
        limiter: trio.CapacityLimiter,
        *,
        look_s: float = LOOK_S,
        hang_s: float = HANG_S,
    ) -> None:
        self._reading = _Shared(reading)
        self._limiter = limiter
        self._look_s = look_s
        self._hang_s = hang_s
        self._next_look = trio.current_time()
        self._line_ends = LineEnds()
        self.is_open = True
        self.gap = ""
        self.ended: LinkFailure | None = None
        self.was_absent = False
        """Whether it ended because there was no file any more."""

    async def receive(self, deadline: float) -> str | None:
        await trio.sleep_until(min(deadline, self._next_look))
        if not self.is_open:
            return None
        if trio.current_time() < self._next_look:
            return ""
        try:
            data, gap = await _in_thread(
                partial(self._reading.read, trio.current_time()), self._limiter, self._hang_s
            )
        except FileTrouble as trouble:
            self.ended = LinkFailure(LinkTrouble.FILE_UNREADABLE, str(trouble))
            self.was_absent = trouble.absent
            await self.close()
            return None
        self.gap = gap or self.gap
        self._next_look = trio.current_time() + (0.0 if data else self._look_s)
        return self._line_ends.feed(data).decode("latin-1")

    async def type_line(self, line: str) -> None:  # noqa: ARG002 - nobody reads it
        await trio.lowlevel.checkpoint()

    async def interrupt(self) -> None:
        await trio.lowlevel.checkpoint()

    async def ping(self) -> None:
        await trio.lowlevel.checkpoint()

    async def close(self) -> None:
        self.is_open = False
        self._reading.close()
        await trio.lowlevel.checkpoint()


async def _in_thread(call: Callable[[], _T], limiter: trio.CapacityLimiter, hang_s: float) -> _T:
    """Make a blocking call; one that hangs is left behind, and says so."""
    with trio.move_on_after(hang_s):
        return await trio.to_thread.run_sync(call, abandon_on_cancel=True, limiter=limiter)
    raise FileTrouble(f"the file system did not answer within {hang_s:g} s")


class FileDial:
    """Opens the file of one host again and again: the `Dial` for ``access: file``.

    It remembers whether there was no file the last time: one that has come since is read from its
    beginning. Calls that hang have threads of their own, no more than two.
    """

    def __init__(self) -> None:
        self._limiter = trio.CapacityLimiter(2)
        self._was_absent = False
        self._latest: PrintedFile | None = None

    async def __call__(
        self, settings: LinkSettings, since: int | None
    ) -> PrintedFile | LinkFailure:
        """Open the settings' ``file`` where the host's clock shows *since*, or say why not."""
        if settings.file is None:
            raise ValueError(f"{settings.host}: no file, which the settings require")
        is_new = self._was_absent or (self._latest is not None and self._latest.was_absent)
        begin = _Beginning(settings.file, since, settings.connect_timeout, is_new)
        try:
            follower = await _in_thread(begin, self._limiter, HANG_S)
        except FileTrouble as trouble:
            self._was_absent = trouble.absent
            return LinkFailure(LinkTrouble.FILE_UNREADABLE, str(trouble))
        finally:
            begin.is_over = True
        self._was_absent = False
        self._latest = PrintedFile(follower, self._limiter)
        return self._latest


@dataclass
class _Beginning:
    """Opens a file; what a thread that was left behind has opened is closed by it."""

    path: Path
    since: int | None
    patience: float
    is_new: bool
    is_over: bool = False

    def __call__(self) -> Follower:
        follower = Follower(self.path, self.since, patience=self.patience, is_new=self.is_new)
        if self.is_over:
            follower.close()
        return follower
