"""What an operator may ask, what becomes of it, and what is refused with which words."""

import pytest

from copyagent.core import operator
from copyagent.core.commands import StartCopy, StopCopy
from copyagent.core.copying import CopyHeld, HoldReason, SourceErased, TargetStamp
from copyagent.core.events import WakeupDue
from copyagent.core.shown import next_step
from copyagent.core.syncing import SyncWanted, sync
from copyagent.core.tape import Copied, Failed, Held, Kept, Superseded, Unsynced
from tests.support.histories import (
    OTHER_TARGET,
    SECOND,
    TAPE,
    TARGET,
    TWIN,
    UNWATCHED,
    Overlay,
    done,
    ended,
    failed,
    link_lost,
    make_engine,
    no_ring,
)
from tests.support.playbook import Playbook
from vtsfs.contract import messages
from vtsfs.contract.errors import NameUnknown, RequestFailed

STAMP = TargetStamp(5, 6)


@pytest.fixture
def play() -> Playbook:
    return Playbook(make_engine(retry={"attempts": 1})) >> link_lost()


def started(play: Playbook, overlay: Overlay) -> None:
    play >> overlay.mounted() >> overlay.dismounted()
    play.wait(2.0) << StartCopy


def retry(play: Playbook) -> list[str]:
    answers = operator.retry(play.engine.book, TAPE, "root", play.now)
    play >> WakeupDue()
    return answers


def release(play: Playbook, *, overwrite: bool = False) -> list[str]:
    answers = operator.release(
        play.engine.book, TAPE, "I looked", "root", play.now, overwrite_target=overwrite
    )
    play >> WakeupDue()
    return answers


def test_retry_starts_a_new_ladder_at_once(play: Playbook, overlay: Overlay) -> None:
    with play:
        started(play, overlay)
        play >> failed(play.job)
        assert isinstance(play.state(), Failed)
        assert retry(play) == [f"{TAPE} to {TARGET}: queued"]
        play << StartCopy
        assert retry(play) == [f"{TAPE} to {TARGET}: is being copied now"]
        play >> done(play.job)
        assert retry(play) == [f"{TAPE} to {TARGET}: copied, nothing to retry"]
    assert play.times_said(messages.OPERATOR_ACTION) == 1


def test_retry_does_not_go_over_a_hold_or_an_erased_tape(play: Playbook, overlay: Overlay) -> None:
    with play:
        started(play, overlay)
        play >> ended(play.job, CopyHeld(HoldReason.TARGET_CHANGED, "edited", STAMP))
        word = "copyagent release /VAULT00/BILL/X00001 --overwrite-target --because"
        with pytest.raises(RequestFailed, match=word):
            retry(play)
        with pytest.raises(RequestFailed, match=word):
            release(play)
        release(play, overwrite=True)
        play << StartCopy
        play >> ended(play.job, SourceErased(gone=False))
        with pytest.raises(RequestFailed, match="was erased here; the copy at drsite is kept"):
            retry(play)
        with pytest.raises(RequestFailed, match="was erased here"):
            sync(play.engine.book, SyncWanted(TAPE), "root", play.now)


