"""Waiting for something to become true, with a deadline and a name for what is awaited."""

import time
from collections.abc import Callable

import trio

POLL_S = 0.01


class NotInTime(AssertionError):
    """What was awaited did not come true before its deadline."""


def wait_until(predicate: Callable[[], object], deadline_s: float, what: str) -> None:
    """Return as soon as *predicate* is true; raise NotInTime naming *what* after *deadline_s*."""
    end = time.monotonic() + deadline_s
    while not predicate():
        if time.monotonic() >= end:
            raise NotInTime(f"not within {deadline_s:g} s: {what}")
        time.sleep(POLL_S)  # noqa: TID251 - the one poll that tests without a loop share


async def wait_until_async(predicate: Callable[[], object], deadline_s: float, what: str) -> None:
    """Do as `wait_until`, but let other tasks run in between; the deadline is trio's clock."""
    with trio.move_on_after(deadline_s):
        while not predicate():  # noqa: ASYNC110 - other processes set no trio.Event
            await trio.sleep(POLL_S)
        return
    raise NotInTime(f"not within {deadline_s:g} s: {what}")
