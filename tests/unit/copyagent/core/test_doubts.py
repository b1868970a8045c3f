"""A copy that an operator found to be another one is not believed, and looked at again."""

from dataclasses import replace

import pytest

from copyagent.core.commands import StartCopy
from copyagent.core.copying import CopyHeld, HoldReason, TargetStamp
from copyagent.core.doubts import doubt
from copyagent.core.events import WakeupDue
from copyagent.core.history import Kind
from copyagent.core.on_record import DOUBTED, Doubt, on_record
from copyagent.core.tape import Copied, Held
from tests.support.histories import (
    TAPE,
    TARGET,
    Overlay,
    done,
    ended,
    link_lost,
    make_engine,
)
from tests.support.playbook import Playbook
from vtsfs.contract import messages
from vtsfs.contract.errors import RequestFailed


@pytest.fixture
def play() -> Playbook:
    return Playbook(make_engine(retry={"attempts": 1})) >> link_lost()


def copied(play: Playbook, overlay: Overlay) -> None:
    play >> overlay.mounted() >> overlay.dismounted()
    play.wait(2.0) << StartCopy
    play >> done(play.job)


def doubted(play: Playbook, published_ns: int | None = None) -> list[str]:
    book = play.engine.book
    base = book.records[TAPE].copies[TARGET].base
    known = base.published_ns if base is not None else 0
    word = Doubt(TAPE, TARGET, known if published_ns is None else published_ns, "bit rot")
    answers = doubt(book, word, "root", play.now)
    play >> WakeupDue()
    return answers


def test_it_is_compared_by_content_at_once_and_counts_as_unprotected(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        copied(play, overlay)
        assert doubted(play) == [f"{TAPE} at {TARGET}: is compared by its content now"]
        play << StartCopy
        assert play.times_said(messages.COPY_WRONG) == 1
        record = play.record()
        base = record.copies[TARGET].base
        assert base is not None
        assert base.stamp == DOUBTED
        assert not record.protected
        kinds = [entry.kind for entry in play.engine.book.history.unsaved]
        told = [kind for kind in kinds if kind not in (Kind.ALARM, Kind.DISMOUNTED)]
        assert told == [Kind.COPIED, Kind.DOUBTED]
        assert doubted(play) == [f"{TAPE} at {TARGET}: is doubted already"]
        held = CopyHeld(HoldReason.TARGET_CHANGED, "another", TargetStamp(5, 6))
        play >> ended(play.job, held)
        assert play.times_said(messages.TARGET_CHANGED) == 1
        assert isinstance(record.copies[TARGET].state, Held)


def test_what_turns_out_equal_is_believed_again(play: Playbook, overlay: Overlay) -> None:
    with play:
        copied(play, overlay)
        doubted(play)
        play << StartCopy
        assert play.times_said(messages.COPY_WRONG) == 1
        play >> done(play.job)
        (copy,) = on_record(play.record())
        assert copy.state == Copied.__dataclass_fields__["kind"].default
        assert copy.published is not None
        assert copy.published.stamp != DOUBTED


def test_a_copy_that_was_published_anew_meanwhile_is_not_accused(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        copied(play, overlay)
        before = replace(play.copy())
        assert "published anew" in doubted(play, 12345)[0]
        assert play.copy() == before


def test_what_is_not_on_record_cannot_be_doubted(play: Playbook, overlay: Overlay) -> None:
    with play:
        play >> overlay.mounted()
        with pytest.raises(RequestFailed, match="nothing is on record"):
            doubted(play)
        word = Doubt(TAPE, "nowhere", 1, "bit rot")
        with pytest.raises(RequestFailed, match="nowhere"):
            doubt(play.engine.book, word, "root", play.now)
