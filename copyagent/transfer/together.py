"""Several requests to the target at once: a round trip for all of them, not one for each."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import trio

from copyagent.transfer.source import SourceProblem
from copyagent.transfer.target import TargetError
from vtsfs.contract.errors import VtsError

_T = TypeVar("_T")

#: Requests in flight at once; a server answers them one by one anyway.
_MOST = 64


async def together(calls: Iterable[Callable[[], Awaitable[_T]]]) -> list[_T]:
    """Make all *calls* and return their answers in the same order.

    The first failure of the target, of the source or of our own disk ends the others and is raised
    by itself: a nursery would wrap it in a group, which nobody who tells failures apart could catch.
    """
    wanted = list(calls)
    answers: dict[int, _T] = {}
    failures: list[TargetError | SourceProblem | OSError | VtsError] = []
    room = trio.CapacityLimiter(_MOST)

    async def make(number: int, call: Callable[[], Awaitable[_T]]) -> None:
        async with room:
            try:
                answers[number] = await call()
            except (TargetError, SourceProblem, OSError, VtsError) as error:
                failures.append(error)
                nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:
        for number, call in enumerate(wanted):
            nursery.start_soon(make, number, call)
    if failures:
        raise failures[0]
    return [answers[number] for number in range(len(wanted))]
