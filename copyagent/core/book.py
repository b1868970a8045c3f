"""The agent's knowledge while it runs: every record, what changed, and what is to be done about it.

All other parts of the engine work on one `Book`. It is the only place where a copy's state changes,
so that the messages and the stopping of running copies that belong to a change cannot be forgotten.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from copyagent.core import tape as states
from copyagent.core.calls import Calls
from copyagent.core.commands import Command, Say, StopCopy
from copyagent.core.copying import HoldReason, WaitReason
from copyagent.core.counters import Counters
from copyagent.core.floods import Floods
from copyagent.core.gates import Closed, Gate, Pause, by_hold_down, by_trouble, waits_for_start
from copyagent.core.history import History
from copyagent.core.host_mounts import HostMounts
from copyagent.core.journal import Journal, Reports
from copyagent.core.licence import Permission
from copyagent.core.link import Link
from copyagent.core.monitored import follow_settings, place_of, wake_where_settings_changed
from copyagent.core.owed import BehindAlarm, Owed, Way
from copyagent.core.queues import CopyKey, Queues
from copyagent.core.quiet import Quiet
from copyagent.core.records import CopyRecord, TapeRecord
from copyagent.core.retry import REST_TIMES, Ladder
from copyagent.core.shelf import Shape, Shelf
from copyagent.core.target_health import TargetHealth
from copyagent.core.time import Moment
from copyagent.core.uncovered import CoverAlarm
from vtsfs.contract import messages
from vtsfs.contract.messages import Message
from vtsfs.contract.naming import PoolId, TapeId
from vtsfs.contract.settings import AutoCopy, Settings

#: A message that could come for every tape is written once per pool (or target) in this time.
QUIET_S = 3600.0

_HOLD_MESSAGES = {
    HoldReason.CONFLICT: messages.CONFLICT,
    HoldReason.INTERRUPTED: messages.INTERRUPTED,
    HoldReason.TARGET_CHANGED: messages.TARGET_CHANGED,
    HoldReason.TARGET_UNKNOWN: messages.TARGET_UNKNOWN,
    HoldReason.SOURCE_UNFIT: messages.SOURCE_UNFIT,
    HoldReason.LABEL_TWICE: messages.LABEL_TWICE,
    HoldReason.LABEL_ELSEWHERE: messages.LABEL_ELSEWHERE,
    HoldReason.ROLLED_BACK: messages.ROLLED_BACK,
    HoldReason.BY_OPERATOR: messages.HELD_BY_OPERATOR,
}


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """How far the signals of one outbox have been taken in."""

    outbox_id: str
    seq: int


@dataclass(slots=True)
class Former:
    """A running copy that began under other settings, those with the digest *settings*.

    *elsewhere*: it goes to a place that is named no more, so its outcome is no copy of ours.
    *otherwise*: the target is reached otherwise now, so its outcome says nothing of the target.
    """

    settings: str
    elsewhere: bool = False
    otherwise: bool = False


@dataclass(slots=True)
class Book:
    """Records by tape, and everything derived from them that must not be searched for each time.

    *pending* and *running* are copies by tape and target, *queues* the former in the order in which
    they start; *gates* and *pauses* keep them from it. *deadlines* are monotonic seconds at which a
    tape has to be judged again; *dirty* are the tapes whose records are not saved yet.
    *touched* tells when a record was last changed by a witness, so that a sweep that began earlier
    does not overrule it. *former* are the running copies that began under other settings than are in
    force. *left* counts the unprotected copies that the settings ask for no more, until that is told.
    """

    settings: Settings
    records: Shelf = field(default_factory=Shelf)
    mounts: HostMounts = field(default_factory=HostMounts)
    acks: dict[str, Acknowledged] = field(default_factory=dict)
    baselines: set[str] = field(default_factory=set)
    links: dict[str, Link] = field(default_factory=dict)
    journal: Journal = field(default_factory=Journal)
    reports: Reports = field(default_factory=Reports)
    behind: dict[Way, BehindAlarm] = field(default_factory=dict)
    uncovered: dict[str, CoverAlarm] = field(default_factory=dict)
    pauses: dict[str, Pause] = field(default_factory=dict)
    history: History = field(default_factory=History)
    licence: Permission = field(default_factory=Permission)
    floods: Floods = field(default_factory=Floods)
    calls: Calls = field(default_factory=Calls)
    counters: Counters = field(default_factory=Counters)

    owed: Owed = field(default_factory=Owed)
    pools: frozenset[PoolId] = field(init=False)
    ways: dict[Way, AutoCopy] = field(init=False)
    gates: dict[Way, Gate] = field(init=False)
    queues: Queues = field(default_factory=Queues)
    health: dict[str, TargetHealth] = field(default_factory=dict)
    pending: set[CopyKey] = field(default_factory=set)
    failed: set[CopyKey] = field(default_factory=set)
    running: dict[CopyKey, int] = field(default_factory=dict)
    former: dict[CopyKey, Former] = field(default_factory=dict)
    left: dict[Way, int] = field(default_factory=dict)
    deadlines: dict[TapeId, float] = field(default_factory=dict)
    touched: dict[TapeId, float] = field(default_factory=dict)
    dirty: set[TapeId] = field(default_factory=set)
    dropped: set[TapeId] = field(default_factory=set)
    mounts_dirty: bool = False
    links_dirty: bool = False
    behind_dirty: bool = False
    uncovered_dirty: bool = False
    pauses_dirty: bool = False
    commands: list[Command] = field(default_factory=list)
    said: Quiet = field(default_factory=Quiet)

    def __post_init__(self) -> None:
        self._survey()
        wake_where_settings_changed(self)
        for record in self.records.active():
            follow_settings(self, record)
            self._index(record)

    def _survey(self) -> None:
        self.pools = frozenset(entry.pool for entry in self.settings.autocopy)
        self.ways = {(entry.pool, entry.target): entry for entry in self.settings.autocopy}
        self.gates = {way: Gate(way, self.settings.targets[way[1]].window) for way in self.ways}

    def follow(self, settings: Settings, now: Moment) -> None:
        """Take *settings* instead of those that were in force, and let every record follow them.

        Copies that run and are wanted no more are stopped; what was owed of them is in `left`.
        """
        for key in self.running:
            self.former.setdefault(key, Former(self.settings.digest))
        self.settings = settings
        self.history.settings = settings.digest
        self._survey()
        wake_where_settings_changed(self)
        for record in self.records.active():
            running = [t for t in record.copies if (record.tape, t) in self.running]
            meant = {t: (record.copies[t].state, record.copies[t].place) for t in running}
            follow_settings(self, record)
            for target, (state, place) in meant.items():
                copy = record.copies[target]
                if copy.place != place:
                    self.former[record.tape, target].elsewhere = True
                if isinstance(state, states.Copying) and copy.state is not state:
                    self.commands.append(StopCopy(record.tape, target, f"now {copy.state.kind}"))
            self.settle_age(record, now)
            self._index(record)

    @property
    def ladder(self) -> Ladder:
        """The retry rules of the settings."""
        return Ladder(self.settings.retry.attempts, self.settings.retry.interval)

    def watches(self, pool: PoolId) -> bool:
        """Tell whether *pool* is copied anywhere."""
        return pool in self.pools

    def pools_of(self, vault: str) -> set[str]:
        """Return the names of the watched pools of *vault*."""
        return {str(e.pool) for e in self.settings.autocopy if e.pool.vault == vault}

    def record(self, tape: TapeId) -> TapeRecord:
        """Return the record of *tape*, a new one if there is none; it counts as changed."""
        found = self.records.get(tape)
        if found is None:
            copies = {
                entry.target: CopyRecord(place=place_of(self, tape, entry.target))
                for entry in self.settings.copies_of(tape.pool_id)
            }
            found = self.records[tape] = TapeRecord(tape, copies=copies)
        self._index(found)
        self.dirty.add(tape)
        self.dropped.discard(tape)
        return found

    def watched(self) -> Iterator[TapeRecord]:
        """Go through the records of tapes in watched pools; reads each that is at rest.

        What concerns no tape at rest goes through `active` instead, what can tell from a few facts
        which it concerns, through `chosen`.
        """
        return (r for r in self.records.values() if self.watches(r.tape.pool_id))

    def active(self) -> list[TapeRecord]:
        """Return the records of tapes in watched pools that may not be at rest (see `Shelf`)."""
        return [r for r in self.records.active() if self.watches(r.tape.pool_id)]

    def chosen(self, pool: PoolId | None, wanted: Callable[[Shape], bool]) -> list[TapeRecord]:
        """Return `active` and, of the tapes at rest, those with a *wanted* shape; all of *pool* alone.

        None stands for any watched pool.
        """
        paths = {str(known) for known in self.pools if pool in (None, known)}
        at_rest = self.records.resting(lambda path, shape: path in paths and wanted(shape))
        names = [tape for tape, _ in at_rest]
        awake = [r for r in self.active() if pool in (None, r.tape.pool_id)]
        return awake + [self.records[tape] for tape in names]

    def put_away(self, saved: Iterable[TapeId]) -> None:
        """Put records away that are at rest, now that those of *saved* tapes are durable."""
        self.dirty.update(self.records.put_away(saved, self.deadlines.__contains__))

    def called(self, volume: str) -> list[TapeRecord]:
        """Return the watched tapes that a host can mean by *volume*."""
        found = self.records.called(volume.upper())
        return [self.records[tape] for tape in found if self.watches(tape.pool_id)]

    def drop(self, tape: TapeId) -> None:
        """Forget *tape* altogether: it is gone, and no target has a copy of it."""
        self.owed.forget(self.records.pop(tape))
        self.deadlines.pop(tape, None)
        self.dirty.discard(tape)
        self.dropped.add(tape)

    def take_commands(self) -> list[Command]:
        """Hand over what has been asked for since the last call."""
        taken, self.commands = self.commands, []
        return taken

    def apply(self, record: TapeRecord, target: str, event: states.Event, now: Moment) -> None:
        """Let *event* happen to the copy of *record* at *target*, with all that follows from it."""
        copy = record.copies[target]
        before = copy.state
        copy.state = after = states.step(before, event, self._context(record, target, now))
        key = (record.tape, target)
        self.counters.became((record.tape.pool_id, target), before, after)
        self.dirty.add(record.tape)
        stops = isinstance(before, states.Copying) and not isinstance(after, states.Copying)
        if stops and key in self.running:
            self.commands.append(StopCopy(record.tape, target, f"now {after.kind}"))
        if type(after) is not type(before):
            copy.since_ns = now.wall_ns
        down_again = isinstance(before, states.Retrying) and isinstance(event, states.TargetDown)
        if after is not before and not (down_again and isinstance(after, states.Retrying)):
            waits = isinstance(before, states.Waiting) or isinstance(after, states.Waiting)
            record.note(now.wall_ns, f"{target}: {before.kind} -> {after.kind}", often=waits)
            if not isinstance(event, states.Restarted):
                # A restart only moves due times to another clock: the former run has told the rest.
                self._announce(record, target, event, now)
                self.history.became(record.tape, target, after, now.wall_ns)
        self.settle_age(record, now)
        self._sort(record, target)

    def closed(self, tape: TapeId, target: str, now: Moment) -> Closed | None:
        """Return what keeps any copy from the pool of *tape* to *target* from being started."""
        return self.way_closed((tape.pool_id, target), now)

    def way_closed(self, way: Way, now: Moment) -> Closed | None:
        """Return what keeps every copy of *way* from being started; None if nothing does."""
        gate = self.gates.get(way)
        if gate is None or self.licence.closed is not None:
            return self.licence.closed
        return gate.closed(self.pauses, now)

    def obstacle(self, record: TapeRecord, target: str, now: Moment) -> Closed | None:
        """Return what keeps a copy that waits for its start from it; None if nothing, or no such."""
        state = record.copies[target].state
        if not waits_for_start(state, now):
            return None
        closed = self.closed(record.tape, target, now)
        if closed is None and isinstance(state, states.Queued):
            closed = by_hold_down(record.tape, state, now)
        health = self.health.get(target)
        if closed is None and health is not None and health.down:
            closed = by_trouble(target, health.trouble, health.next_step)
        return closed

    def apply_all(self, record: TapeRecord, event: states.Event, now: Moment) -> None:
        """Let *event* happen to the copies at every target."""
        for target in list(record.copies):
            self.apply(record, target, event, now)

    def settle_age(self, record: TapeRecord, now: Moment) -> None:
        """Keep the time since which the tape is unprotected, and what is owed of it."""
        if self.owed.settle(record, now):
            self.dirty.add(record.tape)
        if record.protected:
            record.behind_ns = 0
        elif not record.behind_ns:
            record.behind_ns = now.wall_ns

    def say(self, message: Message, **fields: object) -> None:
        """Ask for *message* to be written to the event log."""
        self.commands.append(Say(message, {k: str(v) for k, v in fields.items()}))

    def say_once(self, message: Message, about: object, now: Moment, **fields: object) -> None:
        """Ask for *message* unless it was written about the same thing within `QUIET_S`."""
        if self.unsaid(message, about, now, QUIET_S):
            self.say(message, **fields)

    def unsaid(self, message: Message, about: object, now: Moment, quiet_s: float) -> bool:
        """Tell whether *message* was not written about the same thing for *quiet_s*; it is now."""
        return self.said.is_due((message.id, str(about)), now.mono, now.wall_ns, quiet_s)

    def _index(self, record: TapeRecord) -> None:
        for target in record.copies:
            self._sort(record, target)

    def _sort(self, record: TapeRecord, target: str) -> None:
        """Keep the copy where it is looked for."""
        copy, key = record.copies[target], (record.tape, target)
        state = copy.state
        match state:
            case states.Queued(due=None):
                self.queues.put(*key, copy.owed_ns, None)
            case states.Queued(due=Moment() as due):
                self.queues.put(*key, copy.owed_ns, due.mono)
            case states.Retrying() | states.Waiting():
                self.queues.put(*key, state.due.wall_ns, state.due.mono)
            case _:
                self.queues.remove(*key)
        for group, kinds in ((self.pending, states.PENDING), (self.failed, states.Failed)):
            if isinstance(state, kinds):
                group.add(key)
            else:
                group.discard(key)

    def _context(self, record: TapeRecord, target: str, now: Moment) -> states.Context:
        """A tape that is mounted again and again rests a few times in all, not for ever."""
        entry = self.ways.get((record.tape.pool_id, target))
        hold_down_s = entry.hold_down if entry is not None else 0.0
        owed_s = max((now.wall_ns - record.copies[target].owed_ns) / 1e9, 0.0)
        left_s = REST_TIMES * hold_down_s - (owed_s if record.copies[target].owed_ns else 0.0)
        hold = record.copies[target].hold
        kept_back = hold.words if hold is not None else ""
        rest_s = min(hold_down_s, left_s)
        return states.Context(now, self.ladder, rest_s, hold_down_s, kept_back)

    def _announce(self, record: TapeRecord, target: str, event: states.Event, now: Moment) -> None:
        fields: dict[str, Any] = {"tape": record.tape, "target": target}
        match record.copies[target].state:
            case states.Retrying() if isinstance(event, states.TargetDown):
                pass  # the tape whose connection failed stands for all that were due
            case states.Retrying() as state:
                self.say(
                    messages.ATTEMPT_FAILED,
                    **fields,
                    attempt=state.failures,
                    attempts=self.ladder.attempts,
                    cause=state.cause,
                )
            case states.Failed() as state:
                self.say(messages.GAVE_UP, **fields, attempts=state.failures, cause=state.cause)
            case states.Held(reason=HoldReason.BY_OPERATOR) if isinstance(event, states.HoldAsked):
                pass  # the record of what the operator did says it
            case states.Held(reason=HoldReason.POLICY) as state:
                self.say(messages.HELD_BY_POLICY, **fields, verdict=state.detail)
            case states.Held(reason=HoldReason.LABEL_TWICE) as state:
                # Once for all tapes of one label, and all targets: each names the others.
                self.say_once(messages.LABEL_TWICE, record.tape.label.upper(), now,
                              tape=record.tape, detail=state.detail)  # fmt: skip
            case states.Held(reason=HoldReason.SAME_STORAGE) as state:
                self.say_once(messages.SAME_STORAGE, target, now, **fields, detail=state.detail)
            case states.Held(reason=HoldReason.NOT_EQUAL) as state:
                about, pool = (record.tape.pool_id, target), record.tape.pool_id
                self.say_once(messages.NOT_EQUAL, about, now, **fields, pool=pool,
                              detail=state.detail)  # fmt: skip
            case states.Held() as state:
                self.say(_HOLD_MESSAGES[state.reason], **fields, detail=state.detail)
            case states.Waiting(reason=WaitReason.FENCED):
                self.say_once(messages.FENCED, target, now, target=target)
            case states.Waiting(reason=WaitReason.HOST_KEY) as state:
                self.say_once(messages.HOST_KEY, target, now, target=target, cause=state.detail)
            case states.Waiting(reason=WaitReason.FOREIGN_AGENT) as state:
                detail = {"target": target, "cause": state.detail}
                self.say_once(messages.FOREIGN_AGENT, target, now, **detail)
            case states.Kept() as state if record.copies[target].base is not None:
                self.say_once(messages.KEPT, record.tape.pool_id, now, **fields, how=state.how)
            case _:
                pass


def reset_clocks(records: Iterable[TapeRecord], now: Moment) -> None:
    """After a restart, monotonic times of the former run mean nothing: waiting begins anew."""
    for record in records:
        evidence = record.evidence
        if evidence.quiet_since or not evidence.empty:
            record.evidence = replace(evidence, began=now.mono, quiet_since=now.mono, waited=0.0)
