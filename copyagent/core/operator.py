"""What an operator may ask of a tape's copies, and what becomes of it.

Each question is answered with one sentence per tape; nothing is ever copied over a hold without the
`release` that names a reason.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from copyagent.core import tape as states
from copyagent.core.book import Book
from copyagent.core.copying import NO_REASON, HoldReason
from copyagent.core.records import TapeRecord
from copyagent.core.time import Moment
from vtsfs.contract import messages
from vtsfs.contract.errors import NameUnknown, RequestFailed
from vtsfs.contract.naming import PoolId, TapeId
from vtsfs.contract.near_names import hint, listed, near
from vtsfs.contract.units import format_count

#: Holds for a file at the target, which only an explicit word lets us replace.
_AT_TARGET = (HoldReason.TARGET_CHANGED, HoldReason.TARGET_UNKNOWN, HoldReason.NOT_EQUAL)

_LOOKED_AT_AGAIN = (
    HoldReason.SOURCE_UNFIT,
    HoldReason.LABEL_ELSEWHERE,
    HoldReason.SAME_STORAGE,
    HoldReason.NOT_EQUAL,
)

#: Holds that would be the same again, whoever allows what.
_NOT_RELEASED = (HoldReason.LABEL_ELSEWHERE, HoldReason.SAME_STORAGE)


def retry(book: Book, tape: TapeId, user: str, now: Moment, *, because: str = "") -> list[str]:
    """Start a new ladder for *tape* at once; raise `RequestFailed` if that cannot help."""
    record = known(book, tape)
    refuse_if_all_hopeless(record)
    answers, deed = [], Deed(book)
    for target, copy in record.copies.items():
        if reason := hopeless(record, target):
            answers.append(reason)
            continue
        if isinstance(copy.state, states.Copied | states.Clean):
            answers.append(f"{tape} to {target}: {copy.state.kind}, nothing to retry")
            continue
        if isinstance(copy.state, states.Copying):
            answers.append(f"{tape} to {target}: is being copied now")
            continue
        with deed.upon(record, target):
            book.apply(record, target, states.RetryAsked(record.generation), now)
        answers.append(f"{tape} to {target}: queued")
    deed.put_on_record(user, "retry", "", because)
    return answers


def retry_failed(book: Book, user: str, now: Moment, *, because: str = "") -> list[str]:
    """Start a new ladder for every copy that has used up its attempts."""
    answers, deed = [], Deed(book)
    for record in book.active():
        for target, copy in record.copies.items():
            if isinstance(copy.state, states.Failed):
                with deed.upon(record, target):
                    book.apply(record, target, states.RetryAsked(record.generation), now)
                answers.append(f"{record.tape} to {target}: queued")
    deed.put_on_record(user, "retry --failed", "all pools", because)
    return answers or ["no copy has failed"]


def release(
    book: Book,
    tape: TapeId,
    because: str,
    user: str,
    now: Moment,
    *,
    overwrite_target: bool = False,
) -> list[str]:
    """Let held copies of *tape* go on, on the operator's responsibility.

    For a foreign file at the target that takes *overwrite_target*, and is permission for that file
    as it was seen: if it has changed again since, it is held again.
    """
    record = known(book, tape)
    answers, refused, about, before = [], [], [], []
    for target, copy in record.copies.items():
        held, kept_back = copy.state, copy.hold
        if kept_back is not None:
            copy.hold = None
            about.append(target)
            before.append(f"kept back by {kept_back.words}")
        if not isinstance(held, states.Held):
            if kept_back is not None:
                answers.append(f"{tape} to {target}: {held.kind}, not kept back any more")
            continue
        cannot_be_replaced = held.stamp is None or not overwrite_target
        if held.reason in _NOT_RELEASED or (held.reason in _AT_TARGET and cannot_be_replaced):
            refused.append(_instead_of_release(record, target, held))
            continue
        if held.reason in _AT_TARGET:
            copy.override = held.stamp
        if held.reason is not HoldReason.BY_OPERATOR:
            copy.wish = None
            before.append(f"held ({held.reason})")
            about += [] if kept_back is not None else [target]
        book.apply(record, target, states.RetryAsked(record.generation), now)
        answers.append(f"{tape} to {target}: released ({held.reason}), queued")
    if not about:
        nothing = f"{tape} is not held; see: copyagent explain {tape}"
        raise RequestFailed("; ".join(refused) or nothing)
    record.note(now.wall_ns, f"released by {user}: {because}")
    action = "release --overwrite-target" if overwrite_target else "release"
    objects, old = f"{tape} to {', '.join(about)}", ", ".join(before)
    record_action(book, user, action, objects, because, old=old, new="queued")
    return answers + refused


def _instead_of_release(record: TapeRecord, target: str, held: states.Held) -> str:
    """Say what lets a copy go on for which a mere release is not the word."""
    tape = record.tape
    if held.reason in _AT_TARGET and held.stamp is not None:
        return (
            f"{tape} to {target} is held ({held.reason}): {held.detail}. To have that file "
            f"replaced: copyagent release {tape} --overwrite-target --because TEXT"
        )
    return f"{tape} to {target} is held ({held.reason}): {held.detail}. {_mending(held, tape)}"


def _mending(held: states.Held, tape: TapeId) -> str:
    if held.reason is HoldReason.LABEL_ELSEWHERE and held.place:
        return f"To have it moved: copyagent relocate {tape} --because TEXT"
    return f"Mend that, then: copyagent retry {tape}"


def known(book: Book, tape: TapeId) -> TapeRecord:
    """Return the record of *tape*, as one to be saved; raise `NameUnknown` if there is none."""
    known_pool(book, tape.pool_id)
    record = book.records.get(tape)
    if record is None:
        pool = tape.pool_id
        meant = near(tape.label, book.records.labels(str(pool)), numbered=True)
        advice = f"did you mean {pool}/{meant}?" if meant else f"see: copyagent tapes --pool {pool}"
        raise NameUnknown(f"no tape {tape} is known; {advice}")
    book.dirty.add(tape)
    return record


def known_pool(book: Book, pool: PoolId) -> None:
    """Raise `NameUnknown` unless *pool* is watched."""
    if not book.watches(pool):
        names = sorted(map(str, book.pools))
        raise NameUnknown(
            f"pool {pool} is not under autocopy: in the settings (there are: {listed(names)})"
            f"{hint(str(pool), names)}"
        )


def known_target(book: Book, target: str) -> None:
    """Raise `NameUnknown` unless the settings name *target*."""
    names = sorted(book.settings.targets)
    if target not in names:
        raise NameUnknown(
            f"there is no target {target!r} in the settings (there are: {listed(names)})"
            f"{hint(target, names)}"
        )


def refuse_if_all_hopeless(record: TapeRecord) -> None:
    """Raise `RequestFailed` before anything is done if it cannot help at any target."""
    reasons = [hopeless(record, target) for target in record.copies]
    if reasons and all(reasons):
        raise RequestFailed("; ".join(reasons))


def hopeless(record: TapeRecord, target: str) -> str:
    """Say why asking again cannot help, with the command that can; empty if it can."""
    state = record.copies[target].state
    if isinstance(state, states.Unmonitored):
        return f"{record.tape} is not copied to {target} any more: see autocopy: in the settings"
    if isinstance(state, states.Kept):
        return f"{record.tape} was {state.how} here; the copy at {target} is kept"
    if (kept_back := record.copies[target].hold) is not None:
        return (
            f"{record.tape} to {target} is kept back by {kept_back.words}; to let it go: "
            f"copyagent release {record.tape} --because TEXT"
        )
    if isinstance(state, states.Held) and not _mended_elsewhere(state):
        overwrite = "--overwrite-target " if state.reason in _AT_TARGET else ""
        return (
            f"{record.tape} is held ({state.reason}); look at: copyagent explain {record.tape}, "
            f"then: copyagent release {record.tape} {overwrite}--because TEXT"
        )
    return ""


def _mended_elsewhere(held: states.Held) -> bool:
    """Tell whether a hold is for something that has to be mended, not allowed."""
    in_the_way = held.reason is HoldReason.TARGET_UNKNOWN and held.stamp is None
    return in_the_way or held.reason in _LOOKED_AT_AGAIN


@dataclass(slots=True)
class Deed:
    """What one command does to copies: their states before and after, for its one record."""

    book: Book
    _old: list[str] = field(default_factory=list)
    _new: list[str] = field(default_factory=list)
    _copies: list[tuple[TapeId, str]] = field(default_factory=list)

    @contextmanager
    def upon(self, record: TapeRecord, target: str) -> Iterator[None]:
        """Do something to one copy; if it is done, it belongs to the deed."""
        before = state_in_words(record, target)
        yield
        self._old.append(before)
        self._new.append(state_in_words(record, target))
        self._copies.append((record.tape, target))

    def put_on_record(self, user: str, action: str, where: str, because: str) -> None:
        """Write the record, unless nothing was done; *where* names what more than one tape was of."""
        if not self._copies:
            return
        tapes = {tape for tape, _ in self._copies}
        if len(tapes) == 1:
            targets = dict.fromkeys(target for _, target in self._copies)
            about = f"{self._copies[0][0]} to {', '.join(targets)}"
        else:
            about = f"{where}, {format_count(len(self._copies), 'copy', 'copies')} of {len(tapes)} tapes"
        old, new = counted(self._old), counted(self._new)
        record_action(self.book, user, action, about, because, old=old, new=new)


def state_in_words(record: TapeRecord, target: str) -> str:
    """Name the state of a copy, with its reason where it has one."""
    state = record.copies[target].state
    reason = state.reason if isinstance(state, states.Held | states.Waiting) else ""
    return f"{state.kind} ({reason})" if reason else state.kind


def counted(words: Sequence[str]) -> str:
    """Return *words*, how often each: ``failed`` for one, ``3 failed, 1 held (conflict)`` for more."""
    if len(words) == 1:
        return words[0]
    return ", ".join(f"{count} {word}" for word, count in Counter(words).items())


def record_action(
    book: Book,
    user: str,
    action: str,
    about: str,
    because: str,
    *,
    old: str = "",
    new: str = "",
) -> None:
    """Put what *user* did, to what and why, on record: one event, and one entry of the history.

    Call it once for a command, however many copies it is about; *old* and *new* tell how that stood
    before and stands now, where that can be said. The entry is made with the rest of the batch
    (`core.evidence`), and the event in the log carries its number.
    """
    because = because or NO_REASON
    book.say(
        messages.OPERATOR_ACTION,
        user=user,
        action=action,
        object=about,
        because=because,
        old=old,
        new=new,
        mark="",
    )
