"""A limit for work that is written by somebody else and cannot be interrupted any other way.

A regular expression out of a settings file can take longer than the age of the world over a line
of a hundred characters, and nothing else runs meanwhile.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TimeIsUp(Exception):
    """What ran within a `processor_time_limit` has used up its time, and was not finished."""


_is_limited = False


@contextmanager
def processor_time_limit(seconds: float) -> Iterator[None]:
    """Raise `TimeIsUp` within the block once the process has computed for *seconds* in it.

    Processor time (``setitimer(2)``, ITIMER_VIRTUAL), so that a machine busy with other things does
    not count; Python's expressions look for signals as they go. In the main thread only, not
    nested, and nothing may be awaited in the block: the time of other tasks would count.
    """
    global _is_limited  # noqa: PLW0603  # a signal handler is the process's, and so is this
    signal.signal(signal.SIGVTALRM, _ring)
    _is_limited = True
    try:
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
        yield
    finally:
        _is_limited = False
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)


def _ring(_number: int, _frame: FrameType | None) -> None:
    # One that comes as the block is left has nothing to interrupt any more.
    if _is_limited:
        raise TimeIsUp
