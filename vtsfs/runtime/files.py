"""Files that must be whole or absent, directories that must be private, and a lock held for life.

All of it blocks; daemons call it while they start, or from a thread.
"""

import fcntl
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from grp import getgrnam
from pathlib import Path

from vtsfs.contract.errors import AgentBusy, StateError, VtsError

#: How often, and how far apart in seconds, a lock is tried for: `lock_holder` may have it a moment.
_LOCK_TRIES = 10
_LOCK_PAUSE_S = 0.02


def write_atomic(path: Path, data: bytes, mode: int = 0o600, *, group: int | None = None) -> None:
    """Replace *path* by *data*, durably: after any crash it holds the old bytes or the new ones.

    It belongs to this user and *group*, or to this process's own.
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
            if group is not None:
                os.fchown(fd, -1, group)
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
        if not _flock(fd):
            holder = _holder_of(fd) or "unknown"
            os.close(fd)
            raise busy(
                f"{path} is locked by process {holder}; stop that one first, or use another "
                "directory"
            )
        # Somebody may have deleted the file between open and flock: a lock on it excludes nobody.
        if _is_still(path, fd):
            return fd
        os.close(fd)


def _flock(fd: int) -> bool:
    for _ in range(_LOCK_TRIES):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(_LOCK_PAUSE_S)  # noqa: TID251  # before any loop runs
        else:
            return True
    return False


def _holder_of(fd: int) -> int:
    text = os.pread(fd, 20, 0).strip()
    return int(text) if text.isdigit() else 0


def lock_holder(path: Path) -> int | None:
    """Return the number of the process that holds `lock_file` *path*, None if nobody does.

    0 means that somebody does and has not written a number. Raises OSError, such as
    PermissionError when the file is not for this user; one that is not there is held by nobody.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return None
    try:
        # Shared, so that those who ask do not take each other for a holder.
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _holder_of(fd)
    finally:
        os.close(fd)
    return None


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
    """Make sure that *path* is a directory of ours, open to no more than *mode*, and of *group*.

    A new one gets exactly *mode*, its missing parents 0755. One that was there loses the permissions
    that *mode* has not, and gains none. Raises *error* when it cannot be made, is a symbolic link,
    belongs to somebody else (who could then replace what is in it; this goes for root, too), or is
    shared as /tmp is: such a directory is left exactly as it is.
    """
    try:
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        # Not open to a group before it is the right one.
        is_new = _made(path, mode if group is None else mode & 0o700)
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if not is_new:
                _refuse_if_not_ours(path, os.fstat(fd), mode, error)
            _make_private(fd, mode, None if group is None else group_id(group, error), is_new)
        finally:
            os.close(fd)
    except OSError as cause:
        raise error(
            f"directory {path} cannot be prepared: {cause.strerror or cause}; "
            "make it by hand and give it to this user"
        ) from cause


def _made(path: Path, mode: int) -> bool:
    try:
        path.mkdir(mode=mode)
    except FileExistsError:
        return False
    return True


def _refuse_if_not_ours(
    path: Path, found: os.stat_result, mode: int, error: type[VtsError]
) -> None:
    remedy = "it is left as it is; name a directory of its own in the settings"
    if found.st_uid != os.geteuid():
        raise error(
            f"directory {path} belongs to uid {found.st_uid}, not to this user; {remedy}, "
            "or chown that one"
        )
    # A group that is not this user's own has been let in on purpose.
    is_team = found.st_mode & ~mode & stat.S_IWGRP and found.st_gid != os.getegid()
    if found.st_mode & (stat.S_ISVTX | stat.S_IWOTH) or is_team:
        raise error(
            f"directory {path} is shared (mode {stat.S_IMODE(found.st_mode):04o}); {remedy}, "
            f"such as {path / 'vts-autocopy'}"
        )


def _make_private(fd: int, mode: int, gid: int | None, is_new: bool) -> None:
    found = os.fstat(fd)
    if gid is not None and gid != found.st_gid:
        os.fchown(fd, -1, gid)
    excess = stat.S_IMODE(found.st_mode) & 0o777 & ~mode
    if is_new:
        os.fchmod(fd, mode)
    elif excess:
        os.fchmod(fd, stat.S_IMODE(found.st_mode) & ~excess)


def group_id(group: str | int, error: type[VtsError], key: str = "group") -> int:
    """Return the number of *group*; raise *error* when there is none of that name.

    It stands in the settings as *key* under ``service``.
    """
    if isinstance(group, int):
        return group
    try:
        return getgrnam(group).gr_gid
    except KeyError as cause:
        raise error(f"there is no group {group!r}; see service.{key} in the settings") from cause
