"""One tape at one target, told to operators: its state, since when, why, and what comes next.

`shown` is what status, explain, tapes and queue print, so that they never tell two things; which
state it is comes from `shown_states`.
"""

from dataclasses import dataclass
from typing import Any

from copyagent.core import tape as states
from copyagent.core.book import Book
from copyagent.core.command_table import commands_for
from copyagent.core.copying import HoldReason, WaitReason
from copyagent.core.dates import iso
from copyagent.core.records import CopyRecord, TapeRecord
from copyagent.core.shown_states import (
    ShownState,
    Word,
    at_rest,
    shown_state,
    since_ns,
    state_since_ns,
)
from copyagent.core.time import Moment
from copyagent.core.witness import Overlay, overlay_says
from vtsfs.contract import messages
from vtsfs.contract.units import format_duration

Document = dict[str, Any]

HOLDS = {
    HoldReason.CONFLICT: messages.CONFLICT,
    HoldReason.INTERRUPTED: messages.INTERRUPTED,
    HoldReason.POLICY: messages.HELD_BY_POLICY,
    HoldReason.TARGET_CHANGED: messages.TARGET_CHANGED,
    HoldReason.TARGET_UNKNOWN: messages.TARGET_UNKNOWN,
    HoldReason.SOURCE_UNFIT: messages.SOURCE_UNFIT,
    HoldReason.LABEL_TWICE: messages.LABEL_TWICE,
    HoldReason.LABEL_ELSEWHERE: messages.LABEL_ELSEWHERE,
    HoldReason.SAME_STORAGE: messages.SAME_STORAGE,
    HoldReason.NOT_EQUAL: messages.NOT_EQUAL,
    HoldReason.ROLLED_BACK: messages.ROLLED_BACK,
    HoldReason.BY_OPERATOR: messages.HELD_BY_OPERATOR,
}

_WAITS = {
    WaitReason.OPEN: "Somebody has the tape open for writing; it is copied when they close it.",
    WaitReason.FENCED: messages.FENCED.next_step,
    WaitReason.HOST_KEY: messages.HOST_KEY.next_step,
    WaitReason.FOREIGN_AGENT: messages.FOREIGN_AGENT.next_step,
}


@dataclass(frozen=True, slots=True)
class Shown:
    """All that is told of a tape at a target. *why* is never empty; *since_ns* is 0 if not known."""

    state: ShownState
    since_ns: int
    why: str
    next_step: str
    trouble: str | None
    protected: bool


def shown(book: Book, record: TapeRecord, target: str, now: Moment, phase: str = "") -> Shown:
    """Tell how *record* stands at *target*; *phase* is what its running copy does, if it is known."""
    state = shown_state(book, record, target, now, phase)
    return Shown(
        state,
        since_ns(record, target, state, now),
        _why(book, record, target, state),
        _next_step(book, record, target, state, now),
        trouble(record.copies[target].state),
        record.protected_at(target),
    )


def shown_at_rest(record: TapeRecord, target: str) -> Shown:
    """Tell the same of a tape at rest, of which nothing but its record has to be known."""
    copy = record.copies[target]
    state = at_rest(copy.state)
    since = state_since_ns(copy) or (0 if record.protected_at(target) else record.behind_ns)
    why, step = _rest(record, target, copy)
    return Shown(state, since, why, step, None, record.protected_at(target))


def document(record: TapeRecord, target: str, told: Shown, attempts_of: int) -> Document:
    """Return one copy as every ``--json`` has it; *attempts_of* is the length of the ladder."""
    copy = record.copies[target]
    state = copy.state
    made: Document = {
        "target": target,
        "state": told.state.text,
        "word": told.state.word.value,
        "reason": told.state.reason or None,
        "since": iso(told.since_ns),
        "why": told.why,
        "next": told.next_step,
        "commands": commands_for(copy),
        "protected": told.protected,
        "trouble": told.trouble,
        "asked": copy.wish.errand.value if copy.wish is not None else None,
        "kept_back": None
        if copy.hold is None
        else {
            "by": copy.hold.by,
            "because": copy.hold.because,
            "since": iso(copy.hold.since_ns),
        },
    }
    if isinstance(state, states.Queued | states.Copying | states.Retrying | states.Waiting):
        made |= {"attempts": state.failures, "attempts_of": attempts_of}
    elif isinstance(state, states.Failed):
        made |= {"attempts": state.failures, "attempts_of": state.failures}
    base = copy.base
    if base is not None:
        made["published"] = {
            "generation": base.generation,
            "size": base.size,
            "sha256": base.sha256,
            "verified": base.verified,
            "at": iso(base.published_ns),
        }
    return made


