"""A sweep waits for what the outbox had to say first: that explains most of what it would find."""

import pytest

from copyagent.core.commands import StartCopy, Subscribe, SweepVault
from copyagent.core.cover import REMIND_S, UNCOVERED_S
from copyagent.core.vaults import BACKLOG_S, UNREAD_S
from copyagent.core.witness import Verdict
from tests.support.histories import TAPE, VAULT, Overlay, link_lost, make_engine
from tests.support.playbook import Playbook
from vtsfs.contract import messages


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


def test_an_overlay_that_stays_away_is_an_alarm_told_once(play: Playbook) -> None:
    overlay = Overlay()
    with play:
        play >> overlay.silent()
        play.wait(UNCOVERED_S - 1)
        assert play.times_said(messages.NOT_COVERED) == 0
        play.wait(1.0)
        play >> overlay.silent()
        play.wait(UNCOVERED_S)
        assert play.times_said(messages.NOT_COVERED) == 1
        play >> overlay.hello() << Subscribe(VAULT, 0) << SweepVault
        play >> overlay.swept(play.now.mono) >> overlay.silent()
        play.wait(UNCOVERED_S)
        assert play.times_said(messages.NOT_COVERED) == 1, "the same was told within the hour"
        play.wait(REMIND_S - UNCOVERED_S)
        assert play.times_said(messages.NOT_COVERED) == 2


def test_a_pool_that_cannot_be_read_is_told_and_looked_at_again(play: Playbook) -> None:
    overlay = Overlay()
    with play:
        play >> overlay.hello() << Subscribe(VAULT, 0) << SweepVault
        play >> overlay.swept(play.now.mono, unread=("BILL",))
        assert play.times_said(messages.POOL_UNREADABLE) == 1
        play.wait(UNREAD_S) << SweepVault
        play >> overlay.swept(play.now.mono, unread=("BILL",))
        assert play.times_said(messages.POOL_UNREADABLE) == 1, "once an hour"
        play.wait(UNREAD_S) << SweepVault
        play >> overlay.swept(play.now.mono)
        assert play.engine.vaults.backlogs == {}
