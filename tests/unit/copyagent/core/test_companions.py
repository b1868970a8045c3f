"""A change of companions alone starts a copy that sends them alone, and raises no alarm."""

import pytest

from copyagent.core.commands import StartCopy
from copyagent.core.copying import CopyFailed, HoldReason
from copyagent.core.tape import Copied, Failed, Held, Unsynced
from tests.support.histories import (
    TAPE,
    Overlay,
    done,
    ended,
    link_lost,
    make_engine,
)
from tests.support.playbook import Playbook
from vtsfs.contract import messages


@pytest.fixture
def play() -> Playbook:
    """No host is heard, so that a verdict comes after the settle time."""
    return Playbook(make_engine()) >> link_lost()


def copied(play: Playbook, overlay: Overlay) -> None:
    play >> overlay.mounted() >> overlay.dismounted()
    play.wait(2.0) << StartCopy
    play >> done(play.job)


def test_it_is_sent_with_the_same_generation_and_no_alarm(play: Playbook, overlay: Overlay) -> None:
    with play:
        copied(play, overlay)
        first = play.job
        play >> overlay.companion() << StartCopy
        assert (play.job.generation, play.job.identity) == (first.generation, first.identity)
        assert play.job.base is not None
        assert not play.record().protected
        play >> done(play.job)
        assert isinstance(play.state(), Copied)
        assert play.record().protected
        play.wait(3600.0)
    assert play.times_said(messages.CHANGED_WITHOUT_MOUNT) == 0
    told = [note.text for note in play.record().notes if "companions changed" in note.text]
    assert told == [f"companions changed: {TAPE.label}.meta"]


def test_one_that_was_cut_off_is_noted_and_not_sent(play: Playbook, overlay: Overlay) -> None:
    with play:
        copied(play, overlay)
        play >> overlay.companion(cause="companion-interrupted")
        play.wait(3600.0)
        assert isinstance(play.state(), Copied)
        assert play.record().protected
        assert "companions changed" in play.record().notes[-1].text
    assert play.times_said(messages.CHANGED_WITHOUT_MOUNT) == 0


def test_one_that_changes_while_a_copy_runs_is_looked_at_after_it(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        play >> overlay.mounted() >> overlay.dismounted()
        play.wait(2.0) << StartCopy
        play >> overlay.companion() >> overlay.companion()
        assert play.engine.may_publish(play.job.tape, play.job.target, play.job.generation)
        play >> done(play.job) << StartCopy
        play >> done(play.job)
        play.wait(3600.0)
        assert isinstance(play.state(), Copied)


def test_a_copy_that_failed_finds_them_at_its_next_attempt(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        play >> overlay.mounted() >> overlay.dismounted()
        play.wait(2.0) << StartCopy
        play >> overlay.companion()
        play >> ended(play.job, CopyFailed("disk error", "mend it"))
        play.wait(300.0) << StartCopy
        play >> done(play.job)
        play.wait(3600.0)
        assert isinstance(play.state(), Copied)


def test_while_the_tape_is_open_they_wait_for_its_verdict(play: Playbook, overlay: Overlay) -> None:
    with play:
        copied(play, overlay)
        play >> overlay.mounted() >> overlay.companion() >> overlay.dismounted()
        play.wait(2.0) << StartCopy
        play >> done(play.job)
        play.wait(3600.0)


def test_a_tape_that_was_never_copied_waits_for_the_operator(
    play: Playbook, overlay: Overlay
) -> None:
    overlay.write(TAPE)
    with play:
        play >> overlay.hello()
        play.open.clear()
        play >> overlay.swept(play.now.mono)
        play >> overlay.companion()
        play.wait(3600.0)
        assert isinstance(play.state(), Unsynced)


def test_a_held_tape_stays_held(play: Playbook, overlay: Overlay) -> None:
    with play:
        copied(play, overlay)
        play >> overlay.mounted() >> overlay.interrupted()
        play.wait(60.0)
        play >> overlay.companion()
        play.wait(3600.0)
        state = play.state()
        assert isinstance(state, Held)
        assert state.reason is HoldReason.INTERRUPTED


def test_a_generation_that_was_not_ordered_is_not_sent_for_its_companion(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        copied(play, overlay)
        play.record().generation += 1
        play >> overlay.companion()
        play.wait(3600.0)


def test_a_copy_that_was_given_up_begins_anew(play: Playbook, overlay: Overlay) -> None:
    with play:
        play >> overlay.mounted() >> overlay.dismounted()
        play.wait(2.0)
        for _ in range(play.engine.book.ladder.attempts):
            play << StartCopy
            play >> ended(play.job, CopyFailed("disk error", "mend it"))
            play.wait(300.0)
        assert isinstance(play.state(), Failed)
        play >> overlay.companion() << StartCopy
        play >> done(play.job)
