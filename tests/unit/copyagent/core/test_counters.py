"""What is counted while an agent runs, told by a few histories."""

from copyagent.core.copying import (
    CopyDone,
    CopyFailed,
    CopyHeld,
    CopyOutcome,
    CopyStopped,
    CopyWaits,
    HoldReason,
    PublishedCopy,
    SourceChanged,
    SourceErased,
    TargetStamp,
    WaitReason,
)
from copyagent.core.counters import RESULTS, Histogram, WayCounters, result_of
from copyagent.core.events import CopyEnded
from copyagent.core.witness import Verdict
from tests.support.histories import TAPE, TARGET, Overlay, link_up, make_engine
from tests.support.playbook import Playbook, copied_once
from vtsfs.contract.signals import Identity

IDENTITY = Identity(1, 2, 5, 1, 1)
WAY = (TAPE.pool_id, TARGET)


def counted(play: Playbook) -> WayCounters:
    return play.engine.book.counters.ways[WAY]


def started() -> tuple[Playbook, Overlay]:
    play, overlay = Playbook(make_engine(ems={"required": False})), Overlay()
    play.hand(overlay.hello())
    play.open.clear()
    return play, overlay


def dismounted(play: Playbook, overlay: Overlay) -> None:
    """Let a tape be written to, and its copy be started."""
    play.hand(overlay.mounted())
    play.hand(overlay.dismounted())
    play.open.clear()
    while not play.engine.book.running:
        play.wait_until_wakeup()
        play.open.clear()


def test_a_copy_counts_its_bytes_its_time_and_its_end() -> None:
    play, overlay = Playbook(make_engine()), Overlay()
    play.hand(overlay.hello())
    play.hand(link_up())
    play.open.clear()
    copied_once(play, overlay)
    found = counted(play)
    assert found.results["copied"] == found.succeeded == 1
    assert found.failed == found.given_up == 0
    assert found.last_ns == play.now.wall_ns
    assert sum(found.took.counts) == 1
    counters = play.engine.book.counters
    assert counters.verdicts[str(TAPE.pool_id), Verdict.AGREED] == 1


def test_every_failed_attempt_counts_once_and_the_last_is_given_up() -> None:
    play, overlay = started()
    dismounted(play, overlay)
    attempts = play.engine.book.ladder.attempts
    for number in range(1, attempts + 1):
        play.hand(CopyEnded(TAPE, TARGET, CopyFailed("no room", "make some")))
        assert counted(play).failed == counted(play).results["failed"] == number
        play.open.clear()
        while number < attempts and not play.engine.book.running:
            play.wait_until_wakeup()
            play.open.clear()
    assert counted(play).given_up == 1
    assert counted(play).succeeded == 0


def test_what_was_only_put_off_is_no_attempt() -> None:
    play, overlay = started()
    dismounted(play, overlay)
    play.hand(CopyEnded(TAPE, TARGET, CopyWaits(WaitReason.FENCED, "in service")))
    assert counted(play).results["put off"] == 1
    assert counted(play).failed == 0


def test_every_way_to_end_has_a_name() -> None:
    outcomes: list[CopyOutcome] = [
        CopyDone(PublishedCopy(1, IDENTITY, 5, "", TargetStamp(5, 1), "size"), 5, 0.1),
        CopyFailed("", ""),
        CopyHeld(HoldReason.TARGET_CHANGED, ""),
        CopyWaits(WaitReason.OPEN, ""),
        CopyStopped(""),
        SourceChanged(None),
        SourceErased(gone=True),
    ]
    assert tuple(result_of(outcome) for outcome in outcomes) == RESULTS


def test_a_value_on_a_bound_belongs_below_it() -> None:
    seen = Histogram((1.0, 5.0))
    for value in (0.0, 1.0, 1.1, 5.0, 6.0):
        seen.add(value)
    assert seen.counts == [2, 2, 1]
    later = seen.copy()
    seen.add(9.0)
    assert sum(later.counts) == 5
