"""What operators see: the book as plain data for ``--json`` and for the tables of the CLI.

Keys are stable: they are the schema of ``copyagent status --json`` and ``explain --json``
(version 1). Times are ISO 8601 in UTC, ages in seconds, sizes in bytes.
"""

import heapq
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from copyagent.core import tape as states
from copyagent.core import traffic_report
from copyagent.core.book import Book
from copyagent.core.dates import iso
from copyagent.core.engine import Engine
from copyagent.core.gates import Obstacle
from copyagent.core.host_mount import HostMount
from copyagent.core.host_report import link_document
from copyagent.core.owed import Way
from copyagent.core.records import CopyRecord, Judgement, TapeRecord
from copyagent.core.shown import document, shown
from copyagent.core.shown_states import shown_state
from copyagent.core.time import Moment
from copyagent.core.traffic_report import NO_PROGRESS, Progresses, phase_of
from copyagent.core.witness import Session
from vtsfs.contract.errors import NameUnknown
from vtsfs.contract.naming import PoolId, TapeId
from vtsfs.contract.near_names import hint, near

#: Version of the documents made here.
SCHEMA = 1

#: Copies that need attention are listed up to this number; the rest is counted.
MOST_LISTED = 1000

Document = dict[str, Any]


def status(engine: Engine, progress: Progresses, version: str, now: Moment) -> Document:
    """Return the whole state of the agent, tape by pool, links, targets and running copies."""
    book = engine.book
    return {
        "schema": SCHEMA,
        "system": book.settings.system.name,
        "version": version,
        "at": iso(now.wall_ns),
        "licence": engine.licensing.document(now),
        "pools": _pools(book, progress, now),
        **_attention(book, progress, now),
        "copies": [
            traffic_report.running(tape, target, progress.get((tape, target)), now)
            for tape, target in sorted(book.running)
        ],
        "hosts": [
            link_document(book.settings, name, link, now)
            for name, link in engine.links.state.items()
        ],
        "vaults": [
            {
                "vault": name,
                "attached": feed.up,
                **engine.vaults.cover.document(name),
                "since": iso(feed.since_ns),
                "trouble": feed.trouble,
                "swept": feed.sweeps > 0,
                "unread_pools": [f"/{name}/{pool}" for pool in feed.unread],
                "not_tapes": feed.ignored,
                "not_tapes_examples": list(feed.examples),
                "version": feed.version,
            }
            for name, feed in engine.vaults.feeds.items()
        ],
        "targets": [
            {
                "target": name,
                "up": not health.trouble,
                "trouble": health.trouble or unfit_vaults(health.unfit) or health.remark,
                "since": iso(health.since_ns),
                "running": sum(1 for _, target in book.running if target == name),
                "paused": traffic_report.pause(book.pauses.get(name), now),
                "window": traffic_report.window(book.settings.targets[name].window, now),
            }
            for name, health in engine.targets.health.items()
        ],
    }


def explain(
    engine: Engine, tape: TapeId, now: Moment, progress: Progresses = NO_PROGRESS
) -> Document:
    """Return every witness's evidence about *tape*, the verdict, what was done, and what comes."""
    book = engine.book
    record = book.records.get(tape)
    if record is None or not book.watches(tape.pool_id):
        pools = dict.fromkeys(str(entry.pool) for entry in book.settings.autocopy)
        why = f"its pool is not under autocopy: in the settings{hint(str(tape.pool_id), pools)}"
        if not book.settings.naming.patterns().is_label(tape.label):
            why = "its name is no tape's by naming.label in the settings, so it is never copied"
        elif book.watches(tape.pool_id):
            meant = near(tape.label, book.records.labels(str(tape.pool_id)), numbered=True)
            why = "no witness has seen a tape of that name"
            why += f"; did you mean {tape.pool_id}/{meant}?" if meant else ""
        raise NameUnknown(f"nothing is known of {tape}: {why}")
    mount = engine.judge.mount_of(record)
    return {
        "schema": SCHEMA,
        "tape": str(tape),
        "at": iso(now.wall_ns),
        "generation": record.generation,
        "size": record.identity.size if record.identity else None,
        "modified": iso(record.identity.mtime_ns) if record.identity else None,
        "protected": record.protected,
        "unprotected_since": iso(record.behind_ns),
        "evidence": {
            "open": [_session(s) for s in record.open.values()],
            "overlay": [_session(s) for s in record.evidence.sessions],
            "changes": list(record.evidence.changes),
            "host": _mount(mount),
        },
        "verdict": _judgement(record.judgement),
        "copies": [_copy(book, record, target, now, progress) for target in record.copies],
        "history": [{"at": iso(n.at_ns), "what": n.text} for n in record.notes],
    }


def unfit_vaults(unfit: Mapping[str, str]) -> str:
    """Say which vaults of a target take no copies, and why; empty if all do."""
    return "; ".join(f"no copies into {vault}: {cause}" for vault, cause in sorted(unfit.items()))


@dataclass(slots=True)
class _Tally:
    """The copies of one pool at one target: how many are in which state, since when each lacks."""

    words: Counter[str] = field(default_factory=Counter)
    behind: int = 0
    oldest_ns: int = 0

    def lacks(self, since_ns: int, count: int = 1) -> None:
        """Count copies that are unprotected, the first of them since *since_ns*."""
        self.oldest_ns = min(self.oldest_ns, since_ns) if self.behind else since_ns
        self.behind += count


