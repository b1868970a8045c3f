"""From what two witnesses say to what is done about it (DESIGN section 5)."""

import pytest

from copyagent.core.commands import StartCopy, StopCopy, SweepVault
from copyagent.core.copying import HoldReason
from copyagent.core.tape import Clean, Copied, Copying, Held, Queued, Retrying, Superseded
from tests.support.histories import (
    OTHER_TARGET,
    SECOND,
    START_NS,
    TAPE,
    TARGET,
    TWIN,
    Overlay,
    done,
    failed,
    link_lost,
    link_up,
    make_engine,
    no_ring,
    requested,
    tape_dismounted,
    volume_mounted,
)
from tests.support.playbook import Playbook, copied_once
from vtsfs.contract import messages

GRACE = 30.0
SETTLE = 2.0


@pytest.fixture
def play() -> Playbook:
    return Playbook(make_engine())


def test_agreed_is_copied_once(play: Playbook, overlay: Overlay) -> None:
    with play:
        play >> requested() >> overlay.mounted() >> volume_mounted() >> overlay.dismounted()
        play.wait(600.0)
        assert play.state() == Clean()
        assert not play.record().protected
        play >> tape_dismounted() << StartCopy
        assert play.verdict() == "agreed"
        assert play.job.identity == overlay.identities[TAPE]
        play >> done(play.job)
        assert isinstance(play.state(), Copied)
        assert play.record().protected
        play.wait(2 * 86400.0)
    assert play.times_said(messages.COPIED) == 1


def test_nothing_is_judged_before_it_has_settled(play: Playbook, overlay: Overlay) -> None:
    with play:
        play >> requested() >> volume_mounted() >> tape_dismounted()
        play >> overlay.mounted() >> overlay.dismounted()
        play.at(SETTLE - 0.1)
        assert play.verdict() == ""
        play.at(SETTLE) << StartCopy


