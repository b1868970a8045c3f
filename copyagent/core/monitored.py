"""Which copies the settings ask for, and what becomes of those that they ask for no more, or again.

Settings change between two runs and within one (`reloading`); both go through here. What is owed when
a pool or a target leaves AutoCopy is not dropped: it stays in the copy's state (`Unmonitored`), is
counted and told, and is owed again when the settings ask for that copy again.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from copyagent.core import tape as states
from copyagent.core.copy_states import Owing
from copyagent.core.copying import HoldReason
from copyagent.core.records import CopyRecord, TapeRecord
from copyagent.core.shelf import Shape
from copyagent.core.witness import Evidence
from vtsfs.contract import messages
from vtsfs.contract.naming import PoolId, TapeId

if TYPE_CHECKING:
    from copyagent.core.book import Book

#: Holds that say something about a file at the target, which another place knows nothing of.
_OF_THE_PLACE: Final = frozenset(
    {
        HoldReason.TARGET_CHANGED,
        HoldReason.TARGET_UNKNOWN,
        HoldReason.LABEL_ELSEWHERE,
        HoldReason.SAME_STORAGE,
        HoldReason.NOT_EQUAL,
    }
)

#: Holds that a verdict on the tape was the reason for: they are meant for every target.
_OF_THE_TAPE: Final = frozenset(
    {
        HoldReason.CONFLICT,
        HoldReason.INTERRUPTED,
        HoldReason.POLICY,
        HoldReason.LABEL_TWICE,
        HoldReason.SOURCE_UNFIT,
    }
)


#: The cause of a change that nobody saw, because nobody listened.
_OPEN_WHEN_IT_LEFT: Final = "was open when its pool left AutoCopy"


def place_of(book: Book, tape: TapeId, target: str) -> str:
    """Name where the copy lies: another host or directory of the same target is another place."""
    goes_to = book.settings.target_tape(tape, target)
    if goes_to is None:
        return ""
    there = book.settings.targets[target]
    return f"{there.host}:{there.vaults[goes_to.vault]}/{goes_to.pool}"


def wake_where_settings_changed(book: Book) -> list[TapeRecord]:
    """Return the records of the tapes at rest that the settings now mean something else to."""
    wanted: dict[str, dict[str, str]] = {}
    for path in {path for path, _ in book.records.counts()}:
        pool = PoolId.parse(path)
        targets = [entry.target for entry in book.settings.copies_of(pool)]
        any_tape = TapeId(pool.vault, pool.pool, "-")
        wanted[path] = {target: place_of(book, any_tape, target) for target in targets}

    def disagrees(path: str, shape: Shape) -> bool:
        kept = {c.target: c.place for c in shape.copies if c.monitored}
        return kept != wanted[path]

    return [book.records[tape] for tape, _ in list(book.records.resting(disagrees))]


def follow_settings(book: Book, record: TapeRecord) -> None:
    """Let the copies of *record* be those that the settings ask for."""
    wanted = [entry.target for entry in book.settings.copies_of(record.tape.pool_id)]
    for target in wanted:
        copy = record.copies.setdefault(target, CopyRecord(states.Unmonitored()))
        if isinstance(copy.state, states.Unmonitored):
            was = copy.state.was
            copy.state = _taken_up(record, copy, was)
            if isinstance(was, states.Superseded) and isinstance(copy.state, states.Superseded):
                _have_judged(book, record)
            book.dirty.add(record.tape)
        if copy.place != place_of(book, record.tape, target):
            _move(book, record, target)
        copy.state = _kept_back(copy)
    for target, copy in record.copies.items():
        if target not in wanted and not isinstance(copy.state, states.Unmonitored):
            way = (record.tape.pool_id, target)
            if not record.protected_at(target):
                book.left[way] = book.left.get(way, 0) + 1
            copy.state = states.Unmonitored(_owed(record, copy))
            book.dirty.add(record.tape)
    if not wanted:
        _stop_watching(book, record)


def tell_what_left(book: Book) -> list[str]:
    """Tell, for each pool and target that the settings name no more, how much is unprotected there."""
    lines = []
    for (pool, target), count in sorted(book.left.items(), key=str):
        book.say(messages.LEFT_AUTOCOPY, pool=pool, target=target, count=count)
        lines.append(f"{pool} to {target}: {count}")
    book.left.clear()
    return lines


def _stop_watching(book: Book, record: TapeRecord) -> None:
    """Nobody listens for the end of the sessions of this tape any more: a sweep will tell."""
    if record.open or not record.evidence.empty or record.unconfirmed:
        record.open.clear()
        record.evidence, record.unconfirmed = Evidence(), ()
        record.warned_open = False
        book.dirty.add(record.tape)
    book.deadlines.pop(record.tape, None)
    # Whatever a sweep finds from now on is newer than what witnesses said.
    book.touched.pop(record.tape, None)


def _owed(record: TapeRecord, copy: CopyRecord) -> Owing | None:
    """Return what the copy still has to become when it is left as it is; None if nothing."""
    state = copy.state
    if isinstance(state, states.Copying):
        return states.Queued(state.generation, state.failures)
    if isinstance(state, Owing):
        return state
    # What is being written, or was and is not judged yet, may be another generation.
    unsure = record.unsettled and isinstance(state, states.Copied | states.Clean | states.Kept)
    return states.Superseded(record.generation) if unsure else None


def _have_judged(book: Book, record: TapeRecord) -> None:
    """Have a tape judged that was open when its pool left: nobody has heard how that ended."""
    if not record.unsettled:
        evidence = record.evidence
        record.evidence = replace(evidence, changes=(*evidence.changes, _OPEN_WHEN_IT_LEFT))
        book.deadlines[record.tape] = 0.0


def _taken_up(record: TapeRecord, copy: CopyRecord, was: Owing | None) -> states.State:
    """Return the state of a copy that the settings ask for, and did not before."""
    generation, base = record.generation, copy.base
    stays = isinstance(was, states.Held) and was.reason is HoldReason.BY_OPERATOR
    decided = isinstance(was, states.Held | states.Cancelled) and was.generation == generation
    if was is not None and (stays or decided):
        return was
    if was is None and base is not None and base.generation == generation:
        return states.Copied(generation, base.published_ns)
    there = record.identity is not None and record.identity.size > 0
    if was is None and not there:
        return states.Clean()
    if was is None and base is None:
        return states.Unsynced()
    if record.unsettled or isinstance(was, states.Superseded):
        return states.Superseded(generation)
    # What a verdict keeps from one target is not for another.
    for other in record.copies.values():
        held = other.state
        if isinstance(held, states.Held) and held.reason in _OF_THE_TAPE:
            return replace(held, stamp=None, place="")
    return states.Queued(generation)


def _kept_back(copy: CopyRecord) -> states.State:
    """Return the copy's state, held if it would be made though an operator keeps it back."""
    state, hold = copy.state, copy.hold
    if hold is None or not isinstance(state, (*states.PENDING, states.Failed)):
        return state
    return states.Held(state.generation, HoldReason.BY_OPERATOR, hold.words, hold.since_ns)


def _move(book: Book, record: TapeRecord, target: str) -> None:
    """What was published lies in another place than the settings name now: here is nothing."""
    copy = record.copies[target]
    known, copy.place = copy.place, place_of(book, record.tape, target)
    book.dirty.add(record.tape)
    if not known:
        return  # a record from before places were kept
    copy.base = copy.intent = copy.override = copy.wish = None
    copy.kept = ()
    if isinstance(copy.state, states.Copied):
        copy.state = states.Unsynced()
    elif isinstance(copy.state, states.Held) and copy.state.reason in _OF_THE_PLACE:
        copy.state = states.Queued(record.generation)
