"""Events in, commands out: the agent's decisions as one object without any I/O.

`handle` takes an event and the moment, and returns what is to be done. Before the runner does it, it
makes the changed records durable: after a crash the records alone say what has to go on.
"""

from dataclasses import dataclass, field, replace

from copyagent.core import tape as states
from copyagent.core.book import Acknowledged, Book, CopyKey, reset_clocks
from copyagent.core.commands import Command, StartCopy, Subscribe, SweepVault
from copyagent.core.copying import CopyDone, CopyJob, SourceChanged, SourceErased
from copyagent.core.events import (
    AgentStarted,
    CopyEnded,
    CopyIntended,
    Event,
    FeedLost,
    FeedOpened,
    SignalSeen,
    TargetProbed,
    VaultSwept,
    WakeupDue,
)
from copyagent.core.host_events import (
    HostEvent,
    LinkLost,
    LinkUp,
    LoginRefused,
    MountRequested,
    TapeDismounted,
)
from copyagent.core.judging import Judge
from copyagent.core.records import TapeRecord
from copyagent.core.schedule import Due, plan
from copyagent.core.sightings import (
    changed,
    close_lost_sessions,
    end_readers,
    enter_signal,
    enter_sweep,
    is_other_file,
    leave_pool,
    lose_sessions,
    removed,
)
from copyagent.core.targets import Targets
from copyagent.core.time import Moment
from vtsfs.contract import messages
from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Access, Identity, Kind
from vtsfs.contract.units import format_duration, format_size

#: Volumes that nobody has mentioned for this many times `mounted_max` are forgotten.
FORGET_FACTOR = 2


#: How long a sweep waits for the signals that were in the outbox before it, in seconds.
BACKLOG_S = 30.0

#: How long an overlay may be away, in seconds, until its vault is swept without it. Not less: at
#: boot it may be about to tell of sessions that were cut off, which a sweep cannot tell from whole.
ABSENT_S = 600.0

#: No signal has this number (SQLite's largest integer).
_NEVER = 2**63 - 1


@dataclass(slots=True)
class Link:
    """What is known of the link to one host, for the operator."""

    up: bool = False
    since_ns: int = 0
    trouble: str = "connecting"
    events: int = 0
    last_ns: int = 0


@dataclass(slots=True)
class Feed:
    """What is known of the feed of one vault, for the operator."""

    up: bool = False
    since_ns: int = 0
    trouble: str = "not attached"
    sweeps: int = 0
    ignored: int = 0
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Backlog:
    """Signals up to *highest* are to be heard before the sweep for *why*, or *until* has come."""

    highest: int
    until: float
    why: str


