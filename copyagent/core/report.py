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
from copyagent.core.copying import HoldReason, WaitReason
from copyagent.core.dates import iso
from copyagent.core.engine import Engine
from copyagent.core.gates import Obstacle
from copyagent.core.host_mount import HostMount
from copyagent.core.host_report import link_document
from copyagent.core.records import CopyRecord, Judgement, TapeRecord
from copyagent.core.time import Moment
from copyagent.core.traffic_report import Progress, obstacle
from copyagent.core.witness import Overlay, Session, overlay_says
from vtsfs.contract import messages
from vtsfs.contract.errors import RequestFailed
from vtsfs.contract.naming import PoolId, TapeId
from vtsfs.contract.signals import Access
from vtsfs.contract.units import format_duration

#: Version of the documents made here.
SCHEMA = 1

#: Copies that need attention are listed up to this number; the rest is counted.
MOST_LISTED = 1000

Document = dict[str, Any]


def status(
    engine: Engine, progress: dict[tuple[TapeId, str], Progress], version: str, now: Moment
) -> Document:
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
                "since": iso(feed.since_ns),
                "trouble": feed.trouble,
                "swept": feed.sweeps > 0,
                "unread_pools": [f"/{name}/{pool}" for pool in feed.unread],
                "not_tapes": feed.ignored,
                "not_tapes_examples": list(feed.examples),
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


def explain(engine: Engine, tape: TapeId, now: Moment) -> Document:
    """Return every witness's evidence about *tape*, the verdict, what was done, and what comes."""
    book = engine.book
    record = book.records.get(tape)
    if record is None or not book.watches(tape.pool_id):
        why = "its pool is not under autocopy: in the settings"
        if not book.settings.naming.patterns().is_label(tape.label):
            why = "its name is no tape's by naming.label in the settings, so it is never copied"
        elif book.watches(tape.pool_id):
            why = "no witness has seen a tape of that name"
        raise RequestFailed(f"nothing is known of {tape}: {why}")
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
        "copies": [
            _copy(book, record, target, copy, now) for target, copy in record.copies.items()
        ],
        "history": [{"at": iso(n.at_ns), "what": n.text} for n in record.notes],
    }


def state_words(book: Book, record: TapeRecord, copy: CopyRecord, now: Moment) -> str:
    """Name the state of one copy in the words of DESIGN section 11."""
    state = copy.state
    if record.writers:
        return "mounted (read/write)"
    closed = obstacle(book, record, copy, now)
    if closed is not None:
        return f"waiting ({closed.words})"
    match state:
        case states.Held():
            return f"held ({state.reason})"
        case states.Copying():
            return "copying"
        case states.Retrying():
            return f"retry {state.failures}/{book.ladder.attempts}"
        case states.Waiting():
            return f"waiting ({state.reason})"
    if record.evidence.unsettling:
        settled = record.evidence.settled_at(book.settings.cross_check.settle)
        return "settling" if now.mono < settled else "awaiting host"
    if isinstance(state, states.PROTECTED) and any(
        session.access is Access.READ for session in record.open.values()
    ):
        return "mounted (read only)"
    return f"kept ({state.how} at source)" if isinstance(state, states.Kept) else state.kind


def unfit_vaults(unfit: Mapping[str, str]) -> str:
    """Say which vaults of a target take no copies, and why; empty if all do."""
    return "; ".join(f"no copies into {vault}: {cause}" for vault, cause in sorted(unfit.items()))


def trouble(state: states.State) -> str | None:
    """Say who can mend what keeps the copy: time (transient), somebody there (permanent), us (held).

    None where nothing is wrong, or nothing but patience is needed.
    """
    match state:
        case states.Held():
            return "held"
        case states.Retrying(permanent=True) | states.Failed(permanent=True):
            return "permanent"
        case states.Waiting(reason=WaitReason.HOST_KEY | WaitReason.FOREIGN_AGENT):
            return "permanent"
        case states.Retrying() | states.Failed():
            return "transient"
        case _:
            return None


def next_step(book: Book, record: TapeRecord, target: str, now: Moment) -> str:
    """Say what happens next by itself, or what the operator has to do."""
    state = record.copies[target].state
    fields = {"tape": record.tape, "target": target, "pool": record.tape.pool_id}
    if record.writers:
        return "It is judged, and copied if need be, when its last writer has closed it."
    closed = obstacle(book, record, record.copies[target], now)
    if closed is not None:
        return closed.next_step
    match state:
        case states.Queued():
            return "It is copied as soon as a copy to that target may start."
        case states.Copying():
            return "Wait for the end of the copy."
        case states.Retrying():
            left = max(state.due.mono - now.mono, 0)
            if state.permanent:
                again = f"It is tried again in {left:.0f} s all the same."
                return f"Somebody has to act: {_sentence(state.next_step)} {again}"
            return f"Next attempt in {left:.0f} s. {_sentence(state.next_step)}"
        case states.Failed() if state.unreachable and book.settings.retry.rearm != "never":
            return (
                f"It is tried again by itself when the target answers. {_sentence(state.next_step)}"
            )
        case states.Failed():
            return f"{_sentence(state.next_step)} {messages.next_step(messages.GAVE_UP, fields)}"
        case states.Waiting():
            left = max(state.due.mono - now.mono, 0)
            advice = _WAITS[state.reason].replace("{target}", target)
            return f"Looked at again in {left:.0f} s. {advice}"
        case states.Held(reason=HoldReason.TARGET_UNKNOWN, stamp=None):
            # Not a file: nothing that could be replaced in one step, whoever allows it.
            return f"Remove it at the target, then: copyagent retry {record.tape}"
        case states.Held():
            return messages.next_step(HOLDS[state.reason], fields)
        case states.Unsynced():
            return f"Copy it for the first time: copyagent sync {record.tape}"
    if overlay_says(record.evidence, writers=False) is not Overlay.NOTHING:
        return _heard(book, record, now)
    return "Nothing to do."


