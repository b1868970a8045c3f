"""What the overlay and the sweep saw: feeds, baselines, gaps, lost outboxes, stale sweeps."""

import pytest

from copyagent.core.book import Acknowledged
from copyagent.core.commands import StartCopy, StopCopy, Subscribe, SweepVault
from copyagent.core.copying import (
    CopyStopped,
)
from copyagent.core.events import CopyIntended, VaultSwept
from copyagent.core.tape import Copied, Held, Kept, Unsynced
from tests.support.histories import (
    SECOND,
    TAPE,
    TARGET,
    UNWATCHED,
    VAULT,
    Overlay,
    done,
    ended,
    link_lost,
    make_engine,
    published,
)
from tests.support.playbook import Playbook
from vtsfs.contract import messages
from vtsfs.contract.signals import Access


@pytest.fixture
def play() -> Playbook:
    """No host is heard, so that a verdict comes after the settle time."""
    return Playbook(make_engine()) >> link_lost()


def written(play: Playbook, overlay: Overlay) -> None:
    """A session, up to its copy's start."""
    play >> overlay.mounted() >> overlay.dismounted()
    play.wait(2.0) << StartCopy


def copied(play: Playbook, overlay: Overlay) -> None:
    written(play, overlay)
    play >> done(play.job)


def attached(play: Playbook, overlay: Overlay) -> None:
    """An overlay with an empty vault answers for the first time."""
    play >> overlay.hello() << Subscribe(VAULT, overlay.seq) << SweepVault
    play >> overlay.swept(play.now.mono)
    play.wait(1.0)


def test_tapes_that_were_there_before_wait_for_the_operator(
    play: Playbook, overlay: Overlay
) -> None:
    overlay.write(TAPE)
    overlay.write(SECOND, size=0)
    with play:
        attached(play, overlay)
        assert play.state() == Unsynced()
        assert not play.record().protected
        # There is nothing to copy of an empty tape, now or ever.
        assert isinstance(play.state(SECOND), Kept)
        assert play.record(SECOND).protected
        play.wait(3600.0)
    assert play.times_said(messages.UNSYNCED) == 1
    assert next(s for s in play.said if s.message is messages.UNSYNCED).fields["count"] == "1"


def test_a_pool_watched_later_has_tapes_that_were_there_before_too(overlay: Overlay) -> None:
    play = Playbook(make_engine(pools=("PAY",)))
    overlay.write(TAPE)
    attached(play, overlay)
    assert TAPE not in play.engine.book.records
    baselines = play.engine.book.baselines
    play = Playbook(make_engine(pools=("BILL", "PAY")))
    play.engine.book.baselines |= baselines
    attached(play, overlay)
    assert play.state() == Unsynced()


def test_a_pool_that_could_not_be_read_is_not_taken_for_seen(
    play: Playbook, overlay: Overlay
) -> None:
    overlay.write(TAPE)
    play >> overlay.swept(play.now.mono, found={}, unread=("BILL",))
    play.wait(10.0)
    play >> overlay.swept(play.now.mono)
    assert play.state() == Unsynced()


def test_a_tape_found_later_is_copied(play: Playbook, overlay: Overlay) -> None:
    with play:
        attached(play, overlay)
        overlay.write(TAPE)
        play >> overlay.swept(play.now.mono)
        play.wait(2.0) << StartCopy
        assert play.verdict() == "changed without a mount"


def test_a_tape_found_changed_is_copied(play: Playbook, overlay: Overlay) -> None:
    with play:
        copied(play, overlay)
        attached(play, overlay)
        overlay.write(TAPE)
        play >> overlay.swept(play.now.mono)
        play.wait(2.0) << StartCopy
        assert play.job.generation == 2
        play >> done(play.job)
        play.wait(60.0)
        play >> overlay.swept(play.now.mono)
        play.wait(60.0)


def test_a_daily_sweep_is_asked_for(play: Playbook, overlay: Overlay) -> None:
    with play:
        attached(play, overlay)
        play.wait(86400.0) << SweepVault(VAULT, "daily")
        play.wait(86399.0)
        play.wait(1.0) << SweepVault(VAULT, "daily")


