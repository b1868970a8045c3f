"""The retry ladder, by itself and played on a simulated clock (DESIGN section 7)."""

import pytest

from copyagent.core.commands import ProbeTarget, StartCopy
from copyagent.core.copying import CopyFailed, CopyWaits, WaitReason
from copyagent.core.events import TargetProbed
from copyagent.core.retry import Ladder
from copyagent.core.tape import Copied, Failed, Queued, Retrying, Waiting
from copyagent.core.time import Moment
from tests.support.histories import (
    SECOND,
    START_NS,
    TAPE,
    TARGET,
    TWIN,
    Overlay,
    done,
    ended,
    failed,
    link_lost,
    make_engine,
    unreachable,
)
from tests.support.playbook import Playbook
from vtsfs.contract import messages
from vtsfs.contract.naming import TapeId

ATTEMPTS = 12
INTERVAL = 300.0
REFUSED = CopyFailed("connection refused", "Start sshd.", unreachable=True)


def test_the_ladder_by_itself() -> None:
    now, ladder = Moment(10.0, START_NS), Ladder()
    assert ladder.next_due(1, now) == Moment(310.0, START_NS + 300 * 10**9)
    assert ladder.next_due(11, now) is not None
    assert ladder.next_due(12, now) is None
    assert ladder.recheck_s(WaitReason.OPEN) == 10.0
    assert ladder.recheck_s(WaitReason.FENCED) == ladder.recheck_s(WaitReason.HOST_KEY) == 300.0
    assert Ladder(interval_s=3.0).recheck_s(WaitReason.OPEN) == 3.0
    assert ladder.longest_recheck_s == 300.0
    assert Ladder(interval_s=3.0).longest_recheck_s == 10.0


def play_to_the_first_attempt(*tapes: TapeId, **changes: object) -> Playbook:
    """A conversation in which the first attempt at every tape has just begun."""
    overlay, play = Overlay(), Playbook(make_engine(**changes))
    play >> link_lost()
    for tape in tapes or (TAPE,):
        play >> overlay.mounted(tape) >> overlay.dismounted(tape)
    play.at(2.0)
    return play


@pytest.mark.parametrize("took", [0.0, 7.5, 4000.0])
@pytest.mark.parametrize("down", [False, True])
def test_twelve_attempts_five_minutes_apart_and_one_failure_message(
    took: float, *, down: bool
) -> None:
    """A copy that fails by itself is tried twelve times, a target that is down is asked after one."""
    with play_to_the_first_attempt(retry={"rearm": "never"}) as play:
        for attempt in range(1, ATTEMPTS + 1):
            asked = down and attempt > 1
            play << (ProbeTarget if asked else StartCopy)
            play.wait(took)
            over = play.elapsed
            if asked:
                play >> TargetProbed(TARGET, REFUSED)
            else:
                play >> (unreachable if down else failed)(play.job)
            if attempt < ATTEMPTS:
                play.at(over + INTERVAL - 0.001)
                assert isinstance(state := play.state(), Retrying), "none early"
                assert state.failures == attempt
                play.at(over + INTERVAL)
        assert isinstance(play.state(), Failed)
        play.wait(30 * 86400.0)
        assert len(play.jobs) == (1 if down else ATTEMPTS), "none extra"
    assert play.times_said(messages.GAVE_UP) == 1
    assert play.times_said(messages.ATTEMPT_FAILED) == ATTEMPTS - 1


@pytest.mark.parametrize("copying", [True, False], ids=["copying", "waiting"])
@pytest.mark.parametrize("step", range(1, ATTEMPTS + 1))
def test_a_restart_at_any_step_neither_adds_nor_takes_an_attempt(
    step: int, *, copying: bool
) -> None:
    play = play_to_the_first_attempt(retry={"rearm": "never"})
    failures, last = 0, 0.0
    while failures < ATTEMPTS:
        play << StartCopy
        if failures + 1 == step and copying:
            play.restart()
            play << StartCopy
        play >> failed(play.job)
        failures, last = failures + 1, play.elapsed
        if failures == step and not copying:
            play.wait(100.0)
            play.restart(origin=5.0, away=50.0)
            last = play.elapsed - 150.0
        if failures < ATTEMPTS:
            play.wait(86400.0)
            assert play.elapsed - last == pytest.approx(INTERVAL)
    play.wait(86400.0)
    play.nothing_open()
    assert isinstance(play.state(), Failed)
    assert play.times_said(messages.GAVE_UP) == 1


