"""How the copies of each pool stand at each target, counted for who looks from outside.

Two ways were weighed. Counts that are kept up with every change cost the engine something all the
time, and drift when one change is forgotten. Here they are counted when they are asked for, a slice
at a time, so that the engine is never kept from its work for longer than a slice takes; what is at
rest needs no looking at beyond its shape. A tape is counted once, as it is when its slice comes.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from copyagent.core.book import Book
from copyagent.core.owed import Way
from copyagent.core.records import TapeRecord
from copyagent.core.shelf import Unprotected
from copyagent.core.shown_states import Word, shown_state
from copyagent.core.time import Moment
from copyagent.core.traffic_report import Progresses, phase_of

#: Every state that a copy which the settings ask for can be in.
SHOWN: Final = tuple(word.value for word in Word if word is not Word.UNMONITORED)

#: Records that are looked at at once; some milliseconds of the engine's time.
SLICE: Final = 400


@dataclass(slots=True)
class Standing:
    """The copies of one pool at one target.

    *states*, *holds* and *waits* count them, *unprotected* those that the target lacks, of which the
    first has been lacking since *oldest_ns* (0: none is). *size* is the bytes of the tapes that are
    lacking: as much as there is to send at the most.
    """

    states: Counter[str] = field(default_factory=Counter)
    holds: Counter[str] = field(default_factory=Counter)
    waits: Counter[str] = field(default_factory=Counter)
    unprotected: int = 0
    oldest_ns: int = 0
    size: int = 0

    def lacks(self, since_ns: int, size: int) -> None:
        """Count a copy that is unprotected."""
        self.oldest_ns = min(self.oldest_ns, since_ns) if self.unprotected else since_ns
        self.unprotected += 1
        self.size += size


@dataclass(slots=True)
class Census:
    """One count. Go through `begin`, `slices` with `count`, and `count_rest`, in this order."""

    ways: dict[Way, Standing] = field(default_factory=dict)
    _awake: list[TapeRecord] = field(default_factory=list)
    _resting: list[Unprotected] = field(default_factory=list)

    def begin(self, book: Book) -> None:
        """Note which tapes there are; those at rest are counted by shape, and not looked at."""
        self.ways = {way: Standing() for way in book.ways}
        self._awake = book.records.active()
        paths = {str(pool): pool for pool in book.pools}
        for (path, shape), count in book.records.counts().items():
            for copy in shape.copies if path in paths else ():
                standing = self.ways.get((paths[path], copy.target))
                if standing is not None:
                    standing.states[copy.kind] += count
        self._resting = list(book.records.unprotected(paths))

    def slices(self) -> Iterator[Sequence[TapeRecord]]:
        """Return what is to be counted, a slice at a time."""
        for start in range(0, len(self._awake), SLICE):
            yield self._awake[start : start + SLICE]

    def count(
        self, book: Book, records: Sequence[TapeRecord], progress: Progresses, now: Moment
    ) -> None:
        """Count one slice as it stands now; the only part that needs the engine to stand still."""
        for record in records:
            pool = record.tape.pool_id
            for target in record.copies:
                standing = self.ways.get((pool, target))
                if standing is None:
                    continue
                phase = phase_of(progress, record, target)
                shown = shown_state(book, record, target, now, phase)
                standing.states[shown.word.value] += 1
                if shown.word is Word.HELD:
                    standing.holds[shown.reason] += 1
                elif shown.word is Word.WAITING:
                    standing.waits[shown.reason] += 1
                if not record.protected_at(target):
                    size = record.identity.size if record.identity is not None else 0
                    standing.lacks(record.behind_ns, size)

    def count_rest(self) -> None:
        """Count what lacks a copy and is at rest; of a copy of its own, so beside the engine."""
        for group in self._resting:
            for target in group.targets:
                standing = self.ways.get((group.pool, target))
                if standing is not None:
                    for since_ns, size in group.tapes():
                        standing.lacks(since_ns, size)
