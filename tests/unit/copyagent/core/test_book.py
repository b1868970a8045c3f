"""What is said about a copy, and how often."""

from copyagent.core.commands import StartCopy, Subscribe, SweepVault
from tests.support.drawers import TextDrawer
from tests.support.histories import (
    SECOND,
    TAPE,
    TARGET,
    Overlay,
    done,
    failed,
    link_lost,
    make_engine,
)
from tests.support.playbook import Playbook
from vtsfs.contract import messages


def test_a_restart_does_not_tell_of_a_failed_attempt_again() -> None:
    overlay = Overlay()
    with Playbook(make_engine()) as play:
        play >> overlay.hello() << Subscribe << SweepVault
        play >> link_lost() >> overlay.mounted() >> overlay.dismounted()
        play.wait(60.0) << StartCopy
        play >> failed(play.job)
        assert play.times_said(messages.ATTEMPT_FAILED) == 1
        play.restart(away=30.0)
        assert play.times_said(messages.ATTEMPT_FAILED) == 1
        play.wait(300.0) << StartCopy
        play >> failed(play.job)
    assert play.times_said(messages.ATTEMPT_FAILED) == 2


def test_copies_that_were_published_are_known_also_of_tapes_at_rest() -> None:
    overlay, drawer = Overlay(), TextDrawer()
    with Playbook(make_engine()) as play:
        play >> overlay.hello() << Subscribe << SweepVault
        play >> link_lost() >> overlay.mounted() >> overlay.dismounted()
        play.wait(60.0) << StartCopy
        play >> done(play.job)
        overlay.write(SECOND)
        play >> overlay.swept(play.now.mono)
    book = play.engine.book
    assert set(book.records.published()) == {(TAPE, TARGET), (SECOND, TARGET)}
    drawer.save(book)
    # What was never copied and rests has nothing there.
    assert drawer.shelf().published() == [(TAPE, TARGET)]
    assert (book.records.count_published(), drawer.shelf().count_published()) == (2, 1)
    assert drawer.fetched == 0