@pytest.mark.parametrize(("step_s", "left"), [(-86400.0, INTERVAL), (86400.0, 0.0), (40.0, 160.0)])
def test_a_stepped_clock_can_move_a_due_time_by_one_interval_at_most(
    step_s: float, left: float
) -> None:
    with play_to_the_first_attempt() as play:
        play << StartCopy
        play >> failed(play.job)
        play.wait(100.0)
        play.step_clock(step_s)
        play.wait(0.0)
        assert len(play.jobs) == 1, "while the agent runs, only its own clock counts"
        play.restart()
        if left:
            play.wait(left)
        play << StartCopy
        assert play.elapsed == pytest.approx(left)


def test_a_target_that_is_down_counts_for_every_tape_that_is_due() -> None:
    with play_to_the_first_attempt(TAPE, SECOND, TWIN) as play:
        play << StartCopy << StartCopy
        first, second = play.jobs
        play >> unreachable(first)
        for tape in (first.tape, TWIN):
            assert isinstance(state := play.state(tape), Retrying)
            assert state.failures == 1
        play >> unreachable(second)
        assert isinstance(state := play.state(second.tape), Retrying)
        assert state.failures == 1
        assert len(play.jobs) == 2


def test_what_becomes_due_while_a_probe_runs_has_had_its_attempt_when_it_fails() -> None:
    """And what is not due yet keeps its time: each tape has its own ladder."""
    overlay, play = Overlay(), Playbook(make_engine())
    play >> link_lost() >> overlay.mounted() >> overlay.dismounted()
    with play.wait(2.0):
        play << StartCopy
        play >> unreachable(play.job)
        play.wait(INTERVAL) << ProbeTarget(TARGET)
        play >> overlay.mounted(SECOND) >> overlay.dismounted(SECOND)
        play.wait(5.0)
        assert play.state(SECOND) == Queued(1)
        play >> TargetProbed(TARGET, REFUSED)
        states = [play.state(tape) for tape in (TAPE, SECOND)]
        assert [getattr(state, "failures", None) for state in states] == [2, 1]
        over = play.now
        play.wait(20.0)
        play >> overlay.mounted(TWIN) >> overlay.dismounted(TWIN)
        play.wait(2.0) << ProbeTarget(TARGET)
        play >> TargetProbed(TARGET, REFUSED)
        assert isinstance(state := play.state(TAPE), Retrying)
        assert (state.failures, state.due) == (2, over.after(INTERVAL))
        assert isinstance(state := play.state(TWIN), Retrying)
        assert (state.failures, state.due) == (1, play.now.after(INTERVAL))
        play.wait(INTERVAL) << ProbeTarget(TARGET)
        play >> TargetProbed(TARGET) << StartCopy << StartCopy
        assert {job.tape for job in play.jobs[1:]} == {TAPE, SECOND}, (
            "it answers: what is due starts"
        )


def test_a_target_that_is_down_is_not_asked_more_often_than_every_few_seconds() -> None:
    overlay, play, probes = Overlay(), Playbook(make_engine()), 0
    play >> link_lost() >> overlay.mounted() >> overlay.dismounted()
    with play.wait(2.0):
        play << StartCopy
        play >> unreachable(play.job)
        for number in range(100):
            tape = TapeId("VAULT00", "BILL", f"N{number:05}")
            play >> overlay.mounted(tape) >> overlay.dismounted(tape)
            play.wait(1.0)
            if play.open:
                probes += 1
                play << ProbeTarget(TARGET)
                play >> TargetProbed(TARGET, REFUSED)
        assert probes == 10
    assert len(play.jobs) == 1, "no connection for any tape"
    assert play.times_said(messages.ATTEMPT_FAILED) <= 2


def test_tapes_that_are_due_wait_for_a_free_place_without_a_busy_loop() -> None:
    with play_to_the_first_attempt(TAPE, SECOND, TWIN) as play:
        play << StartCopy << StartCopy
        play >> failed(play.jobs[0])
        play << StartCopy
        play >> failed(play.jobs[1]) >> failed(play.jobs[2])
        play.wait(INTERVAL) << StartCopy << StartCopy
        play.wait(5000.0)
        play >> done(play.jobs[3])
        play << StartCopy


