"""Fallen behind: told once when a copy is owed for too long, hourly while it lasts, and at its end."""

from collections.abc import Callable
from typing import Any

import pytest

from copyagent.core import pausing, report, stopping
from copyagent.core.behind import LOOK_S
from copyagent.core.commands import Say, StartCopy, Subscribe, SweepVault
from copyagent.core.copying import (
    CopyHeld,
    CopyStopped,
    CopyWaits,
    HoldReason,
    SourceErased,
    WaitReason,
)
from copyagent.core.dates import iso
from copyagent.core.events import WakeupDue
from copyagent.state.encoding import BEHIND, decode, encode
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
)
from tests.support.playbook import Playbook
from vtsfs.contract import messages
from vtsfs.contract.naming import PoolId
from vtsfs.contract.settings import Settings

LIMIT, HOUR = 600.0, 3600.0
POOL = PoolId.parse("/VAULT00/BILL")


def ways(*targets: str, limit: str = "10m") -> list[dict[str, Any]]:
    pool = str(POOL)
    return [
        {"pool": pool, "target": name, "target_pool": pool, "behind_after": limit}
        for name in targets
    ]


def begin(*targets: str, limit: str = "10m", **changes: Any) -> Playbook:
    names = targets or (TARGET,)
    engine = make_engine(
        targets=names, autocopy=ways(*names, limit=limit), retry={"attempts": 1}, **changes
    )
    return Playbook(engine) >> link_lost()


@pytest.fixture
def play() -> Playbook:
    return begin()


def told(play: Playbook) -> list[Say]:
    return [s for s in play.said if s.message is messages.FALLEN_BEHIND]


def owe(play: Playbook, overlay: Overlay) -> None:
    """Leave a tape whose only attempt has failed."""
    play >> overlay.mounted() >> overlay.dismounted()
    play.wait(2.0) << StartCopy
    play >> failed(play.job)


def test_it_is_told_once_when_a_copy_is_owed_for_too_long(play: Playbook, overlay: Overlay) -> None:
    owe(play, overlay)
    play.at(LIMIT - 1)
    assert told(play) == []
    play.at(LIMIT + HOUR - 10)
    (say,) = told(play)
    assert say.fields == {
        "pool": str(POOL), "target": TARGET, "count": "1", "tape": str(TAPE), "age": "10m",
    }  # fmt: skip


def test_it_is_told_again_every_hour_until_it_has_caught_up(
    play: Playbook, overlay: Overlay
) -> None:
    owe(play, overlay)
    play.at(LIMIT + 3.5 * HOUR)
    assert [s.fields["age"] for s in told(play)] == ["10m", "1h 10m", "2h 10m", "3h 10m"]
    play >> overlay.mounted() >> overlay.dismounted()
    play.wait(2.0) << StartCopy
    play >> done(play.job)
    (say,) = [s for s in play.said if s.message is messages.CAUGHT_UP]
    assert say.fields == {"pool": str(POOL), "target": TARGET, "took": "3h 40m"}
    play.wait(3 * HOUR)
    assert len(told(play)) == 4


def test_a_backup_that_writes_for_hours_owes_nothing_yet(play: Playbook, overlay: Overlay) -> None:
    play >> overlay.mounted()
    play.wait(4 * HOUR)
    play >> overlay.dismounted()
    play.wait(LIMIT - 1) << StartCopy
    assert told(play) == []
    play.wait(LIMIT)
    assert len(told(play)) == 1


def test_a_tape_that_is_opened_again_and_again_goes_on_being_owed(
    play: Playbook, overlay: Overlay
) -> None:
    for _ in range(5):
        play >> overlay.mounted()
        play.wait(LIMIT / 4)
        play >> overlay.dismounted()
        play.wait(2.0) << StartCopy
        play >> failed(play.job)
    assert len(told(play)) == 1


