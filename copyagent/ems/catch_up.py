r"""Taking up where a link broke: what is new in a replay, and whether it tells all that was missed.

Pure. A session asks its distributor for everything from a minute before the last event seen on
(`copyagent.core.host_memory`), so the first it prints was seen before. Each line that was told
before is dropped once for each time that it was told: two equal lines in one second can both be
real. The replay is over when all of them have come, or when the host's clock is past the break.

======================================  ===========================================================
what comes                              what it means
======================================  ===========================================================
the last event seen, or longer          nothing lies between: caught up
an event well past it, or nothing       something may lie between: a gap
no TIME could be asked for              likewise, unless the host was never heard before
======================================  ===========================================================

Where nothing at all comes, the session is ended and begun without TIME: a host whose clock was set
back meanwhile takes what it is asked for to lie in the future, and prints nothing until then.
The order of a host's log does not change, so what comes after the last event is what was missed.
What another system's distributor forwards to this host more than a minute late is not in a replay.
"""

from __future__ import annotations

import re
from collections import Counter
from enum import Enum, auto
from typing import Final

from copyagent.core.host_clock import as_time_option
from copyagent.core.host_events import Printed
from copyagent.core.host_memory import LATE_S, HostMemory, Mark, Resumption

TIME: Final = "%time%"
"""Stands in a distributor's command for the option that asks for a replay, or for nothing."""
LONGEST_REPLAY_S: Final = 600.0
"""A replay that has not shown the last event after so long will not show it."""
PATIENCE_S: Final = 30.0
"""How long nothing may come before a replay counts as over."""

_EMSDIST = re.compile(r"(?i)(?:^|[\s.])EMSDIST\b")
_OWN_TIME = re.compile(r"(?i)[\s,]TIME\s")
_PRINTS_GMT = re.compile(r"(?i)\bGMT\s+ON\b")
_NOT_ASKED: Final = {
    "off": "catch_up is off",
    "unable": "the distributor's command has no place for %time%",
    "gmt": "the distributor prints GMT, and TIME takes local time",
    "refused": "the distributor refused TIME",
}


def can_ask(distributor: str) -> str:
    """Say why the command *distributor* cannot be asked for a replay; empty if it can."""
    if _PRINTS_GMT.search(distributor):
        return _NOT_ASKED["gmt"]
    if TIME in distributor:
        return ""
    if _EMSDIST.search(distributor) and not _OWN_TIME.search(distributor):
        return ""
    return _NOT_ASKED["unable"]


def command_from(distributor: str, since: int | None) -> str:
    """Return the command that starts the distributor, asking for events from *since* on.

    The option stands where the setting says ``%time%``; where it does not, at the end of a command
    that starts EMSDIST.
    """
    option = "" if since is None else f", TIME {as_time_option(since)}"
    if TIME in distributor:
        return distributor.replace(TIME, option)
    return distributor + option


def begin_at(
    memory: HostMemory, distributor: str | None, *, wanted: bool, refused: bool
) -> Resumption:
    """Decide where a session is to begin.

    *distributor* is None for a file, which begins wherever it is asked to. *wanted* is the setting
    ``catch_up``; *refused* tells that the last start failed, and had asked for a replay.
    """
    resumption = memory.resume()
    if resumption.first:
        return resumption
    if not wanted:
        return Resumption(None, _NOT_ASKED["off"])
    if refused:
        return Resumption(None, _NOT_ASKED["refused"])
    unable = can_ask(distributor) if distributor is not None else ""
    return Resumption(None, unable) if unable else resumption


class Fate(Enum):
    """Name what is to become of an event."""

    NEW = auto()
    REPEATED = auto()
    LONGER = auto()
    """The last event seen, of which not all had come."""


class Replay:
    """Watch one session's beginning. *memory* is what was seen before it.

    `outcome` is None as long as nothing is proven, then empty if the session follows on what was
    seen before it, and else a phrase saying why it may not. It is set once.
    """

    def __init__(self, memory: HostMemory, resumption: Resumption, now: float) -> None:
        self.outcome: str | None = None
        self.is_deaf = False
        """Whether nothing at all came: to a host whose clock was set back meanwhile, what is asked
        for lies in the future, and until then its distributor is silent."""
        self._has_heard = False
        self._last = memory.last
        self._past = memory.newest + LATE_S
        self._doubt = resumption.doubt
        self._told: Counter[str] = Counter()
        self._ends = now + LONGEST_REPLAY_S
        self.deadline = now + PATIENCE_S
        """When `tick` has to be called, on the clock that *now* is read from."""
        if resumption.since is None:
            self.outcome = "" if resumption.first else resumption.doubt
            self._end()
        else:
            self._told.update(fingerprint for _, fingerprint in memory.told)

    @property
    def is_over(self) -> bool:
        """Tell whether whatever comes from now on is new."""
        return self.outcome is not None and not self._told

    def expects(self, mark: Mark) -> bool:
        """Tell whether this very event was told before, and has not come again yet."""
        return mark.fingerprint in self._told or (
            self._last is not None and mark.fingerprint == self._last.fingerprint
        )

    def take(self, mark: Mark, node: str, printed_at: str, printed: Printed, now: float) -> Fate:
        """Take an event of the session; say whether it is new."""
        self.deadline = min(now + PATIENCE_S, self._ends)
        self._has_heard = True
        if mark.second > self._past:
            self._decide("the last event seen is not in the host's log any more")
            self._end()
            return Fate.NEW
        is_last = self._shows_last(node, printed_at, printed)
        if is_last:
            self._decide("")
        count = self._told.get(mark.fingerprint, 0)
        if not count:
            return Fate.LONGER if is_last else Fate.NEW
        if count == 1:
            del self._told[mark.fingerprint]
            self._rest()
        else:
            self._told[mark.fingerprint] = count - 1
        return Fate.REPEATED

    def _shows_last(self, node: str, printed_at: str, printed: Printed) -> bool:
        if self.outcome is not None or self._last is None:
            return False
        return self._last.begins(node, printed_at, printed)

    def tick(self, now: float) -> None:
        """Let time pass: once *now* has reached `deadline`, no more is expected to be repeated."""
        if now >= self.deadline:
            self.is_deaf = not self._has_heard
            self._decide("the host did not show the last event seen again")
            self._end()

    def give_up(self) -> None:
        """Take in that it is told for another reason that events may be missing."""
        if self.outcome is None:
            self.outcome = ""
            self._rest()

    def _decide(self, why: str) -> None:
        if self.outcome is None:
            self.outcome = why or self._doubt
            self._rest()

    def _end(self) -> None:
        self._told.clear()
        self._rest()

    def _rest(self) -> None:
        if self.is_over:
            self.deadline = float("inf")
