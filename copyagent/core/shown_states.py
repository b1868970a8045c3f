"""The state of a tape at a target as operators read it: one word, a reason, and since when.

The words are those of ``vts-autocopy(7)``. What a copy's own state does not say is added here: that
the tape is open, or not judged yet, that something keeps a copy which is due, what a running one does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from copyagent.core import tape as states
from copyagent.core.book import Book
from copyagent.core.copying import HoldReason, WaitReason
from copyagent.core.gates import Closed, Obstacle
from copyagent.core.records import CopyRecord, TapeRecord
from copyagent.core.time import Moment
from vtsfs.contract.errors import NameUnknown
from vtsfs.contract.near_names import hint, listed
from vtsfs.contract.signals import Access

_NS: Final = 1_000_000_000

#: What a running copy does while its bytes are compared with the source's (`transfer.progress.Phase`).
_VERIFYING: Final = "verifying"


class Word(StrEnum):
    """The state's name, without what is each tape's own."""

    CLEAN = "clean"
    UNSYNCED = "unsynced"
    READ_ONLY = "mounted (read only)"
    READ_WRITE = "mounted (read/write)"
    SETTLING = "settling"
    AWAITING_HOST = "awaiting host"
    QUEUED = "queued"
    WAITING = "waiting"
    COPYING = "copying"
    VERIFYING = "verifying"
    COPIED = "copied"
    RETRY = "retry"
    FAILED = "failed"
    HELD = "held"
    CANCELLED = "cancelled"
    KEPT = "kept"
    SUPERSEDED = "superseded"
    UNMONITORED = "unmonitored"


#: In these the target has, or needs, nothing newer; all others count as unprotected.
SAFE: Final = (Word.CLEAN, Word.READ_ONLY, Word.COPIED, Word.KEPT, Word.UNMONITORED)

#: Every reason that goes with a word; the others have none.
REASONS: Final[Mapping[Word, tuple[str, ...]]] = {
    Word.WAITING: (*(each.value for each in Obstacle), *(each.value for each in WaitReason)),
    Word.HELD: tuple(each.value for each in HoldReason),
    Word.KEPT: ("erased", "deleted"),
}


@dataclass(frozen=True, slots=True)
class StateWanted:
    """A state that somebody looks for: a word, and with a *reason* that one alone."""

    word: Word
    reason: str = ""

    def fits(self, word: Word, reason: str) -> bool:
        """Tell whether that is it."""
        return self.word is word and self.reason in ("", reason)


def states_named(text: str) -> tuple[StateWanted, ...]:
    """Read a state as it is printed, or one of its words, such as ``held``, ``held (conflict)``, ``conflict``.

    Raises `NameUnknown` for anything else.
    """
    known: dict[str, tuple[StateWanted, ...]] = {
        "mounted": (StateWanted(Word.READ_ONLY), StateWanted(Word.READ_WRITE))
    }
    for word, reasons in REASONS.items():
        for reason in reasons:
            wanted = StateWanted(word, reason)
            known[reason] = (*known.get(reason, ()), wanted)
            known[f"{word} ({reason})"] = (wanted,)
    known |= {word.value: (StateWanted(word),) for word in Word}
    found = known.get(" ".join(text.split()).lower())
    if found is None:
        words = listed([word.value for word in Word], len(Word))
        raise NameUnknown(f"there is no state {text!r} ({words}){hint(text.lower(), known)}")
    return found


@dataclass(frozen=True, slots=True)
class ShownState:
    """*text* is what is printed, such as ``held (conflict)`` or ``retry 3/12``.

    *reason* is one of `REASONS`, or empty; *closed* is what keeps a copy that is due, if anything.
    """

    word: Word
    text: str
    reason: str = ""
    closed: Closed | None = None


_PLAIN: Final[Mapping[str, ShownState]] = {word: ShownState(word, word.value) for word in Word}
_HELD: Final = {
    reason: ShownState(Word.HELD, f"held ({reason})", reason.value) for reason in HoldReason
}
_WAITS: Final = {
    reason: ShownState(Word.WAITING, f"waiting ({reason})", reason.value) for reason in WaitReason
}


def shown_state(
    book: Book, record: TapeRecord, target: str, now: Moment, phase: str = ""
) -> ShownState:
    """Name the state of *record* at *target*; *phase* is what its running copy does, if it is known."""
    state = record.copies[target].state
    if isinstance(state, states.Unmonitored):
        return _PLAIN[Word.UNMONITORED]
    if record.writers:
        return _PLAIN[Word.READ_WRITE]
    if not record.evidence.unsettling:
        closed = book.obstacle(record, target, now)
        if closed is not None:
            return ShownState(
                Word.WAITING, f"waiting ({closed.words})", closed.reason.value, closed
            )
    match state:
        case states.Held():
            return _HELD[state.reason]
        case states.Copying():
            return _PLAIN[Word.VERIFYING if phase == _VERIFYING else Word.COPYING]
        case states.Retrying():
            return ShownState(Word.RETRY, f"retry {state.failures}/{book.ladder.attempts}")
        case states.Waiting():
            return _WAITS[state.reason]
    if record.evidence.unsettling:
        settled = record.evidence.settled_at(book.settings.cross_check.settle)
        return _PLAIN[Word.SETTLING if now.mono < settled else Word.AWAITING_HOST]
    if isinstance(state, states.PROTECTED) and record.open:
        return _PLAIN[Word.READ_ONLY]
    return at_rest(state)


def at_rest(state: states.State) -> ShownState:
    """Name a state of which nothing has to be known but itself."""
    if isinstance(state, states.Kept):
        return ShownState(Word.KEPT, f"kept ({state.how} at source)", state.how)
    return _PLAIN[state.kind]


def since_ns(record: TapeRecord, target: str, shown: ShownState, now: Moment) -> int:
    """Return since when *shown* is so (ns since the epoch); 0 if that is not known."""
    copy = record.copies[target]
    match shown.word:
        case Word.READ_WRITE:
            return _opened_ns(record, Access.WRITE)
        case Word.READ_ONLY:
            return _opened_ns(record, Access.READ)
        case Word.SETTLING | Word.AWAITING_HOST:
            waited_s = max(now.mono - record.evidence.quiet_since, 0.0)
            return now.wall_ns - int(waited_s * _NS) if record.evidence.quiet_since else 0
    return state_since_ns(copy) or (0 if record.protected_at(target) else record.behind_ns)


def state_since_ns(copy: CopyRecord) -> int:
    """Return since when the copy's own state is what it is; 0 if that is not known."""
    match copy.state:
        case states.Copying() as state:
            return state.started_ns
        case states.Held() | states.Failed() | states.Cancelled() | states.Kept() as state:
            return state.at_ns
        case states.Copied() as state:
            return state.at_ns
    return copy.since_ns or copy.owed_ns


def _opened_ns(record: TapeRecord, access: Access) -> int:
    return min((s.opened_ns for s in record.open.values() if s.access is access), default=0)