def trouble(state: states.State) -> str | None:
    """Say who can mend what keeps the copy: time (transient), somebody there (permanent), us (held).

    None where nothing is wrong, or nothing but patience is needed.
    """
    match state:
        case states.Held():
            return "held"
        case states.Retrying(permanent=True) | states.Failed(permanent=True):
            return "permanent"
        case states.Waiting(reason=WaitReason.HOST_KEY | WaitReason.FOREIGN_AGENT):
            return "permanent"
        case states.Retrying() | states.Failed():
            return "transient"
        case _:
            return None


# ---- why -----------------------------------------------------------------------------------------


def _why(book: Book, record: TapeRecord, target: str, shown: ShownState) -> str:
    copy = record.copies[target]
    match shown.word:
        case Word.READ_WRITE:
            return "it is open for writing"
        case Word.READ_ONLY:
            return "it is open for reading, and the target has what it needs"
        case Word.SETTLING:
            return "it was closed or changed a moment ago, and is to be quiet first"
        case Word.AWAITING_HOST:
            return "the overlay has told of it, and the host has not said what it was"
    if shown.closed is not None:
        return shown.closed.why
    match copy.state:
        case states.Retrying() | states.Failed() as state:
            return state.cause
        case states.Held() as state:
            return state.detail or messages.one_line(_HELD_WHY.get(state.reason, state.reason))
        case states.Waiting() as state:
            return state.detail or str(state.reason)
        case states.Copying() as state:
            return f"attempt {state.failures + 1} of {book.ladder.attempts} is running"
        case states.Queued():
            return _turn(book, record, target)
        case states.Superseded():
            return "it was mounted for writing before its copy was published"
    return _rest(record, target, copy)[0]


_HELD_WHY = {
    HoldReason.INTERRUPTED: "the overlay ended while it was being written",
    HoldReason.CONFLICT: "it was written, and the host asked for it with no ring",
}


def _turn(book: Book, record: TapeRecord, target: str) -> str:
    if (record.tape, target) in book.running:
        return "its former attempt is still ending"
    running = sum(1 for _, name in book.running if name == target)
    if running:
        return f"{running} copies to {target} are running, its turn comes"
    return f"its turn comes, other targets' copies are running ({len(book.running)})"


def _rest(record: TapeRecord, target: str, copy: CopyRecord) -> tuple[str, str]:
    """Return why, and what is next, of a copy that nothing waits for."""
    tape, nothing = record.tape, "Nothing to do."
    if copy.hold is not None:
        release = f"copyagent release {tape} --because TEXT"
        nothing = f"Nothing is copied, whatever is written to it, until: {release}"
    match copy.state:
        case states.Clean():
            return "nothing that has to be copied was written since it is watched", nothing
        case states.Unsynced():
            first = f"Copy it for the first time: copyagent sync {tape}"
            why = f"it was there before AutoCopy copied its pool to {target}"
            return why, first if copy.hold is None else nothing
        case states.Copied() as state:
            return f"{target} has generation {state.generation}, durable and compared", nothing
        case states.Kept() as state:
            there = f"the copy at {target} is kept" if copy.base is not None else "it had no copy"
            return f"it was {state.how} here; {there}", nothing
        case states.Cancelled() as state:
            again = "a newer complete generation is copied by itself"
            step = f"To copy it after all: copyagent retry {tape}; {again}."
            return f"by {state.by}: {state.because}", step if not copy.hold else nothing
        case states.Unmonitored():
            why = f"autocopy: in the settings does not have its pool copied to {target} any more"
            was = copy.state.was
            if was is not None:
                return f"{why}; it was {was.kind} then", "Nothing is copied; what is owed is kept."
            return why, "Nothing to do; what is known of it is kept."
    return copy.state.kind, nothing


