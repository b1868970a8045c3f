"""A sweep waits for what the outbox had to say first: that explains most of what it would find."""

import pytest

from copyagent.core.commands import StartCopy, Subscribe, SweepVault
from copyagent.core.vaults import BACKLOG_S
from copyagent.core.witness import Verdict
from tests.support.histories import TAPE, VAULT, Overlay, link_lost, make_engine
from tests.support.playbook import Playbook


@pytest.fixture
def play() -> Playbook:
    return Playbook(make_engine()) >> link_lost()


def test_signals_that_wait_are_heard_before_the_sweep(play: Playbook) -> None:
    overlay = Overlay()
    first, last = overlay.mounted(), overlay.dismounted()
    with play:
        play >> overlay.hello() << Subscribe(VAULT, 0)
        play >> first
        play >> last << SweepVault
        play >> overlay.swept(play.now.mono)
        play.wait(2.0) << StartCopy
        judgement = play.engine.book.records[TAPE].judgement
        assert judgement is not None
        assert judgement.verdict is Verdict.OVERLAY_ONLY
        assert play.engine.book.records[TAPE].generation == 1


def test_a_backlog_that_never_ends_does_not_keep_the_sweep_away(play: Playbook) -> None:
    overlay = Overlay()
    overlay.mounted()
    overlay.dismounted()
    with play:
        play >> overlay.hello() << Subscribe(VAULT, 0)
        play.wait(BACKLOG_S) << SweepVault
