"""What the overlay and the sweep saw, entered into a tape's record.

Every signal after which the bytes may differ starts a new generation, whatever verdict it later
gets: a held session's changes must not vanish from the next copy (DESIGN section 3). Entering is
idempotent as far as identities tell: the same bytes seen twice are one generation.
"""

from dataclasses import replace

from copyagent.core import tape as states
from copyagent.core.book import Book
from copyagent.core.changes import Change, entered
from copyagent.core.companions import note_companions, send_companions
from copyagent.core.copying import HoldReason
from copyagent.core.events import TapesFound, VaultSwept
from copyagent.core.records import CopyRecord, TapeRecord
from copyagent.core.shelf import has_file
from copyagent.core.time import Moment
from copyagent.core.witness import Evidence, Overlay, Session, overlay_says
from vtsfs.contract.naming import PoolId, TapeId
from vtsfs.contract.signals import Access, Identity, Kind, Signal

#: Most sessions that are kept unjudged; those that can decide a verdict outlast the others.
MOST_SESSIONS = 32

_NS = 1_000_000_000

_UNCHANGED = frozenset({Overlay.NOTHING, Overlay.UNWRITTEN})

#: Causes of changes in which the tape's own bytes did not change.
_COMPANION_WRITTEN = "companion"
_COMPANION_CAUSES = frozenset({_COMPANION_WRITTEN, "companion-interrupted"})

#: Most causes of changes that are kept unjudged.
MOST_CHANGES = 8


def enter_signal(
    book: Book, record: TapeRecord, signal: Signal, now: Moment, *, awaited: bool = False
) -> None:
    """Enter a signal about the tape of *record*; *awaited*: a host has, or had, its volume."""
    if signal.access is Access.WRITE:
        # A reader says nothing that a sweep could be wrong about.
        book.touched[record.tape] = now.mono
    match signal.kind:
        case Kind.MOUNTED:
            _mounted(book, record, signal, now)
        case Kind.DISMOUNTED | Kind.INTERRUPTED:
            _ended(book, record, signal, now, awaited=awaited)
        case Kind.CHANGED:
            if _is_of_companions(signal, record):
                note_companions(book, record, signal, now)
                if signal.cause == _COMPANION_WRITTEN:
                    # One that was cut off may be half of itself: that replaces no whole one.
                    send_companions(book, record, now)
            else:
                cause = signal.cause or "changed"
                changed(book, record, signal.identity, cause, now, wrote=signal.wrote, said=signal)
        case Kind.MOVED:
            whence = signal.origin or "elsewhere"
            changed(book, record, signal.identity, f"moved from {whence}", now)
        case Kind.REMOVED:
            removed(book, record, now)
        case Kind.RECEIVED:
            # The peer's file is in the place of whatever was seen, or ordered, before.
            record.evidence = Evidence(received=True)
            record.unconfirmed = ()
            _renew(book, record, signal.identity, now)
            _quiet(record, now)
    book.settle_age(record, now)


def _is_of_companions(signal: Signal, record: TapeRecord) -> bool:
    """Tell whether a change is of companions alone."""
    known = signal.identity is not None and signal.identity.same_bytes(record.identity)
    return known and signal.cause in _COMPANION_CAUSES


def leave_pool(book: Book, pool: str) -> None:
    """Forget the open sessions of *pool*, which has another name now: they end under that one."""
    for record in book.active():
        if record.open and str(record.tape.pool_id) == pool:
            record.open.clear()
            book.dirty.add(record.tape)


def _mounted(book: Book, record: TapeRecord, signal: Signal, now: Moment) -> None:
    if signal.access is Access.WRITE:
        _end_former(record, signal, now)
    record.open[signal.session] = Session(
        signal.session, signal.access, signal.wall_ns, opened=signal.opened or signal.identity
    )
    if signal.access is Access.WRITE:
        record.warned_open = False
        book.apply_all(record, states.WriterCame(), now)
        record.note(now.wall_ns, "opened for writing")


def _end_former(record: TapeRecord, signal: Signal, now: Moment) -> None:
    """The overlay has one write session per file: the end of an earlier one was lost.

    If the overlay was cut off with it, what the new session found is how it ended.
    """
    for name, session in list(record.open.items()):
        if session.access is Access.READ or is_other_file(session.opened, signal.identity):
            continue
        del record.open[name]
        if session.interrupted:
            found = signal.opened or signal.identity
            _add(record, replace(session, closed_ns=now.wall_ns, identity=found), now)