def _in_common(words: str) -> str:
    """Leave out of a state what is each tape's own: the end of its rest."""
    rest, until, _ = words.partition(" until ")
    return f"{rest})" if until and rest == f"waiting ({Obstacle.HOLD_DOWN}" else words


def _pools(book: Book, progress: Progresses, now: Moment) -> list[Document]:
    """Count the copies of every pool at every target, with one look at what is not at rest."""
    tallies = {(str(e.pool), e.target): _Tally() for e in book.settings.autocopy}
    for record in book.active():
        for target in record.copies:
            tally = tallies.get((str(record.tape.pool_id), target))
            if tally is not None:
                phase = phase_of(progress, record, target)
                words = shown_state(book, record, target, now, phase).text
                tally.words[_in_common(words)] += 1
                if not record.protected_at(target):
                    tally.lacks(record.behind_ns)
    for (path, shape), count in book.records.counts().items():
        for resting in shape.copies:
            tally = tallies.get((path, resting.target))
            if tally is not None:
                tally.words[resting.words] += count
    for group in book.records.lacking({path for path, _ in tallies}):
        for target in group.targets:
            tallies[group.path, target].lacks(min(group.tapes)[0], len(group.tapes))
    return [_pool(book, e.pool, e.target, tallies[str(e.pool), e.target], now)
            for e in book.settings.autocopy]  # fmt: skip


def _pool(book: Book, pool: PoolId, target: str, tally: _Tally, now: Moment) -> Document:
    tapes = tally.words.total()
    oldest = max((now.wall_ns - tally.oldest_ns) // 1_000_000_000, 0) if tally.behind else None
    alarm = book.behind.get((pool, target))
    return {
        "pool": str(pool),
        "target": target,
        "tapes": tapes,
        "protected": tapes - tally.behind,
        "unprotected": tally.behind,
        "oldest_unprotected_s": oldest,
        "behind_since": iso(alarm.since_ns) if alarm is not None else None,
        **_owed(book, (pool, target), now),
        "paused": traffic_report.pause(book.pauses.get(str(pool)), now),
        "states": dict(tally.words),
    }


def _owed(book: Book, way: Way, now: Moment) -> Document:
    oldest = book.owed.oldest(way)
    return {
        "behind_after_s": book.ways[way].behind_after,
        "owed": book.owed.count(way),
        "oldest_owed_s": None if oldest is None else max(round(now.mono - oldest[1]), 0),
    }


def _attention(book: Book, progress: Progresses, now: Moment) -> Document:
    """List the copies that are not as they should be, oldest first, and count those left out."""
    lacking = [
        (record.behind_ns, record.tape, target)
        for record in book.active()
        for target in record.copies
        if not record.protected_at(target)
    ]
    count = len(lacking)
    for group in book.records.lacking({str(pool) for pool in book.pools}):
        pool, targets = PoolId.parse(group.path), group.targets
        count += len(group.tapes) * len(targets)
        oldest = heapq.nsmallest(MOST_LISTED, group.tapes)
        lacking += [(ns, TapeId(pool.vault, pool.pool, label), target)
                    for ns, label in oldest for target in targets]  # fmt: skip
    listed = []
    for _, tape, target in heapq.nsmallest(MOST_LISTED, lacking):
        record = _to_show(book, tape)
        listed.append(_copy(book, record, target, now, progress) | {"tape": str(tape)})
    return {"attention": listed, "attention_left_out": count - len(listed)}


def _to_show(book: Book, tape: TapeId) -> TapeRecord:
    """Return the record of *tape*, or as much of one as matters of a tape that was never copied."""
    resting = book.records.of(tape)
    if resting is None or any(copy.based or copy.protected for copy in resting.shape.copies):
        return book.records.look(tape)
    never = {copy.target: CopyRecord(states.Unsynced()) for copy in resting.shape.copies}
    return TapeRecord(tape, copies=never)


def _copy(
    book: Book, record: TapeRecord, target: str, now: Moment, progress: Progresses
) -> Document:
    told = shown(book, record, target, now, phase_of(progress, record, target))
    return document(record, target, told, book.ladder.attempts)


def _session(session: Session) -> Document:
    return {
        "access": session.access.value,
        "opened": iso(session.opened_ns),
        "closed": iso(session.closed_ns),
        "wrote": session.wrote,
        "bytes": session.bytes_written,
        "interrupted": session.interrupted,
    }


def _mount(mount: HostMount | None) -> Document | None:
    if mount is None:
        return None
    return {
        "host": mount.host,
        "volume": mount.volume,
        "ring": mount.ring.value if mount.ring else None,
        "request": mount.request,
        "drive": mount.drive,
        "requested": iso(mount.requested_ns),
        "mounted": iso(mount.mounted_ns),
        "opened": iso(mount.opened_ns),
        "dismounted": iso(mount.dismounted_ns),
        "link_lost_since": mount.lost,
    }


def _judgement(judgement: Judgement | None) -> Document | None:
    if judgement is None:
        return None
    return {
        "verdict": judgement.verdict.value,
        "at": iso(judgement.at_ns),
        "generation": judgement.generation,
        "overlay_said": judgement.overlay,
        "host_said": judgement.host,
        "sessions": [_session(s) for s in judgement.sessions],
        "changes": list(judgement.changes),
        "host_mount": _mount(judgement.mount),
    }
