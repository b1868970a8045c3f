"""What the hosts said lately and how it was read: kept to be shown, nothing is decided by it.

Beside it, what the overlays reported, so that a case can be played again (`core/rehearsal`).

Two ways to keep it durable were weighed. A commit of its own for every entry: nothing is ever lost,
and a host that floods makes the agent commit, and wait for the disk, for events that change nothing.
A ring in memory whose news go along with the next commit that has another reason, and alone only
when they are many or old: a crash loses `HOLD_S` of events without effects, and no event with
effects, as both are in one transaction. It is the second.
"""

import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Generic, Protocol, Self, TypeVar

from copyagent.core.host_events import HostEvent, OthersHeard, Printed
from copyagent.core.readings import Scalar, fields_of, in_words, kind_of
from copyagent.core.time import Moment
from vtsfs.contract.signals import Signal

#: Entries kept, over all hosts: some nights of a busy system.
KEPT = 10_000

#: How long news may wait for a commit that has another reason, in seconds.
HOLD_S = 2.0

#: News beyond this number are committed on their own.
HOLD_MOST = 500

#: Characters kept of an event's text; the event manual's own texts have a few hundred.
LONGEST_TEXT = 1000


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that a host said, or that happened to its link.

    *number* grows by one with every entry and is never given again; *at_ns* is the arrival here.
    *kind*, *reading* and *fields* say how it was understood; *tapes* are the watched tapes meant.
    *printed* is None where nothing was printed: the link itself speaks.
    """

    number: int
    at_ns: int
    host: str
    kind: str
    reading: str
    fields: dict[str, Scalar] = field(default_factory=dict)
    tapes: tuple[str, ...] = ()
    node: str = ""
    printed_at: str = ""
    printed: Printed | None = None


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which entries are asked for, all conditions together; the newest *most* of them.

    *after* is the number of an entry, *since_ns* a time of arrival. *tape* is a tape's full name,
    *volume* its label: what a host says of a label is of interest even if no tape was found for it.
    """

    after: int = 0
    since_ns: int = 0
    host: str | None = None
    tape: str | None = None
    volume: str | None = None
    unknown: bool = False
    most: int = 100


#: The kinds that ``--unknown`` shows: what nobody understood, and what may not have been heard.
UNKNOWN = frozenset({"unrecognised", "events missed"})


class _Numbered(Protocol):
    @property
    def number(self) -> int: ...


_T = TypeVar("_T", bound=_Numbered)


@dataclass(slots=True)
class Ring(Generic[_T]):
    """The newest of something. *unsaved* are those that are in no commit yet, since *held_since*.

    Numbers have no gaps.
    """

    entries: deque[_T] = field(default_factory=lambda: deque(maxlen=KEPT))
    unsaved: list[_T] = field(default_factory=list)
    held_since: float = 0.0

    @classmethod
    def of(cls, entries: Iterable[_T]) -> Self:
        """Make one of *entries* that are saved already, oldest first."""
        return cls(deque(entries, maxlen=KEPT))

    @property
    def newest(self) -> int:
        """The number of the newest entry, 0 without any."""
        return self.entries[-1].number if self.entries else 0

    @property
    def oldest(self) -> int:
        """The number of the oldest entry that is kept, 0 without any."""
        return self.entries[0].number if self.entries else 0

    def times(self) -> list[float]:
        """Return the monotonic second at which what is held has to be saved, if any is."""
        return [self.held_since + HOLD_S] if self.unsaved else []

    def news(self, mono: float, *, along: bool) -> list[_T]:
        """Hand over what is to be saved now; *along* says that a commit is made in any case."""
        waited = mono - self.held_since >= HOLD_S
        if not (along or waited or len(self.unsaved) >= HOLD_MOST):
            return []
        taken, self.unsaved = self.unsaved, []
        return taken

    def after(self, number: int) -> Iterable[_T]:
        """Return the entries with higher numbers than *number*, oldest first."""
        # Whoever follows asks often, and wants few of many.
        known = min(max(number - self.oldest + 1, 0), len(self.entries))
        if known == 0:
            return self.entries
        news = len(self.entries) - known
        return [self.entries[-back] for back in range(news, 0, -1)]

    def _put(self, entry: _T, now: Moment) -> None:
        self.entries.append(entry)
        if not self.unsaved:
            self.held_since = now.mono
        self.unsaved.append(entry)