def _ended(book: Book, record: TapeRecord, signal: Signal, now: Moment, *, awaited: bool) -> None:
    known = record.open.pop(signal.session, None)
    interrupted = signal.kind is Kind.INTERRUPTED
    session = Session(
        session=signal.session,
        access=signal.access,
        opened_ns=known.opened_ns if known else signal.wall_ns,
        opened=signal.opened,
        closed_ns=signal.wall_ns - signal.quiet_ns,
        identity=signal.identity,
        wrote=signal.wrote,
        bytes_written=signal.bytes_written,
        interrupted=interrupted,
    )
    if signal.access is Access.READ:
        if not record.writers and record.protected and not awaited:
            return  # a scanner, a backup tool: nobody waits for a verdict on it
        _add(record, session, now)
        return
    if signal.identity is None:
        if is_other_file(known.opened if known else signal.opened, record.identity):
            record.note(now.wall_ns, "closed: a file that had this name before")
        else:
            removed(book, record, now)
        return
    word = (
        "interrupted while open" if interrupted else f"closed, {signal.bytes_written} bytes written"
    )
    if signal.wrote and not (signal.synced or interrupted):
        word += ", could not be made durable"
    record.note(now.wall_ns, word)
    if signal.wrote:
        # Whatever was judged without the host is history: this session's verdict counts now.
        record.unconfirmed = ()
    note_companions(book, record, signal, now)
    # Who wrote may have set the time back: what is written is a generation, whatever stat says.
    if signal.wrote or not signal.identity.same_bytes(record.identity):
        if not signal.wrote and not interrupted and signal.identity.size > 0:
            _found_other(book, record, now)
        _renew(book, record, signal.identity, now, said=signal)
    record.identity = signal.identity
    _add(record, session, now, waited=signal.quiet_ns / _NS)


def _found_other(book: Book, record: TapeRecord, now: Moment) -> None:
    """A session that changed nothing found another tape than the one on record, or one unknown."""
    if record.generation or str(record.tape.pool_id) in book.baselines:
        _note_change(record, "changed unseen before it was mounted")
        return
    for copy in record.copies.values():
        if isinstance(copy.state, states.Clean):
            copy.state = states.Unsynced()
    record.note(now.wall_ns, "was there before AutoCopy")


def is_other_file(mine: Identity | None, known: Identity | None) -> bool:
    """Tell whether two identities are surely of two files; None may be of any."""
    if mine is None or known is None:
        return False
    return (mine.dev, mine.ino) != (known.dev, known.ino)


def changed(
    book: Book,
    record: TapeRecord,
    identity: Identity | None,
    cause: str,
    now: Moment,
    *,
    wrote: bool = False,
    said: Signal | None = None,
) -> None:
    """Enter that the tape has other bytes, without a session; surely so if somebody *wrote*.

    *said* is the signal that may know which.
    """
    if wrote or identity is None or not identity.same_bytes(record.identity):
        _renew(book, record, identity, now, said=said)
    record.identity = identity
    _note_change(record, cause)
    record.note(now.wall_ns, cause)
    _quiet(record, now)
    book.dirty.add(record.tape)


def removed(book: Book, record: TapeRecord, now: Moment) -> None:
    """Enter that the tape's name is gone; its copies are kept, and without copies it is forgotten."""
    if record.writers:
        return  # unlinked while open: the end of the session will say so again
    record.identity = None
    record.evidence = Evidence()
    record.unconfirmed = ()
    if all(_forgettable(copy) for copy in record.copies.values()):
        for target in record.copies:
            book.apply(record, target, states.Vanished("deleted"), now)
        book.drop(record.tape)
        return
    record.note(now.wall_ns, "deleted")
    book.apply_all(record, states.Vanished("deleted"), now)


def _forgettable(copy: CopyRecord) -> bool:
    """Tell whether nothing of a tape's copy matters any more when the tape is gone."""
    return copy.base is None and copy.intent is None and copy.hold is None


