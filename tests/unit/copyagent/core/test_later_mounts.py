"""Of which mount a host's word is: what comes late, during a copy, or long after a verdict."""

import pytest

from copyagent.core.commands import StartCopy, StopCopy
from copyagent.core.copying import CopyStopped, HoldReason
from copyagent.core.events import WakeupDue
from copyagent.core.host_events import (
    CaughtUp,
    DismountFailed,
    EventsMissed,
    HostEvent,
    RequestsForgotten,
    Ring,
    TapeOpened,
    TapeRefused,
    VolumeSubstituted,
)
from copyagent.core.tape import Copied, Copying, Held, Retrying, Superseded
from tests.support.histories import (
    HOST,
    SECOND,
    TAPE,
    TARGET,
    Overlay,
    cancelled,
    done,
    ended,
    failed,
    link_lost,
    link_up,
    make_engine,
    no_ring,
    requested,
    tape_dismounted,
    volume_mounted,
)
from tests.support.playbook import Playbook
from vtsfs.contract import messages
from vtsfs.contract.signals import Access

SETTLE, GRACE = 2.0, 30.0
DAY = 86400.0
HOUR = 3600.0


@pytest.fixture
def play() -> Playbook:
    return Playbook(make_engine())


def agreed_copy(play: Playbook, overlay: Overlay) -> None:
    """A mount that both witnesses told of, and its copy is running."""
    play >> requested() >> volume_mounted() >> overlay.mounted()
    play.wait(60.0)
    play >> overlay.dismounted() >> tape_dismounted()
    play.wait(SETTLE) << StartCopy
    assert play.verdict() == "agreed"


# ---- evidence that arrives during a copy ---------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [
        [requested(request=2), volume_mounted(request=2), tape_dismounted()],
        [no_ring(request=2), volume_mounted(request=2), TapeOpened(HOST, TAPE.label, "$T")],
        [requested(SECOND.label, request=2), tape_dismounted(SECOND.label)],
        [requested("OTHER", request=2), VolumeSubstituted(HOST, "OTHER", TAPE.label)],
        [EventsMissed(HOST, "a burst of events was left out")],
        [RequestsForgotten(HOST, "take-over")],
        [link_lost()],
    ],
    ids=["again", "read", "another", "substitute", "gap", "take-over", "link"],
)
def test_what_is_said_of_later_mounts_does_not_stop_a_copy_that_was_agreed_on(
    play: Playbook, overlay: Overlay, words: list[HostEvent]
) -> None:
    with play:
        agreed_copy(play, overlay)
        for word in words:
            play >> word
        play.wait(5.0)
        assert isinstance(play.state(), Copying)
        assert play.engine.may_publish(TAPE, TARGET, play.job.generation)
        play >> done(play.job)
        assert isinstance(play.state(), Copied)
    assert play.times_said(messages.CONFLICT) == play.times_said(messages.LATE_NO_RING) == 0


@pytest.mark.parametrize(
    "words",
    [
        [no_ring()],
        [no_ring(SECOND.label), VolumeSubstituted(HOST, SECOND.label, TAPE.label)],
        [no_ring(None, request=7), volume_mounted(request=7)],
    ],
    ids=["late", "substitute", "scratch"],
)
def test_a_no_ring_that_comes_during_a_copy_stops_it_where_the_host_was_silent(
    play: Playbook, overlay: Overlay, words: list[HostEvent]
) -> None:
    with play:
        play >> overlay.mounted() >> overlay.dismounted()
        play.wait(GRACE) << StartCopy
        for word in words:
            play >> word
        play << StopCopy(TAPE, TARGET, "now held")
        assert not play.engine.may_publish(TAPE, TARGET, play.job.generation)
        play.wait(DAY)
        assert play.verdict() == "conflict"


def test_a_substitute_is_what_was_written(play: Playbook, overlay: Overlay) -> None:
    with play:
        play >> requested("X00009") >> VolumeSubstituted(HOST, "X00009", TAPE.label)
        play >> volume_mounted() >> overlay.mounted() >> overlay.dismounted() >> tape_dismounted()
        play.wait(SETTLE) << StartCopy
        assert play.verdict() == "agreed"


def test_reading_a_tape_the_next_day_holds_nothing(play: Playbook, overlay: Overlay) -> None:
    with play:
        agreed_copy(play, overlay)
        play >> done(play.job)
        play.wait(DAY)
        play >> no_ring(request=2) >> volume_mounted(request=2)
        for signal in overlay.read():
            play >> signal
        play >> tape_dismounted()
        play.wait(DAY)
        assert isinstance(play.state(), Copied)
        assert play.record().protected
    assert play.times_said(messages.CONFLICT) == play.times_said(messages.LATE_NO_RING) == 0