class Journal(Ring[Entry]):
    """What the hosts said lately."""

    __slots__ = ()

    def add(self, event: HostEvent, tapes: Iterable[str], now: Moment) -> None:
        """Write down *event*, which concerns *tapes*; other subsystems' events are only counted."""
        if isinstance(event, OthersHeard):
            return
        entry = Entry(
            number=self.newest + 1,
            at_ns=now.wall_ns,
            host=event.host,
            kind=kind_of(event),
            reading=_cut(in_words(event)),
            fields={name: _cut_field(value) for name, value in fields_of(event).items()},
            tapes=tuple(tapes),
            node=event.node,
            printed_at=event.printed_at,
            printed=_cut_printed(event.printed),
        )
        self._put(entry, now)

    def conclude(self, outcome: str) -> None:
        """Add to the newest entry what became of it; it was added in this very moment."""
        entry = replace(self.entries[-1], reading=_cut(f"{self.entries[-1].reading}, {outcome}"))
        self.entries[-1] = self.unsaved[-1] = entry

    def find(self, wanted: Wanted) -> tuple[list[Entry], int]:
        """Return the newest entries that are *wanted*, oldest first, and how many more there are."""
        found = [entry for entry in self.after(wanted.after) if _fits(entry, wanted)]
        left_out = max(len(found) - wanted.most, 0)
        return found[left_out:], left_out


@dataclass(frozen=True, slots=True)
class Report:
    """One signal of an overlay, as it arrived here at *at_ns*; without its extents.

    Extents can be long, and no verdict rests on them. *text* is the signal as JSON: ten thousand of
    them would need twice the memory, and a part of every start, and are hardly ever looked at.
    """

    number: int
    at_ns: int
    text: str

    @property
    def signal(self) -> Signal:
        """The signal; raises `FeedError` for what this release cannot read."""
        return Signal.from_json(self.text)


class Reports(Ring[Report]):
    """What the overlays reported lately: the other half of a case that is to be played again.

    A ring of its own, so that whatever reads all tapes does not make the hosts' words forgotten.
    """

    __slots__ = ()

    def add(self, signal: Signal, now: Moment) -> None:
        """Write down *signal*."""
        text = replace(signal, extents=None).to_json()
        self._put(Report(self.newest + 1, now.wall_ns, text), now)

    def find(self, wanted: Wanted) -> list[Report]:
        """Return the newest reports that are *wanted*: of a time, or about a tape."""
        found = [report for report in self.entries if report.at_ns >= wanted.since_ns]
        if wanted.tape is not None:
            # Most are about other labels, which needs no closer look.
            label = json.dumps(wanted.tape.rpartition("/")[2]).strip('"')
            found = [r for r in found if label in r.text and _is_about(r.signal, wanted.tape)]
        return found[-wanted.most :]


def _is_about(signal: Signal, tape: str) -> bool:
    return tape in (str(signal.tape), signal.origin)


def _fits(entry: Entry, wanted: Wanted) -> bool:
    if entry.at_ns < wanted.since_ns:
        return False
    if wanted.host is not None and entry.host != wanted.host:
        return False
    if wanted.unknown and entry.kind not in UNKNOWN:
        return False
    if wanted.tape is None:
        return True
    named = {entry.fields.get(name) for name in ("volume", "wanted", "used")}
    return wanted.tape in entry.tapes or (wanted.volume is not None and wanted.volume in named)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}..."


def _cut_field(value: Scalar) -> Scalar:
    return _cut(value) if isinstance(value, str) else value


def _cut_printed(printed: Printed | None) -> Printed | None:
    if printed is None or len(printed.text) <= LONGEST_TEXT:
        return printed
    text = _cut(printed.text)
    return Printed(printed.process, printed.ssid, printed.number, text, printed.critical)
