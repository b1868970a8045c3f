"""Whatever happens, in whatever order: some things never do, and all is well when it has calmed down.

Legal and illegal histories alike: signals replayed and lost, host events forged, sweeps that are
stale, copies that end in every way, restarts at any point.
"""

from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from copyagent.core import errands, operator, stopping
from copyagent.core.book import Book
from copyagent.core.commands import Command, ProbeTarget, StartCopy, StopCopy, Subscribe, SweepVault
from copyagent.core.copying import (
    CopyDone,
    CopyFailed,
    CopyHeld,
    CopyJob,
    CopyOutcome,
    CopyStopped,
    CopyWaits,
    Errand,
    HoldReason,
    SourceChanged,
    SourceErased,
    TargetStamp,
    WaitReason,
)
from copyagent.core.engine import Engine
from copyagent.core.events import (
    CopyEnded,
    CopyIntended,
    SignalSeen,
    TargetProbed,
    VaultSwept,
    WakeupDue,
)
from copyagent.core.host_events import HostEvent, PolicyCommand, Ring, VolumeSubstituted
from copyagent.core.report import explain, status
from copyagent.core.stopping import StopWanted
from copyagent.core.syncing import SyncWanted, sync
from copyagent.core.tape import PENDING, Copied, Copying, Failed, Held, Retrying
from copyagent.core.witness import Verdict
from tests.support.histories import (
    HOST,
    OTHER_TARGET,
    SECOND,
    TAPE,
    TARGET,
    TWIN,
    VAULT,
    Overlay,
    cancelled,
    done,
    ended,
    link_lost,
    link_up,
    make_settings,
    published,
    requested,
    tape_dismounted,
    volume_mounted,
)
from tests.support.playbook import Playbook
from vtsfs.contract import messages
from vtsfs.contract.errors import NameUnknown, RequestFailed
from vtsfs.contract.naming import TapeId
from vtsfs.contract.settings import Settings
from vtsfs.contract.signals import Access, Kind

ATTEMPTS = 3
#: The generation that every finished copy leaves beside it, by the word of these tests.
KEPT = 0
TAPES = (TAPE, SECOND, TWIN)
COPY = {
    Verdict.AGREED, Verdict.UNWRITTEN, Verdict.OVERDUE, Verdict.OVERLAY_ONLY, Verdict.CHANGED,
    Verdict.HOST_ONLY,
}  # fmt: skip

ASKING_HOST = {
    "address": "dev2", "user": "VTS.EMS", "password_file": "/etc/dev2", "lost_after": "0s",
    "policy": {"enabled": True, "per_hour": 3600},
}  # fmt: skip

tapes = st.sampled_from(TAPES)
volumes = st.sampled_from(["X00001", "X00002", "STRANGE"])
requests = st.one_of(st.none(), st.integers(0, 3))
host_events: st.SearchStrategy[HostEvent] = st.one_of(
    st.builds(requested, st.one_of(st.none(), volumes), st.sampled_from(Ring), requests),
    st.builds(volume_mounted, volumes, requests),
    st.builds(tape_dismounted, volumes),
    st.builds(cancelled, volumes, requests),
    st.builds(VolumeSubstituted, st.just(HOST), volumes, volumes),
    st.builds(link_up),
    st.builds(link_lost),
)
probe_outcomes: st.SearchStrategy[CopyFailed | CopyWaits | None] = st.one_of(
    st.none(),
    st.just(CopyFailed("timed out", "look", unreachable=True)),
    st.just(CopyWaits(WaitReason.HOST_KEY, "another key")),
)
outcomes: st.SearchStrategy[CopyOutcome | None] = st.one_of(
    st.none(),  # done
    st.builds(
        CopyFailed,
        st.just("full"),
        st.just("tidy"),
        unreachable=st.booleans(),
        permanent=st.booleans(),
        whole_vault=st.booleans(),
    ),
    st.builds(CopyWaits, st.sampled_from(WaitReason), st.just("wait")),
    st.builds(
        CopyHeld,
        st.sampled_from(HoldReason),
        st.just("held"),
        st.just(TargetStamp(1, 2)),
        st.sampled_from(["", "/VAULT00/PAY/X00001"]),
    ),
    st.builds(SourceErased, st.booleans()),
    st.just(SourceChanged(None)),
    st.just(CopyStopped("withdrawn")),
)


