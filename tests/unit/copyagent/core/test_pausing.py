"""Pauses of pools and targets: what they keep from starting, how they end, what they survive."""

from collections.abc import Callable
from typing import Any

import pytest

from copyagent.core.commands import ProbeTarget, StartCopy, StopCopy
from copyagent.core.copying import CopyStopped
from copyagent.core.report import status
from copyagent.core.tape import Copied, Copying, Retrying
from tests.support.histories import (
    SECOND,
    TAPE,
    TARGET,
    TWIN,
    Overlay,
    done,
    ended,
    unreachable,
)
from tests.support.playbook import START, Playbook
from tests.support.traffic_talk import (
    HOUR,
    POOL,
    changed,
    conversation,
    pause,
    resume,
    words,
)
from vtsfs.contract import messages
from vtsfs.contract.errors import NameUnknown, RequestFailed


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
    with pytest.raises((NameUnknown, RequestFailed), match=told):
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
