"""Files that must be whole or absent, directories that must be private, and a lock held for life.

All of it blocks; daemons call it while they start, or from a thread.
"""

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from grp import getgrnam
from pathlib import Path

from vtsfs.contract.errors import AgentBusy, StateError, VtsError


def write_atomic(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Replace *path* by *data*, durably: after any crash it holds the old bytes or the new ones.

    Raises OSError; the old file is then untouched and nothing is left beside it, except that a
    failing fsync of the directory leaves the new file with unknown durability.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        try:
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            os.fchmod(fd, mode)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync_directory(path.parent)


def fsync_directory(path: Path) -> None:
    """Make the names in the directory durable (fsync(2): the file's own fsync does not)."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def lock_file(path: Path, busy: type[VtsError] = AgentBusy) -> Iterator[None]:
    """Hold an exclusive lock on *path* while the block runs; raise *busy* if another process has it.

    The kernel gives the lock up when the process ends, however it ends. The file stays, and holds
    the number of the process that locked it last, for people.
    """
    fd = _locked(path, busy)
    try:
        os.ftruncate(fd, 0)
        os.pwrite(fd, b"%d\n" % os.getpid(), 0)
        yield
    finally:
        os.close(fd)


def _locked(path: Path, busy: type[VtsError]) -> int:
    while True:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise StateError(f"lock {path} cannot be opened: {error.strerror}") from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(fd, 20, 0).decode("ascii", errors="replace").strip() or "unknown"
            os.close(fd)
            raise busy(
                f"{path} is locked by process {holder}; stop that one first, or use another "
                "directory"
            ) from error
        # Somebody may have deleted the file between open and flock: a lock on it excludes nobody.
        if _is_still(path, fd):
            return fd
        os.close(fd)


def _is_still(path: Path, fd: int) -> bool:
    try:
        found = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    ours = os.fstat(fd)
    return (found.st_dev, found.st_ino) == (ours.st_dev, ours.st_ino)


def private_directory(
    path: Path,
    mode: int = 0o700,
    group: str | int | None = None,
    *,
    error: type[VtsError] = StateError,
) -> None:
    """Make sure that *path* is a directory of ours with exactly *mode* and, if given, *group*.

    Missing parents are made with 0755. Raises *error* when it cannot be made, is a symbolic link,
    or belongs to somebody else (who could then replace what is in it); root takes any owner's.
    """
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        path.mkdir(mode=mode & 0o700, exist_ok=True)
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            _make_private(fd, path, mode, group, error)
        finally:
            os.close(fd)
    except OSError as cause:
        raise error(
            f"directory {path} cannot be prepared: {cause.strerror or cause}; "
            "make it by hand and give it to this user"
        ) from cause


def _make_private(
    fd: int, path: Path, mode: int, group: str | int | None, error: type[VtsError]
) -> None:
    found = os.fstat(fd)
    if os.geteuid() not in (0, found.st_uid):
        raise error(f"directory {path} belongs to uid {found.st_uid}, not to this user; chown it")
    if group is not None:
        gid = group_id(group, error)
        if gid != found.st_gid:
            os.fchown(fd, -1, gid)
    if stat.S_IMODE(found.st_mode) != mode:
        os.fchmod(fd, mode)


def group_id(group: str | int, error: type[VtsError]) -> int:
    """Return the number of *group*; raise *error* when there is none of that name."""
    if isinstance(group, int):
        return group
    try:
        return getgrnam(group).gr_gid
    except KeyError as cause:
        raise error(f"there is no group {group!r}; see service.group in the settings") from cause