def enter_found(book: Book, sweep: TapesFound | VaultSwept, now: Moment) -> list[TapeRecord]:
    """Compare what *sweep* found with the records; return those that changed.

    In a pool that is seen for the first time, tapes nobody knows were there before and wait for the
    operator's `sync`. Otherwise an unknown tape came while nobody looked. A record that a witness
    has touched since the sweep began knows better than the sweep.
    """
    affected: list[TapeRecord] = []
    started = sweep.started
    for tape, identity in sweep.found.items():
        if not book.watches(tape.pool_id) or book.touched.get(tape, -1.0) >= started:
            continue
        resting = book.records.of(tape)
        if resting is not None and identity.same_bytes(resting.identity):
            continue
        record = book.records.get(tape)
        if record is None and str(tape.pool_id) not in book.baselines:
            _unsynced(book, book.record(tape), identity, now)
        elif record is None:
            record = book.record(tape)
            changed(book, record, identity, "found by the sweep", now)
            affected.append(record)
        elif not record.writers and not identity.same_bytes(record.identity):
            if record.identity is None and not record.evidence.empty:
                continue
            changed(book, book.record(tape), identity, "found changed by the sweep", now)
            affected.append(record)
    for tape, what in sweep.unfit.items():
        if book.watches(tape.pool_id) and book.touched.get(tape, -1.0) < started:
            _unfit(book, book.record(tape), what, now)
    return affected


def enter_sweep(book: Book, sweep: VaultSwept, now: Moment) -> tuple[list[TapeRecord], int]:
    """Enter all that *sweep* found; return whose tapes changed, and how many are gone."""
    return enter_found(book, sweep, now), enter_gone(book, sweep, now)


def enter_gone(book: Book, sweep: VaultSwept, now: Moment) -> int:
    """Enter that what *sweep* did not see is gone; return how many. All pools it read are known now."""
    read = {PoolId.parse(p) for p in book.pools_of(sweep.vault)}
    read = {pool for pool in read if sweep.has_read(pool.pool)}
    book.baselines.update(map(str, read))
    names = [
        record.tape
        for record in book.active()
        if record.tape.pool_id in read and (record.identity is not None or _was_unfit(record))
    ]
    for pool in read:
        seen = sweep.same.get(pool.pool, frozenset())
        files = book.records.files(pool)
        missed = (label for label, packed in files.items() if has_file(packed))
        names += [TapeId(pool.vault, pool.pool, label) for label in missed if label not in seen]
    gone = [t for t in names if not sweep.has(t) and book.touched.get(t, -1.0) < sweep.started]
    for tape in sorted(gone):
        record = book.records[tape]
        book.dirty.add(tape)
        record.open.clear()
        removed(book, record, now)
    # What was touched before this sweep began, no later one can be older than.
    for tape in [
        t for t, at in book.touched.items() if t.vault == sweep.vault and at < sweep.started
    ]:
        del book.touched[tape]
    return len(gone)


def end_readers(book: Book, vault: str) -> None:
    """Forget the readers of *vault*: an overlay that was cut off does not tell of their end."""
    for record in book.active():
        readers = [name for name, s in record.open.items() if s.access is Access.READ]
        if record.tape.vault == vault and readers:
            book.dirty.add(record.tape)
            for name in readers:
                del record.open[name]


def lose_sessions(book: Book, vault: str) -> None:
    """Mark the open sessions of *vault*: the outbox may have forgotten how they ended.

    The mark is the session's `interrupted`; it lies in the record, so that a crash before the sweep
    does not leave the tape open for ever.
    """
    for record in book.active():
        if record.tape.vault == vault and record.open:
            book.dirty.add(record.tape)
            for name, session in record.open.items():
                record.open[name] = replace(session, interrupted=True)


