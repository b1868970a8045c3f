"""What an operator may want of a copy besides a copy, and what an operator did at a target.

An errand is written into the copy's record as a `Wish`, done by the next attempt, and over when that
has ended one way or the other: a failure, a fence, a restart keep it.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from copyagent.core import tape as states
from copyagent.core.book import Book
from copyagent.core.copying import (
    CopyDone,
    CopyFailed,
    CopyHeld,
    CopyOutcome,
    Errand,
    HoldReason,
    SourceErased,
    WaitReason,
    Wish,
)
from copyagent.core.operator import Deed, hopeless, known, known_pool, known_target, record_action
from copyagent.core.records import CopyRecord, TapeRecord
from copyagent.core.time import Moment
from vtsfs.contract.errors import RequestFailed
from vtsfs.contract.naming import PoolId, TapeId

#: What is put right by what an operator did at a target.
CLEARED_BY = {"unfence": WaitReason.FENCED, "take-over": WaitReason.FOREIGN_AGENT}

#: What an act makes of a target: what it was before, and is then.
STATES_OF_TARGET = {
    "fence": ("in reach", "fenced"),
    "unfence": ("fenced", "in reach"),
    "take-over": ("another agent's", "this agent's"),
}

_TO_ADOPT = (
    states.Clean,
    states.Unsynced,
    states.Failed,
    states.Cancelled,
    states.Superseded,
)
_HELD_TO_ADOPT = (HoldReason.TARGET_CHANGED, HoldReason.TARGET_UNKNOWN, HoldReason.NOT_EQUAL)


def still_wanted(wish: Wish | None, generation: int) -> Wish | None:
    """Return *wish* unless it was about a content that the tape no longer has."""
    if wish is None or wish.errand is Errand.RELOCATE or wish.asked == generation:
        return wish
    return None


def ends_errand(wish: Wish | None, outcome: CopyOutcome) -> bool:
    """Tell whether an attempt that ended so was the last for *wish*.

    A roll back that cannot be done is given up at once: the name still has what it had.
    """
    match outcome:
        case CopyDone() | CopyHeld() | SourceErased():
            return True
        case CopyFailed(permanent=True, unreachable=False, whole_vault=False):
            return wish is not None and wish.errand is Errand.ROLL_BACK
        case _:
            return False


def relocate(book: Book, tape: TapeId, because: str, user: str, now: Moment) -> list[str]:
    """Have the file with the label of *tape* moved to its place at every target that held it so."""
    record = known(book, tape)
    found = {
        target: copy.state.place
        for target, copy in record.copies.items()
        if isinstance(copy.state, states.Held)
        and copy.state.reason is HoldReason.LABEL_ELSEWHERE
        and _can_be_moved(record, target, copy.state)
    }
    if not found:
        raise RequestFailed(f"{tape} is not held for its label; see: copyagent explain {tape}")
    answers, deed = [], Deed(book)
    for target, place in found.items():
        wish = Wish(Errand.RELOCATE, place=place, asked=record.generation)
        with deed.upon(record, target):
            _send(book, record, target, wish, now)
        record.note(now.wall_ns, f"{user} at {target}: relocate from {place}: {because}")
        answers.append(f"{tape} to {target}: {place} will be moved, then compared")
    places = ", ".join(dict.fromkeys(found.values()))
    deed.put_on_record(user, f"relocate from {places}:", "", because)
    return answers


def _can_be_moved(record: TapeRecord, target: str, held: states.Held) -> bool:
    """Raise `RequestFailed` where the file that is to be moved cannot be told, or must stay."""
    if record.copies[target].hold is not None:
        raise RequestFailed(hopeless(record, target))
    if not held.place:
        raise RequestFailed(
            f"{held.detail}: that is for no command to move; put that right at {target} by hand, "
            f"then: copyagent retry {record.tape}"
        )
    return True


def adopt(
    book: Book,
    where: TapeId | PoolId,
    target: str | None,
    user: str,
    now: Moment,
    *,
    because: str = "",
) -> list[str]:
    """Take what lies at the target as the copy of *where* if it is equal, and send nothing."""
    answers, deed = [], Deed(book)
    for record, name, copy in _copies(book, where, target):
        if record.identity is not None and record.identity.size == 0:
            continue
        if _can_be_adopted(copy):
            with deed.upon(record, name):
                _send(book, record, name, Wish(Errand.ADOPT, asked=record.generation), now)
            record.note(now.wall_ns, f"{user} asked to adopt what {name} has")
            answers.append(f"{record.tape} to {name}: is compared with what is there")
        elif isinstance(where, TapeId):
            answers.append(f"{record.tape} to {name}: {copy.state.kind}, nothing to adopt")
    deed.put_on_record(user, "adopt", str(where), because)
    return answers or [f"{where}: nothing to adopt"]


@dataclass(frozen=True, slots=True)
class FormerGeneration:
    """A kept generation of *tape*, at *target* or (None) wherever it is kept."""

    tape: TapeId
    generation: int
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody has done at a target, or from it: *action* is fence, unfence, take-over...

    *new* is what is there since then, as far as that is worth the record. *about* is what it was done
    to, if not the target; *words* are the action as it is put on record, if that is not its name.
    """

    action: str
    target: str
    because: str
    new: str = ""
    about: str = ""
    words: str = ""


