"""From the events of one session to what is delivered of them. Pure.

Here meet what an event says (`copyagent.ems.tape_events`) and whether it was told before
(`copyagent.ems.catch_up`). The session reads; this decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

from copyagent.core.host_clock import printed_second
from copyagent.core.host_events import (
    CaughtUp,
    EventsMissed,
    HostEvent,
    OthersHeard,
    PolicyCommand,
    Printed,
    SetAside,
    Unrecognised,
)
from copyagent.core.host_memory import HostMemory, Mark, Resumption, mark_of
from copyagent.ems.catch_up import Fate, Replay
from copyagent.ems.lines import EmsEvent
from copyagent.ems.link_settings import LinkTally
from copyagent.ems.quoting import Quotes, event_unquoted, printed_unquoted
from copyagent.ems.secret import NOT_SHOWN
from copyagent.ems.tape_events import read_host_event

POSITION_S: Final = 30.0
"""How often it is told how far a host was heard when it says nothing about tapes."""
REPEATED: Final = "a replay brought it again"
LENGTHENED: Final = "the rest of an event that was told before"

_BURST = re.compile(r"(?i)\bBURST\b(?:.*?\bSUBSYSTEM\s+(?P<ssid>[\w$-]+\.[\w$-]+))?")
_BURST_NUMBERS: Final = frozenset({538, 539, 543})


class Listener:
    """Sort one session's events. *memory* is what was seen before; it is kept up to date.

    What is returned is to be delivered in order. *quotes* tells whether a text quotes the password;
    *is_heartbeat* tells whether a text is one that we had posted. *latest* is what was told last
    in the session before. *asks* says that the host was asked for what it said from a time on; in a
    file all that was printed is there, whatever the clock showed.
    """

    def __init__(
        self,
        host: str,
        memory: HostMemory,
        resumption: Resumption,
        tally: LinkTally,
        now: float,
        *,
        quotes: Quotes = lambda _: False,
        is_heartbeat: Callable[[str], bool] = lambda _: False,
        latest: HostEvent | None = None,
        asks: bool = True,
    ) -> None:
        self._host = host
        self._memory = memory
        self._replay = Replay(memory, resumption, now)
        self._tally = tally
        self._quotes = quotes
        self._is_heartbeat = is_heartbeat
        self._before = latest
        self._latest: HostEvent | None = None
        self._latest_mark: Mark | None = None
        # Whether the event that came last, which may still grow, is the one told last.
        self._latest_came_last = False
        self._held: EmsEvent | None = None
        self._others = 0
        self._other: EmsEvent | None = None
        self._position_at = now + POSITION_S
        self._is_settled = False
        # Until something new has come: what is earlier shows that the clock was set back.
        self._asked_from = resumption.since if asks else None

    @property
    def latest(self) -> HostEvent | None:
        """What was told last, of all up to which nothing is missing."""
        return self._latest if self._is_settled and self._latest is not None else self._before

    @property
    def is_deaf(self) -> bool:
        """Whether a replay was asked for and nothing at all came: the next has to begin anew."""
        return self._replay.is_deaf

    @property
    def deadline(self) -> float:
        """When `tick` has to be called, on the clock that *now* is read from."""
        position = self._position_at if self._other is not None else float("inf")
        return min(self._replay.deadline, position)

    def begin(self) -> list[HostEvent]:
        """Take in that the session is up."""
        self._memory.came_up()
        self._is_settled = self._memory.proven
        return self._settle()

    def take(self, events: Iterable[EmsEvent], now: float) -> list[HostEvent]:
        """Take events that are complete, in order."""
        found: list[HostEvent] = []
        for event in events:
            if self._held is not None:
                held, self._held = self._held, None
                if not event.amended:
                    self._sort(held, now, found)
            self._sort(event, now, found)
        self._tell_position(now, found)
        return found

    def take_open(self, events: list[EmsEvent], now: float) -> list[HostEvent]:
        """Take events of which the last may still grow: nothing more came for a while.

        In a replay half an event is no event that was told before, and would be told as a new one;
        so it is held back until the rest has come or `let_go` is called.
        """
        if not events or self._replay.is_over or self._is_expected(events[-1]):
            return self.take(events, now)
        found = self.take(events[:-1], now)
        if not events[-1].amended:
            found += self.let_go(now)
        self._held = events[-1]
        return found

    def let_go(self, now: float) -> list[HostEvent]:
        """Give what was held back: its rest does not come."""
        held, self._held = self._held, None
        return self.take([held] if held is not None else [], now)

    def missed(self, why: str) -> list[HostEvent]:
        """Take in that something was lost on the way."""
        self._replay.give_up()
        self._memory.settle()
        self._is_settled = True
        return [EventsMissed(self._host, why)]

    def tick(self, now: float) -> list[HostEvent]:
        """Let time pass."""
        self._replay.tick(now)
        found = self._settle()
        self._tell_position(now, found)
        return found

    def end(self, now: float) -> list[HostEvent]:
        """Take in that no more comes. What was held back would come again in another replay."""
        self._held = None
        found: list[HostEvent] = []
        self._position_at = now
        self._tell_position(now, found)
        return found

    # ---- one event -------------------------------------------------------------------------------

    def _sort(self, event: EmsEvent, now: float, found: list[HostEvent]) -> None:
        self._tally.events += 1
        read = self._read(event)
        is_same = event.amended and self._latest_came_last and read == self._latest
        if is_same and self._mark(event, read) == self._latest_mark:
            return
        if self._replay.is_over:
            mark = self._mark(event, read) if read is not None else None
            fate = Fate.NEW
        else:
            mark = self._mark(event, read)
            fate = self._replayed(event, mark, now)
            found += self._settle()
        if fate is Fate.NEW and self._is_settled and self._asked_from is not None:
            found += self._look_at_clock(event, self._asked_from)
        if read is None:
            self._latest_came_last = False
            self._take_other(event, mark, found)
            return
        self._deliver(event, read, mark, fate, found)
        self._latest_came_last = True

    def _look_at_clock(self, event: EmsEvent, asked_from: int) -> list[HostEvent]:
        """Tell a gap if the host's clock was set back, perhaps in the break.

        What it said on the second way through those hours is before the time it was asked for, and
        the last event seen is shown again all the same.
        """
        second = printed_second(event.printed_at)
        if second is None:
            return []
        self._asked_from = None
        return self.missed("the host's clock was set back") if second < asked_from else []

    def _read(self, event: EmsEvent) -> HostEvent | None:
        found = read_host_event(self._host, event)
        # Half a command is another command.
        if event.unfinished and isinstance(found, PolicyCommand):
            return None
        return None if found is None else event_unquoted(found, self._quotes)

    def _mark(self, event: EmsEvent, read: HostEvent | None) -> Mark | None:
        printed = read.printed if read is not None else self._printed(event)
        return mark_of(event.node, event.printed_at, printed) if printed is not None else None

    def _printed(self, event: EmsEvent) -> Printed:
        printed = Printed(event.process, event.ssid, event.number, event.text, event.critical)
        return printed_unquoted(printed, self._quotes)

    def _is_expected(self, event: EmsEvent) -> bool:
        mark = self._mark(event, self._read(event))
        return mark is not None and self._replay.expects(mark)

    def _replayed(self, event: EmsEvent, mark: Mark | None, now: float) -> Fate:
        if mark is None:
            return Fate.NEW
        return self._replay.take(mark, event.node, event.printed_at, self._printed(event), now)

    def _settle(self) -> list[HostEvent]:
        if self._is_settled or self._replay.outcome is None:
            return []
        self._is_settled = True
        self._memory.settle()
        why = self._replay.outcome
        return [EventsMissed(self._host, why) if why else CaughtUp(self._host)]

    def _take_other(self, event: EmsEvent, mark: Mark | None, found: list[HostEvent]) -> None:
        self._others += 1
        self._other = event
        if self._is_heartbeat(event.text):
            self._tally.heartbeats += 1
        else:
            quoted = self._quotes(event.subsystem)
            self._tally.count_other(NOT_SHOWN if quoted else event.subsystem)
        if mark is not None:
            self._memory.see(mark, told=False)
        if event.number in _BURST_NUMBERS:
            why = _suppressed(event)
            if why:
                found += self.missed(why)

    def _deliver(
        self,
        event: EmsEvent,
        read: HostEvent,
        mark: Mark | None,
        fate: Fate,
        found: list[HostEvent],
    ) -> None:
        # What was printed takes no part in this comparison.
        is_same = event.amended and self._latest_came_last and read == self._latest
        is_same = is_same or (fate is Fate.LONGER and read == self._before)
        self._latest, self._latest_mark = read, mark
        if fate is Fate.REPEATED:
            read = _set_aside(read, REPEATED)
        elif is_same:
            read = _set_aside(read, LENGTHENED, told=True)
        elif not isinstance(read, SetAside):
            self._tally.tape_events += 1
            self._tally.unrecognised += isinstance(read, Unrecognised)
        if mark is not None:
            self._memory.see(mark, told=not isinstance(read, SetAside) or read.told)
        self._other = None
        found.append(read)

    def _tell_position(self, now: float, found: list[HostEvent]) -> None:
        """Say how far the host was heard, now and then."""
        other = self._other
        if other is None:
            return
        if self._replay.is_over:
            # Of a host that says much about other things, the last of each piece stands for all.
            mark = self._mark(other, None)
            if mark is not None:
                self._memory.see(mark, told=False)
        if now < self._position_at:
            return
        self._position_at = now + POSITION_S
        found.append(
            OthersHeard(
                self._host,
                self._others,
                node=other.node,
                printed_at=other.printed_at,
                printed=self._printed(other),
            )
        )
        self._others, self._other = 0, None


def _set_aside(event: HostEvent, why: str, *, told: bool = False) -> SetAside:
    return SetAside(
        event.host,
        why,
        told,
        node=event.node,
        printed_at=event.printed_at,
        printed=event.printed,
    )


def _suppressed(event: EmsEvent) -> str:
    """Say which events a burst filter kept from us, empty if none that matters (EMS manual, 538).

    Between the burst's detection and its end (539) events like it are counted and discarded.
    """
    found = _BURST.search(event.text)
    if found is None:
        return ""
    ssid = found["ssid"]
    subsystem = "" if ssid is None else ssid.split(".")[1].upper()
    # A subsystem without a name for its number can be any.
    if subsystem and not subsystem.isdigit() and subsystem not in {"TAPE", "EMS"}:
        return ""
    return "the host suppresses a burst of events"