# ---- what is next --------------------------------------------------------------------------------


def next_step(book: Book, record: TapeRecord, target: str, now: Moment) -> str:
    """Say what happens next by itself, or what the operator has to do."""
    return _next_step(book, record, target, shown_state(book, record, target, now), now)


def _next_step(book: Book, record: TapeRecord, target: str, shown: ShownState, now: Moment) -> str:
    copy = record.copies[target]
    if shown.word is Word.READ_WRITE:
        return "It is judged, and copied if need be, when its last writer has closed it."
    if shown.closed is not None:
        return shown.closed.next_step
    match copy.state:
        case states.Queued():
            return "It is copied as soon as a copy to that target may start."
        case states.Copying():
            stop = f"copyagent cancel {record.tape} --because TEXT"
            return f"Wait for the end of the copy. To stop it: {stop}"
        case states.Retrying() | states.Waiting() | states.Failed():
            return _pending(book, record, target, now)
        case states.Held() as state:
            return _held(record, target, state)
    if overlay_says(record.evidence, writers=False) is not Overlay.NOTHING:
        return _heard(book, record, now)
    if isinstance(copy.state, states.Superseded):
        return "Its verdict comes, and starts the next copy."
    return _rest(record, target, copy)[1]


def _pending(book: Book, record: TapeRecord, target: str, now: Moment) -> str:
    state = record.copies[target].state
    match state:
        case states.Retrying():
            left = max(state.due.mono - now.mono, 0)
            if state.permanent:
                again = f"It is tried again in {left:.0f} s all the same."
                return f"Somebody has to act: {_sentence(state.next_step)} {again}"
            return f"Next attempt in {left:.0f} s. {_sentence(state.next_step)}"
        case states.Waiting():
            left = max(state.due.mono - now.mono, 0)
            advice = _WAITS[state.reason].replace("{target}", target)
            return f"Looked at again in {left:.0f} s. {advice}"
        case states.Failed() if state.unreachable and book.settings.retry.rearm != "never":
            return (
                f"It is tried again by itself when the target answers. {_sentence(state.next_step)}"
            )
        case states.Failed():
            fields = {"tape": record.tape, "target": target, "pool": record.tape.pool_id}
            return f"{_sentence(state.next_step)} {messages.next_step(messages.GAVE_UP, fields)}"
    return ""


def _held(record: TapeRecord, target: str, state: states.Held) -> str:
    fields = {"tape": record.tape, "target": target, "pool": record.tape.pool_id}
    if state.reason is HoldReason.TARGET_UNKNOWN and state.stamp is None:
        # Not a file: nothing that could be replaced in one step, whoever allows it.
        return f"Remove it at the target, then: copyagent retry {record.tape}"
    if state.reason is HoldReason.LABEL_ELSEWHERE and not state.place:
        # In several places, or not to be moved in one step: no command of ours can do it.
        return (
            f"Put that right at {target} by hand, as the cause says, then: "
            f"copyagent retry {record.tape}"
        )
    return messages.next_step(HOLDS[state.reason], fields)


def _heard(book: Book, record: TapeRecord, now: Moment) -> str:
    at = book.deadlines.get(record.tape)
    if at is None:
        return "The witnesses are being heard; a verdict comes."
    cross_check, left = book.settings.cross_check, max(at - now.mono, 0)
    if left > cross_check.settle + cross_check.grace:
        latest = format_duration(left)
        return f"The host has it: a verdict comes when it dismounts it, in {latest} at the latest."
    return f"The witnesses are being heard; a verdict comes within {left:.0f} s."


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}".rstrip(".") + "."
