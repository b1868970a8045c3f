"""POSIX cases: locks of all kinds, and leases."""

import errno
import fcntl
import os
import struct
from pathlib import Path

from tests.support.posix_case import (
    apart,
    case,
    fails_with,
    for_everyone,
    may_be_refused,
    needs_root,
    opened,
)

#: struct flock of fcntl(2) on 64-bit machines: type, whence, start, length, process.
_FLOCK = struct.Struct("hhqqi4x")


def lock(fd: int, command: int, kind: int, start: int, length: int) -> tuple[int, int, int, int]:
    """Call fcntl(2) and return the answer: kind, start, length and process."""
    asked = _FLOCK.pack(kind, os.SEEK_SET, start, length, 0)
    found, _, at, size, pid = _FLOCK.unpack(fcntl.fcntl(fd, command, asked))
    return found, at, size, pid


@for_everyone
def locks_of_open_files(top: Path) -> None:
    flags = os.O_RDWR | os.O_CREAT
    with opened(top / "a", flags) as first, opened(top / "a", flags) as second:
        fcntl.flock(first, fcntl.LOCK_EX)
        for kind in (fcntl.LOCK_EX, fcntl.LOCK_SH):
            with fails_with(errno.EAGAIN):
                fcntl.flock(second, kind | fcntl.LOCK_NB)
        fcntl.flock(first, fcntl.LOCK_SH)
        fcntl.flock(second, fcntl.LOCK_SH | fcntl.LOCK_NB)
        fcntl.flock(first, fcntl.LOCK_UN)
        fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # A duplicate is the same open file: the lock lasts until the last is closed.
        twin = os.dup(second)
        os.close(twin)
        with fails_with(errno.EAGAIN):
            fcntl.flock(first, fcntl.LOCK_SH | fcntl.LOCK_NB)
    with opened(top / "a", flags) as third:
        fcntl.flock(third, fcntl.LOCK_EX | fcntl.LOCK_NB)


@for_everyone
def locks_of_processes(top: Path) -> None:
    with opened(top / "a", os.O_RDWR | os.O_CREAT) as fd:
        os.write(fd, bytes(100))
        lock(fd, fcntl.F_SETLK, fcntl.F_WRLCK, 10, 20)
        ours = os.getpid()

        def another() -> None:
            with opened(top / "a", os.O_RDWR) as other:
                for kind in (fcntl.F_RDLCK, fcntl.F_WRLCK):
                    with fails_with(errno.EAGAIN, errno.EACCES):
                        lock(other, fcntl.F_SETLK, kind, 29, 5)
                assert lock(other, fcntl.F_GETLK, fcntl.F_RDLCK, 0, 0) == (1, 10, 20, ours)
                lock(other, fcntl.F_SETLK, fcntl.F_WRLCK, 30, 0)
                lock(other, fcntl.F_SETLK, fcntl.F_RDLCK, 0, 10)

        apart(another)
        # It has ended, and its locks with it.
        lock(fd, fcntl.F_SETLK, fcntl.F_WRLCK, 0, 0)
        with opened(top / "a", os.O_RDONLY) as reader:
            with fails_with(errno.EBADF):
                lock(reader, fcntl.F_SETLK, fcntl.F_WRLCK, 0, 1)

        def closes_one() -> None:
            with opened(top / "a", os.O_RDWR) as first:
                lock(first, fcntl.F_SETLK, fcntl.F_UNLCK, 0, 0)

        apart(closes_one)


@for_everyone
def a_lock_is_waited_for(top: Path) -> None:
    with opened(top / "a", os.O_RDWR | os.O_CREAT) as fd:
        told, tell = os.pipe()
        child = os.fork()
        if child == 0:
            lock(fd, fcntl.F_SETLKW, fcntl.F_WRLCK, 0, 0)
            os.write(tell, b"locked")
            os.read(told, 0)
            os.pwrite(fd, b"child", 0)
            os._exit(0)
        try:
            assert os.read(told, 6) == b"locked"
            # Waits until the child's end has taken its lock off.
            lock(fd, fcntl.F_SETLKW, fcntl.F_RDLCK, 0, 0)
            assert os.pread(fd, 5, 0) == b"child"
        finally:
            os.waitpid(child, 0)
            os.close(told)
            os.close(tell)


@for_everyone
def locks_of_open_files_by_range(top: Path) -> None:
    flags = os.O_RDWR | os.O_CREAT
    with opened(top / "a", flags) as first, opened(top / "a", flags) as second:
        lock(first, fcntl.F_OFD_SETLK, fcntl.F_WRLCK, 0, 10)
        with fails_with(errno.EAGAIN):
            lock(second, fcntl.F_OFD_SETLK, fcntl.F_RDLCK, 5, 1)
        lock(second, fcntl.F_OFD_SETLK, fcntl.F_WRLCK, 10, 10)
        assert lock(second, fcntl.F_OFD_GETLK, fcntl.F_WRLCK, 0, 0)[:3] == (1, 0, 10)
        lock(first, fcntl.F_OFD_SETLK, fcntl.F_UNLCK, 0, 0)
        lock(second, fcntl.F_OFD_SETLK, fcntl.F_RDLCK, 5, 1)


@case
def leases_are_given_or_refused(top: Path) -> None:
    needs_root()
    (top / "a").write_bytes(b"")
    with opened(top / "a", os.O_RDONLY) as fd:
        with may_be_refused(errno.EINVAL):
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            assert fcntl.fcntl(fd, fcntl.F_GETLEASE) == fcntl.F_RDLCK
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    with opened(top / "a", os.O_RDWR) as fd, fails_with(errno.EAGAIN, errno.EINVAL):
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
