"""What a run that was cut off left behind, told as signals of the next."""

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Access, Identity, Kind, Signal
from vtsfs.outbox.database import Mark
from vtsfs.overlay.reports import Reporter, SessionFacts
from vtsfs.overlay.store import identity_of


def interrupted(marks: Sequence[Mark], reporter: Reporter, backing: Path) -> list[Signal]:
    """Turn open-for-write marks into *interrupted* signals; looks at the tapes, so it may block.

    Which bytes were written is lost with the process: the extents are unknown. Whether any were is
    judged by the identity.
    """
    signals = []
    for mark in marks:
        identity = _look_at(backing / mark.pool / mark.label)
        changed = mark.opened is None or not mark.opened.same_bytes(identity)
        facts = SessionFacts(mark.session, Access.WRITE, mark.opened, wrote=changed, extents=None)
        tape = TapeId(reporter.vault, mark.pool, mark.label)
        signals.append(reporter.of_session(Kind.INTERRUPTED, tape, facts, identity, "crash"))
    return signals


def _look_at(path: Path) -> Identity | None:
    try:
        found = os.stat(path, follow_symlinks=False)
    except OSError:
        return None
    return identity_of(found) if stat.S_ISREG(found.st_mode) else None
