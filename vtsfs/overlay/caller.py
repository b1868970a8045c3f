"""Acting for the process that asks: its file-system user and group while something is created.

A file belongs to whoever creates it, its blocks count against that user's quota, and only root may
take the last blocks of a disk. Creating it as root and giving it away afterwards would leave root's
file behind when we die in between. So the thread takes the caller's fsuid and fsgid (setfsuid(2))
for the one system call. Those are per thread and inherited by threads made meanwhile, hence: no
await and no new thread while acting.

The permission to do it was checked by the kernel before it asked us (`default_permissions`), with
the caller's supplementary groups, which we do not know. So our capabilities must survive the change
of user: SECBIT_NO_SETUID_FIXUP (capabilities(7)) does that. All but one: CAP_SYS_RESOURCE lets its
holder exceed quotas and use reserved blocks whoever it acts for, so it is given up for good.
"""

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24
_PR_SET_SECUREBITS = 28
_SECBIT_NO_SETUID_FIXUP = 1 << 2
_CAP_SYS_RESOURCE = 24
# capget(2): the version with two words of 32 capabilities for each of the three sets.
_CAPABILITY_VERSION_3 = 0x20080522
_CAPABILITY_SETS = struct.Struct("=6I")
_CAPABILITY_HEADER = struct.Struct("=Ii")

_libc = ctypes.CDLL(None, use_errno=True)
_setfsuid = _libc.setfsuid
_setfsuid.argtypes = [ctypes.c_uint]
_setfsgid = _libc.setfsgid
_setfsgid.argtypes = [ctypes.c_uint]


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
    _check(_libc.prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP, 0, 0, 0), "PR_SET_SECUREBITS")
    return True


def give_up_resource_capability() -> None:
    """Give up CAP_SYS_RESOURCE, in every set and for the threads and programs started from here.

    It cannot be had back: whatever needs it (a higher limit of descriptors) comes first. Does
    nothing when we are not root. Raises OSError.
    """
    if os.geteuid() != 0:
        return
    # Groups of the service must not reach the blocks that mkfs.ext4 may reserve for a group.
    os.setgroups([])
    if _libc.prctl(_PR_CAPBSET_READ, _CAP_SYS_RESOURCE, 0, 0, 0) == 1:
        _check(_libc.prctl(_PR_CAPBSET_DROP, _CAP_SYS_RESOURCE, 0, 0, 0), "PR_CAPBSET_DROP")
    header = ctypes.create_string_buffer(_CAPABILITY_HEADER.pack(_CAPABILITY_VERSION_3, 0))
    sets = ctypes.create_string_buffer(_CAPABILITY_SETS.size)
    _check(_libc.capget(header, sets), "capget")
    low = [word & ~(1 << _CAP_SYS_RESOURCE) for word in _CAPABILITY_SETS.unpack(sets.raw)[:3]]
    kept = _CAPABILITY_SETS.pack(*low, *_CAPABILITY_SETS.unpack(sets.raw)[3:])
    _check(_libc.capset(header, ctypes.create_string_buffer(kept)), "capset")


def _check(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")


def take(uid: int) -> bool:
    """Let what this thread allocates from now on count as done by *uid*; True if it must end.

    For writes, where `acting_for` would cost too much: two system calls, none for root. Nothing but
    blocks may be made meanwhile, for the group and the umask stay ours. If this returns True,
    `give_back` must follow before the next await, also after an error.
    """
    if uid == 0 or os.geteuid() != 0:
        return False
    _setfsuid(uid)
    return True


def give_back() -> None:
    """End what `take` began."""
    _setfsuid(0)


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
        _setfsgid(caller.gid if gid is None else gid)
        _setfsuid(caller.uid)
        try:
            yield
        finally:
            _setfsuid(0)
            _setfsgid(os.getegid())
    finally:
        os.umask(ours)
