"""What an operator may ask of a tape's copies, and what becomes of it.

Each question is answered with one sentence per tape; nothing is ever copied over a hold without the
`release` that names a reason.
"""

from copyagent.core import tape as states
from copyagent.core.book import Book
from copyagent.core.copying import HoldReason
from copyagent.core.records import TapeRecord
from copyagent.core.time import Moment
from vtsfs.contract import messages
from vtsfs.contract.errors import RequestFailed
from vtsfs.contract.naming import PoolId, TapeId

#: What somebody may start who can do nothing else: neither held nor on its way.
_AT_REST = (states.Clean, states.Unsynced, states.Failed, states.Copied)

_RELEASED_AT_TARGET = (HoldReason.TARGET_CHANGED, HoldReason.TARGET_UNKNOWN)


def retry(book: Book, tape: TapeId, user: str, now: Moment) -> list[str]:
    """Start a new ladder for *tape* at once; raise `RequestFailed` if that cannot help."""
    record = _known(book, tape)
    _refuse_if_all_hopeless(record)
    answers = []
    for target, copy in record.copies.items():
        if hopeless := _hopeless(record, target):
            answers.append(hopeless)
            continue
        if isinstance(copy.state, states.Copied | states.Clean):
            answers.append(f"{tape} to {target}: {copy.state.kind}, nothing to retry")
            continue
        if isinstance(copy.state, states.Copying):
            answers.append(f"{tape} to {target}: is being copied now")
            continue
        book.apply(record, target, states.RetryAsked(record.generation), now)
        answers.append(f"{tape} to {target}: queued")
        _record_action(book, user, "retry", f"{tape} to {target}", "asked for")
    return answers


def retry_failed(book: Book, user: str, now: Moment) -> list[str]:
    """Start a new ladder for every copy that has used up its attempts."""
    answers = []
    for record in list(book.watched()):
        for target, copy in record.copies.items():
            if isinstance(copy.state, states.Failed):
                book.apply(record, target, states.RetryAsked(record.generation), now)
                answers.append(f"{record.tape} to {target}: queued")
    if answers:
        _record_action(book, user, "retry", f"{len(answers)} failed copies", "asked for")
    return answers or ["no copy has failed"]


def sync(
    book: Book,
    where: TapeId | PoolId,
    user: str,
    now: Moment,
    *,
    targets: frozenset[str] | None = None,
    cautiously: bool = False,
) -> list[str]:
    """Copy what has no copy: one tape, or every tape of a pool; the same bytes are not sent twice.

    *targets*: to these alone. *cautiously*: whoever asks may be an impostor; what is in use, held, or
    on its way already is left as it is.
    """
    if isinstance(where, TapeId):
        records = [_known(book, where)]
        _refuse_if_all_hopeless(records[0])
    else:
        if not book.watches(where):
            raise RequestFailed(f"pool {where} is not under autocopy: in the settings")
        records = [r for r in book.watched() if r.tape.pool_id == where]
    answers = []
    for record in records:
        for target, copy in record.copies.items():
            wanted = isinstance(copy.state, states.Unsynced | states.Failed) or (
                isinstance(copy.state, states.Clean) and copy.base is None
            )
            if isinstance(where, TapeId):
                hopeless = _hopeless(record, target)
                wanted = not hopeless and not isinstance(copy.state, states.Copying)
            if (targets is not None and target not in targets) or (
                cautiously and (record.unsettled or not isinstance(copy.state, _AT_REST))
            ):
                continue
            if wanted and record.identity is not None and record.identity.size > 0:
                record.note(now.wall_ns, f"{user} asked for a copy to {target}")
                book.dirty.add(record.tape)
                book.apply(record, target, states.RetryAsked(record.generation), now)
                answers.append(f"{record.tape} to {target}: queued")
    if answers:
        _record_action(book, user, "sync", str(where), f"{len(answers)} queued")
    return answers or [f"{where}: nothing to copy"]


def release(book: Book, tape: TapeId, because: str, user: str, now: Moment) -> list[str]:
    """Let held copies of *tape* go on, on the operator's responsibility.

    For a foreign file at the target the permission is for that file as it was seen: if it has
    changed again since, it is held again.
    """
    record = _known(book, tape)
    answers = []
    for target, copy in record.copies.items():
        held = copy.state
        if not isinstance(held, states.Held):
            continue
        if held.reason in _RELEASED_AT_TARGET:
            copy.override = held.stamp
        book.apply(record, target, states.RetryAsked(record.generation), now)
        record.note(now.wall_ns, f"released by {user}: {because}")
        _record_action(book, user, f"release ({held.reason})", f"{tape} to {target}", because)
        answers.append(f"{tape} to {target}: released ({held.reason}), queued")
    if not answers:
        raise RequestFailed(f"{tape} is not held; see: copyagent explain {tape}")
    return answers


def _known(book: Book, tape: TapeId) -> TapeRecord:
    if not book.watches(tape.pool_id):
        raise RequestFailed(f"pool {tape.pool_id} is not under autocopy: in the settings")
    record = book.records.get(tape)
    if record is None:
        raise RequestFailed(f"no tape {tape} is known; check the name, see: copyagent status")
    book.dirty.add(tape)
    return record


def _refuse_if_all_hopeless(record: TapeRecord) -> None:
    """Raise `RequestFailed` before anything is done if it cannot help at any target."""
    hopeless = [_hopeless(record, target) for target in record.copies]
    if hopeless and all(hopeless):
        raise RequestFailed("; ".join(hopeless))


def _hopeless(record: TapeRecord, target: str) -> str:
    """Say why asking again cannot help, with the command that can; empty if it can."""
    state = record.copies[target].state
    if isinstance(state, states.Unmonitored):
        return f"{record.tape} is not copied to {target} any more: see autocopy: in the settings"
    if isinstance(state, states.Kept):
        return f"{record.tape} was {state.how} here; the copy at {target} is kept"
    if isinstance(state, states.Held) and not _mended_elsewhere(state):
        return (
            f"{record.tape} is held ({state.reason}); look at: copyagent explain {record.tape}, "
            f"then: copyagent release {record.tape} --because TEXT"
        )
    return ""


def _mended_elsewhere(held: states.Held) -> bool:
    """Tell whether a hold is for something that has to be mended, not allowed."""
    in_the_way = held.reason is HoldReason.TARGET_UNKNOWN and held.stamp is None
    return in_the_way or held.reason is HoldReason.SOURCE_UNFIT


def _record_action(book: Book, user: str, action: str, about: str, because: str) -> None:
    book.say(messages.OPERATOR_ACTION, user=user, action=action, object=about, because=because)
