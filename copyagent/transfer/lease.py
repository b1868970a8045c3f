"""Is a tape open for writing? The kernel knows, whoever opened it and by whatever path.

A read lease is granted only while nobody can write the file: neither through a descriptor nor
through a shared mapping (fcntl(2), "Leases"). We ask for one and give it back at once: held for
longer it would delay the host's next open.
"""

import errno
import fcntl
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum


class Writers(Enum):
    """What the lease probe found."""

    NONE = "nobody can write it"
    SOME = "somebody can write it"
    UNKNOWN = "the kernel does not tell"


def probe_writers(fd: int) -> Writers:
    """Ask who can write the file behind *fd*, a descriptor opened read-only; takes microseconds.

    UNKNOWN where the file system has no leases, or the file belongs to another user and we lack
    CAP_LEASE.
    """
    try:
        with read_lease(fd):
            return Writers.NONE
    except OSError as error:
        return Writers.SOME if error.errno == errno.EAGAIN else Writers.UNKNOWN


def is_closed(fd: int) -> bool:
    """Tell whether nobody else has the file behind *fd* open, neither to write nor to read.

    A write lease is granted only then (fcntl(2)). Raises OSError where the kernel does not tell.
    """
    try:
        with _lease(fd, fcntl.F_WRLCK):
            return True
    except OSError as error:
        if error.errno != errno.EAGAIN:
            raise
        return False


@contextmanager
def read_lease(fd: int) -> Iterator[None]:
    """Hold a read lease for the length of the block; raises OSError if it is not granted.

    Whoever opens the file for writing meanwhile waits for the end of the block.
    """
    with _lease(fd, fcntl.F_RDLCK):
        yield


@contextmanager
def _lease(fd: int, kind: int) -> Iterator[None]:
    # That open makes the kernel signal the holder, and the default signal, SIGIO, would end this
    # process. SIGURG is ignored unless somebody wants it.
    fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
    fcntl.fcntl(fd, fcntl.F_SETLEASE, kind)
    try:
        yield
    finally:
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)


def owner_hint(fd: int) -> str:
    """Say in a few words why the probe may not be allowed, for the operator."""
    found = os.fstat(fd)
    if found.st_uid != os.geteuid():
        return f"it belongs to uid {found.st_uid}, the agent runs as uid {os.geteuid()}"
    return "its file system has no leases"
