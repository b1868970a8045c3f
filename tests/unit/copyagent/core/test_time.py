"""Moments: two clocks that are never mixed, and due times that outlive a run."""

import pytest

from copyagent.core.time import Moment

NOW = Moment(100.0, 10**18)


def test_later_is_later_on_both_clocks() -> None:
    assert NOW.after(1.5) == Moment(101.5, 10**18 + 1_500_000_000)


def test_only_the_monotonic_clock_tells_whether_a_moment_has_come() -> None:
    due = NOW.after(10.0)
    assert not Moment(109.9, 2 * 10**18).reached(due)
    assert Moment(110.0, 0).reached(due)


@pytest.mark.parametrize(
    ("left_s", "wait_s"), [(40.0, 40.0), (0.0, 0.0), (-86400.0, 0.0), (86400.0, 300.0)]
)
def test_a_due_time_of_a_former_run_neither_passes_unseen_nor_moves_away(
    left_s: float, wait_s: float
) -> None:
    due = Moment(987654.0, NOW.wall_ns + int(left_s * 10**9))
    assert NOW.again(due, 300.0) == NOW.after(wait_s)
