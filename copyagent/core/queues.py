"""Pending copies by pool and target, in the order in which they start; nothing is searched for.

A copy's place is by *since*: the moment from which it could have been made. For a first attempt that
is when the copy became owed, for a later one when it became due again: so the oldest need comes
first, and what failed goes behind all that has been waiting meanwhile, or a hundred failing tapes
would keep new ones from ever being tried.

Heaps with marks for what is no longer true: a copy's present entry is in `_entries`, every other
entry of it is passed over, and all are thrown out when they are the greater part.
"""

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from copyagent.core.owed import Way
from vtsfs.contract.naming import TapeId

CopyKey = tuple[TapeId, str]

#: A copy's place: *since* (ns since the epoch), its tape, its target, and when it is due at the
#: earliest (monotonic seconds).
Entry = tuple[int, TapeId, str, float]

#: So many outdated entries are not worth throwing out.
_FEW = 64


@dataclass(slots=True)
class Queues:
    """The pending copies: those that are due, by way, and those that come later."""

    _entries: dict[CopyKey, Entry] = field(default_factory=dict)
    _due: dict[Way, list[Entry]] = field(default_factory=dict)
    _later: list[tuple[float, Entry]] = field(default_factory=list)
    _waiting: set[CopyKey] = field(default_factory=set)
    _size: int = 0

    def put(self, tape: TapeId, target: str, since_ns: int, due: float | None) -> None:
        """Enter a pending copy, or give it another place; *due*: not before (monotonic seconds)."""
        key = (tape, target)
        entry: Entry = (since_ns, tape, target, float("-inf") if due is None else due)
        if self._entries.get(key) == entry:
            return
        self._entries[key] = entry
        self._size += 1
        if due is None:
            self._waiting.discard(key)
            heapq.heappush(self._line((tape.pool_id, target)), entry)
        else:
            self._waiting.add(key)
            heapq.heappush(self._later, (due, entry))
        if self._size > 2 * len(self._entries) + _FEW:
            self._tidy()

    def remove(self, tape: TapeId, target: str) -> None:
        """Take out a copy that is not pending any more."""
        self._entries.pop((tape, target), None)
        self._waiting.discard((tape, target))

    def ripen(self, mono: float) -> None:
        """Let what has become due by *mono* join those that are due."""
        while self._later and (self._later[0][0] <= mono or not self._is_later(self._later[0][1])):
            _, entry = heapq.heappop(self._later)
            if self._is_later(entry):
                self._waiting.discard((entry[1], entry[2]))
                heapq.heappush(self._line((entry[1].pool_id, entry[2])), entry)

    def next_due(self) -> float | None:
        """Return when the next copy becomes due (monotonic seconds), None if none will by itself."""
        while self._later and not self._is_later(self._later[0][1]):
            heapq.heappop(self._later)
        return self._later[0][0] if self._later else None

    def ways(self) -> list[Way]:
        """Return the ways on which something is due."""
        return [way for way in self._due if self._head(way) is not None]

    def first(self, way: Way, passed: Callable[[CopyKey], bool]) -> Entry | None:
        """Return the first on *way* that is not *passed* over; the others keep their places."""
        aside: list[Entry] = []
        found = self._head(way)
        while found is not None and passed((found[1], found[2])):
            aside.append(heapq.heappop(self._due[way]))
            found = self._head(way)
        for entry in aside:
            heapq.heappush(self._due[way], entry)
        return found

    def of(self, target: str) -> Iterator[tuple[Entry, bool]]:
        """Go through all that is pending at *target*, in no order; each with whether it comes later."""
        for key, entry in self._entries.items():
            if key[1] == target:
                yield entry, key in self._waiting

    def due(self, way: Way) -> Iterator[CopyKey]:
        """Go through all that are due on *way*, in no order."""
        return ((e[1], e[2]) for e in list(self._due.get(way, ())) if self._is_due(e))

    def _line(self, way: Way) -> list[Entry]:
        return self._due.setdefault(way, [])

    def _head(self, way: Way) -> Entry | None:
        line = self._due.get(way, [])
        while line and not self._is_due(line[0]):
            heapq.heappop(line)
        return line[0] if line else None

    def _is_due(self, entry: Entry) -> bool:
        key = (entry[1], entry[2])
        return self._entries.get(key) is entry and key not in self._waiting

    def _is_later(self, entry: Entry) -> bool:
        key = (entry[1], entry[2])
        return self._entries.get(key) is entry and key in self._waiting

    def _tidy(self) -> None:
        """Throw out what is no longer true."""
        for way, line in list(self._due.items()):
            line[:] = [entry for entry in line if self._is_due(entry)]
            heapq.heapify(line)
            if not line:
                del self._due[way]
        self._later[:] = [pair for pair in self._later if self._is_later(pair[1])]
        heapq.heapify(self._later)
        self._size = len(self._entries)
