"""What a run that was cut off left behind, told as signals of the next."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from vtsfs.contract.naming import TapeId
from vtsfs.contract.notes import CompanionClosed, Entry
from vtsfs.contract.signals import Access, Identity, Kind, Signal
from vtsfs.outbox.database import CompanionMark, Mark, SessionMark
from vtsfs.overlay.moves import Report
from vtsfs.overlay.reports import Reporter, SessionFacts
from vtsfs.overlay.store import identity_of


def interrupted(marks: Sequence[Mark], reporter: Reporter, backing: Path) -> list[Entry]:
    """Turn open-for-write marks into signals; looks at the tapes, so it may block.

    Which bytes were written is lost with the process: the extents are unknown. Whether any were is
    judged by the identity, unless the machine has started anew: of an overwrite in place a power cut
    may leave the bytes, by fdatasync(2), and not the time stamps.
    """
    entries: list[Entry] = []
    for mark in marks:
        if isinstance(mark, SessionMark):
            entries.append(_session(mark, reporter, backing))
        else:
            entries += _companion(mark, reporter, backing)
    return entries


def _session(mark: SessionMark, reporter: Reporter, backing: Path) -> Signal:
    """A session that only settled, and whose tape is as it was left, has ended; others were cut off."""
    identity = _look_at(backing / mark.pool / mark.label)
    tape = TapeId(reporter.vault, mark.pool, mark.label)
    left = mark.closed
    if left is not None and identity is not None and _is_as_left(identity, left.identity):
        facts = SessionFacts(
            mark.session,
            Access.WRITE,
            mark.opened,
            wrote=left.wrote,
            bytes_written=left.bytes_written,
            extents=None,
            synced=True,
        )
        return reporter.of_session(Kind.DISMOUNTED, tape, facts, identity, "crash")
    crashed = mark.boot_id not in {"", reporter.boot_id}
    changed = crashed or mark.opened is None or not mark.opened.same_bytes(identity)
    facts = SessionFacts(mark.session, Access.WRITE, mark.opened, wrote=changed, extents=None)
    return reporter.of_session(Kind.INTERRUPTED, tape, facts, identity, "crash")


def _is_as_left(identity: Identity, left: Identity) -> bool:
    """Also ctime, which nobody can set back; not the device, whose number a reboot may change."""
    return identity.same_bytes(left) and identity.ctime_ns == left.ctime_ns


def _companion(mark: CompanionMark, reporter: Reporter, backing: Path) -> list[Entry]:
    """A companion that was changed and not closed may be half of what it was to be."""
    closed = CompanionClosed(mark.opening)
    tape = TapeId(reporter.vault, mark.pool, mark.label)
    identity = _look_at(backing / mark.pool / mark.label)
    now = _look_at(backing / mark.pool / mark.name)
    unchanged = now is None if mark.opened is None else mark.opened.same_bytes(now)
    if identity is None or unchanged:
        return [closed]
    report = Report(Kind.CHANGED, tape.pool_id, tape, cause="companion-interrupted")
    names = (mark.name,)
    return [
        reporter.of_report(report, identity, (), opened=identity, wrote=False, companions=names),
        closed,
    ]


def _look_at(path: Path) -> Identity | None:
    try:
        found = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    return identity_of(found) if stat.S_ISREG(found.st_mode) else None
