"""How far a host was heard: what a replay must begin with, and what of it was told before.

A distributor that is started with TIME prints again what was generated from then on (EMS manual
426909-005, EMSDIST). To take up where a link broke, two things are remembered of each host: the
last event that was seen at all, whose coming again proves that nothing lies between; and, as a
multiset, the events of the last minute that were told, which are not to be told twice. Both are
durable in one transaction with the effects of those events.

The link and the engine keep a memory each, by the same calls in the same order: the link's is what
was seen, the engine's what is durable. An event is known by a fingerprint of all that was printed.
"""

from collections import deque
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Final, Self

from copyagent.core.host_clock import printed_second
from copyagent.core.host_events import HostEvent, OthersHeard, Printed, SetAside

OVERLAP_S: Final = 60
"""How far before the newest event a replay begins: events are not logged in the order of their
times, since they are generated in several processors."""
LATE_S: Final = 10
"""How much earlier than the newest event one may be logged after it, at the least. A replay must
reach back so far, and an event so much later than the break is past the break."""
LONGEST_STEP_S: Final = 25 * 3600
"""A clock that goes back by more was not put right, but wrong before: one event's date was."""
MOST_TOLD: Final = 2000
"""Fingerprints kept of one host: thirty events of tapes a second."""


@dataclass(frozen=True, slots=True)
class Mark:
    """An event's *second* on the host's clock, its fingerprint, and the *length* of its text."""

    second: int
    fingerprint: str
    length: int

    def begins(self, node: str, printed_at: str, printed: Printed) -> bool:
        """Tell whether the event given may be this one, whose end had not been printed yet."""
        if len(printed.text) < self.length:
            return False
        return _fingerprint(node, printed_at, printed, self.length) == self.fingerprint


def mark_of(node: str, printed_at: str, printed: Printed) -> Mark | None:
    """Return the mark of an event, None if its time is none: it can be no place to begin at."""
    second = printed_second(printed_at)
    if second is None:
        return None
    length = len(printed.text)
    return Mark(second, _fingerprint(node, printed_at, printed, length), length)


def _fingerprint(node: str, printed_at: str, printed: Printed, length: int) -> str:
    text = printed.text[:length]
    header = f"{printed_at}\n{node}\n{printed.process}\n{printed.ssid}\n{printed.number}"
    whole = f"{header}\n{int(printed.critical)}\n{text}".encode(errors="surrogatepass")
    return blake2b(whole, digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class Resumption:
    """How a session takes up: with events from *since* on (None: only new ones).

    *doubt* says why, even if the replay is what it should be, something may be missing; *first*
    that there was no link to this host before, so that nothing of it can be missing.
    """

    since: int | None
    doubt: str = ""
    first: bool = False


@dataclass(slots=True)
class HostMemory:
    """What is remembered of one host.

    *known* says that there was a link once. *last* is the last event up to which all was seen, None
    if none ever came; *newest* the latest time until then. *told*
    are second and fingerprint of what was told lately, complete from *complete_from* on. While
    *ceiling* is above *newest*, the host's clock was set back and its times come a second time.
    *proven* says that what comes now follows on *last*; until then *ahead* is how far it came.
    """

    known: bool = False
    last: Mark | None = None
    newest: int = 0
    told: deque[tuple[int, str]] = field(default_factory=deque)
    complete_from: int = 0
    ceiling: int = 0
    proven: bool = False
    ahead: Mark | None = None
    ahead_newest: int = 0

    def copy(self) -> Self:
        """Return a memory of its own that knows the same."""
        return replace(self, told=deque(self.told))

    def heard(self, event: HostEvent) -> bool:
        """Take in an event that was delivered; tell whether that changed anything."""
        if event.printed is None:
            return False
        mark = mark_of(event.node, event.printed_at, event.printed)
        if mark is None:
            return False
        match event:
            case OthersHeard():
                told = False
            case SetAside():
                told = event.told
            case _:
                told = True
        self.see(mark, told=told)
        return True

    def came_up(self) -> None:
        """Take in that there is a link: before the first there is nothing to be caught up with."""
        if not self.known:
            self.known = True
            self.settle()

    def see(self, mark: Mark, *, told: bool) -> None:
        """Take in that an event came; *told* if it is one that must not be told twice."""
        if told:
            self.told.append((mark.second, mark.fingerprint))
            if len(self.told) > MOST_TOLD:
                self._forget_oldest()
        if self.proven:
            self._advance(mark, mark.second)
        else:
            self.ahead = mark
            self.ahead_newest = max(self.ahead_newest, mark.second)

    def broke(self) -> None:
        """Take in that the session ended: what comes next need not follow on what came last."""
        self.proven = False
        self.ahead, self.ahead_newest = None, 0

    def settle(self) -> None:
        """Take in that all was seen from here on.

        What came since `broke` follows on what came before, or it was told that it may not.
        """
        self.proven = True
        if self.ahead is not None:
            self._advance(self.ahead, self.ahead_newest)
        self.ahead, self.ahead_newest = None, 0

    def resume(self) -> Resumption:
        """Say where a new session has to begin."""
        if not self.known:
            return Resumption(None, first=True)
        if self.last is None:
            return Resumption(None, "no event had been seen to take up from")
        if self.ceiling:
            return Resumption(None, "the host's clock was set back")
        since = max(self.newest - OVERLAP_S, self.complete_from)
        if since > self.newest - LATE_S:
            return Resumption(
                min(since, self.newest), f"more than {MOST_TOLD} events in its last minute"
            )
        return Resumption(since)

    def _advance(self, mark: Mark, newest: int) -> None:
        if newest < self.newest - OVERLAP_S:
            self.ceiling = max(self.ceiling, self.newest)
            self.newest = newest
        self.newest = max(self.newest, newest)
        if self.newest > self.ceiling:
            self.ceiling = 0
        elif self.ceiling - self.newest > LONGEST_STEP_S:
            self.ceiling = self.complete_from = 0
        self.last = mark
        while self.told and self.told[0][0] < self.newest - OVERLAP_S:
            self._forget_oldest()

    def _forget_oldest(self) -> None:
        second, _ = self.told.popleft()
        if second <= self.newest:  # else its date was wrong, or the clock was set back since
            self.complete_from = max(self.complete_from, second + 1)