def test_when_the_target_returns_the_tapes_given_up_for_want_of_it_start_anew() -> None:
    with play_to_the_first_attempt(retry={"attempts": 1}) as play:
        play << StartCopy
        play >> unreachable(play.job)
        assert isinstance(play.state(), Failed)
        for _ in range(3):
            play.wait(INTERVAL) << ProbeTarget(TARGET)
            play.wait(15.0)
            play >> TargetProbed(TARGET, REFUSED)
        play.wait(INTERVAL) << ProbeTarget(TARGET)
        play >> TargetProbed(TARGET, None) << StartCopy
        play >> done(play.job)
        play.wait(86400.0)


def test_another_tapes_success_tells_that_the_target_is_back() -> None:
    with play_to_the_first_attempt(TAPE, SECOND, retry={"attempts": 1}) as play:
        play << StartCopy << StartCopy
        play >> unreachable(play.jobs[0]) >> done(play.jobs[1]) << StartCopy
        assert play.job.tape == play.jobs[0].tape


def test_a_given_up_tape_still_starts_anew_when_the_agent_was_restarted() -> None:
    with play_to_the_first_attempt(retry={"attempts": 1}) as play:
        play << StartCopy
        play >> unreachable(play.job)
        play.restart()
        play.wait(INTERVAL) << ProbeTarget(TARGET)
        play >> TargetProbed(TARGET, None) << StartCopy


def test_a_tape_given_up_for_its_own_sake_does_not_start_anew() -> None:
    with play_to_the_first_attempt(TAPE, SECOND, retry={"attempts": 1}) as play:
        play << StartCopy << StartCopy
        play >> failed(play.jobs[0]) >> done(play.jobs[1])
        play.wait(86400.0)
        assert isinstance(play.state(play.jobs[0].tape), Failed)


def test_rearm_never_asks_nobody() -> None:
    with play_to_the_first_attempt(retry={"attempts": 1, "rearm": "never"}) as play:
        play << StartCopy
        play >> unreachable(play.job)
        play.wait(86400.0)
        play >> TargetProbed(TARGET, None)
        assert isinstance(play.state(), Failed)


@pytest.mark.parametrize(
    ("reason", "again"),
    [(WaitReason.OPEN, 10.0), (WaitReason.FENCED, INTERVAL), (WaitReason.HOST_KEY, INTERVAL)],
)
def test_a_guards_patience_uses_up_no_attempt(reason: WaitReason, again: float) -> None:
    with play_to_the_first_attempt() as play:
        play << StartCopy
        play >> failed(play.job)
        play.wait(INTERVAL)
        for _ in range(30):
            play << StartCopy
            play >> ended(play.job, CopyWaits(reason, "patience"))
            assert isinstance(state := play.state(), Waiting)
            assert state.failures == 1
            play.wait(again)
        play << StartCopy
        play >> done(play.job)
        assert isinstance(play.state(), Copied)
    assert play.times_said(messages.GAVE_UP) == 0


def test_a_fence_is_told_once_an_hour_not_once_a_tape() -> None:
    with play_to_the_first_attempt(TAPE, SECOND) as play:
        play << StartCopy << StartCopy
        for job in list(play.jobs):
            play >> ended(job, CopyWaits(WaitReason.FENCED, "IN-SERVICE"))
    assert play.times_said(messages.FENCED) == 1


def test_a_newer_generation_begins_a_new_ladder() -> None:
    overlay, play = Overlay(), Playbook(make_engine(retry={"attempts": 2}))
    play >> link_lost() >> overlay.mounted() >> overlay.dismounted()
    with play.wait(2.0):
        play << StartCopy
        play >> failed(play.job) >> overlay.mounted() >> overlay.dismounted()
        play.wait(2.0) << StartCopy
        play >> failed(play.job)
        assert isinstance(state := play.state(), Retrying)
        assert state.failures == 1
        play.wait(INTERVAL) << StartCopy
        play >> failed(play.job)
        assert isinstance(play.state(), Failed)
        # The next dismount starts a new ladder, also if it wrote nothing.
        play >> overlay.mounted() >> overlay.dismounted(wrote=0)
        assert not isinstance(play.state(), Queued)
        play.wait(2.0) << StartCopy
