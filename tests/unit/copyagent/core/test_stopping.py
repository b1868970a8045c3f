"""An operator cancels a copy, or keeps it back: what becomes of it, of later ones, and what is said."""

import pytest

from copyagent.core import operator, stopping
from copyagent.core.commands import ProbeTarget, StartCopy, StopCopy
from copyagent.core.copying import CopyFailed, CopyStopped, HoldReason
from copyagent.core.events import TargetProbed, WakeupDue
from copyagent.core.stopping import Stopped, StopWanted
from copyagent.core.syncing import SyncWanted, Which, sync
from copyagent.core.tape import Cancelled, Copied, Failed, Held, Kept, Superseded
from tests.support.histories import (
    OTHER_TARGET,
    SECOND,
    TAPE,
    TARGET,
    Overlay,
    done,
    ended,
    failed,
    link_lost,
    make_engine,
    unreachable,
)
from tests.support.playbook import Playbook
from vtsfs.contract import messages
from vtsfs.contract.errors import NameUnknown, RequestFailed

KEY = (TAPE, TARGET)


@pytest.fixture
def play() -> Playbook:
    return Playbook(make_engine(retry={"attempts": 2})) >> link_lost()


def written(play: Playbook, overlay: Overlay) -> None:
    play >> overlay.mounted() >> overlay.dismounted()
    play.wait(2.0)


def cancel(play: Playbook, target: str = "") -> Stopped:
    wanted = StopWanted(TAPE, "not tonight", target)
    stopped = stopping.cancel(play.engine.book, wanted, "ann", play.now)
    play >> WakeupDue()
    return stopped


def hold(play: Playbook, target: str = "") -> Stopped:
    wanted = StopWanted(TAPE, "a disk is looked at", target)
    stopped = stopping.hold(play.engine.book, wanted, "ann", play.now)
    play >> WakeupDue()
    return stopped


def release(play: Playbook) -> list[str]:
    return operator.release(play.engine.book, TAPE, "it is well", "bob", play.now)


def actions(play: Playbook) -> list[tuple[str, str]]:
    said = [s for s in play.said if s.message is messages.OPERATOR_ACTION]
    return [(s.fields["action"], s.fields["object"]) for s in said]


# ---- cancel --------------------------------------------------------------------------------------