def test_an_agreed_copy_that_waits_for_its_target_is_not_held_by_who_reads_the_tape(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        agreed_copy(play, overlay)
        play >> failed(play.job)
        play >> no_ring(request=2) >> volume_mounted(request=2)
        for signal in overlay.read():
            play >> signal
        play >> tape_dismounted()
        assert isinstance(play.state(), Retrying)
        play.wait(HOUR) << StartCopy


# ---- long after a verdict without the host -------------------------------------------------------


def pending_for_hours(play: Playbook, overlay: Overlay) -> None:
    """Judged by the overlay alone, and not published yet: the target fails again and again."""
    play >> link_up() >> overlay.mounted() >> overlay.dismounted()
    play.wait(GRACE) << StartCopy
    for _ in range(5):
        play >> failed(play.job)
        play.wait(HOUR) << StartCopy
    play >> failed(play.job)
    assert isinstance(play.state(), Retrying)


@pytest.mark.parametrize("access", Access)
def test_a_later_reader_does_not_hold_what_waits_for_its_target(
    play: Playbook, overlay: Overlay, access: Access
) -> None:
    with play:
        pending_for_hours(play, overlay)
        play >> no_ring(request=2)
        # Not a word is sure yet: nothing is published until the overlay shows whose mount it is.
        assert isinstance(play.state(), Superseded)
        assert not play.record().protected
        play.wait(60.0)
        play >> volume_mounted(request=2)
        play >> overlay.mounted(TAPE, access)
        if access is Access.READ:
            play << StartCopy
            play >> failed(play.job)
        play >> overlay.dismounted(TAPE, access, wrote=0) >> tape_dismounted()
        play.wait(HOUR) << StartCopy
        assert play.job.generation == 1
        play >> done(play.job)
        play.wait(DAY)
        assert isinstance(play.state(), Copied)
    assert play.times_said(messages.CONFLICT) == 0


def test_a_later_request_that_is_cancelled_holds_nothing(play: Playbook, overlay: Overlay) -> None:
    with play:
        pending_for_hours(play, overlay)
        play >> no_ring(request=2)
        play.wait(60.0)
        play >> cancelled(request=2) << StartCopy


def test_a_request_that_is_cancelled_does_not_hold_what_another_mount_had_agreed_on(
    play: Playbook, overlay: Overlay
) -> None:
    """All words of the host came after the session was over, so its mount is not quite sure."""
    with play:
        play >> overlay.mounted() >> overlay.dismounted()
        play.wait(10.0)
        play >> requested() >> volume_mounted() >> tape_dismounted() << StartCopy
        play >> no_ring(request=2) << StopCopy
        play.wait(600.0)
        assert isinstance(play.state(), Superseded)
        assert play.times_said(messages.CONFLICT) == 0
        play >> ended(play.job, CopyStopped("now superseded"))
        play >> cancelled(request=2) << StartCopy
        assert play.verdict() == "agreed"


def test_a_no_ring_mount_after_words_that_came_late_holds_when_it_is_over(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        play >> overlay.mounted() >> overlay.dismounted()
        play.wait(10.0)
        play >> requested() >> volume_mounted() >> tape_dismounted() << StartCopy
        play >> no_ring(request=2) << StopCopy
        play >> volume_mounted(request=2) >> tape_dismounted()
        play.wait(DAY)
        assert play.verdict() == "conflict"
        assert isinstance(play.state(), Held)


@pytest.mark.parametrize("pause", [0.0, 1.0, 40.0])
def test_a_no_ring_between_two_other_mounts_is_not_forgotten(
    play: Playbook, overlay: Overlay, pause: float
) -> None:
    play >> overlay.mounted() >> overlay.dismounted()
    play.wait(10.0)
    for request, ring in enumerate((Ring.WITH_RING, Ring.NO_RING, Ring.WITH_RING), start=1):
        asked = requested(TAPE.label, ring, request)
        for word in (asked, volume_mounted(request=request), tape_dismounted()):
            play.hand(word)
        play.open.clear()
        play.wait(pause)
    play.open.clear()
    play.wait(DAY)
    assert isinstance(play.state(), Held)
    assert play.times_said(messages.CONFLICT) == 1


@pytest.mark.parametrize("next_ring", Ring)
def test_a_doubted_no_ring_mount_that_a_next_one_ends_holds(
    play: Playbook, overlay: Overlay, next_ring: Ring
) -> None:
    with play:
        pending_for_hours(play, overlay)
        play >> no_ring(request=2) >> volume_mounted(request=2)
        play.wait(60.0)
        play >> requested(TAPE.label, next_ring, 3)
        assert play.verdict() == "conflict"
        assert isinstance(play.state(), Held)


def test_words_without_a_ring_and_a_later_reader(play: Playbook, overlay: Overlay) -> None:
    """The request of the mount that wrote was lost."""
    with play:
        play >> link_up() >> volume_mounted() >> overlay.mounted()
        play.wait(60.0)
        play >> overlay.dismounted() >> tape_dismounted()
        play.wait(GRACE) << StartCopy
        for _ in range(2):
            play >> failed(play.job)
            play.wait(HOUR) << StartCopy
        play >> failed(play.job) >> no_ring(request=2)
        assert isinstance(play.state(), Superseded)
        play >> overlay.mounted(TAPE, Access.READ) << StartCopy


def test_a_no_ring_mount_that_the_overlay_shows_nothing_of_was_that_of_the_sessions(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        pending_for_hours(play, overlay)
        play >> no_ring(request=2) >> volume_mounted(request=2) >> tape_dismounted()
        play.wait(GRACE - 1.0)
        assert isinstance(play.state(), Superseded)
        play.wait(DAY)
        state = play.state()
        assert isinstance(state, Held)
        assert state.reason is HoldReason.CONFLICT
    assert play.times_said(messages.CONFLICT) == 1


def test_a_no_ring_request_that_is_never_met_holds_in_the_end(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        pending_for_hours(play, overlay)
        play >> no_ring(request=2)
        play.wait(DAY - 60.0)
        assert isinstance(play.state(), Superseded)
        play.wait(120.0)
        assert isinstance(play.state(), Held)


def test_a_replay_can_bring_old_words_so_they_hold_at_once(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        pending_for_hours(play, overlay)
        play >> link_lost() >> link_up() >> no_ring(request=2) >> CaughtUp(HOST)
        assert isinstance(play.state(), Held)


@pytest.mark.parametrize("gap", [False, True])
def test_sessions_of_an_outage_are_confirmed_by_its_replay(
    play: Playbook, overlay: Overlay, *, gap: bool
) -> None:
    """With a gap they go on by the overlay's word: silence is no denial."""
    with play:
        play >> link_up() >> link_lost() >> overlay.mounted() >> overlay.dismounted()
        play.wait(SETTLE) << StartCopy
        play >> failed(play.job)
        play >> link_up()
        if gap:
            play >> EventsMissed(HOST, "the log was rolled over")
        else:
            play >> requested() >> volume_mounted() >> tape_dismounted() >> CaughtUp(HOST)
        assert play.verdict() == ("overlay only" if gap else "agreed")
        play.wait(HOUR) << StartCopy


# ---- whose sessions ------------------------------------------------------------------------------


def test_a_big_tape_that_is_made_durable_slowly_is_of_the_mount_it_was_closed_in(
    play: Playbook, overlay: Overlay
) -> None:
    """The dismounted comes when all is on the disk; the next request was faster."""
    with play:
        play >> requested() >> volume_mounted() >> overlay.mounted()
        play.wait(HOUR)
        play >> tape_dismounted()
        play.wait(60.0)
        play >> no_ring(request=2) >> volume_mounted(request=2)
        play.wait(120.0)
        play >> overlay.dismounted(quiet_s=200.0) << StartCopy
        assert play.verdict() == "agreed"
        play >> tape_dismounted()
        play.wait(DAY)
        assert isinstance(play.state(), Copying)
    assert play.times_said(messages.CONFLICT) == 0


def test_a_tape_that_was_still_open_when_no_ring_was_asked_for_is_of_both_mounts(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        play >> requested() >> volume_mounted() >> overlay.mounted()
        play.wait(HOUR)
        play >> tape_dismounted()
        play.wait(60.0)
        play >> no_ring(request=2) >> volume_mounted(request=2)
        play.wait(120.0)
        play >> overlay.dismounted(quiet_s=20.0)
        play.wait(DAY)
        assert play.verdict() == "conflict"


@pytest.mark.parametrize("ring", Ring)
def test_sessions_in_a_mount_some_of_which_only_read(
    play: Playbook, overlay: Overlay, ring: Ring
) -> None:
    with play:
        play >> requested(TAPE.label, ring) >> volume_mounted()
        for wrote in (0, 4096, 0):
            play >> overlay.mounted() >> overlay.dismounted(wrote=wrote)
            play.wait(1.0)
            for signal in overlay.read():
                play >> signal
        play >> tape_dismounted()
        if ring is Ring.WITH_RING:
            play.wait(SETTLE) << StartCopy
            play >> done(play.job)
        play.wait(DAY)
        assert play.verdict() == ("agreed" if ring is Ring.WITH_RING else "conflict")


def test_a_dismount_that_failed_is_none(play: Playbook, overlay: Overlay) -> None:
    with play:
        play >> requested() >> volume_mounted() >> overlay.mounted()
        play >> tape_dismounted() >> DismountFailed(HOST, TAPE.label) >> overlay.dismounted()
        play.wait(HOUR)
        assert play.verdict() == ""
        play >> tape_dismounted() << StartCopy


def test_a_tape_that_was_refused_is_not_the_one_in_use(play: Playbook, overlay: Overlay) -> None:
    with play:
        play >> requested(SECOND.label) >> volume_mounted(SECOND.label)
        play >> TapeOpened(HOST, TAPE.label, "$TAPE0")
        play >> TapeRefused(HOST, TAPE.label, "$TAPE0", wanted=SECOND.label)
        play >> overlay.mounted() >> overlay.dismounted()
        play.wait(GRACE) << StartCopy
        assert play.verdict() == "overlay only"
        assert play.engine.book.mounts.of(HOST, SECOND.label) is not None


def test_a_take_over_does_not_end_what_is_mounted(play: Playbook, overlay: Overlay) -> None:
    with play:
        play >> requested() >> volume_mounted() >> overlay.mounted()
        play >> RequestsForgotten(HOST, "take-over") >> overlay.dismounted()
        play.wait(HOUR)
        assert play.verdict() == ""
        play >> tape_dismounted() << StartCopy
        assert play.verdict() == "agreed"


def test_a_link_that_is_back_in_time_has_missed_nothing(overlay: Overlay) -> None:
    host = {"address": "dev", "user": "U.U", "password_file": "/etc/dev", "lost_after": "1m"}
    with Playbook(make_engine(ems={"hosts": {HOST: host}})) as play:
        play >> link_up() >> requested() >> volume_mounted() >> overlay.mounted()
        play >> overlay.dismounted()
        play.wait(HOUR)
        play >> link_lost()
        play.wait(30.0)
        play >> link_up() >> CaughtUp(HOST)
        play.wait(HOUR)
        assert play.verdict() == ""
        play >> tape_dismounted() << StartCopy
        assert play.verdict() == "agreed"
        play >> done(play.job) >> WakeupDue()


# ---- a mount of which only the end was heard, and the next -----------------------------------------


@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize("is_late", [True, False])
@pytest.mark.parametrize("gap", [5.0, 100.0])
def test_a_no_ring_after_the_end_of_an_unheard_mount_is_that_of_the_next(
    play: Playbook, overlay: Overlay, gap: float, *, is_late: bool, is_known: bool
) -> None:
    with play:
        if is_known:
            play >> overlay.mounted() >> overlay.dismounted()
            play.wait(GRACE) << StartCopy
            play >> done(play.job)
            play.wait(HOUR)
        play >> tape_dismounted()
        play.wait(gap)
        if not is_late:
            play >> no_ring(request=43)
        play.wait(GRACE + 10.0)
        play >> overlay.mounted()
        if is_late:
            play >> no_ring(request=43)
        play >> volume_mounted(request=43)
        for _ in range(2):
            play.wait(60.0)
            play >> overlay.dismounted()
            play.wait(100.0)
            assert play.verdict() == "conflict"
            play >> overlay.mounted()
        play >> overlay.dismounted() >> tape_dismounted()
        play.wait(100.0)
        assert play.verdict() == "conflict"
        agreed_copy(play, overlay)
        play >> done(play.job)


def test_a_no_ring_that_holds_what_was_written_before_it_holds_for_the_next_mount_as_well(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        play >> overlay.mounted()
        play.wait(60.0)
        play >> overlay.dismounted() >> tape_dismounted()
        play.wait(2.0)
        play >> no_ring(request=43)
        play.wait(60.0)
        play >> overlay.mounted()
        play.wait(1.0)
        play >> overlay.dismounted()
        play.wait(DAY)
        assert play.verdict() == "conflict"
        assert not play.jobs
