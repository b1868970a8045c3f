"""An operator, or a host, asks for copies that nobody's writing asks for: which, and what that sends.

What was asked for on purpose does not rest (`hold_down`), but it waits for windows and pauses as
everything does, and the answer says so.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from copyagent.core import tape as states
from copyagent.core.book import Book
from copyagent.core.changes import changed_since
from copyagent.core.operator import (
    Deed,
    hopeless,
    known,
    known_pool,
    known_target,
    refuse_if_all_hopeless,
)
from copyagent.core.records import CopyRecord, TapeRecord
from copyagent.core.shelf import Shape
from copyagent.core.time import Moment
from vtsfs.contract.naming import PoolId, TapeId
from vtsfs.contract.units import format_count, format_size

#: What somebody may start who can do nothing else: neither held nor on its way.
_AT_REST = (states.Clean, states.Unsynced, states.Failed, states.Copied)

#: Most copies that are named one by one in an answer.
MOST_NAMED = 1000


class Which(StrEnum):
    """Which copies are asked for.

    PLAIN: of a tape, whatever can be asked for; of a pool, what was never copied, or given up.
    MISSING: what has no copy there on record. STALE: what has an older generation there, or was given
    up. ALL: also what counts as copied; it is compared again.
    """

    PLAIN = ""
    MISSING = "missing"
    STALE = "stale"
    ALL = "all"


@dataclass(frozen=True, slots=True)
class SyncWanted:
    """What is asked for: *which* copies of a tape or a pool, at *targets* alone (None: at all).

    *cautiously*: whoever asks may be an impostor; what is in use, held, or on its way already is left
    as it is. *dry_run*: tell only.
    """

    where: TapeId | PoolId
    which: Which = Which.PLAIN
    targets: frozenset[str] | None = None
    cautiously: bool = False
    dry_run: bool = False
    because: str = ""


def sync(book: Book, wanted: SyncWanted, user: str, now: Moment) -> list[str]:
    """Queue what is *wanted*; the same bytes are not sent twice. Return a sentence for each copy.

    Raises `NameUnknown` for what is not known here, `RequestFailed` for what it cannot help.
    """
    _check_targets(book, wanted.targets)
    lines, count, size, deed = [], 0, 0, Deed(book)
    for record, target, copy in list(_chosen(book, wanted)):
        about = f"{record.tape} to {target}"
        count += 1
        if wanted.dry_run:
            most = most_sent(record, copy)
            size += most
            lines.append(f"{about}: would be queued, at most {format_size(most)}")
            continue
        record.note(now.wall_ns, f"{user} asked for a copy to {target}")
        book.dirty.add(record.tape)
        with deed.upon(record, target):
            book.apply(record, target, states.RetryAsked(record.generation), now)
        closed = book.closed(record.tape, target, now)
        lines.append(f"{about}: queued" + (f"; waits ({closed.words})" if closed else ""))
    left = _left_alone(book, wanted)
    if not count:
        return [f"{wanted.where}: nothing to copy", *left]
    if len(lines) > MOST_NAMED:
        lines[MOST_NAMED:] = [f"... and {count - MOST_NAMED} more"]
    if wanted.dry_run:
        whole = f"{format_count(count, 'copy', 'copies')} would be queued, at most {format_size(size)} in all"
        return [*lines, whole, *left]
    which = f"sync --{wanted.which}" if wanted.which else "sync"
    deed.put_on_record(user, which, str(wanted.where), wanted.because)
    return lines + left


def _left_alone(book: Book, wanted: SyncWanted) -> list[str]:
    """Say how many copies of a pool only a word about each tape lets go; a host is told nothing of it."""
    if isinstance(wanted.where, TapeId) or wanted.cautiously:
        return []
    count = sum(
        copy.hold is not None or isinstance(copy.state, states.Held | states.Cancelled)
        for record in book.active()
        for target, copy in record.copies.items()
        if record.tape.pool_id == wanted.where
        and (wanted.targets is None or target in wanted.targets)
    )
    listed = f"copyagent tapes --pool {wanted.where} --state held --state cancelled"
    return [f"{count} held or cancelled copies are left alone: {listed}"] if count else []


def most_sent(record: TapeRecord, copy: CopyRecord) -> int:
    """Return how many bytes a copy will send at most, by what is known of the tape's changes."""
    if record.identity is None:
        return 0
    size, base = record.identity.size, copy.base
    if base is None:
        return size
    if base.source.same_bytes(record.identity):
        return 0
    changed = changed_since(record.changes, base.generation, base.source, record.identity)
    return size if changed is None else min(size, sum(end - start for start, end in changed))


def _chosen(book: Book, wanted: SyncWanted) -> Iterator[tuple[TapeRecord, str, CopyRecord]]:
    for record in _records(book, wanted):
        if record.identity is None or record.identity.size == 0:
            continue
        for target, copy in record.copies.items():
            if wanted.targets is not None and target not in wanted.targets:
                continue
            at_rest = isinstance(copy.state, _AT_REST) and copy.hold is None
            if wanted.cautiously and (record.unsettled or not at_rest):
                continue
            if _is_wanted(record, target, copy, wanted):
                yield record, target, copy


def _records(book: Book, wanted: SyncWanted) -> list[TapeRecord]:
    where = wanted.where
    if isinstance(where, TapeId):
        record = known(book, where)
        refuse_if_all_hopeless(record)
        return [record]
    known_pool(book, where)
    # Of the tapes at rest none is stale: each has what there is, or was never copied.
    return book.chosen(where, _any_shape if wanted.which is Which.ALL else _may_lack)


def _is_wanted(record: TapeRecord, target: str, copy: CopyRecord, wanted: SyncWanted) -> bool:
    state, base = copy.state, copy.base
    if wanted.which is Which.PLAIN and isinstance(wanted.where, TapeId):
        return not hopeless(record, target) and not isinstance(state, states.Copying)
    if not isinstance(state, _AT_REST) or copy.hold is not None:
        return False
    failed = isinstance(state, states.Failed)
    match wanted.which:
        case Which.PLAIN:
            return failed or isinstance(state, states.Unsynced) or (base is None and _clean(state))
        case Which.MISSING:
            return base is None
        case Which.STALE:
            return failed or (base is not None and base.generation != record.generation)
        case Which.ALL:
            return True


def _clean(state: states.State) -> bool:
    return isinstance(state, states.Clean)


def _any_shape(_: Shape) -> bool:
    return True


def _may_lack(shape: Shape) -> bool:
    """Tell whether tapes at rest of *shape* may be without a copy."""
    return any(not copy.based for copy in shape.copies) or not shape.protected


def _check_targets(book: Book, targets: frozenset[str] | None) -> None:
    for target in targets or ():
        known_target(book, target)
