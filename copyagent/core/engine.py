"""Events in, commands out: the agent's decisions as one object without any I/O.

`handle` takes an event and the moment, and returns what is to be done. Before the runner does it, it
makes the changed records durable: after a crash the records alone say what has to go on.
"""

from dataclasses import dataclass, field

from copyagent.core import tape as states
from copyagent.core.behind import Behind
from copyagent.core.book import Book, Former, reset_clocks
from copyagent.core.clock_steps import ClockWatch, set_clock
from copyagent.core.commands import Command
from copyagent.core.companions import send_companions_again
from copyagent.core.copying import (
    CopyDone,
    CopyHeld,
    CopyOutcome,
    HoldReason,
    SourceChanged,
    SourceErased,
)
from copyagent.core.errands import ends_errand
from copyagent.core.events import (
    AgentStarted,
    CopyEnded,
    CopyIntended,
    Event,
    FeedLost,
    FeedOpened,
    SignalSeen,
    TapesFound,
    TargetProbed,
    VaultSeen,
    VaultSwept,
    WakeupDue,
)
from copyagent.core.evidence import put_on_record
from copyagent.core.host_events import HostEvent, PolicyCommand
from copyagent.core.judging import Judge
from copyagent.core.licensing import Licensing
from copyagent.core.links import Links
from copyagent.core.monitored import tell_what_left
from copyagent.core.noting import Noting
from copyagent.core.records import TapeRecord
from copyagent.core.requests_of_hosts import HostRequests
from copyagent.core.sightings import changed
from copyagent.core.targets import Targets
from copyagent.core.time import Moment
from copyagent.core.traffic import Traffic
from copyagent.core.vaults import Vaults
from vtsfs.contract import messages
from vtsfs.contract.naming import TapeId
from vtsfs.contract.units import format_duration


