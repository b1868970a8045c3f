"""Lists for operators: every tape with its state, and what is pending in the order of its turn.

Both are bounded, whatever there is: a list of tapes is told a page at a time, by name, and of those at
rest only which they are, so that their records are read elsewhere; of a queue its first part.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from copyagent.core.book import Book
from copyagent.core.dates import iso
from copyagent.core.operator import known_pool, known_target
from copyagent.core.queues import CopyKey
from copyagent.core.records import TapeRecord
from copyagent.core.shelf import CopyAtRest, Shape
from copyagent.core.shown import document, shown, shown_at_rest
from copyagent.core.shown_states import SAFE, StateWanted, Word, shown_state
from copyagent.core.syncing import most_sent
from copyagent.core.time import Moment
from copyagent.core.traffic_report import Progresses, phase_of
from vtsfs.contract.naming import PoolId, TapeId

if TYPE_CHECKING:
    # Whoever only names a request must not wait until all that decides is loaded.
    from copyagent.core.engine import Engine

Document = dict[str, Any]

#: Most tapes that are looked at for one page.
MOST_LOOKED_AT: Final = 1000


@dataclass(frozen=True, slots=True)
class TapesWanted:
    """Which tapes are listed, all conditions together: none of a kind is no condition.

    *after* is the last tape that is known already. *kept_back*: only what an operator holds, be it
    ahead of time; no tape at rest is.
    """

    states: tuple[StateWanted, ...] = ()
    pools: tuple[PoolId, ...] = ()
    target: str = ""
    unprotected: bool = False
    after: TapeId | None = None
    kept_back: bool = False

    def takes(
        self, target: str, word: Word, reason: str, *, protected: bool, kept_back: bool = False
    ) -> bool:
        """Tell whether a copy at *target* that is in such a state is wanted."""
        if (self.target and self.target != target) or (self.unprotected and protected):
            return False
        if self.kept_back and not kept_back:
            return False
        return not self.states or any(state.fits(word, reason) for state in self.states)

    def takes_at_rest(self, copy: CopyAtRest) -> bool:
        """Tell the same of a copy of a tape at rest."""
        word = Word(copy.kind)
        return self.takes(copy.target, word, copy.how, protected=word in SAFE)


@dataclass(frozen=True, slots=True)
class TapesPage:
    """*told* are the documents of tapes that are awake, *resting* tapes at rest with their targets.

    *next*: the tape after which to go on, None at the end.
    """

    told: dict[TapeId, list[Document]] = field(default_factory=dict)
    resting: dict[TapeId, list[str]] = field(default_factory=dict)
    next: TapeId | None = None


def tapes_page(book: Book, wanted: TapesWanted, progress: Progresses, now: Moment) -> TapesPage:
    """Return the next page of what is *wanted*; raises `NameUnknown` for names of nothing."""
    for pool in wanted.pools:
        known_pool(book, pool)
    if wanted.target:
        known_target(book, wanted.target)
    page, left = TapesPage(), MOST_LOOKED_AT
    for pool in sorted(wanted.pools or book.pools, key=str):
        after = _after(pool, wanted.after)
        if after is None:
            continue
        last = ""
        for label, shape in _candidates(book, pool, after, left, wanted):
            tape, last = TapeId(pool.vault, pool.pool, label), label
            left -= 1
            if shape is not None:
                page.resting[tape] = [c.target for c in shape.copies if wanted.takes_at_rest(c)]
            elif told := _told(book, book.records[tape], wanted, progress, now):
                page.told[tape] = told
        if left <= 0:
            end = TapeId(pool.vault, pool.pool, last)
            return TapesPage(page.told, page.resting, end)
    return page


def documents_at_rest(
    records: dict[TapeId, TapeRecord], page: TapesPage, attempts_of: int
) -> list[Document]:
    """Return all of *page* by name, now that the *records* of its tapes at rest are there."""
    found = dict(page.told)
    for tape, targets in page.resting.items():
        record = records.get(tape)
        if record is not None:
            found[tape] = [
                tape_document(record)
                | document(record, target, shown_at_rest(record, target), attempts_of)
                for target in targets
                if target in record.copies
            ]
    return [each for tape in sorted(found, key=_place) for each in found[tape]]


def tape_document(record: TapeRecord) -> Document:
    """Return what a list tells of the tape itself."""
    return {
        "tape": str(record.tape),
        "generation": record.generation,
        "size": record.identity.size if record.identity is not None else None,
    }


def _place(tape: TapeId) -> tuple[str, str]:
    return str(tape.pool_id), tape.label


def _after(pool: PoolId, after: TapeId | None) -> str | None:
    """Return the label after which to go on in *pool*; None if the page before went past it."""
    if after is None or str(pool) > str(after.pool_id):
        return ""
    return after.label if pool == after.pool_id else None


def _candidates(
    book: Book, pool: PoolId, after: str, most: int, wanted: TapesWanted
) -> Sequence[tuple[str, Shape | None]]:
    """Return what has to be looked at in *pool*, by label: with its shape where it is at rest."""
    awake = [r.tape.label for r in book.records.active() if r.tape.pool_id == pool]
    first = heapq.nsmallest(most, (label for label in awake if label > after))

    def may_be(shape: Shape) -> bool:
        return any(wanted.takes_at_rest(copy) for copy in shape.copies)

    resting = book.records.following(str(pool), after, most, may_be)
    both: list[tuple[str, Shape | None]] = [(label, None) for label in first]
    return sorted([*both, *resting], key=lambda found: found[0])[:most]


def _told(
    book: Book, record: TapeRecord, wanted: TapesWanted, progress: Progresses, now: Moment
) -> list[Document]:
    made = []
    for target, copy in record.copies.items():
        phase = phase_of(progress, record, target)
        state = shown_state(book, record, target, now, phase)
        protected = record.protected_at(target)
        held = copy.hold is not None
        if wanted.takes(target, state.word, state.reason, protected=protected, kept_back=held):
            told = shown(book, record, target, now, phase)
            made.append(
                tape_document(record) | document(record, target, told, book.ladder.attempts)
            )
    return made


# ---- the queue -----------------------------------------------------------------------------------


def queue(engine: Engine, target: str, most: int, progress: Progresses, now: Moment) -> Document:
    """Return what is pending at *target* (empty: at each), in the order in which it will be copied.

    Of each target at most *most*, the rest is counted. Raises `NameUnknown`.
    """
    book = engine.book
    if target:
        known_target(book, target)
    names = [target] if target else sorted(book.settings.targets)
    return {
        "schema": 1,
        "at": iso(now.wall_ns),
        "targets": [_queue_of(engine, name, most, progress, now) for name in names],
    }


def _queue_of(
    engine: Engine, target: str, most: int, progress: Progresses, now: Moment
) -> Document:
    book = engine.book
    running = sorted(key for key in book.running if key[1] == target)
    pending = list(_turns(engine, target, now))
    first = [key for _, key in heapq.nsmallest(most, pending)]
    listed = [*running, *first]
    sizes = {key: _to_send(book, key, progress) for _, key in pending} | {
        key: _to_send(book, key, progress) for key in running
    }
    copies = []
    for place, key in enumerate(listed, start=1 - len(running)):
        record = book.records[key[0]]
        told = shown(book, record, target, now, phase_of(progress, record, target))
        made = tape_document(record) | document(record, target, told, book.ladder.attempts)
        made |= {"place": max(place, 0), "due": _due(record, target), "bytes": sizes[key]}
        copies.append(made)
    return {
        "target": target,
        "running": len(running),
        "pending": len(pending),
        "bytes": sum(sizes.values()),
        "left_out": len(pending) - len(first),
        "copies": copies,
    }


def _turns(
    engine: Engine, target: str, now: Moment
) -> Iterator[tuple[tuple[int, float, Any], CopyKey]]:
    """Go through what is pending at *target*, each with its turn: the least comes first.

    What may start comes before what something keeps from it, and both before what is not due yet.
    """
    book, rules = engine.book, engine.traffic.rules
    health = book.health.get(target)
    down = health is not None and health.down
    for entry, later in book.queues.of(target):
        key = (entry[1], entry[2])
        if key in book.running:
            continue
        if later:
            yield (2, entry[3], rules.rank(entry)), key
        else:
            kept = down or book.closed(*key, now) is not None or engine.targets.passed(key)
            yield (1 if kept else 0, 0.0, rules.rank(entry)), key


def _to_send(book: Book, key: CopyKey, progress: Progresses) -> int:
    """Return how many bytes a copy has to send yet, at the most."""
    found = progress.get(key)
    if key in book.running and found is not None and found.phase == "sending":
        return max(found.total - found.done, 0)
    record = book.records.get(key[0])
    return 0 if record is None else most_sent(record, record.copies[key[1]])


def _due(record: TapeRecord, target: str) -> str | None:
    due = getattr(record.copies[target].state, "due", None)
    return iso(due.wall_ns) if isinstance(due, Moment) else None
