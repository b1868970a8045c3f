"""What is shown of running copies: the rate of late, the present phase, an honest time left."""

import pytest

from copyagent.core.copy_states import Queued
from copyagent.core.gates import by_hold_down, waits_for_start
from copyagent.core.target_health import TargetHealth
from copyagent.core.time import Moment
from copyagent.core.traffic_report import Meter, Progress, running
from tests.support.histories import TAPE, TARGET

SECOND = 10**9
NOW = Moment(5.0, 100 * SECOND)


def test_the_rate_is_that_of_the_present_phase_and_of_late() -> None:
    meter = Meter()
    meter.read("comparing", 900, 1000, 0)
    assert meter.read("sending", 0, 10_000, 50 * SECOND) == Progress(
        "sending", 0, 10_000, 50 * SECOND
    )
    seen = meter.read("sending", 0, 10_000, 50 * SECOND)
    for second in range(1, 41):
        slow = second <= 20
        done = second * 100 if slow else 2000 + (second - 20) * 10
        seen = meter.read("sending", done, 10_000, (50 + second) * SECOND)
    assert seen.rate == pytest.approx(10.0), "another copy has come to share the line"
    document = running(TAPE, TARGET, seen, NOW)
    assert document["rate"] == 10
    assert document["left_s"] == 780


def test_what_is_kept_for_it_is_bounded() -> None:
    meter = Meter()
    for number in range(100_000):
        meter.read("sending", number, 100_000, number * SECOND // 1000)
    assert len(meter._seen) < 200


def test_a_phase_that_begins_anew_is_measured_anew() -> None:
    meter = Meter()
    meter.read("sending", 5000, 10_000, 0)
    again = meter.read("sending", 10, 10_000, 10 * SECOND)
    assert (again.started_ns, again.rate) == (10 * SECOND, None)


def test_a_copy_that_has_told_nothing_yet_is_starting() -> None:
    assert running(TAPE, TARGET, None, NOW) == {
        "tape": str(TAPE), "target": TARGET, "phase": "starting", "done": 0, "total": 0, "rate": 0,
        "left_s": None,
    }  # fmt: skip


def test_a_rest_is_over_when_its_time_has_come() -> None:
    resting = Queued(1, due=NOW.after(10.0))
    closed = by_hold_down(TAPE, resting, NOW)
    assert closed is not None
    assert closed.words == "hold-down until 1970-01-01T00:01:50Z"
    assert by_hold_down(TAPE, resting, NOW.after(10.0)) is None
    assert waits_for_start(resting, NOW)
    assert not TargetHealth().down
