"""Whatever happens, under windows, pauses and rests: nothing starts when it must not, nothing is lost."""

from dataclasses import replace
from datetime import date

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule

from copyagent.core import pausing
from copyagent.core.copying import CopyJob
from copyagent.core.events import WakeupDue
from copyagent.core.licence import Installed
from copyagent.core.pausing import PauseWanted
from copyagent.core.tape import Copying, Queued
from tests.support.histories import OTHER_TARGET, TAPE, TARGET, TWIN
from tests.support.licences import TERMS
from tests.unit.copyagent.core.test_any_history import AnyHistory
from vtsfs.contract.errors import NameUnknown, RequestFailed
from vtsfs.contract.setting_values import DailyWindow
from vtsfs.contract.settings import Settings

DAY_S = 86400
#: Beginning and end, in seconds of the day.
OPENS_S, CLOSES_S = 11 * 3600, 13 * 3600
HOLD_DOWN_S = 120.0
PARALLEL = 3

LICENCE = Installed(replace(TERMS, expires=date(2100, 1, 1)), digest="d", user="root")

abouts = st.sampled_from([str(TAPE.pool_id), str(TWIN.pool_id), TARGET, OTHER_TARGET])


class TrafficHistory(AnyHistory):
    """The first target has a window, the first pool a rest and the second one a priority.

    The licence, which is needed once it was taken away, comes and goes.
    """

    licensed = True

    def settings(self) -> Settings:
        made = super().settings()
        window = DailyWindow(OPENS_S // 60, CLOSES_S // 60)
        targets = made.targets | {
            TARGET: made.targets[TARGET].model_copy(update={"window": window})
        }
        entries = tuple(
            entry.model_copy(
                update={"hold_down": HOLD_DOWN_S} if entry.pool == TAPE.pool_id else {"priority": 2}
            )
            for entry in made.autocopy
        )
        traffic = made.traffic.model_copy(update={"parallel": PARALLEL})
        return made.model_copy(update={"targets": targets, "autocopy": entries, "traffic": traffic})

    def check_order(self, job: CopyJob) -> None:
        super().check_order(job)
        assert len(self.jobs) < PARALLEL, "more than may run in all"
        assert not self.shut(job.target), "nothing is sent outside the window"
        assert not self.paused(job), "what is paused does not start"
        assert self.licensed, "nothing is copied without a licence"

    def shut(self, target: str) -> bool:
        second = self.play.now.wall_ns // 10**9 % DAY_S
        return target == TARGET and not OPENS_S <= second < CLOSES_S

    def paused(self, job: CopyJob) -> bool:
        """Tell whether a pause that lasts concerns *job*, by the book's own list of pauses."""
        pauses = self.play.engine.book.pauses
        found = (pauses.get(about) for about in (str(job.tape.pool_id), job.target))
        return any(p and (not p.until_ns or p.until_ns > self.play.now.wall_ns) for p in found)

    @rule(
        about=abouts,
        length=st.sampled_from([0.0, 60.0, 4000.0]),
        finish=st.booleans(),
        by_clock=st.booleans(),
    )
    def pause(self, about: str, length: float, *, finish: bool, by_clock: bool) -> None:
        now = self.play.now
        until_ns = now.after(length).wall_ns if length and by_clock else 0
        wanted = PauseWanted(about, "test", until_ns, 0.0 if by_clock else length, finish)
        before = self.failures()
        for engine in self.play.engines:
            pausing.pause(engine.book, wanted, "root", now)
        self.obey(self.play.hand(WakeupDue()))
        for key, count in before.items():
            assert self.failures().get(key, count) == count, "a pause counts no attempt"

    @rule(about=abouts)
    def resume(self, about: str) -> None:
        for engine in self.play.engines:
            try:
                pausing.resume(engine.book, about, "root", self.play.now)
            except (NameUnknown, RequestFailed):
                assert about not in engine.book.pauses
        self.obey(self.play.hand(WakeupDue()))

    @rule(there=st.booleans())
    def licence(self, *, there: bool) -> None:
        before, self.licensed = self.failures(), there
        for engine in self.play.engines:
            engine.book.licence.required = True
            engine.licensing.take(LICENCE if there else Installed(user="root"), self.play.now)
        self.obey(self.play.hand(WakeupDue()))
        for key, count in before.items():
            assert self.failures().get(key, count) == count, "no licence counts no attempt"

    @invariant()
    def nothing_runs_without_a_licence(self) -> None:
        if not self.licensed:
            copies = (c for r in self.play.engine.book.watched() for c in r.copies.values())
            assert not any(isinstance(copy.state, Copying) for copy in copies)

    def failures(self) -> dict[tuple[object, str], int]:
        """Return how many attempts failed of each copy that is queued or running."""
        return {
            (record.tape, target): copy.state.failures
            for record in self.play.engine.book.watched()
            for target, copy in record.copies.items()
            if isinstance(copy.state, Queued | Copying)
        }

    @invariant()
    def what_rests_is_not_on_its_way(self) -> None:
        book, now = self.play.engine.book, self.play.now
        for record in book.watched():
            for copy in record.copies.values():
                if isinstance(copy.state, Queued) and copy.state.due is not None:
                    assert record.tape.pool_id == TAPE.pool_id
                    assert copy.state.due.mono <= now.mono + HOLD_DOWN_S

    def teardown(self) -> None:
        """All pauses end, there is a licence, and more than a day for the window."""
        if not self.licensed:
            self.licence(there=True)
        for about in list(self.play.engine.book.pauses):
            self.resume(about)
        self.calm()

    def calm(self) -> None:
        """As in any history; what the window keeps is waited for."""
        self.until_open()
        super().teardown()

    def until_open(self) -> None:
        """Go to the beginning of the window, for its target's copies start only then."""
        second = self.play.now.wall_ns / 10**9 % DAY_S
        self.wait((OPENS_S - second) % DAY_S + 0.001)


TrafficHistory.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=40,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
TestTrafficHistory = TrafficHistory.TestCase