def test_what_the_overlay_has_waited_for_is_not_waited_for_again(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        play >> requested() >> volume_mounted() >> tape_dismounted()
        play >> overlay.mounted() >> overlay.dismounted(quiet_s=SETTLE) << StartCopy


def test_an_overlay_that_was_detached_at_once_has_waited_for_less(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        play >> requested() >> volume_mounted() >> tape_dismounted()
        play >> overlay.mounted() >> overlay.dismounted(quiet_s=0.5)
        play.at(SETTLE - 0.6)
        assert play.verdict() == ""
        play.at(SETTLE - 0.5) << StartCopy


def test_a_change_after_the_session_settles_anew(play: Playbook, overlay: Overlay) -> None:
    with play:
        play >> overlay.mounted() >> overlay.dismounted(quiet_s=SETTLE)
        play >> overlay.changed() >> link_lost()
        play.at(SETTLE - 0.1)
        assert play.verdict() == ""
        play.at(SETTLE) << StartCopy


def test_no_ring_and_nothing_written_is_read_only(play: Playbook, overlay: Overlay) -> None:
    with play:
        play >> no_ring() >> overlay.mounted() >> overlay.dismounted(wrote=0) >> tape_dismounted()
        play.wait(600.0)
        assert play.verdict() == "agreed, read only"
        assert play.state() == Clean()
        assert play.record().protected


def test_no_ring_and_written_is_a_conflict_and_held(play: Playbook, overlay: Overlay) -> None:
    with play:
        play >> no_ring() >> overlay.mounted() >> overlay.dismounted() >> tape_dismounted()
        play.wait(86400.0)
        state = play.state()
        assert isinstance(state, Held)
        assert state.reason is HoldReason.CONFLICT
        assert "request 0001" in state.detail
        assert not play.record().protected
    assert play.times_said(messages.CONFLICT) == 1


def test_a_conflict_is_copied_where_the_settings_say_so(overlay: Overlay) -> None:
    play = Playbook(make_engine(cross_check={"conflict": "copy"}))
    play >> no_ring() >> overlay.mounted() >> overlay.dismounted()
    play.wait(SETTLE) << StartCopy


def test_with_ring_unwritten_is_copied_again(play: Playbook, overlay: Overlay) -> None:
    with play:
        copied_once(play, overlay)
        play >> requested(request=2) >> overlay.mounted() >> overlay.dismounted(wrote=0)
        play >> tape_dismounted()
        play.wait(SETTLE) << StartCopy
        assert play.verdict() == "agreed, unwritten"
        assert play.job.generation == 1


def test_unwritten_is_left_alone_where_the_settings_say_so(overlay: Overlay) -> None:
    with Playbook(make_engine(cross_check={"unwritten": "none"})) as play:
        copied_once(play, overlay)
        play >> requested(request=2) >> overlay.mounted() >> overlay.dismounted(wrote=0)
        play >> tape_dismounted()
        play.wait(600.0)
        assert isinstance(play.state(), Copied)


def test_a_silent_host_leaves_it_to_the_overlay_after_grace(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        play >> link_up() >> overlay.mounted() >> overlay.dismounted()
        play.at(GRACE - 0.1)
        assert play.verdict() == ""
        play.at(GRACE) << StartCopy
        assert play.verdict() == "overlay only"
    assert play.times_said(messages.OVERLAY_ONLY) == 1


def test_without_a_link_nothing_written_is_nothing_to_copy(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        copied_once(play, overlay)
        play >> link_lost() >> overlay.mounted() >> overlay.dismounted(wrote=0)
        play.wait(SETTLE)
        assert play.verdict() == "unconfirmed, unchanged"
        assert play.record().protected


def test_a_host_that_fell_silent_is_not_said_to_have_told_no_ring(
    play: Playbook, overlay: Overlay
) -> None:
    play >> link_up() >> requested() >> volume_mounted()
    play >> overlay.mounted() >> overlay.dismounted() >> link_lost()
    play.wait(3600.0)
    details = [s.fields["detail"] for s in play.said if s.message is messages.OVERLAY_ONLY]
    assert details == ["DEV2 was not heard until it was done with it"]


def test_overlay_only_is_warned_about_once_per_pool_and_hour(
    play: Playbook, overlay: Overlay
) -> None:
    play >> link_lost()
    for tape in (TAPE, SECOND, TWIN):
        play >> overlay.mounted(tape) >> overlay.dismounted(tape)
    play.wait(SETTLE) << StartCopy << StartCopy
    assert play.times_said(messages.OVERLAY_ONLY) == 2


def test_a_mount_that_lasts_too_long_is_copied_with_a_warning(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        play >> requested() >> overlay.mounted() >> overlay.dismounted()
        play.at(86399.0)
        assert play.jobs == []
        play.at(86402.0) << StartCopy
        assert play.verdict() == "with the host for too long"
        play >> done(play.job) >> tape_dismounted()
        assert play.verdict() == "agreed"
        play.wait(600.0)
    assert play.times_said(messages.MOUNTED_TOO_LONG) == 1


def test_still_open_after_the_host_dismounted_is_warned_about_once(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        play >> requested() >> overlay.mounted() >> tape_dismounted()
        play.wait(GRACE - 0.1)
        assert play.times_said(messages.STILL_OPEN) == 0
        play.wait(86400.0)
        assert play.times_said(messages.STILL_OPEN) == 1
        play >> overlay.dismounted()
        play.wait(SETTLE) << StartCopy


def test_an_interrupted_session_that_changed_nothing_is_no_reason_to_hold(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        copied_once(play, overlay)
        play >> requested(request=2) >> overlay.mounted() >> overlay.interrupted(wrote=0)
        play.wait(86400.0 - SETTLE)
        assert play.record().judgement is not None
        assert isinstance(play.state(), Copied)


def test_host_only_compares_what_was_copied_and_tells_if_the_vault_is_not_covered(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        copied_once(play, overlay)
        play >> requested(request=2) >> volume_mounted(request=2) >> tape_dismounted()
        play.wait(GRACE - 0.1)
        play.wait(0.2) << StartCopy
        assert play.verdict() == "host only"
        assert play.job.identity is None
    assert play.times_said(messages.NOT_COVERED) == 1


def test_host_only_of_a_tape_never_copied_asks_the_sweep(play: Playbook, overlay: Overlay) -> None:
    with play:
        play >> overlay.mounted() >> overlay.dismounted(wrote=0)
        play.wait(600.0)
        play >> requested() >> volume_mounted() >> tape_dismounted()
        play.wait(GRACE) << SweepVault
        assert play.jobs == []


def test_a_change_without_a_mount_is_copied_with_a_warning(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        play >> overlay.changed(cause="rename-over")
        play.wait(SETTLE) << StartCopy
        assert play.verdict() == "changed without a mount"
    assert play.times_said(messages.CHANGED_WITHOUT_MOUNT) == 1


@pytest.mark.parametrize("rule", ["overlay_only", "changed"])
def test_the_settings_can_hold_what_has_one_witness(rule: str, overlay: Overlay) -> None:
    with Playbook(make_engine(cross_check={rule: "hold"})) as play:
        if rule == "changed":
            play >> overlay.changed()
        else:
            play >> overlay.mounted() >> overlay.dismounted()
        play.wait(600.0)
        assert isinstance(state := play.state(), Held)
        assert state.reason is HoldReason.POLICY
    assert play.times_said(messages.HELD_BY_POLICY) == 1


def test_a_received_tape_is_not_copied_back(play: Playbook, overlay: Overlay) -> None:
    with play:
        play >> overlay.received()
        play.wait(600.0)
        assert play.verdict() == "received"
        assert play.record().protected


def test_a_received_tape_calls_off_what_was_to_be_copied(play: Playbook, overlay: Overlay) -> None:
    with play:
        play >> overlay.mounted() >> overlay.dismounted()
        play.wait(GRACE) << StartCopy
        play >> failed(play.job)
        play.wait(299.0)
        play >> overlay.received()
        play.wait(600.0)
        assert play.state() == Clean()


def test_a_tape_received_over_a_session_not_yet_judged_is_the_peers(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        play >> overlay.mounted() >> overlay.dismounted() >> overlay.received()
        play.wait(600.0)
        assert play.verdict() == "received"


def test_a_writer_supersedes_a_pending_copy_and_a_session_without_a_change_revives_it(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        play >> overlay.mounted() >> overlay.dismounted()
        play.wait(GRACE) << StartCopy
        play >> failed(play.job)
        assert isinstance(play.state(), Retrying)
        play >> overlay.mounted()
        assert play.state() == Superseded(1)
        play.wait(600.0)
        play >> overlay.dismounted(wrote=0)
        play.wait(GRACE) << StartCopy
        assert isinstance(play.state(), Copying)
        assert play.job.generation == 1


def test_a_writer_stops_a_running_copy(play: Playbook, overlay: Overlay) -> None:
    with play:
        play >> overlay.mounted() >> overlay.dismounted()
        play.wait(GRACE) << StartCopy
        play >> overlay.mounted() << StopCopy(TAPE, TARGET, "now superseded")
        first = play.job
        play >> overlay.dismounted()
        play.wait(600.0)
        assert play.state() == Queued(2)  # not before the old one has ended
        play >> done(first) << StartCopy
        assert play.job.generation == 2
        assert play.job.base is not None


def test_a_second_target_gets_the_same_verdict(overlay: Overlay) -> None:
    with Playbook(make_engine(targets=(TARGET, OTHER_TARGET))) as play:
        play >> no_ring() >> overlay.mounted() >> overlay.dismounted()
        play.wait(600.0)
        assert isinstance(play.state(target=TARGET), Held)
        assert isinstance(play.state(target=OTHER_TARGET), Held)
        assert play.record().behind_ns == START_NS


def test_deadlines_do_not_depend_on_how_floats_are_rounded() -> None:
    for thousandth in range(60):
        overlay, play = Overlay(), Playbook(make_engine(cross_check={"grace": "29.7s"}))
        play.wait(thousandth * 0.0137 + 0.1)
        play >> overlay.mounted()
        play.wait(0.1)
        play >> overlay.dismounted()
        play.wait(29.75) << StartCopy
        play >> done(play.job) >> requested(request=2) >> overlay.mounted()
        play.wait(0.07)
        play >> overlay.dismounted()
        play.wait(2 * 86400.0) << StartCopy
