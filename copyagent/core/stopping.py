"""An operator stops a copy, or keeps it back: `cancel` is for one generation, `hold` for all to come.

Whether a copy that runs can still be stopped is decided where it asks for its permission: one that is
being published in that very moment is copied, and the answer says so when it has ended (`became`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

from copyagent.core import tape as states
from copyagent.core.book import Book
from copyagent.core.copying import HoldReason
from copyagent.core.dates import iso
from copyagent.core.operator import known, known_target, record_action
from copyagent.core.queues import CopyKey
from copyagent.core.records import CopyRecord, OperatorHold, TapeRecord
from copyagent.core.time import Moment
from vtsfs.contract.errors import RequestFailed
from vtsfs.contract.naming import TapeId

_CANCELLED_FROM = (*states.PENDING, states.Copying, states.Failed, states.Superseded)


@dataclass(frozen=True, slots=True)
class StopWanted:
    """Whose copy is to be stopped: that of *tape* at *target*, at every target if that is empty."""

    tape: TapeId
    because: str
    target: str = ""


@dataclass(frozen=True, slots=True)
class Stopped:
    """What to answer, and the copies that ran and have to end before it is known what became of them."""

    answers: list[str]
    ending: list[CopyKey]


def cancel(book: Book, wanted: StopWanted, user: str, now: Moment) -> Stopped:
    """Have what is pending of a tape not made; raise `RequestFailed` where nothing is."""
    record = _record(book, wanted)
    answers, ending, refused, before, done = [], list[CopyKey](), [], [], []
    for target, copy in _copies(record, wanted):
        about, old = f"{record.tape} to {target}", copy.state
        if not isinstance(old, _CANCELLED_FROM):
            refused.append(f"{about}: {_why_not_cancelled(record.tape, copy)}")
            continue
        runs = (record.tape, target) in book.running
        book.apply(record, target, states.CancelAsked(user, wanted.because), now)
        copy.wish = None
        before.append(old.kind)
        done.append(target)
        if runs:
            ending.append((record.tape, target))
        else:
            answers.append(f"{about}: cancelled; {_left(record, copy)}")
    if not done:
        raise RequestFailed("; ".join(refused))
    record.note(now.wall_ns, f"cancelled by {user}: {wanted.because}")
    about = f"{record.tape} to {', '.join(done)}"
    record_action(
        book, user, "cancel", about, wanted.because, old=", ".join(before), new="cancelled"
    )
    return Stopped(answers + refused, ending)


def hold(book: Book, wanted: StopWanted, user: str, now: Moment) -> Stopped:
    """Keep the copies of a tape back until they are released, also those that are yet to come.

    Raises `RequestFailed` where they are kept back already.
    """
    record = _record(book, wanted)
    answers, ending, refused, before, done = [], list[CopyKey](), [], [], []
    for target, copy in _copies(record, wanted):
        about, old = f"{record.tape} to {target}", copy.state
        if copy.hold is not None:
            since = iso(copy.hold.since_ns)
            refused.append(f"{about}: kept back already, since {since} by {copy.hold.words}")
            continue
        if isinstance(old, states.Unmonitored):
            refused.append(f"{about}: is not copied there any more: see autocopy: in the settings")
            continue
        runs = (record.tape, target) in book.running
        copy.hold = OperatorHold(user, wanted.because, now.wall_ns)
        book.apply(record, target, states.HoldAsked(), now)
        before.append(old.kind)
        done.append(target)
        if runs:
            ending.append((record.tape, target))
        else:
            answers.append(f"{about}: {_kept_back(record, target)}")
    if not done:
        raise RequestFailed("; ".join(refused))
    record.note(now.wall_ns, f"kept back by {user}: {wanted.because}")
    about = f"{record.tape} to {', '.join(done)}"
    new = ", ".join(_new(record.copies[target]) for target in done)
    record_action(book, user, "hold", about, wanted.because, old=", ".join(before), new=new)
    return Stopped(answers + refused, ending)


def _new(copy: CopyRecord) -> str:
    state = copy.state
    return "held" if isinstance(state, states.Held) else f"{state.kind}, kept back"


def became(book: Book, key: CopyKey) -> str:
    """Say what became of a copy that ran when it was to be stopped."""
    tape, target = key
    about, record = f"{tape} to {target}", book.records.get(tape)
    copy = record.copies.get(target) if record is not None else None
    if record is None or copy is None:
        return f"{about}: the tape is gone"
    if key in book.running:
        return (
            f"{about}: is being stopped; nothing is published, unless it was in that very moment: "
            f"copyagent explain {tape}"
        )
    if isinstance(copy.state, states.Copied):
        kept = "" if copy.hold is None else "; later changes are held"
        return f"{about}: was being published already, so it is copied, and protected{kept}"
    if isinstance(copy.state, states.Cancelled):
        return f"{about}: cancelled, stopped before anything was published; {_left(record, copy)}"
    return f"{about}: stopped before anything was published; {_kept_back(record, target)}"


def _record(book: Book, wanted: StopWanted) -> TapeRecord:
    record = known(book, wanted.tape)
    if wanted.target:
        known_target(book, wanted.target)
        if wanted.target not in record.copies:
            raise RequestFailed(f"{record.tape} is not copied to {wanted.target}: see the settings")
    return record


def _copies(record: TapeRecord, wanted: StopWanted) -> Iterator[tuple[str, CopyRecord]]:
    for target, copy in record.copies.items():
        if wanted.target in ("", target):
            yield target, copy


def _why_not_cancelled(tape: TapeId, copy: CopyRecord) -> str:
    match copy.state:
        case states.Held() as state:
            return f"held ({state.reason}), nothing is on its way"
        case states.Cancelled() as state:
            return f"cancelled already, by {state.by}: {state.because}"
        case states.Clean() | states.Copied() | states.Kept() as state if copy.hold is None:
            return f"{state.kind}, nothing to cancel; later changes are kept back by: copyagent hold {tape}"
    return f"{copy.state.kind}, nothing to cancel"


def _left(record: TapeRecord, copy: CopyRecord) -> str:
    """Say how a tape stands whose copy was cancelled, and what comes next."""
    there = (
        "the target has no copy of it"
        if copy.base is None
        else f"the target keeps generation {copy.base.generation}"
    )
    if record.writers:
        return f"{there}; what is being written now is copied when it is complete"
    return f"{there} and the tape is NOT PROTECTED; to copy it: copyagent retry {record.tape}"


def _kept_back(record: TapeRecord, target: str) -> str:
    """Say how a copy stands that an operator keeps back, and what ends that."""
    state = record.copies[target].state
    release = f"copyagent release {record.tape} --because TEXT"
    if not isinstance(state, states.Held):
        safe = "protected as it is" if record.protected_at(target) else "NOT PROTECTED"
        return f"{state.kind}, {safe}; what changes from now on is held until: {release}"
    also = "" if state.reason is HoldReason.BY_OPERATOR else ", and by operator"
    return f"held ({state.reason}{also}), NOT PROTECTED until: {release}"
