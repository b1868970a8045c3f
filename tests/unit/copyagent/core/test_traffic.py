"""Windows, rests and turns: what they keep from starting, what they stop, and when it goes on."""

from dataclasses import replace

from copyagent.core import operator
from copyagent.core.commands import ProbeTarget, StartCopy, StopCopy
from copyagent.core.copying import CopyStopped
from copyagent.core.events import TargetProbed, WakeupDue
from copyagent.core.report import status
from copyagent.core.schedule import TURN_S
from copyagent.core.syncing import SyncWanted, sync
from copyagent.core.tape import Copied, Copying, Failed, Queued, Retrying
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
    unreachable,
)
from tests.support.traffic_talk import (
    AFTERNOON,
    HOUR,
    MORNING,
    NOON,
    REFUSED,
    changed,
    conversation,
    words,
)

# ---- windows ---------------------------------------------------------------------------------------


def test_outside_the_window_nothing_starts_and_at_its_opening_it_does() -> None:
    overlay, play = Overlay(), conversation(window=AFTERNOON)
    with play:
        changed(play, overlay)
        state, why, next_ = words(play)
        assert state == "waiting (window until 12:00)"
        assert "outside 12:00-18:00" in why
        assert "at 12:00, local time" in next_
        assert not play.record().protected
        play.at(NOON - 0.001)
        assert not play.jobs
        play.at(NOON) << StartCopy
        play >> done(play.job)
        assert play.record().protected


def test_what_runs_when_the_window_closes_is_stopped_and_goes_on_at_the_next() -> None:
    overlay, play = Overlay(), conversation(window=MORNING)
    with play:
        changed(play, overlay)
        play << StartCopy
        play >> failed(play.job)
        play.wait(300.0) << StartCopy
        play.at(NOON) << StopCopy
        assert play.state() == Queued(1, failures=1), "no attempt is counted"
        play >> ended(play.job, CopyStopped("called off"))
        assert words(play)[0] == "waiting (window until 06:00)"
        play.at(NOON + 18 * HOUR - 0.01)
        assert len(play.jobs) == 2
        play.at(NOON + 18 * HOUR) << StartCopy
        play >> failed(play.job)
        assert isinstance(state := play.state(), Retrying)
        assert state.failures == 2


def test_a_publication_that_was_past_recall_when_the_window_closed_counts() -> None:
    overlay, play = Overlay(), conversation(window=MORNING)
    with play:
        changed(play, overlay)
        play << StartCopy
        play.at(NOON) << StopCopy
        play >> done(play.job)
        assert isinstance(play.state(), Copied)
        play.wait(2 * 86400.0)


def test_a_rung_of_the_ladder_that_falls_outside_the_window_waits_for_it() -> None:
    overlay, play = Overlay(), conversation(window=MORNING)
    with play:
        changed(play, overlay)
        play << StartCopy
        play.at(NOON - 100.0)
        play >> failed(play.job)
        assert words(play)[0] == "retry 1/12"
        play.at(NOON + 200.0)
        assert words(play)[0] == "waiting (window until 06:00)"
        play.at(NOON + 18 * HOUR) << StartCopy
        play >> done(play.job)


def test_a_target_that_is_down_is_not_asked_outside_its_window_and_nothing_counted() -> None:
    overlay, play = Overlay(), conversation(window=MORNING, retry={"attempts": 3})
    with play:
        changed(play, overlay)
        play << StartCopy
        play.at(NOON - 10.0)
        play >> unreachable(play.job)
        play.at(NOON + 18 * HOUR)
        assert isinstance(state := play.state(), Retrying)
        assert state.failures == 1
        play << ProbeTarget(TARGET)
        play >> TargetProbed(TARGET, REFUSED)
        play.wait(300.0) << ProbeTarget(TARGET)
        play >> TargetProbed(TARGET, REFUSED)
        assert isinstance(play.state(), Failed)
        play.wait(300.0) << ProbeTarget(TARGET)
        play.at(NOON + 24 * HOUR)
        play >> TargetProbed(TARGET, REFUSED)
        play.at(NOON + 42 * HOUR - 1.0)
        play.at(NOON + 42 * HOUR) << ProbeTarget(TARGET)


def test_a_probe_that_fails_outside_the_window_counts_no_attempt() -> None:
    overlay, play = Overlay(), conversation(window=MORNING)
    with play:
        changed(play, overlay)
        play << StartCopy
        play >> unreachable(play.job)
        play.at(NOON - 1.0)
        while play.open:
            play << ProbeTarget(TARGET)
            play >> TargetProbed(TARGET, REFUSED)
            play.at(NOON - 1.0)
        assert isinstance(before := play.state(), Retrying)
        play.at(NOON + 1.0)
        play >> TargetProbed(TARGET, REFUSED)
        assert play.state() == before


def test_the_other_targets_window_is_its_own() -> None:
    overlay, play = Overlay(), conversation(window=AFTERNOON, targets=(TARGET, OTHER_TARGET))
    with play:
        changed(play, overlay)
        play << StartCopy
        assert play.job.target == OTHER_TARGET
        play >> done(play.job)
        assert words(play, target=OTHER_TARGET)[0] == "copied"
        assert words(play)[0] == "waiting (window until 12:00)"


def test_somebody_sets_the_clock_into_the_window() -> None:
    overlay, play = Overlay(), conversation(window=AFTERNOON)
    with play:
        changed(play, overlay)
        play.step_clock(HOUR)
        play >> overlay.read(SECOND)[0] << StartCopy
        play.step_clock(-HOUR)
        play >> overlay.read(TWIN)[0] << StopCopy
        play >> ended(play.job, CopyStopped("called off"))


