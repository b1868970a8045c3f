"""Windows, pauses, rests and turns: what they keep from starting, what they stop, and when it goes on."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from copyagent.core import operator, pausing
from copyagent.core.book import Book
from copyagent.core.commands import ProbeTarget, StartCopy, StopCopy
from copyagent.core.copying import CopyFailed, CopyStopped
from copyagent.core.engine import Engine
from copyagent.core.events import TargetProbed, WakeupDue
from copyagent.core.pausing import PauseWanted
from copyagent.core.report import explain, status
from copyagent.core.schedule import TURN_S
from copyagent.core.syncing import SyncWanted, Which, sync
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
    link_lost,
    make_settings,
    unreachable,
)
from tests.support.playbook import START, Playbook
from vtsfs.contract import messages
from vtsfs.contract.errors import RequestFailed
from vtsfs.contract.naming import TapeId
from vtsfs.contract.setting_values import DailyWindow

#: START is at 11:06:40 UTC: so many seconds later it is noon.
NOON = 3200.0
HOUR = 3600.0
AFTERNOON = DailyWindow(12 * 60, 18 * 60)
MORNING = DailyWindow(6 * 60, 12 * 60)
REFUSED = CopyFailed("connection refused", "Start sshd.", unreachable=True)
POOL = str(TAPE.pool_id)


def conversation(
    *,
    window: DailyWindow | None = None,
    hold_down: float = 0.0,
    targets: tuple[str, ...] = (TARGET,),
    **changes: Any,
) -> Playbook:
    """Talk to an engine whose first target has a *window*, and all of whose pools a *hold_down*."""
    settings = make_settings(targets=targets, **changes)
    first = settings.targets[TARGET].model_copy(update={"window": window})
    entries = tuple(e.model_copy(update={"hold_down": hold_down}) for e in settings.autocopy)
    settings = settings.model_copy(
        update={"targets": settings.targets | {TARGET: first}, "autocopy": entries}
    )
    play = Playbook(Engine(Book(settings)))
    play >> link_lost()
    return play


def changed(play: Playbook, overlay: Overlay, *tapes: TapeId) -> None:
    """Some tapes are written, and what is due starts."""
    for tape in tapes or (TAPE,):
        play >> overlay.mounted(tape) >> overlay.dismounted(tape)
    play.wait(2.0)


def words(play: Playbook, tape: TapeId = TAPE, target: str = TARGET) -> tuple[str, str, str]:
    """Return how a copy is explained: its state, why, and what comes next."""
    copies = explain(play.engine, tape, play.now)["copies"]
    (copy,) = [c for c in copies if c["target"] == target]
    return copy["state"], copy["why"], copy["next"]


def pause(play: Playbook, about: str, **wanted: Any) -> list[str]:
    answer = pausing.pause(
        play.engine.book, PauseWanted(about, "line works", **wanted), "root", play.now
    )
    play.hand(WakeupDue())
    return answer


def resume(play: Playbook, about: str) -> list[str]:
    answer = pausing.resume(play.engine.book, about, "root", play.now)
    play.hand(WakeupDue())
    return answer


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


# ---- pauses ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("about", [POOL, TARGET])
def test_what_is_paused_does_not_start_until_it_is_resumed(about: str) -> None:
    overlay, play = Overlay(), conversation()
    with play:
        assert pause(play, about) == [f"{about} is paused until: copyagent resume {about}"]
        changed(play, overlay, TAPE, TWIN)
        if about == POOL:
            play << StartCopy
            play >> done(play.job)
        state, why, next_ = words(play)
        assert state == "waiting (paused)"
        assert "by root" in why
        assert "line works" in why
        assert next_ == f"copyagent resume {about}"
        assert play.engine.book.owed.count((TAPE.pool_id, TARGET)) == 1, "it counts in alarms"
        play.wait(5 * 86400.0)
        assert resume(play, about) == [f"{about} goes on"]
        while play.open:
            play << StartCopy
        for job in play.jobs:
            play.hand(done(job))
    assert play.times_said(messages.OPERATOR_ACTION) == 2
    assert play.times_said(messages.PAUSE_OVER) == 0
    assert play.times_said(messages.FALLEN_BEHIND) > 1


def test_running_copies_are_stopped_and_go_on_later() -> None:
    overlay, play = Overlay(), conversation()
    with play:
        changed(play, overlay)
        play << StartCopy
        assert pause(play, TARGET)[1] == "1 running copies are stopped and go on later"
        play << StopCopy
        play >> ended(play.job, CopyStopped("called off"))
        resume(play, TARGET)
        play << StartCopy
        assert play.state() == Copying(1, 0, play.now.wall_ns)


def test_running_copies_go_on_to_their_end_if_that_is_wished() -> None:
    overlay, play = Overlay(), conversation()
    with play:
        changed(play, overlay)
        play << StartCopy
        play.wait(1.0)
        assert pause(play, TARGET, finish=True)[1] == "1 running copies go on to their end"
        play.wait(5000.0)
        changed(play, overlay, SECOND)
        play >> done(play.job)
        assert isinstance(play.state(), Copied)
        assert words(play, SECOND)[0] == "waiting (paused)"


def test_a_paused_target_is_not_asked_and_counts_nothing() -> None:
    overlay, play = Overlay(), conversation()
    with play:
        changed(play, overlay)
        play << StartCopy
        play >> unreachable(play.job)
        pause(play, TARGET)
        play.wait(86400.0)
        assert isinstance(state := play.state(), Retrying)
        assert state.failures == 1
        resume(play, TARGET)
        play << ProbeTarget(TARGET)


def test_a_pause_for_some_time_ends_by_itself_whatever_becomes_of_the_clock() -> None:
    overlay, play = Overlay(), conversation()
    with play:
        pause(play, POOL, for_s=2 * HOUR)
        changed(play, overlay)
        assert words(play)[0].startswith("waiting (paused until 2026-11-18T")
        play.step_clock(-5 * HOUR)
        play.wait(HOUR)
        play.step_clock(9 * HOUR)
        play.wait(HOUR - 2.001)
        assert not play.jobs
        play.wait(0.002) << StartCopy
    assert play.times_said(messages.PAUSE_OVER) == 1


def test_a_pause_until_some_time_ends_by_the_clock() -> None:
    overlay, play = Overlay(), conversation()
    with play:
        pause(play, POOL, until_ns=play.now.after(2 * HOUR).wall_ns)
        changed(play, overlay)
        play.wait(HOUR)
        play.step_clock(0.5 * HOUR)
        play >> overlay.read(TWIN)[0]
        play.wait(0.5 * HOUR - 2.1)
        assert not play.jobs
        play.wait(0.2) << StartCopy


@pytest.mark.parametrize(
    ("wanted", "away", "left"),
    [
        ({"for_s": HOUR}, 1000.0, HOUR - 1002.0),
        ({"for_s": HOUR}, -86400.0, HOUR),
        ({"for_s": HOUR}, 86400.0, 0.0),
        ({"until_ns": START.after(HOUR).wall_ns}, 1000.0, HOUR - 1002.0),
        ({"until_ns": START.after(HOUR).wall_ns}, 86400.0, 0.0),
    ],
)
def test_a_pause_survives_a_restart(wanted: dict[str, Any], away: float, left: float) -> None:
    overlay, play = Overlay(), conversation()
    pause(play, POOL, **wanted)
    changed(play, overlay)
    play.restart(away=away)
    if left:
        play.wait(left - 0.01)
        assert not play.jobs
        play.wait(0.02)
    play << StartCopy
    assert play.engine.book.pauses == {}


def test_a_pause_without_an_end_survives_any_number_of_restarts() -> None:
    overlay, play = Overlay(), conversation()
    changed(play, overlay)
    play << StartCopy
    play.wait(1.0)
    pause(play, TARGET, finish=True)
    for _ in range(3):
        play.restart(away=86400.0)
        play.nothing_open()
        assert words(play)[0] == "waiting (paused)", "also what went on to its end, and was killed"


def test_a_pause_is_replaced_by_the_next_and_both_of_two_are_kept() -> None:
    overlay, play = Overlay(), conversation()
    with play:
        pause(play, POOL, for_s=10.0)
        assert "instead of the pause before" in pause(play, POOL, for_s=100.0)[0]
        pause(play, TARGET)
        changed(play, overlay)
        assert words(play)[0].startswith("waiting (paused until")
        play.wait(200.0)
        assert words(play)[0] == "waiting (paused)"
        pause(play, POOL)
        why = words(play)[1]
        assert resume(play, TARGET) == [f"{TARGET} goes on", f"{TARGET} is still waiting: {why}"]


@pytest.mark.parametrize(
    ("ask", "told"),
    [
        (lambda play: pause(play, "/VAULT00/SCRAP"), "neither a watched pool nor a target"),
        (lambda play: pause(play, POOL, until_ns=play.now.wall_ns), "over already"),
        (lambda play: resume(play, POOL), "is not paused"),
        (lambda play: resume(play, "nowhere"), "neither a watched pool nor a target"),
    ],
)
def test_what_cannot_be_paused_or_resumed(ask: Callable[[Playbook], object], told: str) -> None:
    play = conversation()
    with pytest.raises(RequestFailed, match=told):
        ask(play)
    assert play.engine.book.pauses == {}
    assert play.times_said(messages.OPERATOR_ACTION) == 0


def test_status_shows_pauses() -> None:
    play = conversation()
    pause(play, POOL, for_s=60.0)
    pause(play, TARGET)
    shown = status(play.engine, {}, "1", play.now)
    assert shown["targets"][0]["paused"] == {
        "since": "2026-11-18T11:06:40Z", "until": None, "by": "root", "because": "line works",
    }  # fmt: skip
    assert {p["pool"]: bool(p["paused"]) for p in shown["pools"]} == {
        POOL: True,
        "/VAULT00/PAY": False,
    }
    assert shown["targets"][0]["window"] is None


# ---- rests -----------------------------------------------------------------------------------------


def test_a_tape_rests_after_its_dismount_and_a_new_mount_starts_it_over() -> None:
    overlay, play = Overlay(), conversation(hold_down=600.0)
    with play:
        changed(play, overlay)
        state, _, next_ = words(play)
        assert state.startswith("waiting (hold-down until 2026-11-18T")
        assert f"copyagent retry {TAPE}" in next_
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


# ---- what sync asks for --------------------------------------------------------------------------


def stood(play: Playbook, overlay: Overlay) -> None:
    """TAPE is copied; SECOND was given up with an old copy there; TWIN was never copied."""
    changed(play, overlay)
    play << StartCopy
    play >> done(play.job)
    changed(play, overlay, SECOND)
    play << StartCopy
    play >> done(play.job)
    for tape in (SECOND, replace(TAPE, label="X00003")):
        changed(play, overlay, tape)
        while play.open:
            play << StartCopy
            play >> failed(play.job)


@pytest.mark.parametrize(
    ("which", "labels"),
    [
        ("", ["X00002", "X00003"]),
        ("missing", ["X00003"]),
        ("stale", ["X00002", "X00003"]),
        ("all", ["X00001", "X00002", "X00003"]),
    ],
)
@pytest.mark.parametrize("dry_run", [True, False])
def test_which_copies_of_a_pool_are_asked_for(
    which: str, labels: list[str], *, dry_run: bool
) -> None:
    overlay, play = Overlay(), conversation(retry={"attempts": 1})
    stood(play, overlay)
    book = play.engine.book
    before = {tape: record.copies[TARGET].state for tape, record in book.records.items()}
    wanted = SyncWanted(TAPE.pool_id, Which(which), dry_run=dry_run)
    answers = sync(book, wanted, "root", play.now)
    assert [line.split()[0].rpartition("/")[2] for line in answers[: len(labels)]] == labels
    after = {tape: record.copies[TARGET].state for tape, record in book.records.items()}
    if dry_run:
        assert after == before
        assert answers[-1] == f"{len(labels)} copies would be queued, at most 4.0 KiB in all"
    else:
        assert {t.label for t in after if after[t] != before[t]} == set(labels)
        assert all(isinstance(after[t], Queued) for t in after if t.label in labels)
    assert play.times_said(messages.OPERATOR_ACTION) == 0, "said with the next event"


def test_a_sync_to_one_target_alone() -> None:
    overlay, play = Overlay(), conversation(targets=(TARGET, OTHER_TARGET))
    changed(play, overlay)
    play << StartCopy << StartCopy
    for job in list(play.jobs):
        play >> done(job)
    wanted = SyncWanted(TAPE.pool_id, Which("all"), frozenset({OTHER_TARGET}))
    assert sync(play.engine.book, wanted, "root", play.now) == [f"{TAPE} to {OTHER_TARGET}: queued"]
    with pytest.raises(RequestFailed, match="no target nowhere"):
        sync(play.engine.book, replace(wanted, targets=frozenset({"nowhere"})), "root", play.now)
