from collections.abc import Callable

import pytest
import trio
import trio.testing

from tests.support.waiting import NotInTime, wait_until, wait_until_async


def true_at(call: int) -> Callable[[], bool]:
    """Make a predicate that is true from its *call*-th call on."""
    calls = iter(range(1, 1_000_000))
    return lambda: next(calls) >= call


def test_it_returns_once_the_predicate_is_true() -> None:
    wait_until(true_at(3), 5.0, "the third look")


def test_a_true_predicate_needs_no_time() -> None:
    wait_until(lambda: True, 0.0, "nothing")


def test_the_error_names_what_was_awaited() -> None:
    with pytest.raises(NotInTime, match=r"not within 0\.02 s: rain"):
        wait_until(lambda: False, 0.02, "rain")


async def test_the_deadline_is_the_loops_clock(autojump_clock: trio.testing.MockClock) -> None:
    with pytest.raises(NotInTime, match="not within 30 s: rain"):
        await wait_until_async(lambda: False, 30.0, "rain")
    assert trio.current_time() == pytest.approx(30.0)


async def test_other_tasks_run_meanwhile(autojump_clock: trio.testing.MockClock) -> None:
    done: list[bool] = []

    async def work() -> None:
        await trio.sleep(5.0)
        done.append(True)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(work)
        await wait_until_async(lambda: done, 10.0, "the work is done")
