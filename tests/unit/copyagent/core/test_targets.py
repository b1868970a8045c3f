"""Tapes whose pool goes to other targets than in the last run; which targets answer."""

import pytest

from copyagent.core import operator
from copyagent.core.book import Book
from copyagent.core.commands import StartCopy
from copyagent.core.copying import CopyWaits, WaitReason
from copyagent.core.engine import Engine
from copyagent.core.events import AgentStarted, TargetProbed
from copyagent.core.tape import Clean, Copied, Retrying, Unmonitored, Unsynced
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
    make_settings,
    unreachable,
)
from tests.support.playbook import Playbook
from vtsfs.contract.errors import RequestFailed

BOTH = (TARGET, OTHER_TARGET)


def under_other_settings(play: Playbook, *targets: str) -> Playbook:
    """The agent is restarted with other targets."""
    book = Book(make_settings(targets=targets), records=play.engine.book.records)
    after = Playbook(Engine(book), now=play.now, origin=play.now.mono)
    after.hand(AgentStarted())
    return after


def copied(play: Playbook, overlay: Overlay) -> None:
    play >> overlay.mounted() >> overlay.dismounted()
    play.wait(30.0)
    for job in list(play.jobs):
        play << StartCopy
        play.hand(done(job))


def test_a_target_added_later_has_no_copy_of_the_tapes_that_are_known() -> None:
    overlay, play = Overlay(), Playbook(make_engine())
    copied(play, overlay)
    play >> overlay.mounted(SECOND) >> overlay.dismounted(SECOND, wrote=1, size=0)
    play.wait(30.0)
    with under_other_settings(play, *BOTH) as later:
        assert isinstance(later.state(), Copied)
        assert later.state(target=OTHER_TARGET) == Unsynced()
        assert not later.record().protected
        assert later.record().behind_ns == later.now.wall_ns
        assert later.state(SECOND, OTHER_TARGET) == Clean()
        assert TAPE in later.engine.book.dirty
        later >> link_lost()
        operator.sync(later.engine.book, TAPE, "root", later.now)
        later.hand(AgentStarted())
        later << StartCopy << StartCopy
        assert {job.target for job in later.jobs} == set(BOTH)


def test_a_target_taken_away_is_left_alone_and_taken_up_where_it_was() -> None:
    overlay, play = Overlay(), Playbook(make_engine(targets=BOTH))
    copied(play, overlay)
    play >> overlay.mounted() >> overlay.dismounted()
    play.wait(30.0) << StartCopy << StartCopy
    play >> failed(play.jobs[-1]) >> failed(play.jobs[-2])
    with under_other_settings(play, TARGET) as alone:
        assert alone.state(target=OTHER_TARGET) == Unmonitored()
        assert isinstance(alone.state(), Retrying)
        alone.wait(300.0) << StartCopy
        alone >> done(alone.job)
        assert alone.record().protected
        with pytest.raises(RequestFailed, match="not held"):
            operator.release(alone.engine.book, TAPE, "x", "root", alone.now)
        answers = operator.retry(alone.engine.book, TAPE, "root", alone.now)
        assert any("not copied to attic any more" in answer for answer in answers)
    with under_other_settings(alone, *BOTH) as again:
        assert isinstance(again.state(), Copied)
        assert again.state(target=OTHER_TARGET) == Unsynced()


def test_a_copy_that_was_up_to_date_still_is_when_its_target_comes_back() -> None:
    overlay, play = Overlay(), Playbook(make_engine(targets=BOTH))
    copied(play, overlay)
    with under_other_settings(play, TARGET) as alone:
        assert alone.state(target=OTHER_TARGET) == Unmonitored()
    with under_other_settings(alone, *BOTH) as again:
        assert isinstance(again.state(target=OTHER_TARGET), Copied)
        assert again.record().protected


def test_the_health_of_a_target_is_what_was_heard_last() -> None:
    overlay, play = Overlay(), Playbook(make_engine())
    play >> link_lost() >> overlay.mounted() >> overlay.dismounted()
    health = play.engine.targets.health
    with play.wait(2.0):
        play << StartCopy
        play >> unreachable(play.job)
        assert health[TARGET].trouble == "connection refused"
        since = health[TARGET].since_ns
        play.wait(300.0) << StartCopy
        play >> unreachable(play.job)
        assert health[TARGET].since_ns == since
        play.wait(300.0) << StartCopy
        play >> ended(play.job, CopyWaits(WaitReason.FENCED, "IN-SERVICE"))
        assert not health[TARGET].trouble, "who can say that it is fenced is there"
        play >> TargetProbed(TARGET, "timed out")
        assert health[TARGET].trouble == "timed out"
        play >> TargetProbed(TARGET, None)
        assert not health[TARGET].trouble
