"""The same is not said again too soon, also after a restart."""

from copyagent.core.commands import StartCopy, Subscribe, SweepVault
from copyagent.core.copying import CopyWaits, WaitReason
from copyagent.core.quiet import FORGOTTEN_S, MOST_KEPT, Quiet, remembered
from tests.support.histories import TAPE, VAULT, Overlay, ended, link_lost, make_engine
from tests.support.playbook import Playbook
from vtsfs.contract import messages

HOUR = 3600.0


def ns(seconds: float) -> int:
    return int(seconds * 1e9)


def test_a_topic_is_due_once_in_its_time() -> None:
    quiet = Quiet()
    assert quiet.is_due((1, "a"), 0.0, ns(1), HOUR)
    assert not quiet.is_due((1, "a"), HOUR - 1, ns(1), HOUR)
    assert quiet.is_due((1, "b"), 1.0, ns(1), HOUR)
    assert quiet.is_due((1, "a"), HOUR, ns(1), HOUR)
    assert quiet.at((1, "a")) == HOUR
    quiet.forget((1, "a"))
    assert quiet.at((1, "a")) is None


def test_a_restart_on_another_clock_changes_nothing() -> None:
    quiet = Quiet()
    quiet.is_due((1, "a"), 5000.0, ns(10_000), HOUR)
    again = remembered(quiet.kept(ns(10_600)))
    again.recover(7.0, ns(10_600))
    assert not again.is_due((1, "a"), 7.0 + HOUR - 601, 0, HOUR)
    assert again.is_due((1, "a"), 7.0 + HOUR - 600, 0, HOUR)


def test_a_clock_that_was_set_back_keeps_it_quiet_for_one_time_more_at_most() -> None:
    again = remembered([(1, "a", ns(1e6))])
    again.recover(7.0, ns(10))
    assert again.is_due((1, "a"), 7.0 + HOUR, 0, HOUR)


def test_what_is_kept_is_bounded() -> None:
    quiet = Quiet()
    for number in range(2 * MOST_KEPT):
        quiet.is_due((1, str(number)), 0.0, ns(number), HOUR)
    assert quiet.kept(ns(2 * MOST_KEPT))[-1] == (1, str(2 * MOST_KEPT - 1), ns(2 * MOST_KEPT - 1))
    assert len(quiet.kept(ns(2 * MOST_KEPT))) == MOST_KEPT
    assert quiet.kept(ns(2 * MOST_KEPT + FORGOTTEN_S)) == []


def test_an_agent_that_starts_again_and_again_says_things_once_an_hour() -> None:
    overlay, play = Overlay(), Playbook(make_engine())
    play >> link_lost() >> overlay.mounted() >> overlay.dismounted()
    play.wait(2.0) << StartCopy
    play >> ended(play.job, CopyWaits(WaitReason.FENCED, "IN-SERVICE"))
    for _ in range(5):
        play.restart(away=300.0) << StartCopy
        play >> ended(play.job, CopyWaits(WaitReason.FENCED, "IN-SERVICE"))
    assert play.times_said(messages.FENCED) == 1


def test_tapes_without_a_copy_are_told_of_once_an_hour_however_often_they_are_seen() -> None:
    overlay, play = Overlay(), Playbook(make_engine())
    play >> overlay.hello() << Subscribe(VAULT, 0) << SweepVault
    overlay.write(TAPE)
    for _ in range(5):
        play >> overlay.swept(play.now.mono)
        play.wait(60.0)
    assert play.times_said(messages.UNSYNCED) == 1