def test_a_held_tape_counts_and_an_erased_one_does_not(play: Playbook, overlay: Overlay) -> None:
    play >> overlay.mounted() >> overlay.dismounted()
    play >> overlay.mounted(SECOND) >> overlay.dismounted(SECOND)
    play.wait(2.0) << StartCopy << StartCopy
    first, second = play.jobs
    play >> ended(first, CopyHeld(HoldReason.TARGET_CHANGED, "edited"))
    play >> ended(second, SourceErased(gone=False))
    play.wait(LIMIT)
    assert [s.fields["count"] for s in told(play)] == ["1"]


def begin_copy(play: Playbook, overlay: Overlay) -> None:
    play >> overlay.mounted() >> overlay.dismounted()
    play.wait(2.0) << StartCopy


def paused(play: Playbook, overlay: Overlay) -> None:
    pausing.pause(play.engine.book, pausing.PauseWanted(str(POOL), "x"), "ann", play.now)
    play >> overlay.mounted() >> overlay.dismounted()


def cancelled(play: Playbook, overlay: Overlay) -> None:
    begin_copy(play, overlay)
    stopping.cancel(play.engine.book, stopping.StopWanted(TAPE, "x"), "ann", play.now)
    play.hand(WakeupDue())
    play.open.clear()
    play >> ended(play.job, CopyStopped("withdrawn"))


def held_by_operator(play: Playbook, overlay: Overlay) -> None:
    play >> overlay.mounted() >> overlay.dismounted()
    stopping.hold(play.engine.book, stopping.StopWanted(TAPE, "x"), "ann", play.now)


def unlicensed(play: Playbook, overlay: Overlay) -> None:
    play.engine.book.licence.required = True
    play >> overlay.mounted() >> overlay.dismounted()


def fenced(play: Playbook, overlay: Overlay) -> None:
    begin_copy(play, overlay)
    play >> ended(play.job, CopyWaits(WaitReason.FENCED, "IN-SERVICE"))


def never_copied(play: Playbook, overlay: Overlay) -> None:
    play >> overlay.hello() << Subscribe << SweepVault
    overlay.write(TAPE)
    play >> overlay.swept(play.now.mono)


@pytest.mark.parametrize(
    "keep", [paused, cancelled, held_by_operator, unlicensed, fenced, never_copied]
)
def test_it_is_an_alarm_even_if_nothing_has_failed(
    overlay: Overlay, keep: Callable[[Playbook, Overlay], None]
) -> None:
    play = begin()
    keep(play, overlay)
    for _ in range(3):
        play.wait(LIMIT)
        play.open.clear()
    assert [s.fields["tape"] for s in told(play)] == [str(TAPE)]


def test_a_tape_that_is_open_for_a_day_is_owed_though_nobody_has_closed_it(
    play: Playbook, overlay: Overlay
) -> None:
    play >> overlay.mounted()
    play.wait(86_400.0 - 10) >> WakeupDue()
    play.wait(LIMIT + LOOK_S - 600) >> WakeupDue()
    assert told(play) == []
    play.wait(LIMIT) >> WakeupDue()
    play.wait(LIMIT) >> WakeupDue()
    assert len(told(play)) == 1


def test_one_that_catches_up_and_falls_behind_again_is_told_once_an_hour(
    play: Playbook, overlay: Overlay
) -> None:
    for _ in range(3):
        owe(play, overlay)
        play.wait(LIMIT + 1)
        play >> overlay.removed()
        play.wait(60.0)
    assert (len(told(play)), play.times_said(messages.CAUGHT_UP)) == (1, 1)


def test_each_target_has_its_own_alarm(overlay: Overlay) -> None:
    play = begin(TARGET, OTHER_TARGET)
    for _ in range(3):
        play >> overlay.mounted() >> overlay.dismounted()
        play.wait(2.0) << StartCopy << StartCopy
        for job in play.jobs[-2:]:
            play >> (done(job) if job.target == TARGET else failed(job))
        play.wait(LIMIT / 2)
    assert [s.fields["target"] for s in told(play)] == [OTHER_TARGET]