def test_retry_looks_again_at_a_source_that_was_no_plain_tape(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        started(play, overlay)
        play >> ended(play.job, CopyHeld(HoldReason.SOURCE_UNFIT, "a symlink"))
        retry(play)
        play << StartCopy


def test_a_hold_at_one_target_does_not_keep_another_from_its_retry(overlay: Overlay) -> None:
    engine = make_engine(targets=(TARGET, OTHER_TARGET), retry={"attempts": 1})
    with Playbook(engine) >> link_lost() as play:
        play >> overlay.mounted() >> overlay.dismounted()
        play.wait(2.0) << StartCopy << StartCopy
        for job in list(play.jobs):
            if job.target == TARGET:
                play >> ended(job, CopyHeld(HoldReason.TARGET_CHANGED, "edited", STAMP))
            else:
                play >> failed(job)
        held, queued = retry(play)
        assert "is held (target changed)" in held
        assert queued == f"{TAPE} to {OTHER_TARGET}: queued"
        play << StartCopy
        assert isinstance(play.state(), Held)


def test_an_unknown_or_unwatched_tape_is_refused(play: Playbook) -> None:
    book = play.engine.book
    for tape, why in ((TAPE, "no tape .* is known"), (UNWATCHED, "not under autocopy:")):
        with pytest.raises(NameUnknown, match=why):
            operator.retry(book, tape, "root", play.now)
        with pytest.raises(NameUnknown, match=why):
            sync(book, SyncWanted(tape), "root", play.now)
        with pytest.raises(NameUnknown, match=why):
            operator.release(book, tape, "x", "root", play.now)
    with pytest.raises(NameUnknown, match="not under autocopy:"):
        sync(book, SyncWanted(UNWATCHED.pool_id), "root", play.now)


def test_retry_failed_takes_what_has_failed_and_nothing_else(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        book = play.engine.book
        assert operator.retry_failed(book, "root", play.now) == ["no copy has failed"]
        started(play, overlay)
        play >> failed(play.job)
        play >> overlay.mounted(SECOND)
        assert operator.retry_failed(book, "root", play.now) == [f"{TAPE} to {TARGET}: queued"]
        play >> WakeupDue() << StartCopy
    assert play.times_said(messages.OPERATOR_ACTION) == 1


def test_sync_copies_what_was_there_before_once(play: Playbook, overlay: Overlay) -> None:
    overlay.write(TAPE)
    overlay.write(TWIN)
    overlay.write(SECOND, size=0)
    with play:
        play >> overlay.swept(play.now.mono)
        book = play.engine.book
        answers = sync(book, SyncWanted(TAPE.pool_id), "root", play.now)
        assert answers == [f"{TAPE} to {TARGET}: queued"]
        play >> WakeupDue() << StartCopy
        play >> done(play.job)
        again = sync(book, SyncWanted(TAPE.pool_id), "root", play.now)
        assert again == ["/VAULT00/BILL: nothing to copy"]
        assert play.state(TWIN) == Unsynced()
        assert sync(book, SyncWanted(TWIN), "root", play.now) == [f"{TWIN} to {TARGET}: queued"]
        play >> WakeupDue() << StartCopy


def test_sync_of_an_open_tape_waits_for_its_verdict(play: Playbook, overlay: Overlay) -> None:
    overlay.write(TAPE)
    with play:
        play >> overlay.swept(play.now.mono)
        play.wait(1.0)
        play >> overlay.mounted()
        sync(play.engine.book, SyncWanted(TAPE.pool_id), "root", play.now)
        play.wait(600.0)
        play >> overlay.dismounted()
        assert play.state() == Superseded(1)
        play >> no_ring()
        play.wait(600.0)
        assert play.verdict() == "conflict"
        assert play.jobs == []


def test_release_lets_a_conflict_go_on(play: Playbook, overlay: Overlay) -> None:
    with play:
        play >> no_ring() >> overlay.mounted() >> overlay.dismounted()
        play.wait(2.0)
        assert release(play) == [f"{TAPE} to {TARGET}: released (conflict), queued"]
        play << StartCopy
        assert play.job.override is None
        play >> done(play.job)
        assert isinstance(play.state(), Copied)
        with pytest.raises(RequestFailed, match="is not held; see: copyagent explain"):
            release(play)
    said = [s for s in play.said if s.message is messages.OPERATOR_ACTION]
    assert [s.fields["because"] for s in said] == ["I looked"]
    assert any("released by root: I looked" in note.text for note in play.record().notes)


def test_release_is_for_the_foreign_file_as_it_was_seen(play: Playbook, overlay: Overlay) -> None:
    with play:
        started(play, overlay)
        play >> ended(play.job, CopyHeld(HoldReason.TARGET_UNKNOWN, "5 bytes", STAMP))
        release(play, overwrite=True)
        play << StartCopy
        assert play.job.override == STAMP
        other = TargetStamp(7, 8)
        play >> ended(play.job, CopyHeld(HoldReason.TARGET_UNKNOWN, "7 bytes", other))
        assert isinstance(play.state(), Held)
        release(play, overwrite=True)
        play << StartCopy
        assert play.job.override == other
        play >> done(play.job)
        assert play.copy().override is None


def test_a_writer_stops_a_released_copy(play: Playbook, overlay: Overlay) -> None:
    with play:
        play >> no_ring() >> overlay.mounted() >> overlay.dismounted()
        play.wait(2.0)
        release(play)
        play << StartCopy
        play >> overlay.mounted() << StopCopy(TAPE, TARGET, "now superseded")


def test_what_is_kept_at_one_target_can_still_be_asked_for_at_another(overlay: Overlay) -> None:
    engine = make_engine(targets=(TARGET, OTHER_TARGET), retry={"attempts": 1})
    with Playbook(engine) >> link_lost() as play:
        play >> overlay.mounted() >> overlay.dismounted()
        play.wait(2.0) << StartCopy << StartCopy
        first, second = play.jobs
        play >> ended(first, SourceErased(gone=False)) >> failed(second)
        assert isinstance(play.state(target=first.target), Kept)
        assert any(answer.endswith("queued") for answer in retry(play))
        play << StartCopy


def test_what_cannot_be_replaced_in_one_step_is_to_be_removed_there(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        play >> overlay.mounted() >> overlay.dismounted()
        play.wait(2.0) << StartCopy
        play >> ended(play.job, CopyHeld(HoldReason.TARGET_UNKNOWN, "a directory", None))
        advice = next_step(play.engine.book, play.record(), TARGET, play.now)
        assert advice == f"Remove it at the target, then: copyagent retry {TAPE}"
        assert retry(play) == [f"{TAPE} to {TARGET}: queued"]
        play << StartCopy
