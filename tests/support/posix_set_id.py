"""POSIX cases: what takes the set-id bits of a file away."""

# ruff: noqa: S103 - permissions are what these cases are about

import mmap
import os
import stat
from collections.abc import Callable
from functools import partial
from pathlib import Path

from tests.support.posix_case import (
    ALONE,
    COLLEAGUE,
    GROUP,
    MEMBER,
    OTHER_GROUP,
    ROOT,
    USER,
    case,
    needs_root,
    opened,
)


def _write(path: Path) -> None:
    with opened(path, os.O_WRONLY) as fd:
        os.write(fd, b"y")


def _append(path: Path) -> None:
    with opened(path, os.O_WRONLY | os.O_APPEND) as fd:
        os.write(fd, b"y")


def _update(path: Path) -> None:
    with opened(path, os.O_RDWR) as fd:
        os.pwrite(fd, b"y", 0)


def _ftruncate(path: Path) -> None:
    with opened(path, os.O_WRONLY) as fd:
        os.ftruncate(fd, 7)


def _truncate_on_open(path: Path) -> None:
    with opened(path, os.O_WRONLY | os.O_TRUNC):
        pass


def _write_around_the_cache(path: Path) -> None:
    with opened(path, os.O_RDWR | os.O_DIRECT) as fd, mmap.mmap(-1, 4096) as aligned:
        os.writev(fd, [aligned])


def _send(path: Path) -> None:
    with opened(path, os.O_RDWR) as fd, opened(path, os.O_RDONLY) as source:
        os.lseek(fd, 1, os.SEEK_SET)
        assert os.sendfile(fd, source, 0, 1) == 1


def _copy(path: Path) -> None:
    with opened(path, os.O_RDWR) as fd, opened(path, os.O_RDONLY) as source:
        assert os.copy_file_range(source, fd, 1, 0, 3) == 1


CHANGES: tuple[Callable[[Path], None], ...] = (
    _write,
    _append,
    _update,
    _ftruncate,
    lambda path: os.truncate(path, 3),
    _truncate_on_open,
    _write_around_the_cache,
    _send,
    _copy,
)


@case
def changing_clears_set_id_bits(top: Path) -> None:
    """So does its owner's change and another user's; root's does not (inode(7))."""
    needs_root()
    os.chmod(top, 0o777)
    for person in (ALONE, MEMBER, COLLEAGUE, ROOT):
        for number, change in enumerate(CHANGES):
            for before, ordinary in ((0o6775, 0o775), (0o4666, 0o666), (0o2766, 0o2766)):
                path = top / f"{person.name}{number}{before:o}"
                path.write_bytes(b"x")
                os.chown(path, USER, GROUP)
                os.chmod(path, before)
                person.does(partial(change, path))
                wanted = before if person is ROOT else ordinary
                assert stat.S_IMODE(path.stat().st_mode) == wanted, (change, person.name)


@case
def a_handle_clears_bits_that_came_later(top: Path) -> None:
    needs_root()
    os.chmod(top, 0o777)

    def write() -> None:
        for flags in (os.O_WRONLY, os.O_RDWR):
            with opened(top / f"a{flags}", flags | os.O_CREAT, 0o700) as fd:
                os.write(fd, b"x")
                os.chmod(top / f"a{flags}", 0o6755)
                os.write(fd, b"y")
                assert stat.S_IMODE(os.fstat(fd).st_mode) == 0o755
                assert stat.S_IMODE((top / f"a{flags}").stat().st_mode) == 0o755

    ALONE.does(write)


@case
def chown_clears_set_id_bits(top: Path) -> None:
    needs_root()
    os.chmod(top, 0o777)
    for mode, after in ((0o6755, 0o755), (0o2745, 0o2745), (0o4644, 0o644)):
        path = top / f"a{mode:o}"
        path.write_bytes(b"x")
        os.chmod(path, mode)
        os.chown(path, USER, GROUP)
        found = path.stat()
        assert (found.st_uid, found.st_gid) == (USER, GROUP)
        assert stat.S_IMODE(found.st_mode) == after
        os.chmod(path, mode)
        MEMBER.does(partial(os.chown, path, -1, OTHER_GROUP))
        found = path.stat()
        assert (found.st_gid, stat.S_IMODE(found.st_mode) & 0o4777) == (OTHER_GROUP, after & 0o777)
        os.chmod(path, mode)
        os.chown(path, -1, -1)
        assert not path.stat().st_mode & stat.S_ISUID
    os.mkdir(top / "d")
    os.chmod(top / "d", 0o2755)
    os.chown(top / "d", USER, GROUP)
    assert stat.S_IMODE((top / "d").stat().st_mode) == 0o2755
    os.symlink("d", top / "link")
    os.lchown(top / "link", USER, OTHER_GROUP)
    assert os.lstat(top / "link").st_gid == OTHER_GROUP
    assert (top / "d").stat().st_gid == GROUP