def test_a_running_copy_is_stopped_and_its_tape_stays_unprotected(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        written(play, overlay)
        play << StartCopy
        stopped = cancel(play)
        play << StopCopy(TAPE, TARGET, "now cancelled")
        assert stopped == Stopped([], [KEY])
        assert "is being stopped" in stopping.became(play.engine.book, KEY)
        assert not play.engine.may_publish(TAPE, TARGET, 1)
        play >> ended(play.job, CopyStopped("withdrawn"))
        assert play.state() == Cancelled(1, "ann", "not tonight", play.now.wall_ns)
        assert not play.record().protected
        answer = stopping.became(play.engine.book, KEY)
        assert answer == (
            f"{TAPE} to {TARGET}: cancelled, stopped before anything was published; the target has no "
            f"copy of it and the tape is NOT PROTECTED; to copy it: copyagent retry {TAPE}"
        )
        play.wait(10_000.0)
        assert isinstance(play.state(), Cancelled)
    assert actions(play) == [("cancel", f"{TAPE} to {TARGET}")]


def test_what_was_published_in_that_moment_is_copied_and_the_answer_says_so(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        written(play, overlay)
        play << StartCopy
        cancel(play)
        play << StopCopy
        play >> done(play.job)
        assert isinstance(play.state(), Copied)
        assert "was being published already, so it is copied, and protected" in stopping.became(
            play.engine.book, KEY
        )
        assert play.record().protected


def test_a_waiting_copy_is_cancelled_at_once_and_a_retry_brings_it_back(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        written(play, overlay)
        play << StartCopy
        play >> failed(play.job)
        assert "cancelled; the target has no copy of it" in cancel(play).answers[0]
        with pytest.raises(RequestFailed, match="cancelled already, by ann: not tonight"):
            cancel(play)
        assert operator.retry(play.engine.book, TAPE, "bob", play.now)
        play >> WakeupDue() << StartCopy
        play >> done(play.job)
        with pytest.raises(RequestFailed, match=r"copied, nothing to cancel; later .* hold"):
            cancel(play)


def test_a_given_up_copy_that_is_cancelled_does_not_come_again_with_its_target(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        written(play, overlay)
        play << StartCopy
        play >> unreachable(play.job)
        play.wait(400.0) << ProbeTarget(TARGET)
        play >> TargetProbed(TARGET, CopyFailed("gone", "mend it", unreachable=True))
        assert isinstance(play.state(), Failed)
        cancel(play)
        play >> TargetProbed(TARGET, None)
        play.wait(1000.0)
        assert isinstance(play.state(), Cancelled)


def test_a_newer_complete_generation_is_copied_by_itself(play: Playbook, overlay: Overlay) -> None:
    with play:
        written(play, overlay)
        play << StartCopy
        play >> failed(play.job)
        cancel(play)
        written(play, overlay)
        play << StartCopy
        play >> done(play.job)
        assert isinstance(play.state(), Copied)


def test_cancelling_while_it_is_written_is_for_what_was_there_before(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        written(play, overlay)
        play << StartCopy
        play >> failed(play.job)
        play >> overlay.mounted()
        assert isinstance(play.state(), Superseded)
        answer = cancel(play).answers[0]
        assert "what is being written now is copied when it is complete" in answer
        play >> overlay.dismounted(wrote=0)
        play.wait(1000.0)
        assert isinstance(play.state(), Cancelled), "nothing new was written"


def test_it_survives_a_restart(play: Playbook, overlay: Overlay) -> None:
    with play:
        written(play, overlay)
        play << StartCopy
        play >> failed(play.job)
        cancel(play)
    play.restart()
    with play:
        play >> link_lost()
        play.wait(1000.0)
        assert isinstance(play.state(), Cancelled)


def test_only_the_target_that_is_named(overlay: Overlay) -> None:
    engine = make_engine(targets=(TARGET, OTHER_TARGET), retry={"attempts": 1})
    with Playbook(engine) >> link_lost() as play:
        written(play, overlay)
        play << StartCopy << StartCopy
        for job in list(play.jobs):
            play >> failed(job)
        cancel(play, OTHER_TARGET)
        assert isinstance(play.state(target=OTHER_TARGET), Cancelled)
        assert isinstance(play.state(), Failed)
        with pytest.raises(NameUnknown, match=f"did you mean {OTHER_TARGET}"):
            cancel(play, "atic")


def test_a_pools_sync_leaves_alone_what_was_cancelled(play: Playbook, overlay: Overlay) -> None:
    with play:
        written(play, overlay)
        play << StartCopy
        play >> failed(play.job)
        cancel(play)
        listed = "copyagent tapes --pool /VAULT00/BILL --state held --state cancelled"
        for which in Which:
            assert sync(play.engine.book, SyncWanted(TAPE.pool_id, which), "bob", play.now) == [
                f"{TAPE.pool_id}: nothing to copy",
                f"1 held or cancelled copies are left alone: {listed}",
            ]
        assert operator.retry_failed(play.engine.book, "bob", play.now) == ["no copy has failed"]
        assert sync(play.engine.book, SyncWanted(TAPE), "bob", play.now) == [
            f"{TAPE} to {TARGET}: queued"
        ]


# ---- hold ----------------------------------------------------------------------------------------


def test_a_hold_ends_by_release_and_by_no_newer_generation(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        written(play, overlay)
        play << StartCopy
        assert hold(play).ending == [KEY]
        play << StopCopy
        play >> ended(play.job, CopyStopped("withdrawn"))
        answer = stopping.became(play.engine.book, KEY)
        assert answer.endswith(
            f"held (by operator), NOT PROTECTED until: copyagent release {TAPE} --because TEXT"
        )
        written(play, overlay)
        held = play.state()
        assert isinstance(held, Held)
        assert (held.reason, held.generation) == (HoldReason.BY_OPERATOR, 2)
        assert play.times_said(messages.HELD_BY_OPERATOR) == 1
        with pytest.raises(RequestFailed, match="is kept back by ann: a disk is looked at"):
            operator.retry(play.engine.book, TAPE, "bob", play.now)
        assert release(play) == [f"{TAPE} to {TARGET}: released (by operator), queued"]
        play >> WakeupDue() << StartCopy
        play >> done(play.job)
        assert isinstance(play.state(), Copied)
    assert [action for action, _ in actions(play)] == ["hold", "release"]


def test_a_hold_ahead_of_time_leaves_what_is_copied_as_it_is(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        written(play, overlay)
        play << StartCopy
        play >> done(play.job)
        assert (
            "copied, protected as it is; what changes from now on is held" in hold(play).answers[0]
        )
        assert play.record().protected
        for which in Which:
            wanted = SyncWanted(TAPE.pool_id, which)
            assert "nothing to copy" in sync(play.engine.book, wanted, "bob", play.now)[0]
        with pytest.raises(RequestFailed, match=r"kept back already, since .* by ann"):
            hold(play)
        written(play, overlay)
        assert isinstance(play.state(), Held)
        assert not play.record().protected
        release(play)
        play >> WakeupDue() << StartCopy
        play >> done(play.job)


def test_a_hold_that_held_nothing_is_released_all_the_same(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        written(play, overlay)
        play << StartCopy
        play >> done(play.job)
        hold(play)
        assert release(play) == [f"{TAPE} to {TARGET}: copied, not kept back any more"]
        written(play, overlay)
        play << StartCopy
    assert [action for action, _ in actions(play)] == ["hold", "release"]


def test_a_publication_past_recall_is_copied_and_the_hold_stays(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        written(play, overlay)
        play << StartCopy
        hold(play)
        play << StopCopy
        play >> done(play.job)
        assert isinstance(play.state(), Copied)
        assert "later changes are held" in stopping.became(play.engine.book, KEY)
        written(play, overlay)
        assert isinstance(play.state(), Held)


def test_a_hold_and_another_hold_are_released_together(play: Playbook, overlay: Overlay) -> None:
    with play:
        play >> overlay.mounted() >> overlay.interrupted()
        play.wait(600.0)
        held = play.state()
        assert isinstance(held, Held)
        assert held.reason is HoldReason.INTERRUPTED
        assert "held (interrupted, and by operator)" in hold(play).answers[0]
        written(play, overlay)
        held = play.state()
        assert isinstance(held, Held)
        assert held.reason is HoldReason.BY_OPERATOR, "the interruption ended, the hold did not"
        release(play)
        play >> WakeupDue() << StartCopy


def test_a_hold_survives_a_restart_and_the_tapes_deletion(play: Playbook, overlay: Overlay) -> None:
    with play:
        written(play, overlay)
        play << StartCopy
        hold(play)
        play << StopCopy
        play >> ended(play.job, CopyStopped("withdrawn"))
    play.restart()
    with play:
        play >> link_lost()
        play.wait(1000.0)
        play >> overlay.removed(TAPE)
        assert isinstance(play.state(), Kept)
        written(play, overlay)
        assert isinstance(play.state(), Held)


def test_an_unknown_tape_is_a_wrong_name(play: Playbook, overlay: Overlay) -> None:
    with play:
        written(play, overlay)
        play << StartCopy
        with pytest.raises(NameUnknown, match=f"no tape {SECOND} is known"):
            stopping.cancel(play.engine.book, StopWanted(SECOND, "x"), "ann", play.now)
