"""The underlying tree: system calls on files that are held by descriptor, and nothing else.

Everything here is one short step in the loop's thread and raises OSError as the call does. Only
`sync` blocks for long; it is called from threads.
"""

import ctypes
import errno
import os
from contextlib import suppress
from dataclasses import dataclass

from vtsfs.contract.signals import Identity
from vtsfs.overlay.descriptors import affordable, expect_room
from vtsfs.overlay.inodes import Inode

#: Bytes from which cutting a file off may take the disk longer than others should wait.
LARGE_CUT = 64 << 20

RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2

#: What the kernel has already done, or what would break positioned writes on our own descriptor:
#: pwrite(2) on an O_APPEND descriptor ignores its offset, and O_DIRECT wants aligned buffers.
_STRIPPED = (
    os.O_CREAT | os.O_EXCL | os.O_TRUNC | os.O_APPEND | os.O_DIRECT | os.O_NOCTTY | os.O_NOFOLLOW
)
_DELETED = b" (deleted)"
_RENAMES_OUTRUN = 10

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Changes:
    """What a setattr asks for; None leaves a field as it is. Times are nanoseconds since 1970."""

    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    size: int | None = None
    atime_ns: int | None = None
    mtime_ns: int | None = None


#: A setattr without a wish.
NOTHING = Changes()


def identity_of(found: os.stat_result) -> Identity:
    """Return the identity that stat tells."""
    return Identity(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def wants_writing(flags: int) -> bool:
    """Tell whether an open with *flags* may change the file; O_TRUNC alone does, on Linux."""
    return (flags & os.O_ACCMODE) != os.O_RDONLY or bool(flags & os.O_TRUNC)


def open_again(inode: Inode, flags: int) -> int:
    """Open a known file with the caller's *flags*, as far as they concern the file below.

    Raises BlockingIOError if somebody has a lease on it (fcntl(2), F_SETLEASE), who has by then been
    asked to give it back; `open_held` waits for that.
    """
    # Means nothing for the descriptor of a regular file, and no other is opened through us.
    return open_held(inode.named_fd, flags | os.O_NONBLOCK)


def open_held(fd: int, flags: int) -> int:
    """Open the file of an O_PATH descriptor as `open_again` does; may wait for a lease's end."""
    path = f"/proc/self/fd/{fd}"
    kept = flags & ~_STRIPPED | os.O_CLOEXEC
    if flags & os.O_TRUNC and (flags & os.O_ACCMODE) == os.O_RDONLY:
        kept = (kept & ~os.O_ACCMODE) | os.O_RDWR
    try:
        return affordable(os.open(path, kept))
    except PermissionError:
        if not flags & os.O_APPEND:
            raise
        # A file that may only grow (chattr +a) wants it, and what is written there is at the end.
        return affordable(os.open(path, kept | os.O_APPEND))


def open_new(parent: Inode, name: bytes, flags: int, mode: int) -> int:
    """Create *name* and open it; FileExistsError if it is there."""
    kept = (flags & ~_STRIPPED) | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    expect_room(parent.fd)
    return os.open(name, kept, mode, dir_fd=parent.fd)


def open_entry(parent: Inode, name: bytes) -> tuple[int, int]:
    """Open the file *name* and the directory that it is in, for `sync`; never waits for a peer."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    file = os.open(name, flags, dir_fd=parent.fd)
    try:
        return file, os.open(parent.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        os.close(file)
        raise


def relative_path(fd: int, root_fd: int) -> bytes | None:
    """Return the present name of an open file below the root, None if it has none there.

    The kernel knows it (proc_pid_fd(5)) and follows every rename, also of the directories above. An
    unlinked file has none; one whose path is longer than PATH_MAX neither, and is no tape anyhow.
    """
    try:
        path = os.readlink(b"/proc/self/fd/%d" % fd)
        top = os.readlink(b"/proc/self/fd/%d" % root_fd).rstrip(b"/") + b"/"
    except OSError:
        return None
    if path.endswith(_DELETED) and not _is_at(fd, path):
        return None
    return path[len(top) :] if path.startswith(top) else None


def _is_at(fd: int, path: bytes) -> bool:
    """A file may really be called `X (deleted)`."""
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(fd))
    except OSError:
        return False


def lstat(parent: Inode, name: bytes) -> os.stat_result | None:
    """Look at *name* in *parent*, None if it is not there."""
    try:
        return os.stat(name, dir_fd=parent.fd, follow_symlinks=False)
    except FileNotFoundError:
        return None


def resize(fd: int, size: int, *, opened: bool) -> None:
    """Set the size of a file; *fd* was *opened* by somebody for writing, or is O_PATH."""
    if opened:
        os.ftruncate(fd, size)
    else:
        os.truncate(b"/proc/self/fd/%d" % fd, size)


def apply(inode: Inode, changes: Changes) -> None:
    """Change attributes, all but the size.

    Ownership goes first: changing it takes the set-id bits away, and a mode that comes along is
    what the kernel wants the file to have afterwards. A request for nothing at all is a chown(2)
    to the owner that is there already (-1), which does move the time of the last change.
    """
    if changes.uid is not None or changes.gid is not None or changes == NOTHING:
        uid = -1 if changes.uid is None else changes.uid
        gid = -1 if changes.gid is None else changes.gid
        os.chown(inode.path, uid, gid)
    if changes.mode is not None:
        os.chmod(inode.path, changes.mode)
    if changes.atime_ns is not None or changes.mtime_ns is not None:
        now = os.stat(inode.fd)
        atime = now.st_atime_ns if changes.atime_ns is None else changes.atime_ns
        mtime = now.st_mtime_ns if changes.mtime_ns is None else changes.mtime_ns
        os.utime(inode.path, ns=(atime, mtime))


def rename(old: tuple[Inode, bytes], new: tuple[Inode, bytes], flags: int) -> None:
    """Rename, with the flags of renameat2(2)."""
    (old_dir, old_name), (new_dir, new_name) = old, new
    if flags == 0:
        os.rename(old_name, new_name, src_dir_fd=old_dir.fd, dst_dir_fd=new_dir.fd)
    elif _libc.renameat2(old_dir.fd, old_name, new_dir.fd, new_name, flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def link(inode: Inode, parent: Inode, name: bytes) -> None:
    """Give the file a further *name* in *parent*."""
    os.link(inode.path, name, dst_dir_fd=parent.fd, follow_symlinks=True)


def read_link(inode: Inode) -> bytes:
    """Return what a symbolic link holds."""
    return os.readlink(b"", dir_fd=inode.fd)


def sync_with_name(fd: int) -> None:
    """Make a new file durable together with its name: fsync(2) of a file alone need not do that.

    A file that has lost its name meanwhile needs none. Blocks as long as the disk takes.
    """
    os.fsync(fd)
    directory = _directory_of(fd)
    if directory is not None:
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _directory_of(fd: int) -> int | None:
    """Open the directory that an open file is in, None if the file has no name any more."""
    for _ in range(_RENAMES_OUTRUN):
        path = os.readlink(b"/proc/self/fd/%d" % fd)
        if path.endswith(_DELETED) and not _is_at(fd, path):
            return None
        # The directory itself may be renamed between the two calls.
        with suppress(FileNotFoundError):
            return os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    raise FileNotFoundError(errno.ENOENT, "its directory is renamed all the time")


def sync(fd: int, *, data_only: bool = False) -> None:
    """Make a file or directory durable; blocks as long as the disk takes."""
    if data_only:
        os.fdatasync(fd)
    else:
        os.fsync(fd)