def close_lost_sessions(
    book: Book, sweep: TapesFound | VaultSwept, now: Moment
) -> list[TapeRecord]:
    """End the sessions that `lose_sessions` marked; return the tapes they were of.

    A part of a sweep ends those of the tapes in it. Sessions that were lost after their tape was told
    of wait for the next sweep, which was asked for when they were lost. Each counts as interrupted, with the identity that the sweep found.
    """
    affected = []
    for record in sorted(book.active(), key=lambda r: str(r.tape)):
        lost = [name for name, session in record.open.items() if session.interrupted]
        tape = record.tape
        if tape.vault != sweep.vault or not lost:
            continue
        newer = book.touched.get(tape, -1.0) >= sweep.started
        if not sweep.tells(tape) and not newer:
            continue
        ended = [record.open.pop(name) for name in lost]
        book.dirty.add(tape)
        identity = record.identity if newer else sweep.found.get(tape)
        if identity is None:
            removed(book, record, now)
            continue
        found_changed = not identity.same_bytes(record.identity)
        if found_changed:
            _renew(book, record, identity, now)
        over = tuple(
            replace(session, closed_ns=now.wall_ns, identity=identity)
            for session in ended
            if session.access is Access.WRITE
        )
        # They are older than anything that the new outbox has told.
        record.evidence = replace(record.evidence, sessions=over + record.evidence.sessions)
        if found_changed and overlay_says(record.evidence, writers=False) in _UNCHANGED:
            _note_change(record, "found changed by the sweep")
        _quiet(record, now)
        book.touched[tape] = now.mono
        affected.append(record)
    return affected


def _was_unfit(record: TapeRecord) -> bool:
    return any(
        isinstance(copy.state, states.Held) and copy.state.reason is HoldReason.SOURCE_UNFIT
        for copy in record.copies.values()
    )


def _unfit(book: Book, record: TapeRecord, what: str, now: Moment) -> None:
    """What has a tape's name and is no plain file cannot be protected: say so once, and keep it."""
    record.identity = None
    for target, copy in record.copies.items():
        held = copy.state
        if not (isinstance(held, states.Held) and held.reason is HoldReason.SOURCE_UNFIT):
            unfit = states.HoldDecided(record.generation, HoldReason.SOURCE_UNFIT, what)
            book.apply(record, target, unfit, now)


def _renew(
    book: Book,
    record: TapeRecord,
    identity: Identity | None,
    now: Moment,
    *,
    said: Signal | None = None,
) -> None:
    """Begin a new generation: an order that is under way is for bytes that are no more.

    *said* is the signal that tells of it, if one does; which bytes changed is not known otherwise.
    """
    record.generation += 1
    record.identity = identity
    record.changes = entered(record.changes, _change(record.generation, said))
    record.forget_changes()
    book.apply_all(record, states.WriterCame(), now)


def _change(generation: int, said: Signal | None) -> Change:
    """Return what *said* knows of the bytes that changed.

    A session that was cut off knows nothing: a write may have been on its way. Nor does one that
    could not be made durable: what the disk did not take may be as it was before. What was moved
    or received has other bytes altogether.
    """
    if said is None or said.kind not in (Kind.DISMOUNTED, Kind.CHANGED):
        return Change(generation)
    if said.kind is Kind.DISMOUNTED and said.wrote and not said.synced:
        return Change(generation)
    return Change(generation, said.opened, said.identity, said.extents)


def _unsynced(book: Book, record: TapeRecord, identity: Identity, now: Moment) -> None:
    record.identity = identity
    record.generation = 1
    empty = identity.size == 0
    for copy in record.copies.values():
        copy.state = states.Kept("erased", now.wall_ns) if empty else states.Unsynced()
        copy.since_ns = now.wall_ns
    record.note(now.wall_ns, "was there before AutoCopy")
    book.settle_age(record, now)


def _add(record: TapeRecord, session: Session, now: Moment, *, waited: float = 0.0) -> None:
    beside = session.access is Access.READ and not record.evidence.empty
    sessions = (*record.evidence.sessions, session)
    if len(sessions) > MOST_SESSIONS:
        idle = [s for s in sessions if not (s.wrote or s.interrupted)]
        least = idle[0] if idle else sessions[0]
        sessions = tuple(s for s in sessions if s is not least)
    record.evidence = replace(record.evidence, sessions=sessions)
    if not beside:
        # Readers come as they like; they must not put off the verdict on what was written.
        _quiet(record, now, waited=waited)


def _note_change(record: TapeRecord, cause: str) -> None:
    changes = (*record.evidence.changes, cause)[-MOST_CHANGES:]
    record.evidence = replace(record.evidence, changes=changes)


def _quiet(record: TapeRecord, now: Moment, *, waited: float = 0.0) -> None:
    began = record.evidence.began or now.mono
    evidence = replace(record.evidence, began=began, quiet_since=now.mono, waited=waited)
    record.evidence = evidence
