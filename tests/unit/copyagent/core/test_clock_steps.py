"""Somebody sets the clock: ages and orders stay what they are."""

import pytest

from copyagent.core.clock_steps import ClockWatch
from copyagent.core.commands import StartCopy
from copyagent.core.events import WakeupDue
from copyagent.core.tape import Copied, Held
from copyagent.core.time import Moment
from tests.support.histories import (
    Overlay,
    done,
    make_engine,
    no_ring,
    requested,
    tape_dismounted,
    volume_mounted,
)
from tests.support.playbook import Playbook

STEPS = pytest.mark.parametrize("step_s", [-1e6, -3600.0, -30.0, 30.0, 3600.0, 1e6])


@pytest.fixture
def play(overlay: Overlay) -> Playbook:
    play = Playbook(make_engine())
    play.hand(overlay.hello())
    play.open.clear()
    return play


def test_a_watch_tells_steps_from_slow_corrections() -> None:
    watch = ClockWatch()
    assert watch.step_ns(Moment(10.0, 10**18)) == 0
    assert watch.step_ns(Moment(11.0, 10**18 + 10**9 + 1_900_000_000)) == 0
    assert watch.step_ns(Moment(12.0, 10**18 + 10**9)) == pytest.approx(-2.9e9)
    assert watch.step_ns(Moment(13.0, 10**18 + 2 * 10**9)) == 0


@STEPS
def test_a_host_that_has_a_tape_has_it_no_longer_and_no_shorter(
    play: Playbook, overlay: Overlay, step_s: float
) -> None:
    mounted_max = play.engine.book.settings.cross_check.mounted_max
    play >> requested() >> overlay.mounted() >> volume_mounted()
    play.step_clock(step_s)
    play >> WakeupDue() >> overlay.dismounted()
    play.wait(mounted_max - 60.0)
    assert play.verdict() == "", "the host may still have it"
    play.wait(120.0) << StartCopy


@STEPS
def test_an_ordinary_mount_is_copied(play: Playbook, overlay: Overlay, step_s: float) -> None:
    play >> requested() >> overlay.mounted() >> volume_mounted()
    play.wait(600.0).step_clock(step_s)
    play >> WakeupDue() >> overlay.dismounted() >> tape_dismounted()
    play.wait(5.0) << StartCopy
    play >> done(play.job)
    assert isinstance(play.state(), Copied)


@STEPS
def test_no_ring_is_not_forgotten(play: Playbook, overlay: Overlay, step_s: float) -> None:
    play >> no_ring() >> volume_mounted() >> overlay.mounted() >> overlay.dismounted()
    play.step_clock(step_s)
    play >> tape_dismounted()
    play.wait(5.0)
    assert isinstance(play.state(), Held)
