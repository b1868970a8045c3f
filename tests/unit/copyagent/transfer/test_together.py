"""Several requests at once: their answers in order, or the first failure, bare."""

from functools import partial

import pytest
import trio

from copyagent.transfer.target import LinkLost, TargetMissing
from copyagent.transfer.together import together


async def late(answer: int, turns: int = 1) -> int:
    for _ in range(turns):
        await trio.lowlevel.checkpoint()
    return answer


async def fails(error: Exception) -> int:
    await trio.lowlevel.checkpoint()
    raise error


async def test_answers_come_in_the_order_of_the_questions() -> None:
    assert await together(partial(late, n, 300 - n) for n in range(200)) == list(range(200))
    assert await together([]) == []


async def test_the_first_failure_ends_the_others_and_is_raised_bare() -> None:
    ended = trio.Event()

    async def waits() -> int:
        try:
            await trio.Event().wait()
        finally:
            ended.set()
        return 0

    with pytest.raises(TargetMissing, match="looking"):
        await together([waits, lambda: fails(TargetMissing("looking"))])
    assert ended.is_set()
    # Which of two that fail at once is the first is trio's to say; one it is, and no group.
    with pytest.raises(LinkLost, match=r"one|two"):
        await together([lambda: fails(LinkLost("one")), lambda: fails(LinkLost("two"))])


async def test_cancelling_ends_all() -> None:
    async def waits() -> int:
        await trio.Event().wait()
        return 0

    with trio.move_on_after(0) as scope:
        await together([waits])
    assert scope.cancelled_caught
