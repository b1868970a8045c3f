"""Kernel mounts in tests: whether they can be made here, and that none outlives its test."""

import ctypes
import fcntl
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_MOUNTINFO = Path("/proc/self/mountinfo")
_FUSE_DEVICE = Path("/dev/fuse")
# ioctl_iflags(2), in the numbering of 64-bit machines.
_FS_IOC_GETFLAGS = 0x80086601
_FS_IOC_SETFLAGS = 0x40086602
_FS_IMMUTABLE_FL = 0x10
_ESCAPE = re.compile(r"\\([0-7]{3})")


def mounts_under(directory: Path, table: str | None = None) -> list[Path]:
    """List the mount points at or under *directory*, the last mounted first.

    A point that is covered several times is listed as often. *table* is the text of a mountinfo
    file (proc_pid_mountinfo(5)); by default the kernel's own is read. Nothing here touches the
    file systems themselves, so a dead mount cannot make it hang.
    """
    top = os.path.realpath(directory.parent) + "/" + directory.name
    if table is None:
        table = _MOUNTINFO.read_text(encoding="utf-8", errors="surrogateescape")
    points = [
        _ESCAPE.sub(lambda match: chr(int(match[1], 8)), line.split(" ")[4])
        for line in table.splitlines()
    ]
    return [Path(point) for point in reversed(points) if (point + "/").startswith(top + "/")]


def unmount_under(directory: Path) -> None:
    """Take off every mount at or under *directory*, lazily where it cannot be done otherwise.

    Raises RuntimeError if one is still there afterwards.
    """
    for point in mounts_under(directory):
        for command in _unmount_commands(point):
            if subprocess.run(command, capture_output=True, check=False).returncode == 0:
                break
    if left := mounts_under(directory):
        raise RuntimeError(f"still mounted: {', '.join(map(str, left))}; try 'umount -l' as root")


def _unmount_commands(point: Path) -> list[list[str]]:
    if os.geteuid() == 0:
        return [["umount", str(point)], ["umount", "-l", str(point)]]
    return [["fusermount3", "-u", str(point)], ["fusermount3", "-u", "-z", str(point)]]


@contextmanager
def unmounted_after(directory: Path) -> Iterator[Path]:
    """Give *directory*, and take off whatever was mounted in it, however the block ends."""
    try:
        yield directory
    finally:
        unmount_under(directory)


def remove_tree(directory: Path) -> None:
    """Remove a directory in which nothing is mounted, immutable directories (chattr +i) included.

    An overlay makes its bare mount point immutable, which also keeps it from being removed.
    """
    if left := mounts_under(directory):
        # What is mounted there would be emptied as well.
        raise RuntimeError(f"not removed, for {left[0]} is a mount point: unmount it first")
    try:
        shutil.rmtree(directory)
    except PermissionError:
        for top, _, _ in os.walk(directory):
            clear_immutable(Path(top))
        shutil.rmtree(directory)


def clear_immutable(directory: Path) -> None:
    """Take the immutable flag off *directory*, as ``chattr -i`` does where there is one.

    Leaves it as it is where the file system knows no flags, or we may not set them.
    """
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        flags = bytearray(struct.calcsize("l"))
        fcntl.ioctl(fd, _FS_IOC_GETFLAGS, flags)
        kept = int.from_bytes(flags, sys.byteorder) & ~_FS_IMMUTABLE_FL
        fcntl.ioctl(fd, _FS_IOC_SETFLAGS, kept.to_bytes(len(flags), sys.byteorder))
    except OSError:
        # Whoever wants to remove it hears of it there.
        return
    finally:
        os.close(fd)


def why_no_fuse(device: Path = _FUSE_DEVICE) -> str | None:
    """Say why a FUSE file system cannot be mounted here; None if it can. Tries, as root."""
    try:
        descriptor = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        return f"{device} cannot be opened: {error.strerror}"
    try:
        if os.geteuid() == 0:
            return _why_mount_refused(descriptor)
        helper = shutil.which("fusermount3")
        if helper is None or not os.stat(helper).st_mode & 0o4000:
            return "not root, and there is no setuid fusermount3"
        return None
    finally:
        os.close(descriptor)


def _why_mount_refused(descriptor: int) -> str | None:
    libc = ctypes.CDLL(None, use_errno=True)
    point = tempfile.mkdtemp(prefix="fuse-probe-")
    options = f"fd={descriptor},rootmode=40000,user_id=0,group_id=0"
    try:
        if libc.mount(b"probe", point.encode(), b"fuse.probe", 0, options.encode()) == 0:
            # Nobody answers requests, so only a lazy unmount (MNT_DETACH) is sure to return.
            libc.umount2(point.encode(), 2)
            return None
        return f"mount(2) of a FUSE file system: {os.strerror(ctypes.get_errno())}"
    finally:
        with suppress(OSError):
            os.rmdir(point)
