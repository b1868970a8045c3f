"""mount(2) and umount(2) for vaults, and what lies on a mount point now.

As root we mount by ourselves: fusermount3 cannot cover a mount point whose overlay died, and it
would take the mount off when we end. Whoever is not root goes through pyfuse3 and fusermount3.
"""

import ctypes
import errno
import fcntl
import os
import stat
import struct
import subprocess
import sys
from pathlib import Path

from vtsfs.contract.errors import AttachError, VaultBusy
from vtsfs.runtime.mount_table import is_ours, layers_at, source_of

_MS_NOSUID = 2
_MS_NODEV = 4
_MNT_DETACH = 2
_UMOUNT_NOFOLLOW = 8
# ioctl_iflags(2), in the numbering of 64-bit machines.
_FS_IOC_GETFLAGS = 0x80086601
_FS_IOC_SETFLAGS = 0x40086602
_FS_IMMUTABLE_FL = 0x10
#: KiB that one FUSE request can carry (256 pages).
_READ_AHEAD_KIB = 1024

_libc = ctypes.CDLL(None, use_errno=True)


def is_dead(mountpoint: Path) -> bool:
    """Tell whether the topmost mount lost its overlay: every access says ENOTCONN.

    Asked with statfs, which the kernel never answers from its caches as it does a stat. Only for a
    mount whose overlay is known not to run, or this could wait for it.
    """
    try:
        os.statvfs(mountpoint)
    except OSError as error:
        return error.errno in {errno.ENOTCONN, errno.ECONNABORTED}
    return False


def check_mountpoint(vault: str, backing: Path, mountpoint: Path) -> None:
    """Raise `AttachError` unless *mountpoint* can be covered now."""
    if not backing.is_dir():
        raise AttachError(f"vault {vault}: backing directory {backing} is not there; create it")
    if not is_dead(mountpoint):
        if not mountpoint.is_dir():
            raise AttachError(f"vault {vault}: mount point {mountpoint} is no directory; create it")
        layers = layers_at(mountpoint)
        if layers and is_ours(layers[-1], vault):
            raise AttachError(
                f"vault {vault} is already attached at {mountpoint}, by a process with other "
                f"settings; detach it there first"
            )


def mount_vault(vault: str, mountpoint: Path) -> int:
    """Mount over *mountpoint*, also over a dead overlay, and return the FUSE descriptor.

    Needs root. The descriptor must be served at once. Raises `AttachError`.
    """
    try:
        fd = os.open("/dev/fuse", os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        raise AttachError(
            f"vault {vault}: /dev/fuse cannot be opened: {error.strerror}; load the fuse module"
        ) from error
    options = (
        f"fd={fd},rootmode={stat.S_IFDIR:o},user_id=0,group_id=0,default_permissions,allow_other"
    )
    done = _libc.mount(
        source_of(vault).encode(),
        os.fsencode(mountpoint),
        b"fuse.vtsfs",
        _MS_NOSUID | _MS_NODEV,
        options.encode(),
    )
    if done != 0:
        number = ctypes.get_errno()
        os.close(fd)
        raise AttachError(
            f"vault {vault} cannot be mounted at {mountpoint}: {os.strerror(number)}; "
            "see that the directory exists and that this user may mount"
        )
    return fd


def widen_read_ahead(mountpoint: Path) -> bool:
    """Let the kernel ask for whole requests when a tape is read from end to end.

    Its default is an eighth of what one request can carry, and each costs a round trip. It says
    how far it may go only once the session has begun (fuse_init), so this comes after the first
    answer. Returns False where we may not (sysfs, Documentation/ABI/testing/sysfs-class-bdi).
    """
    device = os.stat(mountpoint).st_dev
    name = f"/sys/class/bdi/{os.major(device)}:{os.minor(device)}/read_ahead_kb"
    try:
        Path(name).write_text(str(_READ_AHEAD_KIB), encoding="ascii")
    except OSError:
        return False
    return True


def guard_mountpoint(mountpoint: Path) -> bool:
    """Make the bare mount point immutable, so that nothing is written under a missing overlay.

    It stays so until somebody says ``chattr -i``; mounting over it works all the same. Does nothing
    while something is mounted there (the bare directory is out of reach), and returns False where
    the file system does not know the flag or we may not set it (ioctl_iflags(2)).
    """
    if layers_at(mountpoint):
        return False
    try:
        fd = os.open(mountpoint, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        flags = bytearray(struct.calcsize("l"))
        fcntl.ioctl(fd, _FS_IOC_GETFLAGS, flags)
        found = int.from_bytes(flags, sys.byteorder)
        if not found & _FS_IMMUTABLE_FL:
            wanted = (found | _FS_IMMUTABLE_FL).to_bytes(len(flags), sys.byteorder)
            fcntl.ioctl(fd, _FS_IOC_SETFLAGS, wanted)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def unmount_vault(vault: str, mountpoint: Path) -> None:
    """Take the vault's mount off, never lazily; raise `VaultBusy` if it is in use.

    Raises `AttachError` for every other refusal, and if something else lies above it.
    """
    layers = layers_at(mountpoint)
    if layers and not is_ours(layers[-1], vault):
        raise AttachError(
            f"vault {vault}: something else is mounted over it at {mountpoint}; take that off "
            f"first; see: findmnt {mountpoint}"
        )
    if os.geteuid() != 0:
        _unmount_with_helper(vault, mountpoint)
        return
    if _libc.umount2(os.fsencode(mountpoint), _UMOUNT_NOFOLLOW) != 0:
        number = ctypes.get_errno()
        if number == errno.EBUSY:
            raise VaultBusy(_busy(vault, mountpoint))
        raise AttachError(f"vault {vault}: umount {mountpoint}: {os.strerror(number)}")


def remove_dead_layers(vault: str, mountpoint: Path) -> int:
    """Take off what earlier overlays left, once the live one is gone; return how many there were.

    Processes that still hold files of a dead overlay keep only errors; the mount goes without
    waiting for them.
    """
    removed = 0
    while (layers := layers_at(mountpoint)) and is_ours(layers[-1], vault) and is_dead(mountpoint):
        if os.geteuid() != 0:
            command = ["fusermount3", "-u", "-z", str(mountpoint)]
            if subprocess.run(command, capture_output=True, check=False).returncode != 0:
                return removed
        elif _libc.umount2(os.fsencode(mountpoint), _UMOUNT_NOFOLLOW | _MNT_DETACH) != 0:
            return removed
        removed += 1
    return removed


def _unmount_with_helper(vault: str, mountpoint: Path) -> None:
    ended = subprocess.run(
        ["fusermount3", "-u", str(mountpoint)],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if ended.returncode != 0:
        if "busy" in ended.stderr.lower():
            raise VaultBusy(_busy(vault, mountpoint))
        raise AttachError(f"vault {vault}: fusermount3 -u {mountpoint}: {ended.stderr.strip()}")


def _busy(vault: str, mountpoint: Path) -> str:
    return (
        f"vault {vault} is in use at {mountpoint} (an open file, or a working directory); "
        f"find out by whom with: fuser -vm {mountpoint}"
    )
