"""What starts first, and how much at once."""

from copyagent.core.schedule import Due, plan
from tests.support.histories import OTHER_TARGET, SECOND, TAPE, TARGET, TWIN

LIMITS = {TARGET: 2, OTHER_TARGET: 1}


def test_the_oldest_need_comes_first() -> None:
    due = [Due(TAPE, TARGET, 30), Due(SECOND, TARGET, 10), Due(TWIN, TARGET, 20)]
    assert plan(due, [], LIMITS) == [due[1], due[2]]


def test_equal_needs_are_served_by_name() -> None:
    due = [Due(TWIN, TARGET, 1), Due(SECOND, TARGET, 1), Due(TAPE, TARGET, 1)]
    assert [copy.tape for copy in plan(due, [], LIMITS)] == [TAPE, SECOND]


def test_each_target_has_its_own_limit() -> None:
    due = [Due(tape, target, 1) for tape in (TAPE, SECOND, TWIN) for target in LIMITS]
    assert [copy.target for copy in plan(due, [], LIMITS)] == [OTHER_TARGET, TARGET, TARGET]
    assert plan(due, [TARGET, TARGET, OTHER_TARGET], LIMITS) == []
    assert plan(due, [TARGET, OTHER_TARGET], LIMITS) == [Due(TAPE, TARGET, 1)]


def test_nothing_due_is_nothing_to_do() -> None:
    assert plan([], [TARGET], LIMITS) == []
