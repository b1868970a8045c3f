"""Signals that come before anybody waits for them, or when nobody does any more."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def noted(number: signal.Signals) -> Iterator[list[int]]:
    """Note each signal *number* in the list that is given, for as long as nobody waits for it.

    Who sends it does not know that a daemon is still starting, or ending already, and must not end
    it so. Only for the main thread.
    """
    seen: list[int] = []
    before = signal.signal(number, lambda which, _: seen.append(which))
    try:
        yield seen
    finally:
        signal.signal(number, before)
