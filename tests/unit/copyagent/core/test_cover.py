"""A vault without its overlay is an alarm at once, hourly while it lasts, and has an end."""

from dataclasses import replace

import pytest

from copyagent.core.commands import Subscribe, SweepVault
from copyagent.core.cover import BOOT_S, GRACE_S, REMIND_S, UNCOVERED_S, verdict_of
from copyagent.core.events import FeedOpened, VaultSeen
from copyagent.core.uncovered import Answer, Mounted
from copyagent.state.encoding import UNCOVERED, decode, encode
from tests.support.histories import VAULT, Overlay, make_engine
from tests.support.playbook import Playbook
from vtsfs.contract import messages

OURS = Mounted("fuse.vtsfs vtsfs#VAULT00", "0:40", True)
DISK = Mounted("ext4 /dev/sdb1", "8:17", False)
WELL = VaultSeen(VAULT, (OURS,))
BARE = VaultSeen(VAULT)
DEAD = VaultSeen(VAULT, (OURS,), Answer.DEAD)
FROZEN = VaultSeen(VAULT, (OURS,), Answer.SILENT)
BURIED = VaultSeen(VAULT, (OURS, DISK))
SWEEP = SweepVault(VAULT, "it was not covered")


@pytest.fixture
def play() -> Playbook:
    """An agent whose overlay answers, and was seen to."""
    playbook = Playbook(make_engine())
    playbook >> Overlay().hello() << Subscribe(VAULT, 0) << SweepVault
    return playbook >> WELL


def told(play: Playbook) -> list[str]:
    return [s.fields["detail"] for s in play.said if s.message is messages.NOT_COVERED]


@pytest.mark.parametrize(
    ("seen", "words"),
    [
        (BARE, "nothing is mounted"),
        (VaultSeen(VAULT, (DISK,)), "another file system is mounted at its mount point (ext4"),
        (BURIED, "mounted over it (ext4 /dev/sdb1)"),
        (DEAD, "has died"),
        (FROZEN, "does not answer"),
        (VaultSeen(VAULT, trouble="No such file"), "cannot be looked at: No such file"),
    ],
    ids=["bare", "foreign", "buried", "dead", "frozen", "unknown"],
)
def test_whatever_is_wrong_is_an_alarm_after_a_moment(
    play: Playbook, seen: VaultSeen, words: str
) -> None:
    play >> seen
    play.wait(GRACE_S - 0.1)
    assert told(play) == []
    assert play.engine.judge.covered[VAULT] is False, "the judges know it at once"
    play.wait(0.2) >> seen
    (detail,) = told(play)
    assert words in detail


def test_what_is_covered_is_no_alarm() -> None:
    assert verdict_of(WELL) == ""
    assert verdict_of(replace(WELL, layers=(DISK, OURS))) == ""
    assert verdict_of(WELL, "0:40") == ""
    assert "not the one that reports" in verdict_of(WELL, "0:41")
    assert "over /srv/other" in verdict_of(WELL, elsewhere="/srv/other")


def test_the_overlay_that_reports_has_to_be_the_one_that_is_mounted() -> None:
    play = Playbook(make_engine())
    hello = Overlay().hello()
    backing = str(play.engine.book.settings.vaults[VAULT].backing)
    there = FeedOpened(replace(hello.hello, backing=backing, device="0:40"))
    play >> there << Subscribe(VAULT, 0) << SweepVault
    play >> WELL
    play.wait(60.0)
    assert told(play) == []
    play >> replace(WELL, layers=(replace(OURS, device="0:41"),))
    play.wait(60.0)
    assert told(play) == ["the overlay that is mounted is not the one that reports"]
    elsewhere = FeedOpened(replace(there.hello, backing="/srv/other"))
    play >> elsewhere << Subscribe(VAULT, 0) << SweepVault
    play >> WELL
    play.wait(60.0)
    assert "attached over /srv/other" in told(play)[-1]


def test_a_restart_of_the_overlay_is_no_alarm(play: Playbook) -> None:
    play >> DEAD
    play.wait(GRACE_S - 1) >> WELL
    play.wait(2 * REMIND_S - 100)
    assert told(play) == []
    assert play.engine.judge.covered[VAULT] is True


def test_it_is_repeated_hourly_and_its_end_is_told_and_swept(play: Playbook) -> None:
    play >> BARE
    play.wait(2.5 * REMIND_S)
    assert len(told(play)) == 3
    play >> WELL << SWEEP
    (end,) = [s for s in play.said if s.message is messages.COVERED_AGAIN]
    assert end.fields == {"vault": VAULT, "took": "2h 30m"}
    assert play.engine.book.uncovered == {}


def test_one_cause_that_comes_and_goes_is_told_once_an_hour(play: Playbook) -> None:
    for _ in range(10):
        play >> BARE
        play.wait(60.0) >> WELL << SWEEP
        play.wait(60.0)
    assert len(told(play)) == 1
    assert play.times_said(messages.COVERED_AGAIN) == 1
    play >> BARE
    play.wait(REMIND_S - 20 * 60.0 + GRACE_S)
    assert len(told(play)) == 2


def test_another_cause_is_told_as_well(play: Playbook) -> None:
    play >> DEAD
    play.wait(60.0) >> BARE
    play.wait(60.0)
    assert [detail.split(",")[0] for detail in told(play)] == [
        "its overlay has died",
        "nothing is mounted at its mount point",
    ]


def test_at_boot_the_overlay_may_come_later() -> None:
    play = Playbook(make_engine())
    play >> Overlay().silent() >> BARE
    play.wait(BOOT_S - 1)
    assert told(play) == []
    play.wait(2.0)
    assert told(play) == ["nothing is mounted at its mount point"]


def test_an_overlay_that_answers_there_and_not_here_is_an_alarm_later(play: Playbook) -> None:
    play >> Overlay().silent()
    play.wait(UNCOVERED_S - 1) >> WELL
    assert told(play) == []
    play.wait(2.0)
    assert told(play) == ["connection refused"]


def test_a_restart_of_the_agent_neither_repeats_nor_takes_back(play: Playbook) -> None:
    play >> BARE
    play.wait(60.0)
    assert len(told(play)) == 1
    play.restart(away=30.0)
    play >> Overlay().hello() << Subscribe(VAULT, 0) << SweepVault
    play.wait(REMIND_S - 100.0)
    assert len(told(play)) == 1
    assert play.times_said(messages.COVERED_AGAIN) == 0, "nobody has looked yet"
    play.wait(100.0)
    assert len(told(play)) == 2
    play >> WELL << SWEEP
    assert play.times_said(messages.COVERED_AGAIN) == 1


def test_what_was_told_is_written_down_and_read_back(play: Playbook) -> None:
    play >> BURIED
    play.wait(60.0)
    alarms = play.engine.book.uncovered
    assert alarms
    assert decode(UNCOVERED, encode(UNCOVERED, alarms), "a test") == alarms


def test_a_vault_that_nobody_watches_any_more_is_no_alarm(play: Playbook) -> None:
    play >> BARE
    play.wait(60.0)
    play.engine.vaults.cover.forget(VAULT)
    play.wait(3 * REMIND_S)
    assert len(told(play)) == 1
    assert play.engine.vaults.cover.trouble(VAULT) == ""
