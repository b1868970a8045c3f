"""Histories in which a change could be forgotten, or published against the rules: each once went wrong."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from copyagent.core.book import Book
from copyagent.core.commands import StartCopy, Subscribe, SweepVault
from copyagent.core.copying import CopyFailed, CopyWaits, HoldReason, SourceErased, WaitReason
from copyagent.core.engine import Engine
from copyagent.core.events import AgentStarted
from copyagent.core.host_events import MountRequested
from copyagent.core.tape import Copied, Held, Kept, Queued, Retrying, Unsynced
from copyagent.core.vaults import ABSENT_S
from tests.support.histories import (
    OTHER_TARGET,
    SECOND,
    TAPE,
    TARGET,
    Overlay,
    done,
    ended,
    link_lost,
    make_engine,
    make_settings,
    no_ring,
    requested,
    tape_dismounted,
    volume_mounted,
)
from tests.support.playbook import Playbook, copied_once
from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Access, Kind

GRACE = 30.0
SETTLE = 2.0


@pytest.fixture
def play() -> Playbook:
    return Playbook(make_engine())


# ---- sessions ------------------------------------------------------------------------------------


def test_the_host_s_dismount_of_an_interrupted_mount_does_not_publish_it(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        copied_once(play, overlay)
        play >> requested(request=2) >> overlay.mounted() >> volume_mounted(request=2)
        play >> overlay.interrupted()
        play.wait(60.0)
        assert isinstance(play.state(), Held)
        play >> tape_dismounted()
        play.wait(600.0)
        state = play.state()
        assert isinstance(state, Held)
        assert state.reason is HoldReason.INTERRUPTED


def test_touching_an_interrupted_tape_does_not_publish_it(play: Playbook, overlay: Overlay) -> None:
    with play:
        copied_once(play, overlay)
        play >> overlay.mounted() >> overlay.interrupted()
        play.wait(60.0)
        play >> overlay.changed(cause="times")
        play.wait(600.0)
        state = play.state()
        assert isinstance(state, Held)
        assert state.reason is HoldReason.INTERRUPTED


@pytest.mark.parametrize("access", [Access.READ, Access.WRITE])
def test_many_later_sessions_do_not_push_out_the_one_that_wrote(
    play: Playbook, overlay: Overlay, access: Access
) -> None:
    with play:
        copied_once(play, overlay)
        play >> link_lost() >> overlay.mounted() >> overlay.dismounted()
        for _ in range(40):
            play >> overlay.mounted(TAPE, access) >> overlay.dismounted(TAPE, access, wrote=0)
        play.wait(600.0) << StartCopy


def test_readers_do_not_put_off_the_verdict_for_ever(play: Playbook, overlay: Overlay) -> None:
    with play:
        copied_once(play, overlay)
        play >> overlay.mounted() >> overlay.dismounted()
        for _ in range(20):
            play.wait(5.0)
            if play.open:
                break
            play >> overlay.mounted(TAPE, Access.READ)
            play >> overlay.dismounted(TAPE, Access.READ, wrote=0)
        play << StartCopy


def test_a_session_that_wrote_is_a_generation_even_if_it_set_the_times_back(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        copied_once(play, overlay)
        identity = overlay.identities[TAPE]
        play >> requested(request=2) >> overlay.mounted() >> volume_mounted(request=2)
        session, opened = overlay.open.pop((TAPE, Access.WRITE))
        overlay.identities[TAPE] = replace(identity, ctime_ns=identity.ctime_ns + 10**9)
        play >> overlay.signal(
            Kind.DISMOUNTED, TAPE, session=session, opened=opened, wrote=True, bytes_written=100
        )
        play >> tape_dismounted()
        play.wait(SETTLE) << StartCopy
        assert play.job.generation == 2


def test_the_end_of_an_unlinked_file_says_nothing_of_its_successor(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        copied_once(play, overlay)
        play >> requested(request=2) >> overlay.mounted() >> volume_mounted(request=2)
        session, opened = overlay.open.pop((TAPE, Access.WRITE))
        play >> overlay.removed()
        overlay.identities[SECOND] = overlay.write(SECOND)
        play >> overlay.mounted() >> overlay.dismounted()
        assert opened is not None
        assert overlay.identities[TAPE].ino != opened.ino
        successor = overlay.identities.pop(TAPE)
        play >> overlay.signal(
            Kind.DISMOUNTED, TAPE, session=session, opened=opened, wrote=True, cause="removed"
        )
        overlay.identities[TAPE] = successor
        play >> tape_dismounted()
        play.wait(600.0) << StartCopy
        assert play.job.identity == successor


def test_a_tape_that_was_there_before_and_is_only_opened_is_not_protected(
    play: Playbook, overlay: Overlay
) -> None:
    overlay.write(TAPE)
    with play:
        play >> overlay.hello()
        play.open.clear()
        play >> overlay.mounted() >> overlay.dismounted(wrote=0)
        play >> overlay.swept(play.now.mono - 1.0)
        play.wait(600.0)
        assert play.state() == Unsynced()
        assert not play.record().protected


def test_a_kept_tape_that_came_back_unseen_is_compared_when_it_is_opened(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        copied_once(play, overlay)
        play >> overlay.removed()
        assert isinstance(play.state(), Kept)
        overlay.write(TAPE)
        play >> overlay.mounted() >> overlay.dismounted(wrote=0)
        play.wait(600.0) << StartCopy


# ---- names ---------------------------------------------------------------------------------------


def test_two_tapes_that_exchange_their_names_are_both_copied(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        copied_once(play, overlay)
        copied_once(play, overlay, SECOND)
        first, second = overlay.identities[TAPE], overlay.identities[SECOND]
        overlay.identities |= {TAPE: second, SECOND: first}
        play >> overlay.signal(Kind.MOVED, SECOND, origin=str(TAPE))
        play >> overlay.signal(Kind.MOVED, TAPE, origin=str(SECOND))
        play.wait(SETTLE) << StartCopy << StartCopy
        assert {job.tape for job in play.jobs[-2:]} == {TAPE, SECOND}


# ---- lost sessions and sweeps ----------------------------------------------------------------------


@pytest.mark.parametrize("access", [Access.READ, Access.WRITE])
def test_a_lost_session_does_not_hide_what_the_sweep_found(
    play: Playbook, overlay: Overlay, access: Access
) -> None:
    with play:
        play >> overlay.hello()
        play.open.clear()
        play >> overlay.swept(play.now.mono)
        copied_once(play, overlay)
        if access is Access.WRITE:
            overlay.write(TAPE)
        play >> overlay.mounted(TAPE, access)
        if access is Access.READ:
            overlay.write(TAPE)
        overlay = overlay.reborn()
        play.wait(1.0)
        play >> overlay.hello()
        play.open.clear()
        play >> overlay.swept(play.now.mono)
        play.wait(600.0) << StartCopy


def test_a_reader_that_a_crash_cut_off_does_not_silence_the_host_for_ever(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        copied_once(play, overlay)
        play >> overlay.mounted(TAPE, Access.READ)
        play >> overlay.hello(unclean=True)
        play.open.clear()
        play.wait(60.0)
        play >> requested(request=2) >> volume_mounted(request=2) >> tape_dismounted()
        play.wait(GRACE) << StartCopy
        assert play.verdict() == "host only"


def test_a_vault_without_its_overlay_is_swept_too(play: Playbook, overlay: Overlay) -> None:
    with play:
        play >> overlay.hello()
        play.open.clear()
        play >> overlay.swept(play.now.mono)
        copied_once(play, overlay)
        play.restart()
        # Not at once: the overlay may be about to tell of a session that was cut off.
        play >> overlay.silent() >> overlay.silent()
        play.wait(ABSENT_S - 1.0)
        play >> overlay.silent()
        play.wait(1.0) << SweepVault
        play >> overlay.swept(play.now.mono)
        play.wait(86400.0) << SweepVault


def test_an_overlay_that_comes_late_is_heard_before_the_sweep(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        play >> overlay.hello()
        play.open.clear()
        play >> overlay.swept(play.now.mono)
        play.restart()
        play >> overlay.silent()
        play.wait(60.0)
        play >> overlay.hello() << Subscribe << SweepVault
        play.wait(ABSENT_S)


# ---- the source ------------------------------------------------------------------------------------


def test_a_tape_that_was_away_when_it_was_to_be_copied_is_copied_when_it_is_back(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        copied_once(play, overlay)
        play >> requested(request=2) >> overlay.mounted() >> volume_mounted(request=2)
        play >> overlay.dismounted() >> tape_dismounted()
        play.wait(SETTLE) << StartCopy
        play >> ended(play.job, SourceErased(gone=True))
        assert isinstance(play.state(), Kept)
        play.wait(3600.0)
        play >> overlay.swept(play.now.mono)
        play.wait(SETTLE) << StartCopy


# ---- hosts -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("next_request", [no_ring, requested])
def test_the_next_request_does_not_speak_for_a_mount_that_is_over(
    play: Playbook, overlay: Overlay, next_request: Callable[..., MountRequested]
) -> None:
    with play:
        play >> requested() >> overlay.mounted() >> volume_mounted() >> overlay.dismounted()
        play.wait(1.0)
        play >> tape_dismounted()
        play.wait(0.5)
        play >> next_request(request=2) << StartCopy
        assert play.verdict() == "agreed"


def test_a_mount_that_is_over_does_not_speak_for_a_later_session(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        copied_once(play, overlay)
        play.wait(60.0)
        play >> requested(request=2) >> volume_mounted(request=2) >> tape_dismounted()
        play.wait(5.0)
        overlay.tick = play.now.wall_ns
        play >> overlay.mounted() >> overlay.dismounted()
        play.wait(0.5)
        play >> no_ring(request=3)
        play.wait(600.0)
        assert play.verdict() == "conflict"


# ---- settings that change between two runs ---------------------------------------------------------


def with_targets(play: Playbook, *targets: str) -> Playbook:
    """The same records under settings with other targets."""
    book = Book(make_settings(targets=targets), records=play.engine.book.records)
    return Playbook(Engine(book), now=play.now)


def test_a_further_target_is_not_protected_from_the_start(play: Playbook, overlay: Overlay) -> None:
    copied_once(play, overlay)
    again = with_targets(play, TARGET, OTHER_TARGET)
    again >> AgentStarted()
    assert again.state(TAPE, OTHER_TARGET) == Unsynced()
    assert isinstance(again.state(TAPE, TARGET), Copied)
    assert not again.record().protected
    assert again.record().behind_ns == again.now.wall_ns


def test_a_target_that_is_no_more_is_not_copied_to(play: Playbook, overlay: Overlay) -> None:
    copied_once(play, overlay)
    again = with_targets(play, OTHER_TARGET)
    again >> AgentStarted()
    again >> overlay.mounted() >> overlay.dismounted()
    again.wait(600.0) << StartCopy
    assert again.job.target == OTHER_TARGET
    again >> done(again.job)
    assert again.record().protected


# ---- sessions whose end is never told --------------------------------------------------------------


def test_a_session_whose_end_was_lost_ends_with_the_next_one_of_the_same_file(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        copied_once(play, overlay)
        play >> overlay.mounted()
        overlay.open.pop((TAPE, Access.WRITE))
        overlay.write(TAPE)
        play >> overlay.mounted() >> overlay.dismounted(wrote=0)
        play.wait(600.0) << StartCopy


def test_a_pool_that_is_renamed_takes_its_open_sessions_with_it(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        copied_once(play, overlay)
        play >> overlay.mounted()
        moved = overlay.pool_moved("OLD")
        play >> replace(moved, signal=replace(moved.signal, origin="/VAULT00/BILL"))
        play << SweepVault
        overlay.open.clear()
        overlay.identities[SECOND] = overlay.write(SECOND)
        del overlay.identities[TAPE]
        play >> overlay.mounted() >> overlay.dismounted()
        play.wait(600.0) << StartCopy


def test_a_session_that_was_cut_off_with_its_outbox_lost_is_still_interrupted(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        play >> overlay.hello()
        play.open.clear()
        copied_once(play, overlay)
        play >> overlay.mounted()
        overlay = overlay.reborn()
        overlay.write(TAPE)
        play.wait(1.0)
        play >> overlay.hello()
        play.open.clear()
        play >> overlay.mounted() >> overlay.dismounted(wrote=0)
        play >> overlay.swept(play.now.mono - 0.5)
        play.wait(600.0)
        state = play.state()
        assert isinstance(state, Held)
        assert state.reason is HoldReason.INTERRUPTED


# ---- what the operator reads ------------------------------------------------------------------------


def test_a_long_wait_does_not_push_the_history_out(play: Playbook, overlay: Overlay) -> None:
    with play:
        play >> overlay.mounted() >> overlay.dismounted()
        play.wait(60.0) << StartCopy
        first = [note.text for note in play.record().notes][:3]
        for _ in range(50):
            play >> ended(play.job, CopyWaits(WaitReason.OPEN, "somebody has it open"))
            play.wait(10.0) << StartCopy
        assert [note.text for note in play.record().notes][:3] == first
        assert play.record().notes[-1].at_ns == play.now.wall_ns


# ---- attempts --------------------------------------------------------------------------------------


def test_a_link_lost_during_one_copy_is_no_attempt_of_the_others(overlay: Overlay) -> None:
    """Only a target that does not answer at all fails for everybody that is due."""
    tapes = [TapeId("VAULT00", "BILL", f"X0000{n}") for n in range(1, 6)]
    with Playbook(make_engine()) as play:
        for tape in tapes:
            play >> overlay.changed(tape)
        play.wait(SETTLE) << StartCopy << StartCopy
        lost = CopyFailed("the connection was lost", "Check.", unreachable=True, connected=True)
        play >> ended(play.jobs[0], lost) << StartCopy
        assert isinstance(play.state(play.jobs[0].tape), Retrying)
        assert [play.state(tape) for tape in tapes[3:]] == [Queued(1), Queued(1)]
        play >> ended(play.jobs[1], replace(lost, connected=False))
        assert all(play.state(tape).kind == "retry" for tape in tapes[3:])


@pytest.mark.parametrize("overdue", [False, True])
def test_a_session_that_wrote_nothing_does_not_make_an_interrupted_tape_whole(
    play: Playbook, overlay: Overlay, *, overdue: bool
) -> None:
    with play:
        copied_once(play, overlay)
        play >> overlay.mounted() >> overlay.interrupted()
        play.wait(60.0)
        play >> overlay.changed(cause="times")
        play.wait(60.0)
        play >> requested(request=3) >> overlay.mounted() >> volume_mounted(request=3)
        play >> overlay.dismounted(wrote=0)
        if not overdue:
            play >> tape_dismounted()
        play.wait(2 * 86400.0)
        assert isinstance(play.state(), Held)
        play >> requested(request=4) >> overlay.mounted() >> volume_mounted(request=4)
        play >> overlay.dismounted() >> tape_dismounted()
        play.wait(SETTLE) << StartCopy