def roll_back(
    book: Book, wanted: FormerGeneration, because: str, user: str, now: Moment
) -> list[str]:
    """Give the tape's name at the target back to a kept generation."""
    tape, generation, target = wanted.tape, wanted.generation, wanted.target
    found = [
        (record, name, copy)
        for record, name, copy in _copies(book, tape, target)
        if any(kept.generation == generation for kept in copy.kept)
    ]
    if not found:
        raise RequestFailed(
            f"no generation {generation} of {tape} is kept{_at(target)}; see: copyagent "
            f"generations {tape}"
        )
    for each in found:
        _expect_idle(*each)
    answers, deed, what = [], Deed(book), f"rollback to generation {generation}"
    for record, name, _ in found:
        wish = Wish(Errand.ROLL_BACK, generation=generation, asked=record.generation)
        with deed.upon(record, name):
            _send(book, record, name, wish, now)
        record.note(now.wall_ns, f"{user} at {name}: {what}: {because}")
        answers.append(f"{tape} to {name}: will be generation {generation} again, and held so")
    deed.put_on_record(user, f"{what}:", "", because)
    return answers


def done_at_target(book: Book, act: Act, user: str, now: Moment) -> list[str]:
    """Take note of *act*, which *user* has carried out; what waited for it goes on."""
    target = act.target
    known_target(book, target)
    old, new = STATES_OF_TARGET.get(act.action, ("", act.new))
    about = act.about or target
    record_action(book, user, act.words or act.action, about, act.because, old=old, new=new)
    reason = CLEARED_BY.get(act.action)
    if reason is None:
        return []
    cleared = 0
    for tape, name in sorted(book.pending):
        state = book.records[tape].copies[name].state
        if name == target and isinstance(state, states.Waiting) and state.reason is reason:
            book.apply(book.records[tape], name, states.Cleared(reason), now)
            cleared += 1
    return [f"copies to {target} that go on: {cleared}"] if cleared else []


def _send(book: Book, record: TapeRecord, target: str, wish: Wish, now: Moment) -> None:
    record.copies[target].wish = wish
    book.dirty.add(record.tape)
    book.apply(record, target, states.RetryAsked(record.generation), now)


def _copies(
    book: Book, where: TapeId | PoolId, target: str | None
) -> Iterator[tuple[TapeRecord, str, CopyRecord]]:
    """Go through the copies of a tape or of a pool's tapes, at one target or at all."""
    if target is not None:
        known_target(book, target)
    if isinstance(where, TapeId):
        records = [known(book, where)]
    else:
        known_pool(book, where)
        records = book.chosen(where, lambda shape: any(c.adoptable for c in shape.copies))
    for record in records:
        for name, copy in record.copies.items():
            if target is None or name == target:
                yield record, name, copy


def _can_be_adopted(copy: CopyRecord) -> bool:
    state = copy.state
    if copy.hold is not None:
        return False
    if isinstance(state, states.Held):
        return state.reason in _HELD_TO_ADOPT
    return isinstance(state, _TO_ADOPT)


def _expect_idle(record: TapeRecord, target: str, copy: CopyRecord) -> None:
    tape = record.tape
    if copy.hold is not None:
        raise RequestFailed(hopeless(record, target))
    if isinstance(copy.state, states.Copying):
        raise RequestFailed(f"{tape} is being copied to {target}; ask again when that has ended")
    if isinstance(copy.state, states.Kept):
        raise RequestFailed(
            f"{tape} was {copy.state.how} here, so the copy at {target} stays as it is; to have a "
            f"former generation here: copyagent fetch {tape} --generation N"
        )
    if isinstance(copy.state, states.Unmonitored):
        raise RequestFailed(f"{tape} is not copied to {target} any more: see autocopy: in settings")


def _at(target: str | None) -> str:
    return "" if target is None else f" at {target}"