@dataclass(slots=True)
class Engine:
    """All decisions over one `Book`."""

    book: Book
    judge: Judge = field(init=False)
    links: dict[str, Link] = field(default_factory=dict)
    feeds: dict[str, Feed] = field(default_factory=dict)
    targets: Targets = field(init=False)
    backlogs: dict[str, Backlog] = field(default_factory=dict)
    next_sweep: float = 0.0
    handled: float = 0.0

    def __post_init__(self) -> None:
        settings = self.book.settings
        # A link that was not tried yet may still speak; only a lost one is known to be deaf.
        self.judge = Judge(self.book, links=dict.fromkeys(settings.ems.hosts, True))
        self.links = {host: Link() for host in settings.ems.hosts}
        self.feeds = {vault: Feed() for vault in settings.vaults}
        self.targets = Targets(self.book)

    def handle(self, event: Event | HostEvent, now: Moment) -> list[Command]:
        """Take in *event*; return what is to be done, once the changes are durable."""
        match event:
            case AgentStarted():
                self._started(now)
            case FeedOpened():
                self._feed_opened(event, now)
            case FeedLost():
                self._feed_lost(event, now)
            case SignalSeen():
                self._signal(event, now)
            case VaultSwept():
                self._swept(event, now)
            case CopyIntended():
                self._intended(event)
            case CopyEnded():
                self._copy_ended(event, now)
            case TargetProbed():
                self.targets.probed(event, now)
            case HostEvent():
                self._host_event(event, now)
            case WakeupDue():
                pass
        self._judge_due(now)
        self._backlogs_done(now)
        self._sweep_due(now)
        self._schedule(now)
        self.targets.probe_due(now)
        self.handled = now.mono
        return self.book.take_commands()

    def may_publish(self, tape: TapeId, target: str, generation: int) -> bool:
        """Tell whether the running copy of *generation* is still wanted, this very moment."""
        record = self.book.records.get(tape)
        if record is None or record.writers:
            return False
        state = record.copies[target].state
        return isinstance(state, states.Copying) and state.generation == generation

    def next_wakeup(self) -> float | None:
        """Return the monotonic second at which `WakeupDue` is wanted, or None."""
        times = list(self.book.deadlines.values())
        times += [at for _, at in self.targets.probe_times()]
        # What is due and was not started waits for something else than time.
        times += [s.due.mono for _, s in self._waiting() if s.due.mono > self.handled]
        times += [backlog.until for backlog in self.backlogs.values()]
        if self.next_sweep:
            times.append(self.next_sweep)
        return min(times, default=None)

    # ---- the witnesses ---------------------------------------------------------------------------

    def _started(self, now: Moment) -> None:
        book = self.book
        reset_clocks(book.records.values(), now)
        for host in self.links:
            # What the hosts said meanwhile is lost, as if the link had been down.
            book.mounts.lose(host)
        book.mounts_dirty = True
        self.targets.recover(now)
        for record in list(book.watched()):
            book.apply_all(record, states.Restarted(), now)
            self.judge.consider(record, now)

    def _feed_opened(self, event: FeedOpened, now: Moment) -> None:
        hello, book = event.hello, self.book
        known = book.acks.get(hello.vault)
        same = known is not None and known.outbox_id == hello.outbox_id
        after = known.seq if known and same else hello.floor
        why = "at start"
        if hello.unclean:
            end_readers(book, hello.vault)
        if known is not None and not same:
            why = "the overlay has a new outbox"
            lose_sessions(book, hello.vault)
        elif known is None and hello.floor > 0:
            # Somebody acknowledged signals, and we know nothing of it: our state was lost. No tape
            # may pass for one that was there before; all are compared.
            book.baselines |= book.pools_of(hello.vault)
            why = "the agent's state was lost"
        elif same and (after < hello.floor or after > hello.highest):
            why = "a gap in the signals"
            lose_sessions(book, hello.vault)
        elif hello.unclean:
            why = "the overlay did not end cleanly"
        after = min(max(after, hello.floor), hello.highest)
        book.acks[hello.vault] = Acknowledged(hello.outbox_id, after)
        self.feeds[hello.vault] = Feed(up=True, since_ns=now.wall_ns, trouble="")
        self.judge.covered[hello.vault] = True
        book.commands.append(Subscribe(hello.vault, after))
        if after < hello.highest:
            # What waits in the outbox explains most of what a sweep would find: hear it first.
            self.backlogs[hello.vault] = Backlog(hello.highest, now.mono + BACKLOG_S, why)
        else:
            self.backlogs.pop(hello.vault, None)
            book.commands.append(SweepVault(hello.vault, why))

    def _feed_lost(self, event: FeedLost, now: Moment) -> None:
        feed = self.feeds[event.vault]
        if feed.up or feed.trouble != event.cause:
            if not feed.up and event.vault in self.book.acks:
                # What happens to a vault without its overlay only a sweep can find.
                why = "the overlay does not answer"
                absent = Backlog(_NEVER, now.mono + ABSENT_S, why)
                self.backlogs.setdefault(event.vault, absent)
            self.feeds[event.vault] = replace(
                feed, up=False, since_ns=now.wall_ns, trouble=event.cause
            )
        self.judge.covered[event.vault] = False

    def _signal(self, event: SignalSeen, now: Moment) -> None:
        signal, book = event.signal, self.book
        known = book.acks.get(signal.vault)
        if known and (known.outbox_id != event.outbox_id or signal.seq <= known.seq):
            # Taken in before, or left over from an outbox that is no more: the sweep stands for it.
            return
        book.acks[signal.vault] = Acknowledged(event.outbox_id, signal.seq)
        tape = signal.tape
        if tape is None:
            leave_pool(book, signal.origin)
            book.commands.append(SweepVault(signal.vault, f"pool {signal.pool_id} was renamed"))
            return
        if signal.kind is Kind.MOVED and signal.origin:
            self._moved_away(TapeId.parse(signal.origin), signal.identity, now)
        if not book.watches(tape.pool_id):
            return
        if signal.kind is Kind.REMOVED and tape not in book.records:
            book.touched[tape] = now.mono
            return
        if signal.access is Access.READ and tape not in book.records:
            return
        record = book.record(tape)
        enter_signal(book, record, signal, now)
        if tape in book.records:
            self.judge.consider(record, now)

    def _moved_away(self, tape: TapeId, file: Identity | None, now: Moment) -> None:
        """*file* has another name now; *tape* may have got another file by the same rename."""
        record = self.book.records.get(tape)
        if record is None or not self.book.watches(tape.pool_id):
            return
        kept = {name: s for name, s in record.open.items() if is_other_file(s.opened, file)}
        record.open = kept
        self.book.dirty.add(tape)
        self.book.touched[tape] = now.mono
        if not is_other_file(file, record.identity):
            removed(self.book, record, now)

    def _swept(self, event: VaultSwept, now: Moment) -> None:
        book = self.book
        for record in close_lost_sessions(book, event, now):
            self.judge.consider(record, now)
        changed_count, gone, affected = enter_sweep(book, event, now)
        feed = self.feeds[event.vault]
        feed.sweeps += 1
        feed.ignored, feed.examples = event.ignored, event.examples
        for record in affected:
            if record.tape in book.records:
                self.judge.consider(record, now)
        book.say(
            messages.SWEPT,
            vault=event.vault,
            tapes=len(event.found),
            changed=changed_count,
            gone=gone,
            ignored=event.ignored,
        )
        self._tell_unsynced(event.vault)
        self.next_sweep = now.mono + book.settings.sweep.interval

    def _tell_unsynced(self, vault: str) -> None:
        counts: dict[str, int] = {}
        for record in self.book.watched():
            if record.tape.vault == vault and any(
                isinstance(copy.state, states.Unsynced) for copy in record.copies.values()
            ):
                pool = str(record.tape.pool_id)
                counts[pool] = counts.get(pool, 0) + 1
        for pool, count in counts.items():
            self.book.say(messages.UNSYNCED, pool=pool, count=count)

    def _host_event(self, event: HostEvent, now: Moment) -> None:
        link = self.links.get(event.host)
        if link is None:
            return
        link.last_ns = now.wall_ns
        match event:
            case LinkUp():
                if link.since_ns and not link.up:
                    age = format_duration((now.wall_ns - link.since_ns) / 1e9)
                    cause = f"the link was down for {age}"
                    self.book.say(messages.EMS_GAP, host=event.host, cause=cause)
                self.links[event.host] = replace(link, up=True, since_ns=now.wall_ns, trouble="")
                self.judge.links[event.host] = True
                self.book.say(messages.LINK_UP, host=event.host)
            case LinkLost() | LoginRefused():
                self._link_lost(event, link, now)
            case _:
                link.events += 1
        if isinstance(event, MountRequested) and event.volume is not None:
            self._end_former_mount(event, event.volume, now)
        volumes = self.book.mounts.handle(event, now.wall_ns)
        self.book.mounts_dirty = self.book.mounts_dirty or bool(volumes)
        for volume in volumes:
            for record in self.book.called(volume):
                self._host_spoke(record, event, now)

    def _host_spoke(self, record: TapeRecord, event: HostEvent, now: Moment) -> None:
        if not self.judge.concerns(event.host, record.tape.vault):
            return
        self.book.dirty.add(record.tape)
        record.note(now.wall_ns, f"{event.host}: {_in_words(event)}")
        if isinstance(event, TapeDismounted) and record.evidence.empty:
            record.evidence = replace(record.evidence, began=now.mono, quiet_since=now.mono)
        self.judge.consider(record, now)

    def _end_former_mount(self, event: MountRequested, volume: str, now: Moment) -> None:
        """A new request for a volume means that its last mount is over, whether we heard so or not.

        Without this, sessions that wait for a lost dismount would be judged by the new mount's ring.
        """
        former = self.book.mounts.of(volume)
        if former is None or former.ring is None:
            return
        if event.request is not None and former.told_by(event):
            return
        for record in self.book.called(volume):
            if record.writers or record.evidence.empty:
                continue
            later = any(s.opened_ns > former.dismounted_ns for s in record.evidence.sessions)
            if former.dismounted_ns and later:
                continue
            if not former.dismounted_ns:
                self.book.mounts.mounts[volume] = replace(former, dismounted_ns=now.wall_ns)
                record.note(now.wall_ns, f"{former.host}: asked for it again, so it was dismounted")
            self.judge.consider(record, now, at_once=True)

    def _link_lost(self, event: LinkLost | LoginRefused, link: Link, now: Moment) -> None:
        if link.up or link.trouble != event.why:
            message = messages.LINK_LOST
            if isinstance(event, LoginRefused):
                message = messages.LOGIN_REFUSED
            self.book.say_once(message, event.host, now, host=event.host, cause=event.why)
            self.links[event.host] = replace(
                link, up=False, since_ns=now.wall_ns, trouble=event.why
            )
        self.judge.links[event.host] = False
        for tape in list(self.book.deadlines):
            if tape in self.book.records:
                self.judge.consider(self.book.records[tape], now)

    # ---- the copies ------------------------------------------------------------------------------

    def _copy_ended(self, event: CopyEnded, now: Moment) -> None:
        key = (event.tape, event.target)
        generation = self.book.running.pop(key, None)
        if generation is None:
            return
        record = self.book.records.get(event.tape)
        if record is None:
            if not isinstance(event.outcome, CopyDone):
                return
            record = self._remembered(event.tape, generation, now)
        copy = record.copies[event.target]
        self.book.dirty.add(event.tape)
        current = isinstance(copy.state, states.Copying) and copy.state.generation == generation
        if isinstance(event.outcome, CopyDone):
            # Recorded in any case: it is what the target holds, wanted or not by now.
            copy.base, copy.intent, copy.override = event.outcome.copy, None, None
            self._say_copied(record, event.target, event.outcome)
        if current:
            if isinstance(event.outcome, CopyDone) and record.identity is None:
                record.identity = event.outcome.copy.source
            self.book.apply(record, event.target, states.Ended(event.outcome), now)
        if current and isinstance(event.outcome, SourceErased) and event.outcome.gone:
            # If it comes back, be it as it was, it has to be looked at.
            record.identity = None
        if isinstance(event.outcome, SourceChanged) and current:
            self.book.touched[event.tape] = now.mono
            changed(self.book, record, event.outcome.identity, "changed before it was copied", now)
            self.judge.consider(record, now)
        self.targets.heard(event.target, event.outcome, now)

    def _intended(self, event: CopyIntended) -> None:
        record = self.book.records.get(event.tape)
        if record is not None:  # else it was deleted meanwhile, and `may_publish` says no
            record.copies[event.target].intent = event.copy
            self.book.dirty.add(event.tape)

    def _remembered(self, tape: TapeId, generation: int, now: Moment) -> TapeRecord:
        """A tape was forgotten as never copied while its first copy was being published."""
        record = self.book.record(tape)
        record.generation = generation
        self.book.apply_all(record, states.Vanished("deleted"), now)
        return record

    def _say_copied(self, record: TapeRecord, target: str, done: CopyDone) -> None:
        self.book.say(
            messages.COPIED,
            tape=record.tape,
            target=target,
            size=format_size(done.copy.size) if done.sent else "nothing to send",
            took=format_duration(done.took_s),
        )

    # ---- time ------------------------------------------------------------------------------------

    def _judge_due(self, now: Moment) -> None:
        for tape in [t for t, at in self.book.deadlines.items() if at <= now.mono]:
            del self.book.deadlines[tape]
            record = self.book.records.get(tape)
            if record is not None:
                self.book.dirty.add(tape)
                self.judge.consider(record, now)

    def _backlogs_done(self, now: Moment) -> None:
        for vault, backlog in list(self.backlogs.items()):
            if self.book.acks[vault].seq >= backlog.highest or now.mono >= backlog.until:
                del self.backlogs[vault]
                self.book.commands.append(SweepVault(vault, backlog.why))

    def _sweep_due(self, now: Moment) -> None:
        if self.next_sweep and now.mono >= self.next_sweep:
            self.next_sweep = now.mono + self.book.settings.sweep.interval
            vaults = {entry.pool.vault for entry in self.book.settings.autocopy}
            self.book.commands += [SweepVault(vault, "daily") for vault in sorted(vaults)]
            oldest = FORGET_FACTOR * self.book.settings.cross_check.mounted_max
            self.book.mounts.drop_older(now.wall_ns - int(oldest * 1e9))

    def _waiting(self) -> list[tuple[CopyKey, states.Retrying | states.Waiting]]:
        found = []
        for tape, target in self.book.pending:
            state = self.book.records[tape].copies[target].state
            if isinstance(state, states.Retrying | states.Waiting):
                found.append(((tape, target), state))
        return found

    def _schedule(self, now: Moment) -> None:
        book = self.book
        not_yet = {key for key, state in self._waiting() if not now.reached(state.due)}
        due = [
            Due(tape, target, book.records[tape].behind_ns)
            for tape, target in book.pending - not_yet
            if (tape, target) not in book.running and not book.records[tape].unsettled
        ]
        limits = {name: target.parallel for name, target in book.settings.targets.items()}
        for chosen in plan(due, [target for _, target in book.running], limits):
            self._start(book.records[chosen.tape], chosen.target, now)

    def _start(self, record: TapeRecord, target: str, now: Moment) -> None:
        destination = self.book.settings.target_tape(record.tape, target)
        if destination is None:
            return
        copy = record.copies[target]
        self.book.apply(record, target, states.Started(), now)
        self.book.running[record.tape, target] = record.generation
        job = CopyJob(
            tape=record.tape,
            target=target,
            destination=destination,
            generation=record.generation,
            identity=record.identity,
            base=copy.base,
            intent=copy.intent,
            override=copy.override,
        )
        self.book.commands.append(StartCopy(job))


def _in_words(event: HostEvent) -> str:
    name = type(event).__name__
    words = "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()
    ring = getattr(event, "ring", None)
    return f"{words}, {ring.value}" if ring is not None else words
