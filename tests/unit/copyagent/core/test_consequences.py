"""What follows from verdicts: above all where a host names a label that two tapes have."""

import pytest

from copyagent.core import operator
from copyagent.core.commands import StartCopy, StopCopy
from copyagent.core.consequences import age_s, host_detail
from copyagent.core.copying import HoldReason
from copyagent.core.events import WakeupDue
from copyagent.core.host_mount import HostMount
from copyagent.core.report import explain
from copyagent.core.shown_states import shown_state
from copyagent.core.tape import Copied, Held
from tests.support.histories import (
    HOST,
    TAPE,
    TARGET,
    TWIN,
    UNWATCHED,
    Overlay,
    done,
    make_engine,
    no_ring,
    requested,
    tape_dismounted,
    volume_mounted,
)
from tests.support.playbook import START, Playbook, copied_once
from vtsfs.contract import messages
from vtsfs.contract.naming import TapeId

SETTLE, GRACE = 2.0, 30.0
DAY = 86400.0


@pytest.fixture
def play() -> Playbook:
    return Playbook(make_engine())


# ---- labels that two tapes have ------------------------------------------------------------------


def held_for_its_label(play: Playbook, tape: TapeId = TAPE) -> bool:
    state = play.state(tape)
    return isinstance(state, Held) and state.reason is HoldReason.LABEL_TWICE


@pytest.mark.parametrize("wrote", [0, 4096])
def test_a_tape_is_held_when_the_host_names_only_its_label_and_another_has_it(
    play: Playbook, overlay: Overlay, wrote: int
) -> None:
    with play:
        overlay.write(TWIN)
        play >> overlay.changed(TWIN)
        play.wait(SETTLE) << StartCopy
        play >> done(play.job)
        overlay.write(TAPE)
        play >> requested() >> overlay.mounted() >> volume_mounted()
        play >> overlay.dismounted(wrote=wrote) >> tape_dismounted()
        play.wait(600.0)
        assert held_for_its_label(play)
        assert not play.record().protected
        assert isinstance(play.state(TWIN), Copied)
        state = play.state()
        assert isinstance(state, Held)
        assert state.detail == str(TWIN)
        words = shown_state(play.engine.book, play.record(), TARGET, play.now).text
        assert words == "held (label twice here)"
        shown = explain(play.engine, TAPE, play.now)["copies"][0]["next"]
        assert f"copyagent release {TAPE}" in shown
        operator.release(play.engine.book, TAPE, "it is this one", "root", play.now)
        play >> WakeupDue() << StartCopy
        play >> done(play.job)
        assert isinstance(play.state(), Copied)
    assert play.times_said(messages.LABEL_TWICE) == 1


def test_an_alarm_for_one_label_comes_once_an_hour(play: Playbook, overlay: Overlay) -> None:
    overlay.write(TWIN)
    play >> overlay.changed(TWIN)
    play.wait(SETTLE) << StartCopy
    play >> done(play.job)
    for request in range(2, 12):
        play >> requested(request=request) >> volume_mounted(request=request)
        for tape in (TAPE, TWIN):
            play >> overlay.mounted(tape) >> overlay.dismounted(tape)
        play >> tape_dismounted()
        play.open.clear()
        play.wait(60.0)
        assert held_for_its_label(play)
        assert held_for_its_label(play, TWIN)
    assert play.times_said(messages.LABEL_TWICE) == 1


def test_a_no_ring_counts_for_both_tapes_of_its_label(play: Playbook, overlay: Overlay) -> None:
    with play:
        play >> no_ring() >> volume_mounted() >> overlay.mounted() >> overlay.mounted(TWIN)
        play >> overlay.dismounted() >> overlay.dismounted(TWIN) >> tape_dismounted()
        play.wait(DAY)
        assert play.jobs == []
        assert [play.verdict(tape) for tape in (TAPE, TWIN)] == ["conflict", "conflict"]
        assert all(isinstance(play.state(tape), Held) for tape in (TAPE, TWIN))


def test_a_no_ring_stops_the_running_copies_of_both(play: Playbook, overlay: Overlay) -> None:
    with play:
        for tape in (TAPE, TWIN):
            play >> overlay.mounted(tape) >> overlay.dismounted(tape)
        play.wait(GRACE) << StartCopy << StartCopy
        play >> no_ring() << StopCopy << StopCopy
        assert not any(play.engine.may_publish(t, TARGET, 1) for t in (TAPE, TWIN))


def test_where_the_host_is_silent_two_tapes_of_one_label_are_copied(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        for tape in (TAPE, TWIN):
            play >> overlay.mounted(tape) >> overlay.dismounted(tape)
        play.wait(GRACE) << StartCopy << StartCopy
        assert play.verdict(TWIN) == "overlay only"
    assert play.times_said(messages.LABEL_TWICE) == 0


def test_a_late_word_of_the_host_does_not_hold_what_was_published(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        for tape in (TAPE, TWIN):
            play >> overlay.mounted(tape) >> overlay.dismounted(tape)
        play.wait(GRACE) << StartCopy << StartCopy
        for job in play.jobs[-2:]:
            play >> done(job)
        play >> requested() >> volume_mounted() >> tape_dismounted()
        play.wait(600.0)
        assert isinstance(play.state(), Copied)
        assert isinstance(play.state(TWIN), Copied)


def test_a_tape_that_is_gone_is_no_rival(play: Playbook, overlay: Overlay) -> None:
    with play:
        copied_once(play, overlay, TWIN)
        play >> overlay.removed(TWIN)
        copied_once(play, overlay, TAPE)
    assert play.times_said(messages.LABEL_TWICE) == 0


def test_a_tape_of_an_unwatched_pool_is_a_rival_until_it_is_gone(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        overlay.write(UNWATCHED)
        play >> overlay.mounted(UNWATCHED)
        play >> requested() >> overlay.mounted() >> volume_mounted()
        play >> overlay.dismounted() >> tape_dismounted()
        play.wait(600.0)
        state = play.state()
        assert isinstance(state, Held)
        assert state.detail == str(UNWATCHED)
        play >> overlay.dismounted(UNWATCHED) >> overlay.removed(UNWATCHED)
        play >> requested(request=2) >> overlay.mounted() >> volume_mounted(request=2)
        play >> overlay.dismounted() >> tape_dismounted()
        play.wait(SETTLE) << StartCopy


def test_the_settings_can_say_copy(overlay: Overlay) -> None:
    with Playbook(make_engine(cross_check={"label_twice": "copy"})) as play:
        copied_once(play, overlay, TWIN)
        copied_once(play, overlay, TAPE)


# ---- what messages say ---------------------------------------------------------------------------


def test_how_a_mount_is_named_and_how_old_it_is() -> None:
    assert (host_detail(None), age_s(None, START)) == ("", 0.0)
    mount = HostMount(HOST, TAPE.label, request=7, requested_ns=START.wall_ns - 90 * 10**9)
    assert (host_detail(mount), age_s(mount, START)) == ("DEV2 request 0007", 90.0)
    assert host_detail(HostMount(HOST, TAPE.label)) == "DEV2"