def test_a_pool_that_stays_just_as_late_does_not_begin_and_end_its_alarm(
    play: Playbook, overlay: Overlay
) -> None:
    """The oldest copy is made when the next one is nine minutes old: still one alarm."""
    owe(play, overlay)
    play.at(LIMIT - 500)
    play >> overlay.mounted(SECOND) >> overlay.dismounted(SECOND)
    play.wait(2.0) << StartCopy
    play >> failed(play.job)
    play.at(LIMIT + 5)
    assert len(told(play)) == 1
    play >> overlay.removed()
    assert play.times_said(messages.CAUGHT_UP) == 0
    play >> overlay.removed(SECOND)
    assert play.times_said(messages.CAUGHT_UP) == 1


def test_it_survives_a_restart_without_repeating(play: Playbook, overlay: Overlay) -> None:
    owe(play, overlay)
    play.at(LIMIT + 60)
    assert len(told(play)) == 1
    play.restart(away=60.0)
    play.wait(HOUR - 180)
    assert len(told(play)) == 1
    play.wait(61.0)
    assert [s.fields["age"] for s in told(play)] == ["10m", "1h 10m"]


def test_what_was_owed_before_a_restart_is_owed_since_then(
    play: Playbook, overlay: Overlay
) -> None:
    owe(play, overlay)
    play.at(LIMIT - 100)
    play.restart(away=50.0).wait(49.0)
    assert told(play) == []
    play.wait(2.0)
    assert len(told(play)) == 1


@pytest.mark.parametrize("step", [-86400.0, 86400.0])
def test_a_clock_that_is_set_neither_hides_nor_hastens_it(
    play: Playbook, overlay: Overlay, step: float
) -> None:
    owe(play, overlay)
    play.step_clock(step).at(LIMIT - 1)
    assert told(play) == []
    play.at(LIMIT + 2.1)
    assert len(told(play)) == 1


def test_without_a_limit_nothing_is_told(overlay: Overlay) -> None:
    play = begin(limit="0s")
    owe(play, overlay)
    play.wait(24 * HOUR)
    assert told(play) == []


def test_an_alarm_of_a_pool_that_is_not_copied_any_more_is_dropped(overlay: Overlay) -> None:
    play = begin()
    owe(play, overlay)
    play.at(LIMIT + 5)
    book = play.engine.book
    changed = book.settings.model_copy(update={"autocopy": ()})
    assert isinstance(changed, Settings)
    book.settings = changed
    play.restart()
    assert play.engine.book.behind == {}
    play.wait(2 * HOUR)
    assert play.times_said(messages.CAUGHT_UP) == 0


def test_the_alarms_are_written_down_and_read_back(play: Playbook, overlay: Overlay) -> None:
    owe(play, overlay)
    play.at(LIMIT + 5)
    listed = [(pool, target, alarm) for (pool, target), alarm in play.engine.book.behind.items()]
    assert len(listed) == 1
    assert decode(BEHIND, encode(BEHIND, listed), "a test") == listed


def test_nothing_is_searched_for_when_nothing_happens(play: Playbook, overlay: Overlay) -> None:
    """What is owed is indexed: a wakeup looks at the oldest alone."""
    owe(play, overlay)
    way = (POOL, TARGET)
    assert play.engine.book.owed.count(way) == 1
    play >> overlay.removed() >> WakeupDue()
    assert play.engine.book.owed.count(way) == 0
    assert play.engine.book.owed.oldest(way) is None


def test_status_shows_it(play: Playbook, overlay: Overlay) -> None:
    owe(play, overlay)
    (pool,) = report.status(play.engine, {}, "1.0", play.now)["pools"]
    assert pool["behind_since"] is None
    play.at(LIMIT + 5)
    (pool,) = report.status(play.engine, {}, "1.0", play.now)["pools"]
    assert pool["behind_since"] == iso(play.now.wall_ns - int((LIMIT + 5) * 1e9))