def test_a_sweep_that_began_before_a_signal_does_not_overrule_it(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        attached(play, overlay)
        copied(play, overlay)
        stale = overlay.swept(play.now.mono)
        play.wait(1.0)
        copied(play, overlay)
        play >> stale
        play.wait(60.0)
        assert play.verdict() == "overlay only"
        assert isinstance(play.state(), Copied)


@pytest.mark.parametrize("how", ["removed", "moved"])
def test_a_stale_sweep_does_not_bring_back_what_went(
    how: str, play: Playbook, overlay: Overlay
) -> None:
    with play:
        attached(play, overlay)
        copied(play, overlay)
        play.wait(1.0)
        stale = overlay.swept(play.now.mono)
        play.wait(1.0)
        play >> (overlay.removed() if how == "removed" else overlay.moved(TAPE, UNWATCHED))
        play >> stale
        play.wait(60.0)
        assert isinstance(play.state(), Kept)


def test_a_stale_sweep_does_not_bring_back_what_nobody_knew(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        attached(play, overlay)
        overlay.write(TAPE)
        stale = overlay.swept(play.now.mono)
        play.wait(1.0)
        play >> overlay.removed() >> stale
        play.wait(60.0)
        assert TAPE not in play.engine.book.records


def test_a_reader_meanwhile_does_not_hide_what_a_sweep_found(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        copied(play, overlay)
        attached(play, overlay)
        overlay.write(TAPE)
        swept = overlay.swept(play.now.mono)
        play.wait(1.0)
        opened, closed = overlay.read()
        play >> opened >> closed >> swept
        play.wait(2.0) << StartCopy


def test_a_lost_state_compares_everything_also_after_a_crash_before_the_sweep(
    play: Playbook, overlay: Overlay
) -> None:
    overlay.write(TAPE)
    overlay.floor = overlay.seq = 7
    with play:
        play >> overlay.hello() << Subscribe(VAULT, 7) << SweepVault
        play.restart()
        play >> overlay.hello() << Subscribe(VAULT, 7) << SweepVault
        play >> overlay.swept(play.now.mono)
        play.wait(30.0) << StartCopy
        assert play.verdict() == "changed without a mount"


@pytest.mark.parametrize("crash", [False, True])
def test_sessions_of_a_lost_outbox_count_as_interrupted(
    play: Playbook, overlay: Overlay, *, crash: bool
) -> None:
    with play:
        attached(play, overlay)
        copied(play, overlay)
        play >> overlay.mounted()
        overlay.write(TAPE)
        play.wait(1.0)
        overlay = overlay.reborn()
        play >> overlay.hello() << Subscribe(VAULT, 0) << SweepVault
        assert play.record().writers, "until the sweep has looked, it may be open"
        if crash:
            play.restart()
            play >> overlay.hello() << Subscribe(VAULT, 0) << SweepVault
        play >> overlay.swept(play.now.mono)
        play.wait(600.0)
        assert play.verdict() == "interrupted"
        assert isinstance(play.state(), Held)
        play >> overlay.mounted() >> overlay.dismounted()
        play.wait(600.0) << StartCopy


def test_a_session_that_changed_nothing_in_a_lost_outbox_leaves_things_as_they_were(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        attached(play, overlay)
        copied(play, overlay)
        play >> overlay.mounted()
        play.wait(1.0)
        overlay = overlay.reborn()
        play >> overlay.hello() << Subscribe << SweepVault
        play >> overlay.swept(play.now.mono)
        play.wait(600.0)
        assert isinstance(play.state(), Copied)
        assert play.record().protected


def test_a_session_of_a_lost_outbox_whose_tape_is_gone_is_over(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        attached(play, overlay)
        copied(play, overlay)
        play >> overlay.mounted()
        play.wait(1.0)
        overlay = overlay.reborn()
        del overlay.identities[TAPE]
        play >> overlay.hello() << Subscribe << SweepVault
        play >> overlay.swept(play.now.mono)
        play.wait(600.0)
        assert isinstance(play.state(), Kept)
        assert not play.record().open


@pytest.mark.parametrize("older", ["agent", "outbox"])
def test_a_gap_leaves_no_tape_open_for_ever(older: str, play: Playbook, overlay: Overlay) -> None:
    with play:
        attached(play, overlay)
        copied(play, overlay)
        play >> overlay.mounted()
        overlay.dismounted()  # nobody hears it
        play.wait(1.0)
        overlay.seq = overlay.seq + 50 if older == "agent" else 1
        overlay.floor = overlay.seq if older == "agent" else 0
        play >> overlay.hello() << Subscribe(VAULT, overlay.seq)
        play << SweepVault(VAULT, "a gap in the signals")
        play >> overlay.swept(play.now.mono)
        play.wait(600.0)
        assert not play.record().writers
        assert isinstance(play.state(), Held)


def test_a_tape_that_went_is_kept_at_the_target(play: Playbook, overlay: Overlay) -> None:
    with play:
        attached(play, overlay)
        copied(play, overlay)
        play.wait(1.0)
        play >> overlay.swept(play.now.mono, found={}, unread=("BILL",))
        assert isinstance(play.state(), Copied), "of an unread pool nothing is known"
        play >> overlay.swept(play.now.mono, found={})
        assert isinstance(play.state(), Kept)
        assert play.record().protected
        play.wait(60.0)
    assert play.times_said(messages.KEPT) == 1


def test_a_removed_tape_without_a_copy_is_forgotten(play: Playbook, overlay: Overlay) -> None:
    with play:
        written(play, overlay)
        play >> overlay.removed() << StopCopy
        assert TAPE not in play.engine.book.records
        play >> ended(play.job, CopyStopped("deleted"))
        assert TAPE not in play.engine.book.records


def test_a_copy_published_just_as_its_tape_was_deleted_is_remembered(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        written(play, overlay)
        play >> overlay.removed() << StopCopy
        assert not play.engine.may_publish(TAPE, TARGET, 1)
        play >> CopyIntended(TAPE, TARGET, published(play.job)) >> done(play.job)
        assert isinstance(play.state(), Kept)
        assert play.copy().base is not None


def test_signals_that_were_acknowledged_change_nothing(play: Playbook, overlay: Overlay) -> None:
    with play:
        attached(play, overlay)
        opened, closed = overlay.mounted(), overlay.dismounted()
        play >> opened >> closed
        play.wait(2.0) << StartCopy
        play >> done(play.job)
        play.restart()
        assert play.engine.book.acks[VAULT] == Acknowledged("outbox-1", 2)
        play >> overlay.hello() << Subscribe(VAULT, 2) << SweepVault
        before = play.record().generation
        play >> opened >> closed
        play.wait(600.0)
        assert play.record().generation == before
        assert isinstance(play.state(), Copied)


def test_a_renamed_pool_is_swept(play: Playbook, overlay: Overlay) -> None:
    with play:
        play >> overlay.pool_moved("BILL") << SweepVault(VAULT, "pool /VAULT00/BILL was renamed")


def test_pools_nobody_watches_leave_no_records(play: Playbook, overlay: Overlay) -> None:
    with play:
        play >> overlay.mounted(UNWATCHED) >> overlay.dismounted(UNWATCHED)
        overlay.write(TAPE)
        play >> overlay.moved(TAPE, UNWATCHED)
        opened, closed = overlay.read(SECOND)
        play >> opened >> closed
        play.wait(600.0)
        assert play.engine.book.records == {}
        assert play.engine.book.acks[VAULT].seq == overlay.seq


def test_a_scanner_leaves_no_trace(play: Playbook, overlay: Overlay) -> None:
    with play:
        copied(play, overlay)
        notes = list(play.record().notes)
        opened, closed = overlay.read()
        play >> opened
        assert any(s.access is Access.READ for s in play.record().open.values())
        play >> closed
        play.wait(600.0)
        assert play.record().notes == notes
        assert play.verdict() == "overlay only"


def test_a_signal_left_over_from_a_lost_outbox_is_not_taken_in(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        attached(play, overlay)
        left_over = overlay.mounted()
        overlay = overlay.reborn()
        play >> overlay.hello() << Subscribe << SweepVault
        play >> left_over
        assert TAPE not in play.engine.book.records
        assert play.engine.book.acks[VAULT] == Acknowledged("outbox-1+", 0)


def test_a_touch_is_compared_and_no_alarm() -> None:
    overlay = Overlay()
    with Playbook(make_engine()) as play:
        play >> link_lost() >> overlay.changed(cause="times")
        play.wait(2.0) << StartCopy
        assert play.times_said(messages.CHANGED_WITHOUT_MOUNT) == 0


def test_what_was_no_plain_tape_and_is_gone_is_forgotten(play: Playbook, overlay: Overlay) -> None:
    with play:
        link = VaultSwept(VAULT, play.now.mono, {}, unfit={TAPE: "is a symbolic link"})
        play >> link
        assert isinstance(play.state(), Held)
        play >> link
        assert play.times_said(messages.SOURCE_UNFIT) == 1
        play.wait(60.0)
        play >> overlay.swept(play.now.mono)
        assert TAPE not in play.engine.book.records


def test_a_tape_that_changed_with_its_companion_is_copied(play: Playbook, overlay: Overlay) -> None:
    """The overlay was away when the tape changed: the companion's signal shows the new identity."""
    with play:
        copied(play, overlay)
        overlay.write(TAPE)
        play >> overlay.companion()
        play.wait(60.0) << StartCopy
