"""Acting for the process that asks: its file-system user and group while something is created.

A file belongs to whoever creates it, and its blocks count against that user's quota. Creating it as
root and giving it away afterwards would leave root's file behind when we die in between. So the
loop's thread takes the caller's fsuid and fsgid (setfsuid(2)) for the one system call. Those are
per thread and inherited by threads made meanwhile, hence: no await and no thread while acting.

The permission to do it was checked by the kernel before it asked us (`default_permissions`), with
the caller's supplementary groups, which we do not know. So our capabilities must survive the change
of user: SECBIT_NO_SETUID_FIXUP (capabilities(7)) does that.
"""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_PR_SET_SECUREBITS = 28
_SECBIT_NO_SETUID_FIXUP = 1 << 2

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: user, group and process, as the kernel told us with the request."""

    uid: int
    gid: int
    pid: int


def keep_capabilities() -> bool:
    """Let this thread, and those it starts, act for other users without losing its rights.

    Returns False, and `acting_for` then does nothing, when we are not root: everything is created
    as the one user that we are.
    """
    if os.geteuid() != 0:
        return False
    if _libc.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl(PR_SET_SECUREBITS): {os.strerror(number)}")
    return True


@contextmanager
def acting_for(caller: Caller, *, gid: int | None = None) -> Iterator[None]:
    """Create things as *caller* while the block runs; *gid* overrides its group.

    The block must not await. Modes come out exactly as given: the kernel has taken the caller's
    umask off already, and ours is for files of our own. Without root's rights the owner is us.
    """
    ours = os.umask(0)
    try:
        if os.geteuid() != 0:
            yield
            return
        _libc.setfsgid(caller.gid if gid is None else gid)
        _libc.setfsuid(caller.uid)
        try:
            yield
        finally:
            _libc.setfsuid(0)
            _libc.setfsgid(os.getegid())
    finally:
        os.umask(ours)
