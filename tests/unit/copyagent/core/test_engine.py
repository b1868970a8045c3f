"""The engine as a whole: orders and how they end, links, what leaves no trace."""

import pytest

from copyagent.core.commands import StartCopy, StopCopy, Subscribe, SweepVault
from copyagent.core.copying import (
    CopyHeld,
    CopyStopped,
    HoldReason,
    SourceChanged,
    SourceErased,
    TargetStamp,
)
from copyagent.core.events import AgentStarted, CopyIntended, WakeupDue
from copyagent.core.host_events import LinkLost, LinkTrouble, LoginRefused
from copyagent.core.tape import Copied, Copying, Held, Kept, Queued
from tests.support.histories import (
    HOST,
    TAPE,
    TARGET,
    VAULT,
    Overlay,
    done,
    ended,
    failed,
    link_lost,
    link_up,
    make_engine,
    no_ring,
    published,
    requested,
    tape_dismounted,
)
from tests.support.playbook import Playbook
from vtsfs.contract import messages


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


# ---- copies --------------------------------------------------------------------------------------


def test_an_order_carries_what_is_known_of_the_target(play: Playbook, overlay: Overlay) -> None:
    with play:
        written(play, overlay)
        intent = published(play.job)
        play >> CopyIntended(TAPE, TARGET, intent) >> failed(play.job)
        play.wait(300.0) << StartCopy
        assert play.job.intent == intent
        assert play.job.base is None
        play >> done(play.job)
        assert play.copy().intent is None
        play >> overlay.mounted() >> overlay.dismounted()
        play.wait(2.0) << StartCopy
        assert play.job.base == play.copy().base
        assert play.job.base is not None


def test_a_foreign_file_at_the_target_is_held(play: Playbook, overlay: Overlay) -> None:
    with play:
        written(play, overlay)
        stamp = TargetStamp(5, 6)
        play >> ended(play.job, CopyHeld(HoldReason.TARGET_UNKNOWN, "5 bytes", stamp))
        play.wait(30 * 86400.0)
        assert isinstance(state := play.state(), Held)
        assert state.stamp == stamp
    assert play.times_said(messages.TARGET_UNKNOWN) == 1


def test_a_source_that_changed_under_the_copier_is_judged_and_copied(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        written(play, overlay)
        stale = overlay.swept(play.now.mono)
        play.wait(1.0)
        play >> ended(play.job, SourceChanged(overlay.write(TAPE))) >> stale
        play.wait(2.0) << StartCopy
        assert play.job.identity == overlay.identities[TAPE]
        assert play.job.generation == 2


@pytest.mark.parametrize("gone", [True, False])
def test_an_erased_source_keeps_the_targets_copy(
    play: Playbook, overlay: Overlay, *, gone: bool
) -> None:
    with play:
        copied(play, overlay)
        written(play, overlay)
        play >> ended(play.job, SourceErased(gone=gone))
        assert isinstance(play.state(), Kept)
        assert play.record().protected
        play.wait(600.0)


def test_a_tape_closed_empty_is_not_copied(play: Playbook, overlay: Overlay) -> None:
    with play:
        copied(play, overlay)
        play >> overlay.mounted() >> overlay.dismounted(wrote=1, size=0)
        play.wait(600.0)
        assert isinstance(play.state(), Kept)
    assert play.times_said(messages.KEPT) == 1


def test_an_unforeseen_dismount_without_a_mount_calls_off_the_old_order(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        written(play, overlay)
        overlay.mounted()  # this one was lost
        play >> overlay.dismounted() << StopCopy(TAPE, TARGET, "now superseded")
        play >> ended(play.job, CopyStopped("withdrawn"))
        play.wait(2.0) << StartCopy
        assert play.job.generation == 2
        play >> done(play.job)
        assert play.state() == Copied(2, play.now.wall_ns)


def test_nothing_is_copied_between_a_close_and_its_verdict(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        play >> link_up() >> requested() >> overlay.mounted() >> overlay.dismounted()
        record = play.record()
        record.copies[TARGET].state = Queued(1)  # an operator was very quick
        play.engine.book.pending.add((TAPE, TARGET))
        play.wait(3600.0)
        assert play.jobs == []
        play >> tape_dismounted() << StartCopy


def test_a_killed_agent_makes_the_attempt_again(play: Playbook, overlay: Overlay) -> None:
    with play:
        written(play, overlay)
        play.restart() << StartCopy
        assert isinstance(play.state(), Copying)
        play >> done(play.job)
        play.wait(600.0)


# ---- links ---------------------------------------------------------------------------------------


def test_what_links_say_is_told_once(play: Playbook) -> None:
    refused = LoginRefused(HOST, "wrong password; see ems.hosts")
    for _ in range(3):
        play >> refused
    play >> link_up() >> link_lost()
    assert play.times_said(messages.LOGIN_REFUSED) == 1
    assert play.times_said(messages.LINK_UP) == 1
    link = play.engine.links.state[HOST]
    assert not link.up
    assert link.trouble.startswith("connection lost")
    assert link.since_ns


def test_hosts_that_are_not_ours_are_not_listened_to(play: Playbook, overlay: Overlay) -> None:
    with play:
        play >> overlay.mounted() >> overlay.dismounted()
        play >> LinkLost("OTHER", "gone", LinkTrouble.SILENT)
        foreign = no_ring()
        play >> type(foreign)("OTHER", 1, TAPE.label, foreign.ring)
        play.wait(2.0) << StartCopy


def test_a_host_of_other_vaults_says_nothing_about_ours(overlay: Overlay) -> None:
    host = {"address": "x", "user": "u", "password_file": "/p", "vaults": ["VAULT09"]}
    with Playbook(make_engine(ems={"hosts": {HOST: host}})) as play:
        play >> no_ring() >> overlay.mounted() >> overlay.dismounted()
        play.wait(2.0) << StartCopy
        assert play.verdict() == "overlay only"


def test_a_lost_feed_uncovers_the_vault(play: Playbook, overlay: Overlay) -> None:
    attached(play, overlay)
    assert play.engine.judge.covered[VAULT]
    assert play.engine.vaults.feeds[VAULT].up
    play >> overlay.silent()
    assert not play.engine.judge.covered[VAULT]
    assert play.engine.vaults.feeds[VAULT].trouble == "connection refused"


def test_an_idle_engine_wants_nothing() -> None:
    with Playbook(make_engine()) as play:
        play >> AgentStarted() >> WakeupDue()
        assert play.engine.next_wakeup() is None
        assert play.engine.may_publish(TAPE, TARGET, 0) is False
