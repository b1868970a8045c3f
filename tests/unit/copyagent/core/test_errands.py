"""What an operator may want besides a copy: written down, carried out once, and over."""

from dataclasses import replace

import pytest

from copyagent.core import errands, operator
from copyagent.core.commands import StartCopy
from copyagent.core.copying import (
    CopyDone,
    CopyFailed,
    CopyHeld,
    CopyOutcome,
    CopyWaits,
    Errand,
    HoldReason,
    SourceErased,
    TargetStamp,
    WaitReason,
    Wish,
)
from copyagent.core.events import WakeupDue
from copyagent.core.report import explain
from copyagent.core.shown import next_step, trouble
from copyagent.core.tape import Copied, Held, Queued, Retrying, Waiting
from tests.support.histories import (
    SECOND,
    TAPE,
    TARGET,
    Overlay,
    done,
    ended,
    failed,
    link_lost,
    make_engine,
)
from tests.support.playbook import Playbook
from vtsfs.contract import messages
from vtsfs.contract.errors import NameUnknown, RequestFailed
from vtsfs.contract.naming import PoolId, TapeId

STAMP = TargetStamp(5, 6)
PLACE = "/VAULT01/PAY/X00001"
ELSEWHERE = CopyHeld(HoldReason.LABEL_ELSEWHERE, "it lies there", place=PLACE)


@pytest.fixture
def play() -> Playbook:
    return Playbook(make_engine(retry={"attempts": 3, "interval": "300s"})) >> link_lost()


def started(play: Playbook, overlay: Overlay) -> None:
    play >> overlay.mounted() >> overlay.dismounted()
    play.wait(2.0) << StartCopy


def ends(play: Playbook, outcome: CopyOutcome) -> None:
    play >> ended(play.job, outcome)


def wished(play: Playbook) -> Wish | None:
    """Return what is to be done besides by the order that was given last."""
    return play.job.wish


def relocate(play: Playbook) -> list[str]:
    answers = errands.relocate(play.engine.book, TAPE, "moved by hand", "root", play.now)
    play >> WakeupDue()
    return answers


def roll_back(play: Playbook, generation: int = 1) -> list[str]:
    wanted = errands.FormerGeneration(TAPE, generation)
    answers = errands.roll_back(play.engine.book, wanted, "the new one is bad", "root", play.now)
    play >> WakeupDue()
    return answers


def copied_twice(play: Playbook, overlay: Overlay) -> None:
    """Leave a tape at generation 2 whose generation 1 is kept at the target."""
    started(play, overlay)
    play >> done(play.job)
    kept = play.copy().base
    assert kept is not None
    started(play, overlay)
    outcome = done(play.job).outcome
    assert isinstance(outcome, CopyDone)
    ends(play, replace(outcome, kept=(replace(kept, name="k1"),)))