@dataclass(slots=True)
class Engine:
    """All decisions over one `Book`; *names* are what this machine is called."""

    book: Book
    names: frozenset[str] = frozenset()
    judge: Judge = field(init=False)
    links: Links = field(init=False)
    vaults: Vaults = field(init=False)
    targets: Targets = field(init=False)
    traffic: Traffic = field(init=False)
    behind: Behind = field(init=False)
    noting: Noting = field(init=False)
    licensing: Licensing = field(init=False)
    requests: HostRequests = field(init=False)
    clock: ClockWatch = field(default_factory=ClockWatch)

    def __post_init__(self) -> None:
        # A link that was not tried yet may still speak; only a lost one is known to be deaf.
        hosts = self.book.settings.ems.hosts
        self.judge = Judge(self.book, links=dict.fromkeys(hosts, True))
        self.links = Links(self.book, self.judge)
        self.vaults = Vaults(self.book, self.judge)
        self.targets = Targets(self.book)
        self.traffic = Traffic(self.book, self.targets)
        self.behind = Behind(self.book)
        self.noting = Noting(self.book)
        self.licensing = Licensing(self.book)
        self.requests = HostRequests(self.book, self.names)

    def handle(self, event: Event | HostEvent, now: Moment) -> list[Command]:
        """Take in *event*; return what is to be done, once the changes are durable."""
        self.take(event, now)
        return self.due(now)

    def take(self, event: Event | HostEvent, now: Moment) -> None:
        """Take in *event*; `due` must follow, once for any number of events of one moment."""
        self._mind_the_clock(now)
        match event:
            case AgentStarted():
                self._started(now)
            case FeedOpened():
                self.vaults.opened(event, now)
            case FeedLost():
                self.vaults.lost(event, now)
            case SignalSeen():
                self.vaults.signalled(event, now)
            case TapesFound():
                self.vaults.found(event, now)
            case VaultSwept():
                self.vaults.swept(event, now)
            case CopyIntended():
                self._intended(event)
            case CopyEnded():
                self._copy_ended(event, now)
            case TargetProbed():
                self.targets.probed(event, now)
            case HostEvent():
                self.links.heard(event, now)
                if isinstance(event, PolicyCommand) and event.host in self.requests.asked:
                    self.requests.heard(event, now)
                    self.book.journal.conclude(self.requests.asked[event.host].latest)
            case VaultSeen():
                self.vaults.seen(event, now)
            case WakeupDue():
                pass

    def due(self, now: Moment) -> list[Command]:
        """Do what time, or what was taken in, makes due; return all that is to be carried out."""
        self._mind_the_clock(now)
        self.links.due(now)
        self._judge_due(now)
        self.vaults.sweeps_due(now)
        self.licensing.due(now)
        self.traffic.due(now)
        self.targets.probe_due(now)
        self.behind.due(now)
        self.noting.due(now)
        commands = put_on_record(self.book.history, self.book.take_commands(), now)
        return self.book.floods.pass_on(commands, now)

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
        times += [at for _, at in self.targets.probe_times(self.traffic.latest)]
        times += self.traffic.times()
        times += self.links.times() + self.book.floods.times() + self.licensing.times()
        return min(times + self.vaults.times() + self.behind.times(), default=None)

    def _started(self, now: Moment) -> None:
        book = self.book
        book.counters.started_ns = now.wall_ns
        reset_clocks(book.records.active(), now)
        book.said.recover(now.mono, now.wall_ns)
        self.links.recover(now)
        self.targets.recover(now)
        self.traffic.recover(now)
        self.behind.recover(now)
        self.licensing.recover()
        self.vaults.cover.recover(now)
        book.floods.recover(now)
        tell_what_left(book)
        for record in sorted(book.active(), key=lambda r: str(r.tape)):
            book.apply_all(record, states.Restarted(), now)
            self.judge.consider(record, now)
        # Of a tape at rest, only the present mount of a host can say anything new.
        for mount in list(book.mounts.mounts.values()):
            for record in self.judge.meant.addressed(mount.host, mount.volume):
                self.judge.consider(record, now)

    # ---- the copies ------------------------------------------------------------------------------

    def _copy_ended(self, event: CopyEnded, now: Moment) -> None:
        key = (event.tape, event.target)
        generation = self.book.running.pop(key, None)
        former = self.book.former.pop(key, None)
        if generation is None or (former is not None and former.elsewhere):
            return
        way = (event.tape.pool_id, event.target)
        self.book.counters.ended(way, event.outcome, now.wall_ns)
        record = self.book.records.get(event.tape)
        if record is None:
            if not isinstance(event.outcome, CopyDone):
                return
            record = self._remembered(event.tape, generation, now)
        copy = record.copies[event.target]
        self.book.dirty.add(event.tape)
        current = isinstance(copy.state, states.Copying) and copy.state.generation == generation
        # Put off, and past recall: the state machine knows what that means.
        stopped = _was_stopped(copy.state, generation)
        put_off = isinstance(copy.state, states.Queued) and copy.state.generation == generation
        late = isinstance(event.outcome, CopyDone) and (stopped or (put_off and copy.wish is None))
        self._put_down(record, event, former, now)
        if (current or (stopped and _took_place(event.outcome))) and ends_errand(
            copy.wish, event.outcome
        ):
            copy.wish = None
        record.forget_changes()
        if current or late:
            if isinstance(event.outcome, CopyDone) and record.identity is None:
                record.identity = event.outcome.copy.source
            self.book.apply(record, event.target, states.Ended(event.outcome), now)
        send_companions_again(self.book, record, event.target, event.outcome, now)
        if current and isinstance(event.outcome, SourceErased) and event.outcome.gone:
            # If it comes back, be it as it was, it has to be looked at.
            record.identity = None
        if isinstance(event.outcome, SourceChanged) and current:
            self.book.touched[event.tape] = now.mono
            changed(self.book, record, event.outcome.identity, "changed before it was copied", now)
            self.judge.consider(record, now)
        if former is None or not former.otherwise:
            self.targets.heard(event.tape, event.target, event.outcome, now)

    def _put_down(
        self, record: TapeRecord, event: CopyEnded, former: Former | None, now: Moment
    ) -> None:
        """Write down what the target holds by *event*, whether that is still wanted or not."""
        copy = record.copies[event.target]
        if isinstance(event.outcome, CopyDone):
            copy.base, copy.intent, copy.override = event.outcome.copy, None, None
            copy.kept = event.outcome.kept
            self._say_copied(record, event.target, event.outcome)
            record.note(now.wall_ns, f"{event.target}: {event.outcome.summary}")
            attempts = copy.state.failures + 1 if isinstance(copy.state, states.Copying) else None
            self.book.history.copied(
                event.tape,
                event.target,
                event.outcome,
                attempts,
                now.wall_ns,
                settings=former.settings if former is not None else "",
            )
        if isinstance(event.outcome, CopyHeld) and event.outcome.standing is not None:
            copy.base, copy.intent, copy.override = event.outcome.standing, None, None
            copy.kept = event.outcome.kept

    def _intended(self, event: CopyIntended) -> None:
        record = self.book.records.get(event.tape)
        former = self.book.former.get((event.tape, event.target))
        if former is not None and former.elsewhere:
            return  # not where the settings name: it is stopped, and `may_publish` says no
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
            size=done.amount,
            took=format_duration(done.took_s),
        )

    # ---- time ------------------------------------------------------------------------------------

    def _mind_the_clock(self, now: Moment) -> None:
        step_ns = self.clock.step_ns(now)
        if step_ns:
            set_clock(self.book, step_ns)

    def _judge_due(self, now: Moment) -> None:
        for tape in [t for t, at in self.book.deadlines.items() if at <= now.mono]:
            del self.book.deadlines[tape]
            record = self.book.records.get(tape)
            if record is not None:
                self.book.dirty.add(tape)
                self.judge.consider(record, now)


def _was_stopped(state: states.State, generation: int) -> bool:
    """Tell whether an operator cancelled the running copy of *generation*, or keeps it back."""
    match state:
        case states.Cancelled():
            return state.generation == generation
        case states.Held(reason=HoldReason.BY_OPERATOR):
            return state.generation == generation
    return False


def _took_place(outcome: CopyOutcome) -> bool:
    """Tell whether the target's name was given to something although the copy was to be stopped."""
    if isinstance(outcome, CopyHeld):
        return outcome.standing is not None
    return isinstance(outcome, CopyDone)
