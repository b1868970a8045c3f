"""Somebody sets the clock: what is to be compared with times to come goes along.

Mounts and sessions are remembered by the wall clock, because the overlay's signals carry it and
because it outlives the agent. When it jumps against the monotonic one, a mount would seem to have
begun tomorrow, or a day ago; so all times of what is not judged to its end jump, too. Times that
are on record only (notes, publications) stay as the clock was then.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from copyagent.core.book import Book
from copyagent.core.host_mount import HostMount
from copyagent.core.records import Judgement, TapeRecord
from copyagent.core.time import Moment
from copyagent.core.witness import Session
from vtsfs.contract.naming import TapeId

#: A clock that is put right in smaller pieces (adjtime) is followed, and nothing else is done.
LEAST_S = 2.0

_NS = 1_000_000_000


@dataclass(slots=True)
class ClockWatch:
    """Watches the wall clock against the monotonic one."""

    _offset_ns: int | None = None

    def step_ns(self, now: Moment) -> int:
        """Return by how much the wall clock was set since the last call, 0 for not at all."""
        offset_ns = now.wall_ns - round(now.mono * _NS)
        before_ns, self._offset_ns = self._offset_ns, offset_ns
        step_ns = offset_ns - before_ns if before_ns is not None else 0
        return step_ns if abs(step_ns) >= LEAST_S * _NS else 0


def set_clock(book: Book, step_ns: int) -> None:
    """Let all times in *book* that are still compared with others go along with the clock."""
    mounts = book.mounts
    mounts.requested_ns = _moved_values(mounts.requested_ns, step_ns)
    mounts.elsewhere = _moved_values(mounts.elsewhere, step_ns)
    mounts.since_ns = _moved_values(mounts.since_ns, step_ns)
    mounts.mounts = {key: _mount(mount, step_ns) for key, mount in mounts.mounts.items()}
    mounts.met = {key: _mount(mount, step_ns) for key, mount in mounts.met.items()}
    mounts.formers = {
        key: tuple(_mount(mount, step_ns) for mount in formers)
        for key, formers in mounts.formers.items()
    }
    book.mounts_dirty = True
    moved = {about: pause.moved(step_ns) for about, pause in book.pauses.items()}
    book.pauses_dirty = book.pauses_dirty or moved != book.pauses
    book.pauses = moved
    if not book.settings.ems.hosts:
        return  # nobody whose times could be compared with those of a tape
    volumes = {mount.volume for mount in mounts.mounts.values()}

    def is_named(tape: TapeId) -> bool:
        return not volumes.isdisjoint((tape.label.upper(), str(tape)))

    at_rest = [t for t, r in book.records.resting(lambda *_: True) if r.shape.late or is_named(t)]
    for record in [*book.records.active(), *(book.records[tape] for tape in at_rest)]:
        unjudged = record.open or record.unconfirmed or not record.evidence.empty
        if unjudged or is_named(record.tape):
            _move(record, step_ns)
            book.dirty.add(record.tape)


def _move(record: TapeRecord, step_ns: int) -> None:
    evidence = record.evidence
    record.open = {name: _session(session, step_ns) for name, session in record.open.items()}
    record.unconfirmed = tuple(_session(session, step_ns) for session in record.unconfirmed)
    record.evidence = replace(
        evidence,
        sessions=tuple(_session(session, step_ns) for session in evidence.sessions),
        judged_ns=_moved(evidence.judged_ns, step_ns),
    )
    if record.judgement is not None:
        record.judgement = _judgement(record.judgement, step_ns)


def _judgement(judgement: Judgement, step_ns: int) -> Judgement:
    return replace(
        judgement,
        at_ns=_moved(judgement.at_ns, step_ns),
        sessions=tuple(_session(session, step_ns) for session in judgement.sessions),
        mount=_mount(judgement.mount, step_ns) if judgement.mount is not None else None,
    )


def _session(session: Session, step_ns: int) -> Session:
    opened_ns, closed_ns = _moved(session.opened_ns, step_ns), _moved(session.closed_ns, step_ns)
    return replace(session, opened_ns=opened_ns, closed_ns=closed_ns)


def _mount(mount: HostMount, step_ns: int) -> HostMount:
    return replace(
        mount,
        requested_ns=_moved(mount.requested_ns, step_ns),
        mounted_ns=_moved(mount.mounted_ns, step_ns),
        opened_ns=_moved(mount.opened_ns, step_ns),
        dismounted_ns=_moved(mount.dismounted_ns, step_ns),
    )


def _moved_values(times: Mapping[str, int], step_ns: int) -> dict[str, int]:
    return {key: _moved(at_ns, step_ns) for key, at_ns in times.items()}


def _moved(at_ns: int, step_ns: int) -> int:
    """0 stands for never, and stays; no time comes before the epoch."""
    return max(at_ns + step_ns, 1) if at_ns else 0
