"""The host's own idea of local civil time: what it prints, and what TIME is compared with."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

PRINTED = "%y-%m-%d %H:%M:%S"
"""How a printing distributor shows the time of an event: the year in two digits."""


class HostClock:
    """A clock that can be set, stepped and held, in the host's local civil time.

    It goes on a second per event, so that what is printed does not depend on how fast a test runs;
    with *ticks*, a clock in seconds, it runs by that instead.
    """

    def __init__(
        self,
        now: datetime = datetime(2006, 9, 14, 22, 0, 0),  # noqa: DTZ001 - a host has no zone
        *,
        ticks: Callable[[], float] | None = None,
    ) -> None:
        self._ticks = ticks
        self._base = now
        self._set_at = ticks() if ticks else 0.0
        self.held = False
        self.stepped = timedelta()
        """By how much it was stepped in all."""

    @classmethod
    def of_this_machine(cls) -> HostClock:
        """Make one that shows this machine's local time."""
        return cls(datetime(*time.localtime()[:6]), ticks=time.monotonic)  # noqa: DTZ001 - no zone

    def now(self) -> datetime:
        """Tell the time."""
        passed = self._ticks() - self._set_at if self._ticks and not self.held else 0.0
        return (self._base + timedelta(seconds=passed)).replace(microsecond=0)

    def stamp(self) -> datetime:
        """Tell the time of an event that is generated now."""
        now = self.now()
        if self._ticks is None and not self.held:
            self._base += timedelta(seconds=1)
        return now

    def set(self, now: datetime) -> None:
        """Set it."""
        self._base = now
        self._set_at = self._ticks() if self._ticks else 0.0

    def step(self, seconds: float) -> None:
        """Step it, back where *seconds* is below 0, as at the end of summer time.

        The log goes on in the order of what really happened.
        """
        self.set(self.now() + timedelta(seconds=seconds))
        self.stepped += timedelta(seconds=seconds)

    def hold(self, *, on: bool) -> None:
        """Let it stand still, or go on from where it stands."""
        now = self.now()
        self.held = on
        self.set(now)
