"""Which words of a host are about which sessions: late, lost, doubled, about a twin."""

import pytest

from copyagent.core.commands import StartCopy, StopCopy
from copyagent.core.copying import HoldReason
from copyagent.core.tape import Copied, Held
from tests.support.histories import (
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


def test_a_lost_link_is_not_waited_for(play: Playbook, overlay: Overlay) -> None:
    with play:
        play >> link_up() >> link_lost() >> overlay.mounted() >> overlay.dismounted()
        play.at(SETTLE) << StartCopy
        assert play.verdict() == "overlay only"


def test_a_link_lost_while_the_host_has_the_tape_ends_the_waiting(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        play >> requested() >> overlay.mounted() >> volume_mounted() >> overlay.dismounted()
        play.wait(100.0)
        play >> link_lost() << StartCopy
        assert play.verdict() == "overlay only"
        # The dismount that comes after all changes nothing.
        play >> done(play.job) >> link_up() >> tape_dismounted()
        play.wait(600.0)
        assert isinstance(play.state(), Copied)


def test_a_late_no_ring_stops_the_running_copy(play: Playbook, overlay: Overlay) -> None:
    with play:
        play >> overlay.mounted() >> overlay.dismounted()
        play.at(GRACE) << StartCopy
        assert play.engine.may_publish(TAPE, TARGET, play.job.generation)
        play >> no_ring() << StopCopy(TAPE, TARGET, "now held")
        assert not play.engine.may_publish(TAPE, TARGET, play.job.generation)
        assert play.verdict() == "conflict"
        play.wait(86400.0)
        assert isinstance(play.state(), Held)


def test_a_late_no_ring_holds_what_waits_for_its_next_attempt(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        play >> overlay.mounted() >> overlay.dismounted()
        play.at(GRACE) << StartCopy
        play >> failed(play.job) >> no_ring()
        play.wait(86400.0)
        assert isinstance(play.state(), Held)


def test_a_no_ring_after_publication_can_only_be_said(play: Playbook, overlay: Overlay) -> None:
    with play:
        play >> overlay.mounted() >> overlay.dismounted()
        play.at(GRACE) << StartCopy
        play >> done(play.job) >> no_ring() >> tape_dismounted()
        assert play.verdict() == "conflict"
        assert isinstance(play.state(), Copied)
    assert play.times_said(messages.LATE_NO_RING) == 1


def test_a_read_only_mount_next_week_is_not_a_late_word_on_an_old_copy(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        play >> overlay.mounted() >> overlay.dismounted()
        play.at(GRACE) << StartCopy
        play >> done(play.job)
        play.wait(7 * 86400.0)
        play >> no_ring(request=77) >> volume_mounted(request=77) >> tape_dismounted()
        play.wait(600.0)
        assert play.verdict() == "overlay only"
    assert play.times_said(messages.CONFLICT) == 0


def test_a_host_mount_of_several_sessions_is_copied_once_at_its_end(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        play >> requested() >> volume_mounted()
        for _ in range(3):
            play >> overlay.mounted() >> overlay.dismounted()
            play.wait(400.0)
        play >> requested()  # the same event, printed twice
        play.wait(400.0)
        assert play.verdict() == ""
        play >> tape_dismounted() << StartCopy
        assert play.job.generation == 3
        play >> done(play.job)
        play.wait(86400.0)


def test_a_scratch_request_learns_its_volume(play: Playbook, overlay: Overlay) -> None:
    with play:
        play >> no_ring(None, request=9) >> volume_mounted(request=9)
        play >> overlay.mounted() >> overlay.dismounted() >> tape_dismounted()
        play.wait(SETTLE)
        assert play.verdict() == "conflict"


def test_a_new_request_ends_a_mount_whose_dismount_was_lost(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        play >> requested() >> volume_mounted() >> overlay.mounted() >> overlay.dismounted()
        play.wait(600.0)
        play >> no_ring(request=2) << StartCopy
        assert play.verdict() == "agreed"
        play >> done(play.job)
        play >> overlay.mounted() >> overlay.dismounted(wrote=0) >> tape_dismounted()
        play.wait(600.0)
        assert play.verdict() == "agreed, read only"


def test_a_no_ring_mount_that_is_over_says_nothing_about_the_next(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        play >> no_ring() >> overlay.mounted() >> overlay.dismounted(wrote=0)
        play.wait(600.0)
        play >> tape_dismounted()
        play.wait(600.0)
        # Next, the request is missed.
        play >> link_lost() >> overlay.mounted() >> overlay.dismounted()
        play.wait(SETTLE) << StartCopy
        assert play.verdict() == "overlay only"


def test_a_whole_no_ring_mount_before_any_signal_still_counts(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        play >> overlay.mounted() >> overlay.dismounted(wrote=0)
        play.wait(600.0)
        overlay.tick = play.now.wall_ns
        late = [overlay.mounted(), overlay.dismounted()]
        play >> no_ring() >> volume_mounted() >> tape_dismounted()
        play.wait(5.0)
        for signal in late:
            play.hand(signal)
        play.wait(600.0)
        assert play.verdict() == "conflict"


def test_interrupted_is_held_until_a_later_complete_session(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        copied_once(play, overlay)
        play >> requested(request=2) >> overlay.mounted() >> overlay.interrupted()
        play >> tape_dismounted()
        play.wait(600.0)
        assert isinstance(state := play.state(), Held)
        assert state.reason is HoldReason.INTERRUPTED
        # A mount that wrote nothing does not make it complete.
        play >> requested(request=3) >> overlay.mounted() >> overlay.dismounted(wrote=0)
        play >> tape_dismounted()
        play.wait(600.0)
        assert isinstance(play.state(), Held)
        play >> requested(request=4) >> overlay.mounted() >> overlay.dismounted()
        play >> tape_dismounted()
        play.wait(SETTLE) << StartCopy
        assert play.job.generation == 3
    assert play.times_said(messages.INTERRUPTED) == 1


def test_a_host_only_verdict_survives_a_restart_before_it_is_due(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        copied_once(play, overlay)
        play >> requested(request=2) >> volume_mounted(request=2) >> tape_dismounted()
        play.wait(5.0)
        play.restart()
        play.wait(GRACE) << StartCopy
        assert play.verdict() == "host only"


def test_two_pools_with_one_label_do_not_speak_for_each_other(overlay: Overlay) -> None:
    with Playbook(make_engine(cross_check={"label_twice": "copy"})) as play:
        copied_once(play, overlay, TAPE)
        copied_once(play, overlay, TWIN)
        play >> requested(request=2) >> overlay.mounted(TAPE) >> tape_dismounted()
        play.wait(600.0)
        # The host is done; the one that is open explains it, the other was not bypassed.
        assert play.verdict(TWIN) == "agreed"
        play >> overlay.dismounted(TAPE)
        play.wait(SETTLE) << StartCopy
        assert play.verdict(TAPE) == "agreed"
        play >> done(play.job)
        play.wait(600.0)
        assert play.verdict(TWIN) == "agreed"


def test_a_no_ring_mount_holds_the_tape_that_was_written_even_late_and_with_a_twin(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        copied_once(play, overlay, TWIN)
        play >> no_ring(request=2) >> overlay.mounted(TAPE) >> tape_dismounted()
        play.wait(600.0)
        play >> overlay.dismounted(TAPE)
        play.wait(600.0)
        assert play.verdict(TAPE) == "conflict"
        assert isinstance(play.state(TAPE), Held)


def test_evidence_is_judged_again_after_a_restart(play: Playbook, overlay: Overlay) -> None:
    with play:
        play >> requested() >> overlay.mounted() >> overlay.dismounted() >> tape_dismounted()
        play.restart()
        play.wait(SETTLE) << StartCopy
        assert play.verdict() == "agreed"


def test_a_dismount_missed_while_the_agent_was_away_is_not_waited_for(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        play >> requested() >> overlay.mounted() >> volume_mounted() >> overlay.dismounted()
        play.wait(10.0)
        play.restart(away=60.0)
        play.wait(GRACE) << StartCopy
        assert play.verdict() == "overlay only"