def test_a_tape_found_elsewhere_is_moved_on_the_operator_s_word(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        started(play, overlay)
        ends(play, ELSEWHERE)
        assert "copyagent relocate /VAULT00/BILL/X00001" in next_step(
            play.engine.book, play.record(), TARGET, play.now
        )
        assert PLACE in relocate(play)[0]
        play << StartCopy
        assert play.job.wish == Wish(Errand.RELOCATE, place=PLACE, asked=1)
        play >> done(play.job)
        assert play.copy().wish is None
        assert isinstance(play.state(), Copied)
        with pytest.raises(RequestFailed, match="is not held for its label"):
            relocate(play)
    [said] = [s for s in play.said if s.message is messages.OPERATOR_ACTION]
    assert said.fields["because"] == "moved by hand"
    assert play.times_said(messages.LABEL_ELSEWHERE) == 1


def test_a_label_that_no_command_can_move_is_for_a_human(play: Playbook, overlay: Overlay) -> None:
    """It is in two other places, or on another file system."""
    with play:
        started(play, overlay)
        ends(play, replace(ELSEWHERE, place=""))
        told = next_step(play.engine.book, play.record(), TARGET, play.now)
        assert "relocate" not in told
        assert told == (
            f"Put that right at {TARGET} by hand, as the cause says, then: "
            "copyagent retry /VAULT00/BILL/X00001"
        )
        with pytest.raises(
            RequestFailed, match=r"put that right at .* by hand, then: copyagent retry"
        ):
            relocate(play)
        with pytest.raises(RequestFailed, match="Mend that, then: copyagent retry"):
            operator.release(play.engine.book, TAPE, "x", "root", play.now)
        operator.retry(play.engine.book, TAPE, "root", play.now)
        play >> WakeupDue() << StartCopy
        assert play.job.wish is None


def test_a_release_is_not_the_word_for_a_label_elsewhere(play: Playbook, overlay: Overlay) -> None:
    with play:
        started(play, overlay)
        ends(play, ELSEWHERE)
        with pytest.raises(RequestFailed, match="copyagent relocate /VAULT00/BILL/X00001 --bec"):
            operator.release(play.engine.book, TAPE, "x", "root", play.now)
        assert isinstance(play.state(), Held)


@pytest.mark.parametrize(
    "outcome",
    [
        CopyFailed("cut off", "look", unreachable=True, connected=True),
        CopyWaits(WaitReason.FENCED, "fenced"),
    ],
)
def test_a_wish_outlives_failures_waits_and_restarts(
    play: Playbook, overlay: Overlay, outcome: CopyOutcome
) -> None:
    with play:
        started(play, overlay)
        ends(play, ELSEWHERE)
        relocate(play)
        play << StartCopy
        ends(play, outcome)
        assert isinstance(play.state(), Retrying | Waiting)
        play.restart()
        assert play.copy().wish is not None
        assert explain(play.engine, TAPE, play.now)["copies"][0]["asked"] == "relocate"
        play.wait(400.0) << StartCopy
        assert play.job.wish is not None
        ends(play, ELSEWHERE)
        assert play.copy().wish is None


def test_a_copy_is_rolled_back_and_stays_so(play: Playbook, overlay: Overlay) -> None:
    with play:
        copied_twice(play, overlay)
        [answer] = roll_back(play)
        assert answer.endswith("will be generation 1 again, and held so")
        play << StartCopy
        assert play.job.wish == Wish(Errand.ROLL_BACK, generation=1, asked=2)
        [former], newest = play.job.kept, play.job.base
        assert newest is not None
        rolled = CopyHeld(
            HoldReason.ROLLED_BACK, "to generation 1", STAMP, standing=former, kept=(newest,)
        )
        ends(play, rolled)
        assert (play.copy().base, play.copy().kept) == (former, (newest,))
        assert play.times_said(messages.ROLLED_BACK) == 1
        # Reading it again, a touch and a restart change nothing about that.
        play >> overlay.changed()
        play.wait(400.0)
        play.restart()
        held = play.state()
        assert isinstance(held, Held)
        assert held.reason is HoldReason.ROLLED_BACK
        play >> link_lost()
        play >> overlay.mounted() >> overlay.dismounted()
        play.wait(2.0) << StartCopy
        assert wished(play) is None
        play >> done(play.job)


def test_a_rolled_back_copy_can_be_released(play: Playbook, overlay: Overlay) -> None:
    with play:
        copied_twice(play, overlay)
        roll_back(play)
        play << StartCopy
        ends(play, CopyHeld(HoldReason.ROLLED_BACK, "", standing=play.job.kept[0]))
        assert operator.release(play.engine.book, TAPE, "good", "root", play.now)
        play >> WakeupDue() << StartCopy
        assert play.job.wish is None
        assert play.job.generation == 2


def test_a_roll_back_is_void_when_the_tape_has_changed_since(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        copied_twice(play, overlay)
        roll_back(play)
        play << StartCopy
        play >> failed(play.job)
        play >> overlay.mounted() >> overlay.dismounted()
        play.wait(400.0) << StartCopy
        assert play.job.generation == 3
        assert play.job.wish is None


def test_a_roll_back_that_cannot_be_done_is_given_up_and_the_copy_is_as_it_was(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        copied_twice(play, overlay)
        roll_back(play)
        play << StartCopy
        ends(play, CopyFailed("it is not kept any more", "see generations", permanent=True))
        play.wait(300.0) << StartCopy
        assert wished(play) is None
        play >> done(play.job)


def test_only_what_is_kept_can_be_rolled_back_to(play: Playbook, overlay: Overlay) -> None:
    with play:
        copied_twice(play, overlay)
        with pytest.raises(RequestFailed, match=r"no generation 7 .* is kept.*copyagent generati"):
            roll_back(play, 7)
        wrong = errands.FormerGeneration(TAPE, 1, "drsitte")
        with pytest.raises(NameUnknown, match=r"no target 'drsitte' .*did you mean drsite"):
            errands.roll_back(play.engine.book, wrong, "x", "root", play.now)
        play >> overlay.mounted() >> overlay.dismounted()
        play.wait(2.0) << StartCopy
        with pytest.raises(RequestFailed, match="is being copied to drsite"):
            roll_back(play)
        ends(play, SourceErased(gone=True))
        with pytest.raises(RequestFailed, match="copyagent fetch /VAULT00/BILL/X00001"):
            roll_back(play)


def adopt(play: Playbook, where: TapeId | PoolId) -> list[str]:
    answers = errands.adopt(play.engine.book, where, None, "root", play.now)
    play >> WakeupDue()
    return answers


def test_a_pool_is_adopted_as_far_as_it_is_equal(play: Playbook, overlay: Overlay) -> None:
    overlay.write(TAPE)
    overlay.write(SECOND)
    with play:
        play >> overlay.swept(play.now.mono)
        assert len(adopt(play, TAPE.pool_id)) == 2
        play << StartCopy << StartCopy
        first, second = play.jobs
        assert first.wish == second.wish == Wish(Errand.ADOPT, asked=1)
        play >> done(first) >> ended(second, CopyHeld(HoldReason.NOT_EQUAL, "other", STAMP))
        assert isinstance(play.state(first.tape), Copied)
        held = play.state(second.tape)
        assert isinstance(held, Held)
        assert trouble(held) == "held"
        # Told once for the pool: ten thousand tapes may be so.
        assert play.times_said(messages.NOT_EQUAL) == 1
        assert [a.rpartition(" ")[2] for a in adopt(play, second.tape)] == ["there"]
        play << StartCopy
        ends(play, CopyHeld(HoldReason.NOT_EQUAL, "other", STAMP))
        operator.release(
            play.engine.book, second.tape, "x", "root", play.now, overwrite_target=True
        )
        play >> WakeupDue() << StartCopy
        assert play.job.override == STAMP
        assert play.job.wish is None


def test_what_is_copied_already_is_not_adopted(play: Playbook, overlay: Overlay) -> None:
    with play:
        started(play, overlay)
        play >> done(play.job)
        assert adopt(play, TAPE) == [f"{TAPE} to {TARGET}: copied, nothing to adopt"]
        assert adopt(play, TAPE.pool_id) == ["/VAULT00/BILL: nothing to adopt"]
        with pytest.raises(NameUnknown, match="not under autocopy"):
            errands.adopt(play.engine.book, PoolId("VAULT00", "NONE"), None, "root", play.now)


@pytest.mark.parametrize(
    ("action", "reason"),
    [("unfence", WaitReason.FENCED), ("take-over", WaitReason.FOREIGN_AGENT)],
)
def test_what_waited_for_the_operator_goes_on_at_once(
    play: Playbook, overlay: Overlay, action: str, reason: WaitReason
) -> None:
    with play:
        started(play, overlay)
        ends(play, CopyWaits(reason, "somebody is there"))
        act = errands.Act("fence", TARGET, "maintenance")
        assert errands.done_at_target(play.engine.book, act, "root", play.now) == []
        assert isinstance(play.state(), Waiting)
        act = errands.Act(action, TARGET, "done with it")
        [answer] = errands.done_at_target(play.engine.book, act, "root", play.now)
        assert answer == "copies to drsite that go on: 1"
        play >> WakeupDue() << StartCopy
        assert play.times_said(messages.OPERATOR_ACTION) == 2
        play >> done(play.job)


def test_another_agent_s_staging_is_told_once_for_the_target(
    play: Playbook, overlay: Overlay
) -> None:
    with play:
        started(play, overlay)
        ends(play, CopyWaits(WaitReason.FOREIGN_AGENT, "in use by the agent of A on b"))
        advice = next_step(play.engine.book, play.record(), TARGET, play.now)
        assert "copyagent take-over drsite --because TEXT" in advice
        assert trouble(play.state()) == "permanent"
        play.wait(300.0) << StartCopy
        ends(play, CopyWaits(WaitReason.FOREIGN_AGENT, "in use by the agent of A on b"))
    assert play.times_said(messages.FOREIGN_AGENT) == 1


def test_who_has_to_act_is_said(play: Playbook, overlay: Overlay) -> None:
    with play:
        started(play, overlay)
        ends(play, CopyFailed("no room", "make room in the vault", permanent=True))
        assert trouble(play.state()) == "permanent"
        advice = next_step(play.engine.book, play.record(), TARGET, play.now)
        assert advice.startswith("Somebody has to act: Make room in the vault. It is tried again")
        play.wait(300.0) << StartCopy
        ends(play, CopyFailed("a hiccup", "wait"))
        assert trouble(play.state()) == "transient"
        advice = next_step(play.engine.book, play.record(), TARGET, play.now)
        assert advice.startswith("Next attempt in 300 s.")
    assert trouble(Queued(1)) is None


def test_same_storage_is_told_once_for_the_target(play: Playbook, overlay: Overlay) -> None:
    same = CopyHeld(HoldReason.SAME_STORAGE, "/VAULT00 at the target is /backing here")
    with play:
        started(play, overlay)
        ends(play, same)
        play >> overlay.mounted(SECOND) >> overlay.dismounted(SECOND)
        play.wait(2.0) << StartCopy
        ends(play, same)
        with pytest.raises(RequestFailed, match="Mend that, then: copyagent retry"):
            operator.release(play.engine.book, TAPE, "x", "root", play.now)
    assert play.times_said(messages.SAME_STORAGE) == 1
