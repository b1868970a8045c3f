"""A site that has been in use for long: very many tapes, each copied twice, some waiting to be.

The records are those of one tape that was mounted with ring and copied twice by the engine itself;
each tape gets them under its own name, with the identity of a file that lies in the vault.
"""

import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import cycle
from pathlib import Path

from copyagent.core.host_events import Printed, VolumeMounted
from copyagent.core.journal import KEPT, Entry, Journal, Report, Reports
from copyagent.core.records import TapeRecord
from copyagent.core.tape import Queued
from copyagent.core.time import Moment
from copyagent.state.store import Changes, Store, open_store
from tests.support.histories import HOST, Overlay, link_up, make_engine
from tests.support.playbook import START, Playbook, copied_once
from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Identity

#: Records that are saved in one transaction.
PIECE = 5_000


def names(tapes: int, pools: int) -> Iterator[TapeId]:
    """Name the tapes, pool by pool."""
    for number in range(tapes):
        yield TapeId("VAULT00", f"POOL{number * pools // tapes}", f"T{number:06}")


def make_files(backing: Path, tapes: int, pools: int) -> dict[TapeId, Identity]:
    """Make a small file of each tape; return what a sweep would see."""
    for pool in range(pools):
        (backing / f"POOL{pool}").mkdir(parents=True, exist_ok=True)
    found = {}
    for tape in names(tapes, pools):
        path = backing / tape.pool / tape.label
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT, 0o640)
        os.write(descriptor, b"a tape")
        seen = os.fstat(descriptor)
        os.close(descriptor)
        found[tape] = Identity(
            seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns
        )
    return found


def lived_in() -> TapeRecord:
    """Return the record of a tape that two host mounts wrote to and that was copied after each."""
    play, overlay = Playbook(make_engine()), Overlay()
    play.hand(overlay.hello())
    play.hand(link_up())
    play.open.clear()
    copied_once(play, overlay)
    play.wait(60)
    copied_once(play, overlay)
    (tape,) = play.engine.book.records
    return play.engine.book.records[tape]


def record_of(tape: TapeId, identity: Identity, pattern: TapeRecord, place: str) -> TapeRecord:
    """Return what *pattern* would be if it were of *tape*."""
    copies = {}
    for target, copy in pattern.copies.items():
        base = copy.base
        if base is not None:
            base = replace(base, source=identity, size=identity.size)
        kept = (replace(base, generation=base.generation - 1, name="kept"),) if base else ()
        copies[target] = replace(copy, base=base, kept=kept, place=place)
    return replace(pattern, tape=tape, identity=identity, copies=copies, notes=list(pattern.notes))


def queue(record: TapeRecord, now: Moment) -> None:
    """Let a newer generation of *record* be due at its targets."""
    record.generation += 1
    record.behind_ns = now.wall_ns
    for copy in record.copies.values():
        copy.state, copy.owed_ns = Queued(record.generation), now.wall_ns


def fill(store: Store, found: dict[TapeId, Identity], queued: int, place: str) -> None:
    """Save a record of every tape *found*; the first *queued* of them are due.

    *place* is where the pools lie at the target, as ``HOST:/VAULT``.
    """
    pattern, changes = lived_in(), Changes()
    for number, (tape, identity) in enumerate(found.items()):
        record = record_of(tape, identity, pattern, f"{place}/{tape.pool}")
        if number < queued:
            queue(record, START)
        changes.put_record(record)
        if len(changes.records) == PIECE:
            store.commit(changes)
            changes = Changes()
    changes.put_heard(_heard(found))
    changes.put_reported(_reported(found))
    changes.put_baselines({str(tape.pool_id) for tape in found})
    store.commit(changes)


def _heard(found: dict[TapeId, Identity]) -> list[Entry]:
    """Return as much of what a host said lately as is kept."""
    journal = Journal()
    for number, tape in zip(range(KEPT), cycle(found)):
        text = f"$ZSVR: {number:04} VOLUME {tape.label} MOUNTED ON $VTAPE0 FOR $Z1AB, NIGHTLY SAVE"
        printed = Printed("$ZSVHR", "TANDEM.TAPE.G06", 603, text, critical=False)
        event = VolumeMounted(
            HOST,
            number,
            tape.label,
            node="\\NODEA",
            printed_at="26-11-22 02:00:00",
            printed=printed,
        )
        journal.add(event, [str(tape)], START)
    return list(journal.entries)


def _reported(found: dict[TapeId, Identity]) -> list[Report]:
    """Return as much of what overlays reported lately as is kept."""
    overlay, reports = Overlay(), Reports()
    overlay.identities.update(found)
    for _, tape in zip(range(KEPT // 2), cycle(found)):
        for seen in (overlay.mounted(tape), overlay.dismounted(tape)):
            reports.add(seen.signal, START)
    return list(reports.entries)


def make_state(path: Path, found: dict[TapeId, Identity], queued: int, place: str) -> None:
    """Make the agent's state at *path*; see `fill`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    store, _ = open_store(path, "never")
    try:
        fill(store, found, queued, place)
    finally:
        store.close()