def _heard(book: Book, record: TapeRecord, now: Moment) -> str:
    at = book.deadlines.get(record.tape)
    if at is None:
        return "The witnesses are being heard; a verdict comes."
    cross_check, left = book.settings.cross_check, max(at - now.mono, 0)
    if left > cross_check.settle + cross_check.grace:
        latest = format_duration(left)
        return f"The host has it: a verdict comes when it dismounts it, in {latest} at the latest."
    return f"The witnesses are being heard; a verdict comes within {left:.0f} s."


_WAITS = {
    WaitReason.OPEN: "Somebody has the tape open for writing; it is copied when they close it.",
    WaitReason.FENCED: messages.FENCED.next_step,
    WaitReason.HOST_KEY: messages.HOST_KEY.next_step,
    WaitReason.FOREIGN_AGENT: messages.FOREIGN_AGENT.next_step,
}

HOLDS = {
    HoldReason.CONFLICT: messages.CONFLICT,
    HoldReason.INTERRUPTED: messages.INTERRUPTED,
    HoldReason.POLICY: messages.HELD_BY_POLICY,
    HoldReason.TARGET_CHANGED: messages.TARGET_CHANGED,
    HoldReason.TARGET_UNKNOWN: messages.TARGET_UNKNOWN,
    HoldReason.SOURCE_UNFIT: messages.SOURCE_UNFIT,
    HoldReason.LABEL_TWICE: messages.LABEL_TWICE,
    HoldReason.LABEL_ELSEWHERE: messages.LABEL_ELSEWHERE,
    HoldReason.SAME_STORAGE: messages.SAME_STORAGE,
    HoldReason.NOT_EQUAL: messages.NOT_EQUAL,
    HoldReason.ROLLED_BACK: messages.ROLLED_BACK,
}


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}".rstrip(".") + "."


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


def _pools(book: Book, now: Moment) -> list[Document]:
    """Count the copies of every pool at every target, with one look at what is not at rest."""
    tallies = {(str(e.pool), e.target): _Tally() for e in book.settings.autocopy}
    for record in book.active():
        for target, copy in record.copies.items():
            tally = tallies.get((str(record.tape.pool_id), target))
            if tally is not None:
                tally.words[_in_common(state_words(book, record, copy, now))] += 1
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
        "paused": traffic_report.pause(book.pauses.get(str(pool)), now),
        "states": dict(tally.words),
    }


def _attention(book: Book, now: Moment) -> Document:
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
        document = _copy(book, record, target, record.copies[target], now)
        listed.append(document | {"tape": str(tape)})
    return {"attention": listed, "attention_left_out": count - len(listed)}


def _to_show(book: Book, tape: TapeId) -> TapeRecord:
    """Return the record of *tape*, or as much of one as matters of a tape that was never copied."""
    resting = book.records.of(tape)
    if resting is None or any(copy.based or copy.protected for copy in resting.shape.copies):
        return book.records.look(tape)
    never = {copy.target: CopyRecord(states.Unsynced()) for copy in resting.shape.copies}
    return TapeRecord(tape, copies=never)


def _copy(book: Book, record: TapeRecord, target: str, copy: CopyRecord, now: Moment) -> Document:
    state = copy.state
    made: Document = {
        "target": target,
        "state": state_words(book, record, copy, now),
        "next": next_step(book, record, target, now),
        "why": "",
        "trouble": trouble(state),
        "asked": copy.wish.errand.value if copy.wish is not None else None,
    }
    match state:
        case states.Retrying() | states.Failed():
            made |= {"why": state.cause, "attempts": state.failures}
        case states.Held():
            made |= {"why": state.detail, "since": iso(state.at_ns)}
        case states.Waiting():
            made |= {"why": state.detail, "attempts": state.failures}
    closed = obstacle(book, record, copy, now)
    if closed is not None:
        made["why"] = closed.why
    base = copy.base
    if base is not None:
        made["published"] = {
            "generation": base.generation,
            "size": base.size,
            "sha256": base.sha256,
            "verified": base.verified,
            "at": iso(base.published_ns),
        }
    return made


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