class AnyHistory(RuleBasedStateMachine):
    """Events at random; the invariants are checked after each."""

    def __init__(self) -> None:
        super().__init__()
        self.play = self.conversation(Engine(Book(self.settings())))
        self.overlay = Overlay()
        self.heard: list[SignalSeen] = []
        self.sweeps: list[VaultSwept] = []
        self.jobs: dict[tuple[TapeId, str], CopyJob] = {}
        self.asked: set[str] = set()
        self.allowed: set[TapeId] = set()
        self.approved: set[tuple[TapeId, int]] = set()
        self.obey(self.play.hand(self.overlay.hello()))

    def settings(self) -> Settings:
        """Return the settings under which all that happens."""
        return make_settings(
            targets=(TARGET, OTHER_TARGET),
            retry={"attempts": ATTEMPTS, "interval": "300s"},
            ems={"hosts": {HOST: ASKING_HOST}},
        )

    def conversation(self, engine: Engine) -> Playbook:
        """Begin to talk to *engine*."""
        return Playbook(engine)

    # ---- what the outside does -------------------------------------------------------------------

    def obey(self, commands: list[Command]) -> None:
        """Take up what was asked for; every order is checked as it is given."""
        self.play.open.clear()
        for record in self.play.engine.book.watched():
            if record.judgement and record.judgement.verdict in COPY:
                self.approved.add((record.tape, record.judgement.generation))
        for command in commands:
            match command:
                case StartCopy(job):
                    self.check_order(job)
                    self.jobs[job.tape, job.target] = job
                case StopCopy():
                    assert (command.tape, command.target) in self.jobs, "nothing to stop"
                case ProbeTarget(target):
                    self.asked.add(target)
                case Subscribe() | SweepVault():
                    pass
                case _:
                    raise AssertionError(command)

    def check_order(self, job: CopyJob) -> None:
        record = self.play.record(job.tape)
        assert (job.tape, job.target) not in self.jobs, "two copies of one tape and target"
        assert not record.writers, "a copy of an open tape"
        assert not record.evidence.unsettling, "a copy before the verdict"
        assert job.generation == record.generation
        running = [target for _, target in self.jobs if target == job.target]
        assert len(running) < 2, "more than the target's limit"
        assert job.tape in self.allowed or (job.tape, job.generation) in self.approved

    def signal(self, made: SignalSeen, *, lost: bool = False) -> None:
        self.heard.append(made)
        if not lost:
            self.obey(self.play.hand(made))

    @rule(tape=tapes, access=st.sampled_from(Access), lost=st.booleans())
    def mount(self, tape: TapeId, access: Access, *, lost: bool) -> None:
        if (tape, access) not in self.overlay.open:
            self.signal(self.overlay.mounted(tape, access), lost=lost)

    @rule(
        tape=tapes,
        access=st.sampled_from(Access),
        wrote=st.sampled_from([0, 1, 4096]),
        quiet_s=st.sampled_from([0.0, 0.3, 2.0]),
    )
    def dismount(self, tape: TapeId, access: Access, wrote: int, quiet_s: float) -> None:
        if (tape, access) in self.overlay.open:
            self.signal(
                self.overlay.dismounted(tape, access, wrote=wrote, size=wrote, quiet_s=quiet_s)
            )

    @rule(tape=tapes, wrote=st.sampled_from([0, 4096]))
    def interrupt(self, tape: TapeId, wrote: int) -> None:
        if (tape, Access.WRITE) in self.overlay.open:
            self.signal(self.overlay.interrupted(tape, wrote=wrote))

    @rule(tape=tapes, what=st.sampled_from(["changed", "removed", "received", "silent"]))
    def disturb(self, tape: TapeId, what: str) -> None:
        match what:
            case "changed":
                self.signal(self.overlay.changed(tape))
            case "removed":
                self.signal(self.overlay.removed(tape))
            case "received":
                self.signal(self.overlay.received(tape))
            case _:
                self.overlay.write(tape)

    @precondition(lambda self: self.heard)
    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        """A signal once more: by its number, or (forged) under a new one.

        No outbox tells of a session's beginning after its end; nothing could end it again.
        """
        old = data.draw(st.sampled_from(self.heard))
        if old.signal.kind is not Kind.MOUNTED and data.draw(st.booleans()):
            self.overlay.seq += 1
            old = replace(old, signal=replace(old.signal, seq=self.overlay.seq))
        self.obey(self.play.hand(old))

    @rule(event=host_events)
    def host(self, event: HostEvent) -> None:
        self.obey(self.play.hand(event))

    @rule(late=st.booleans())
    def sweep(self, *, late: bool) -> None:
        self.sweeps.append(self.overlay.swept(self.play.now.mono))
        if not late:
            self.obey(self.play.hand(self.sweeps[-1]))

    @precondition(lambda self: self.sweeps)
    @rule()
    def stale_sweep(self) -> None:
        self.obey(self.play.hand(self.sweeps.pop(0)))

    @rule(new=st.booleans())
    def feed(self, *, new: bool) -> None:
        if new:
            self.overlay = self.overlay.reborn()
        self.obey(self.play.hand(self.overlay.hello()))

    @precondition(lambda self: self.jobs)
    @rule(data=st.data(), outcome=outcomes, intent=st.booleans())
    def end_copy(self, data: st.DataObject, outcome: CopyOutcome | None, *, intent: bool) -> None:
        key = data.draw(st.sampled_from(sorted(self.jobs)))
        job = self.jobs[key]
        if intent:
            self.obey(self.play.hand(CopyIntended(*key, published(job))))
        if outcome is None and not self.play.engine.may_publish(*key, job.generation):
            outcome = CopyStopped("no permission")
        event = self.ending(job) if outcome is None else ended(job, outcome)
        del self.jobs[key]
        self.obey(self.play.hand(event))

    @rule(
        tape=tapes,
        what=st.sampled_from(
            [
                *("retry", "sync", "release", "relocate", "adopt", "roll back", "unfence"),
                *("cancel", "hold"),
            ]
        ),
    )
    def operate(self, tape: TapeId, what: str) -> None:
        for engine in self.play.engines:
            book, now = engine.book, self.play.now
            try:
                match what:
                    case "retry":
                        operator.retry(book, tape, "root", now)
                    case "sync":
                        sync(book, SyncWanted(tape), "root", now)
                    case "cancel":
                        stopping.cancel(book, StopWanted(tape, "because"), "root", now)
                    case "hold":
                        stopping.hold(book, StopWanted(tape, "because"), "root", now)
                    case "relocate":
                        errands.relocate(book, tape, "because", "root", now)
                    case "adopt":
                        errands.adopt(book, tape, None, "root", now)
                    case "roll back":
                        former = errands.FormerGeneration(tape, KEPT)
                        errands.roll_back(book, former, "because", "root", now)
                    case "unfence":
                        act = errands.Act("unfence", TARGET, "because")
                        errands.done_at_target(book, act, "root", now)
                    case _:
                        operator.release(book, tape, "because", "root", now, overwrite_target=True)
            except (NameUnknown, RequestFailed):
                pass
            else:
                self.allowed.add(tape)
        self.obey(self.play.hand(WakeupDue()))

    def ending(self, job: CopyJob) -> CopyEnded:
        """Let *job* succeed: a former generation is kept, and gets the name back if it has to."""
        event = done(job)
        assert isinstance(event.outcome, CopyDone)
        copy = event.outcome.copy
        former = replace(copy, generation=KEPT, name="kept")
        wish = job.wish
        if wish is not None and wish.errand is Errand.ROLL_BACK:
            standing = replace(former, name="")
            kept = (replace(copy, name="newer"),)
            return ended(
                job, CopyHeld(HoldReason.ROLLED_BACK, "", copy.stamp, standing=standing, kept=kept)
            )
        return replace(event, outcome=replace(event.outcome, kept=(former,)))

    @rule(tape=tapes, whole_pool=st.booleans())
    def ask(self, tape: TapeId, *, whole_pool: bool) -> None:
        """A host asks, whoever that is: what is in use, held or on its way stays as it is."""
        records = [r for r in self.play.engine.book.watched() if r.tape.pool_id == tape.pool_id]
        before = {
            (record.tape, target): copy.state
            for record in records
            for target, copy in record.copies.items()
            if record.unsettled or isinstance(copy.state, Held | Copying)
        }
        self.allowed.update(r.tape for r in records if whole_pool or r.tape == tape)
        argument = tape.pool_id if whole_pool else tape
        self.obey(self.play.hand(PolicyCommand(HOST, f'VTSPolicy IDR "{argument}"')))
        for (name, target), state in before.items():
            assert self.play.record(name).copies[target].state == state

    @rule(outcome=probe_outcomes)
    def probe(self, outcome: CopyFailed | CopyWaits | None) -> None:
        self.asked.discard(TARGET)
        self.obey(self.play.hand(TargetProbed(TARGET, outcome)))

    @rule(seconds=st.sampled_from([0.5, 2.0, 31.0, 300.0, 90000.0]))
    def wait(self, seconds: float) -> None:
        until = self.play.now.mono + seconds
        while self.play.now.mono < until:
            self.play.wait(until - self.play.now.mono)
            self.obey(list(self.play.open))

    @rule(step_s=st.sampled_from([-1e6, -60.0, 60.0, 1e6]))
    def step_clock(self, step_s: float) -> None:
        self.play.step_clock(step_s)

    @rule(away=st.sampled_from([0.0, 1000.0]))
    def restart(self, away: float) -> None:
        self.jobs.clear()
        self.asked.clear()
        self.sweeps.clear()
        self.play.restart(away=away)
        self.obey(list(self.play.open))

    # ---- what always holds -----------------------------------------------------------------------

    @invariant()
    def the_books_agree_with_each_other(self) -> None:
        book = self.play.engine.book
        assert set(self.jobs) == set(book.running)
        assert book.dirty <= set(book.records)
        assert not book.dropped & set(book.records)
        pending = {
            (record.tape, target)
            for record in book.records.values()
            for target, copy in record.copies.items()
            if isinstance(copy.state, PENDING)
        }
        assert book.pending == pending
        for record in book.records.values():
            for target, copy in record.copies.items():
                if isinstance(copy.state, Copying):
                    assert book.running[record.tape, target] == copy.state.generation

    @invariant()
    def what_is_newer_than_its_copy_is_unprotected(self) -> None:
        for record in self.play.engine.book.watched():
            assert (record.behind_ns > 0) == (not record.protected), record
            for copy in record.copies.values():
                if isinstance(copy.state, Copied) and copy.state.generation != record.generation:
                    assert not record.protected
                if isinstance(copy.state, Retrying | Failed):
                    assert copy.state.failures <= ATTEMPTS

    @invariant()
    def what_an_operator_keeps_back_is_neither_pending_nor_running(self) -> None:
        for record in self.play.engine.book.watched():
            for copy in record.copies.values():
                if copy.hold is not None:
                    assert not isinstance(copy.state, (*PENDING, Copying, Failed)), record

    @invariant()
    def a_wish_is_over_when_it_was_granted(self) -> None:
        for record in self.play.engine.book.watched():
            for copy in record.copies.values():
                assert copy.wish is None or not isinstance(copy.state, Copied), record

    @invariant()
    def what_could_be_copied_and_is_not_is_owed(self) -> None:
        book, owed = self.play.engine.book, {}
        for record in book.watched():
            for target, copy in record.copies.items():
                if record.protected_at(target):
                    assert copy.owed_ns == 0, record
                elif not record.writers:
                    assert copy.owed_ns > 0, record
                if copy.owed_ns:
                    owed[record.tape.pool_id, target, record.tape] = copy.owed_ns
        assert {(*way, tape) for way, tapes in book.owed.ways.items() for tape in tapes} == set(
            owed
        )

    @invariant()
    def nothing_open_may_be_published(self) -> None:
        for (tape, target), job in self.jobs.items():
            record = self.play.engine.book.records.get(tape)
            if record is None or record.writers or isinstance(record.copies[target].state, Held):
                assert not self.play.engine.may_publish(tape, target, job.generation)

    @invariant()
    def it_can_be_shown(self) -> None:
        engine, now = self.play.engine, self.play.now
        assert status(engine, {}, "1", now)["schema"] == 1
        for record in engine.book.watched():
            assert explain(engine, record.tape, now)["tape"] == str(record.tape)

    # ---- when it has calmed down -----------------------------------------------------------------

    def teardown(self) -> None:
        """All faults stop: what may be copied is copied, each tape once, and then it is quiet."""
        for target in (TARGET, OTHER_TARGET):
            self.obey(self.play.hand(TargetProbed(target)))
        for tape, access in list(self.overlay.open):
            self.signal(self.overlay.dismounted(tape, access))
        self.wait(1.0)
        self.obey(self.play.hand(self.overlay.hello()))
        self.obey(self.play.hand(self.overlay.swept(self.play.now.mono)))
        self.wait(90000.0)
        made: list[tuple[TapeId, str, int]] = []
        for _ in range(100):
            if not self.jobs and not self.asked:
                break
            for target in sorted(self.asked):
                self.asked.discard(target)
                self.obey(self.play.hand(TargetProbed(target)))
            for key, job in sorted(self.jobs.items()):
                del self.jobs[key]
                if self.play.engine.may_publish(*key, job.generation):
                    made.append((*key, job.generation))
                    identity = self.overlay.identities.get(job.tape)
                    outcome = done(job, identity=identity)
                else:
                    outcome = ended(job, CopyStopped("no permission"))
                self.obey(self.play.hand(outcome))
            self.wait(400.0)
        assert len(made) == len(set(made)), "a generation was copied twice"
        for record in self.play.engine.book.watched():
            if record.tape.vault == VAULT:
                assert not record.writers
                assert not record.evidence.unsettling
            for copy in record.copies.values():
                assert not isinstance(copy.state, (*PENDING, Copying)), copy.state
        gave_up = self.play.times_said(messages.GAVE_UP)
        assert gave_up * (ATTEMPTS - 1) <= self.play.times_said(messages.ATTEMPT_FAILED)


AnyHistory.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
TestAnyHistory = AnyHistory.TestCase
