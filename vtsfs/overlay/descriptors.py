"""How many descriptors there are, and who may have them: the process has one limit for everybody.

Open tapes come first, yet not at the price of everything else: a share is kept for looking at files
(`most_held`), and the last few descriptors are never given to an open (`affordable`), so that at the
limit one more open fails for its caller while listing, stat and what is open already go on.

The kernel gives out the lowest free number, so the number of a descriptor that was just opened
tells how many are taken.
"""

import errno
import os
import resource

#: Descriptors that no open of theirs gets: for directories on the way to a file, the outbox, feeds.
RESERVE = 64
#: What even an open directory must leave of them.
LISTING_RESERVE = 32
#: Files held by descriptor without need, at most; beyond this many more of them save nothing.
_MOST_HELD = 4096


def most_held() -> int:
    """Return how many files may be held by descriptor without being open: a quarter of the limit."""
    return min(_MOST_HELD, _limit() // 4)


def is_scarce(fd: int) -> bool:
    """Tell whether *fd*, just opened, says that files should not be held without need any more.

    That begins before opens fail.
    """
    return fd >= _limit() - 2 * RESERVE


def affordable(fd: int, reserve: int = RESERVE) -> int:
    """Return *fd*, just opened for somebody; or close it, if it is one of the last *reserve*.

    Raises OSError (EMFILE), as the kernel does for the very last.
    """
    if fd >= _limit() - reserve:
        os.close(fd)
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
    return fd


def expect_room(fd: int) -> None:
    """Raise OSError (EMFILE) if the next descriptor were not `affordable`; *fd* is any open one.

    For opens that cannot be undone, because they create something.
    """
    os.close(affordable(os.dup(fd)))


def _limit() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return soft