def test_status_shows_the_window() -> None:
    play = conversation(window=AFTERNOON)
    (target,) = status(play.engine, {}, "1", play.now)["targets"]
    assert target["window"] == {"hours": "12:00-18:00", "open": False, "turns_in_s": NOON}


# ---- rests -----------------------------------------------------------------------------------------


def test_a_tape_rests_after_its_dismount_and_a_new_mount_starts_it_over() -> None:
    overlay, play = Overlay(), conversation(hold_down=600.0)
    with play:
        changed(play, overlay)
        state, _, next_ = words(play)
        assert state.startswith("waiting (hold-down until 2026-11-18T")
        assert f"copyagent retry {TAPE}" in next_
        (pool, *_) = status(play.engine, {}, "1", play.now)["pools"]
        assert pool["states"]["waiting (hold-down)"] == 1
        play.wait(500.0)
        play >> overlay.mounted()
        play.wait(500.0)
        play >> overlay.dismounted()
        play.wait(601.9)
        assert not play.jobs
        play.wait(0.2) << StartCopy
        assert play.job.generation == 2


def test_a_tape_that_is_mounted_again_and_again_is_copied_all_the_same() -> None:
    overlay, play = Overlay(), conversation(hold_down=600.0)
    began = play.elapsed
    for _ in range(100):
        play >> overlay.mounted() >> overlay.dismounted()
        play.wait(300.0)
        if play.open:
            break
    play << StartCopy
    assert play.elapsed - began <= 4 * 600.0 + 310.0


def test_a_rest_is_no_attempt_and_survives_a_restart() -> None:
    overlay, play = Overlay(), conversation(hold_down=600.0)
    changed(play, overlay)
    play.wait(100.0)
    play.restart(away=200.0)
    play.wait(299.9)
    play.nothing_open()
    play.wait(0.2) << StartCopy
    play >> failed(play.job)
    assert isinstance(state := play.state(), Retrying)
    assert (state.failures, state.due) == (1, play.now.after(300.0)), "a retry does not rest"


def test_who_asks_for_a_copy_does_not_wait_for_the_rest_but_for_window_and_pause() -> None:
    overlay, play = Overlay(), conversation(hold_down=600.0, window=AFTERNOON)
    with play:
        changed(play, overlay)
        answer = sync(play.engine.book, SyncWanted(TAPE), "root", play.now)
        assert answer == [f"{TAPE} to {TARGET}: queued; waits (window until 12:00)"]
        play.hand(WakeupDue())
        play.at(NOON) << StartCopy
    overlay, play = Overlay(), conversation(hold_down=600.0)
    with play:
        changed(play, overlay)
        operator.retry(play.engine.book, TAPE, "root", play.now)
        play.hand(WakeupDue())
        play << StartCopy


# ---- several targets, and turns ----------------------------------------------------------------------


def test_a_slow_target_leaves_a_place_for_the_other() -> None:
    overlay, play = Overlay(), conversation(targets=(TARGET, OTHER_TARGET))
    tapes = [replace(TAPE, label=f"X0000{n}") for n in range(1, 7)]
    with play:
        changed(play, overlay, *tapes)
        play << StartCopy << StartCopy
        slow = next(job for job in play.jobs if job.target == TARGET)
        for _ in range(6):
            fast = play.jobs[-1] if play.jobs[-1].target == OTHER_TARGET else play.jobs[-2]
            assert fast.target == OTHER_TARGET
            play.hand(done(fast))
            play << StartCopy
        assert {job.target for job in play.jobs[-1:]} == {TARGET}, "the fast one has all"
        assert slow in play.jobs
        states = [play.state(tape, OTHER_TARGET) for tape in tapes]
        assert all(isinstance(state, Copied) for state in states)


def test_with_one_place_for_two_targets_the_other_gets_its_turn() -> None:
    overlay, play = Overlay(), conversation(targets=(TARGET, OTHER_TARGET), traffic={"parallel": 1})
    with play:
        changed(play, overlay)
        play << StartCopy
        first = play.job
        play.wait(TURN_S - 0.01)
        play.nothing_open()
        play.wait(0.02) << StopCopy
        play.wait(100.0)
        play >> ended(first, CopyStopped("called off")) << StartCopy
        assert play.job.target != first.target
        play >> done(play.job) << StartCopy
        assert play.job.target == first.target
        play.wait(10 * TURN_S)
        assert isinstance(play.state(target=first.target), Copying), "nobody else waits"


def test_nobody_gives_way_to_a_target_that_could_not_be_copied_to() -> None:
    overlay, play = (
        Overlay(),
        conversation(targets=(TARGET, OTHER_TARGET), window=AFTERNOON, traffic={"parallel": 1}),
    )
    with play:
        changed(play, overlay)
        play << StartCopy
        assert play.job.target == OTHER_TARGET
        play.at(NOON - 1.0)
        play.at(NOON + TURN_S + 1.0) << StopCopy


def test_a_target_down_for_hours_keeps_nobody_else_waiting() -> None:
    overlay, play = Overlay(), conversation(targets=(TARGET, OTHER_TARGET))
    with play:
        for number in range(1, 5):
            tape = replace(TAPE, label=f"X0000{number}")
            play >> overlay.mounted(tape) >> overlay.dismounted(tape)
            play.wait(2.0)
            while play.open:
                if isinstance(play.open[0], ProbeTarget):
                    play << ProbeTarget(TARGET)
                    play.hand(TargetProbed(TARGET, REFUSED))
                    continue
                start = play.open[0]
                assert isinstance(start, StartCopy)
                play << start
                play.hand((unreachable if start.job.target == TARGET else done)(start.job))
            assert isinstance(play.state(tape, OTHER_TARGET), Copied)
            assert isinstance(play.state(tape), Retrying | Queued)
