"""Whatever happens, and however the settings change meanwhile: nothing that was written is forgotten."""

from dataclasses import dataclass, field, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from copyagent.core import reloading
from copyagent.core.commands import ProbeTarget, StartCopy, StopCopy, SweepVault
from copyagent.core.copying import CopyJob, CopyStopped
from copyagent.core.events import CopyEnded, TargetProbed, WakeupDue
from copyagent.core.tape import Copied, Unsynced
from tests.support.histories import (
    OTHER_TARGET,
    SECOND,
    TAPE,
    TARGET,
    TWIN,
    Overlay,
    done,
    ended,
    failed,
    link_lost,
    make_engine,
    make_settings,
)
from tests.support.playbook import Playbook
from vtsfs.contract.naming import TapeId
from vtsfs.contract.settings import Settings
from vtsfs.contract.signals import Access

TAPES = (TAPE, SECOND, TWIN)
WHOLE = make_settings(targets=(TARGET, OTHER_TARGET))


def with_host(host: str) -> Settings:
    """Return all of the settings, with the target of that name elsewhere."""
    data = WHOLE.model_dump(mode="json")
    data["targets"][TARGET]["host"] = host
    return Settings.model_validate(data)


SETTINGS = (
    WHOLE,
    make_settings(targets=(TARGET,)),
    make_settings(targets=(OTHER_TARGET,)),
    make_settings(pools=("BILL",), targets=(TARGET, OTHER_TARGET)),
    make_settings(pools=("PAY",)),
    make_settings(pools=()),
    with_host("elsewhere.example.com"),
)


@dataclass
class Story:
    """One agent, its overlay, and the copies that run: what each of the steps does to them."""

    play: Playbook = field(
        default_factory=lambda: Playbook(make_engine(targets=(TARGET, OTHER_TARGET)))
    )
    overlay: Overlay = field(default_factory=Overlay)
    running: dict[tuple[TapeId, str], CopyJob] = field(default_factory=dict)
    stopped: list[CopyJob] = field(default_factory=list)
    sweeps: int = 0
    #: What lies where: by the place that the job went to, the generation of the source.
    there: dict[tuple[TapeId, str, str], object] = field(default_factory=dict)

    def begin(self) -> None:
        self.play.hand(self.overlay.hello())
        self.play.hand(link_lost())
        self.settle()

    def settle(self) -> None:
        """Take what was asked for: copies run until a step ends them."""
        while self.play.open:
            match self.play.open.pop(0):
                case StartCopy(job):
                    assert (job.tape, job.target) not in self.running, "two at a time"
                    self.running[job.tape, job.target] = job
                case StopCopy(tape, target):
                    running = self.running[tape, target]
                    if running not in self.stopped:
                        self.stopped.append(running)
                case ProbeTarget(target):
                    self.play.hand(TargetProbed(target))
                case SweepVault():
                    self.sweeps += 1
                case _:
                    pass

    def write(self, tape: TapeId) -> None:
        if (tape, Access.WRITE) not in self.overlay.open:
            self.play.hand(self.overlay.mounted(tape))
            self.settle()

    def close(self, tape: TapeId) -> None:
        if (tape, Access.WRITE) in self.overlay.open:
            self.play.hand(self.overlay.dismounted(tape))
            self.settle()

    def end(self, number: int, how: int) -> None:
        """End one of the copies: done, failed, or stopped as it was told to; one past recall is done."""
        if not self.running:
            return
        key = sorted(self.running)[number % len(self.running)]
        job = self.running.pop(key)
        book = self.play.engine.book
        permitted = self.play.engine.may_publish(job.tape, job.target, job.generation)
        past_recall = job in self.stopped and how == 0
        event: CopyEnded
        if (how == 0 and permitted) or past_recall:
            # A copy of what is not known takes what it finds.
            source = job.identity or self.overlay.identities[job.tape]
            event = done(replace(job, identity=source))
            former = book.former.get(key)
            if former is None or not former.elsewhere:
                place = book.records[job.tape].copies[job.target].place
                self.there[job.tape, job.target, place] = source
        elif how == 1 and job not in self.stopped:
            event = failed(job)
        else:
            event = ended(job, CopyStopped("it was told to"))
        if job in self.stopped:
            self.stopped.remove(job)
        self.play.hand(event)
        self.settle()

    def finish(self) -> None:
        """End every copy as it should end, until none runs."""
        for _ in range(20):
            for key in sorted(self.running):
                if key in self.running:
                    stopped = self.running[key] in self.stopped
                    self.end(sorted(self.running).index(key), 2 if stopped else 0)
            if not self.running:
                return

    def reload(self, wanted: Settings) -> None:
        heard = bool(self.play.engine.vaults.feeds)
        plan = reloading.plan(self.play.engine, wanted)
        reloading.apply(self.play.engine, plan, self.play.now)
        self.play.hand(WakeupDue())
        if not heard and self.play.engine.vaults.feeds:
            self.play.hand(self.overlay.hello())
        self.settle()

    def wait(self, seconds: float) -> None:
        until = self.play.now.mono + seconds
        for _ in range(200):
            self.play._until(until)
            self.settle()
            if self.play.now.mono >= until:
                return

    def sweep(self) -> None:
        if not self.sweeps:
            return
        self.sweeps = 0
        swept = self.overlay.swept(self.play.now.mono)
        pools = frozenset(pool.pool for pool in self.play.engine.book.pools)
        found = {tape: file for tape, file in swept.found.items() if tape.pool in pools}
        self.play.hand(replace(swept, found=found, pools=pools))
        self.settle()


STEPS = st.one_of(
    st.tuples(st.just("write"), st.integers(0, 2)),
    st.tuples(st.just("close"), st.integers(0, 2)),
    st.tuples(st.just("end"), st.integers(0, 11)),
    st.tuples(st.just("reload"), st.integers(0, len(SETTINGS) - 1)),
    st.tuples(st.just("wait"), st.sampled_from([0, 3, 40, 400])),
    st.tuples(st.just("sweep"), st.just(0)),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEPS, max_size=25))
def test_what_was_written_reaches_every_target_that_the_settings_name_in_the_end(
    steps: list[tuple[str, int]],
) -> None:
    story = Story()
    story.begin()
    for what, number in steps:
        match what:
            case "write":
                story.write(TAPES[number])
            case "close":
                story.close(TAPES[number])
            case "end":
                story.end(number // 3, number % 3)
            case "reload":
                story.reload(SETTINGS[number])
            case "wait":
                story.wait(number)
            case _:
                story.sweep()
        assert set(story.play.engine.book.running) == set(story.running)
    story.reload(WHOLE)
    for tape in TAPES:
        story.close(tape)
    for _ in range(40):
        story.sweep()
        story.wait(400)
        story.finish()
    assert not story.play.engine.book.former
    for tape, file in story.overlay.identities.items():
        record = story.play.engine.book.records.get(tape)
        assert record is not None, tape
        for target in (TARGET, OTHER_TARGET):
            copy = record.copies[target]
            if isinstance(copy.state, Unsynced):
                assert copy.base is None
                continue
            if file.size == 0:
                continue
            assert isinstance(copy.state, Copied), (tape, target, copy.state)
            assert story.there[tape, target, copy.place] == file
