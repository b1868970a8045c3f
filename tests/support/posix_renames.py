"""POSIX cases: renames in all their forms."""

# ruff: noqa: S103 - everybody works in these directories

import errno
import os
import stat
from pathlib import Path

from tests.support.posix_case import (
    ALONE,
    MEMBER,
    OUTSIDER,
    PEOPLE,
    case,
    fails_with,
    for_everyone,
    libc_call,
    needs_root,
    opened,
)

_AT_FDCWD = -100
NOREPLACE, EXCHANGE, WHITEOUT = 1, 2, 4


def rename2(old: Path, new: Path, flags: int) -> None:
    """Call renameat2(2)."""
    libc_call("renameat2", _AT_FDCWD, os.fsencode(old), _AT_FDCWD, os.fsencode(new), flags)


@for_everyone
def rename_plain_and_over(top: Path) -> None:
    (top / "a").write_bytes(b"a")
    os.rename(top / "a", top / "b")
    assert not (top / "a").exists()
    (top / "c").write_bytes(b"c")
    number = (top / "b").stat().st_ino
    os.rename(top / "b", top / "c")
    assert (top / "c").read_bytes() == b"a"
    assert (top / "c").stat().st_ino == number
    assert sorted(os.listdir(top)) == ["c"]


@for_everyone
def rename_moves_ctime_alone(top: Path) -> None:
    (top / "a").write_bytes(b"a")
    os.utime(top / "a", ns=(5, 6))
    before = (top / "a").stat()
    os.rename(top / "a", top / "b")
    after = (top / "b").stat()
    assert (after.st_atime_ns, after.st_mtime_ns, after.st_mode) == (5, 6, before.st_mode)
    assert after.st_ctime_ns >= before.st_ctime_ns


@for_everyone
def rename_over_an_open_file(top: Path) -> None:
    (top / "old").write_bytes(b"old")
    (top / "new").write_bytes(b"new")
    with opened(top / "old", os.O_RDWR) as fd:
        os.rename(top / "new", top / "old")
        assert os.pread(fd, 3, 0) == b"old"
        os.pwrite(fd, b"OLD", 0)
        assert os.pread(fd, 3, 0) == b"OLD"
        assert os.fstat(fd).st_nlink == 0
    assert (top / "old").read_bytes() == b"new"


@for_everyone
def rename_of_an_open_file(top: Path) -> None:
    with opened(top / "a", os.O_RDWR | os.O_CREAT) as fd:
        os.write(fd, b"one")
        os.rename(top / "a", top / "b")
        os.write(fd, b"two")
        os.fsync(fd)
        assert (top / "b").read_bytes() == b"onetwo"
        (top / "a").write_bytes(b"another")
        assert os.fstat(fd).st_ino == (top / "b").stat().st_ino != (top / "a").stat().st_ino


@for_everyone
def rename_of_a_parent_with_open_files(top: Path) -> None:
    os.mkdir(top / "pool")
    with opened(top / "pool" / "a", os.O_RDWR | os.O_CREAT) as fd:
        os.write(fd, b"one")
        os.rename(top / "pool", top / "moved")
        os.write(fd, b"two")
        assert os.fstat(fd).st_size == 6
        assert (top / "moved" / "a").read_bytes() == b"onetwo"
    with opened(top / "moved", os.O_RDONLY | os.O_DIRECTORY) as fd:
        os.rename(top / "moved", top / "again")
        with opened("a", os.O_RDONLY, dir_fd=fd) as inner:
            assert os.read(inner, 10) == b"onetwo"
        with opened("b", os.O_WRONLY | os.O_CREAT, dir_fd=fd):
            assert (top / "again" / "b").exists()


@for_everyone
def rename_across_directories(top: Path) -> None:
    os.mkdir(top / "x")
    os.mkdir(top / "y")
    (top / "x" / "a").write_bytes(b"a")
    os.rename(top / "x" / "a", top / "y" / "a")
    assert (top / "y" / "a").read_bytes() == b"a"
    os.rename(top / "x", top / "y" / "x")
    assert sorted(os.listdir(top / "y")) == ["a", "x"]
    assert (top / "y").stat().st_nlink == 3
    assert (top / "y" / "x" / "..").stat().st_ino == (top / "y").stat().st_ino


@for_everyone
def rename_of_a_directory_over_another(top: Path) -> None:
    os.mkdir(top / "d")
    (top / "d" / "a").write_bytes(b"")
    os.mkdir(top / "empty")
    number = (top / "d").stat().st_ino
    links = top.stat().st_nlink
    os.rename(top / "d", top / "empty")
    assert (top / "empty").stat().st_ino == number
    assert os.listdir(top) == ["empty"]
    assert top.stat().st_nlink == links - 1


@for_everyone
def rename_to_the_same_file_does_nothing(top: Path) -> None:
    (top / "a").write_bytes(b"a")
    os.rename(top / "a", top / "a")
    os.link(top / "a", top / "b")
    os.rename(top / "a", top / "b")
    assert sorted(os.listdir(top)) == ["a", "b"]
    assert (top / "a").stat().st_nlink == 2


@for_everyone
def rename_errors(top: Path) -> None:
    os.mkdir(top / "d")
    os.mkdir(top / "full")
    (top / "full" / "a").write_bytes(b"")
    (top / "f").write_bytes(b"")
    with fails_with(errno.ENOENT):
        os.rename(top / "none", top / "x")
    with fails_with(errno.ENOENT):
        os.rename(top / "f", top / "none" / "x")
    with fails_with(errno.ENOTEMPTY):
        os.rename(top / "d", top / "full")
    with fails_with(errno.EISDIR):
        os.rename(top / "f", top / "d")
    with fails_with(errno.ENOTDIR):
        os.rename(top / "d", top / "f")
    with fails_with(errno.ENOTDIR):
        os.rename(top / "f" / "x", top / "y")
    with fails_with(errno.EINVAL):
        os.rename(top / "d", top / "d" / "e")
    with fails_with(errno.EINVAL):
        os.rename(top, top / "d" / "e")
    with fails_with(errno.ENOTEMPTY):
        os.rename(top / "full" / "a", top / "full" / ".." / "full")
    with fails_with(errno.ENOTDIR):
        os.rename(f"{top}/f/", top / "y")
    with fails_with(errno.EBUSY):
        os.rename(f"{top}/d/.", top / "y")
    with fails_with(errno.ENAMETOOLONG):
        os.rename(top / "f", top / ("x" * 256))


@for_everyone
def rename_without_replacing(top: Path) -> None:
    (top / "a").write_bytes(b"a")
    (top / "b").write_bytes(b"b")
    os.mkdir(top / "d")
    for target in ("b", "d", "a"):
        with fails_with(errno.EEXIST):
            rename2(top / "a", top / target, NOREPLACE)
    with fails_with(errno.EEXIST):
        rename2(top / "d", top / "b", NOREPLACE)
    rename2(top / "a", top / "d" / "c", NOREPLACE)
    assert (top / "d" / "c").read_bytes() == b"a"
    assert (top / "b").read_bytes() == b"b"
    rename2(top / "d", top / "e", NOREPLACE)
    assert os.listdir(top / "e") == ["c"]


@for_everyone
def exchange_of_files(top: Path) -> None:
    os.mkdir(top / "d")
    (top / "a").write_bytes(b"a")
    (top / "d" / "b").write_bytes(b"bb")
    with opened(top / "a", os.O_RDWR) as first, opened(top / "d" / "b", os.O_RDWR) as second:
        rename2(top / "a", top / "d" / "b", EXCHANGE)
        assert (top / "a").read_bytes() == b"bb"
        assert (top / "d" / "b").read_bytes() == b"a"
        assert (top / "a").stat().st_ino == os.fstat(second).st_ino
        os.pwrite(first, b"A", 0)
        os.pwrite(second, b"B", 0)
    assert (top / "a").read_bytes() == b"Bb"
    assert (top / "d" / "b").read_bytes() == b"A"


@for_everyone
def exchange_of_file_and_directory(top: Path) -> None:
    os.makedirs(top / "d" / "sub")
    os.mkdir(top / "e")
    (top / "d" / "x").write_bytes(b"x")
    (top / "e" / "f").write_bytes(b"f")
    rename2(top / "d", top / "e" / "f", EXCHANGE)
    assert (top / "d").read_bytes() == b"f"
    assert sorted(os.listdir(top / "e" / "f")) == ["sub", "x"]
    assert (top / "e").stat().st_nlink == 3
    assert (top / "e" / "f" / "..").stat().st_ino == (top / "e").stat().st_ino
    os.mkdir(top / "g")
    rename2(top / "g", top / "e", EXCHANGE)
    assert os.listdir(top / "g") == ["f"]
    assert os.listdir(top / "e") == []


@for_everyone
def exchange_errors(top: Path) -> None:
    os.makedirs(top / "d" / "e")
    (top / "a").write_bytes(b"")
    for old, new in (("a", "none"), ("none", "a")):
        with fails_with(errno.ENOENT):
            rename2(top / old, top / new, EXCHANGE)
    for old, new in (("d", "d/e"), ("d/e", "d")):
        with fails_with(errno.EINVAL, errno.ENOTEMPTY):
            rename2(top / old, top / new, EXCHANGE)
    with fails_with(errno.EINVAL):
        rename2(top / "a", top / "d", EXCHANGE | NOREPLACE)
    with fails_with(errno.EINVAL):
        rename2(top / "a", top / "d", 1 << 10)


@case
def whiteout_is_the_callers(top: Path) -> None:
    needs_root()
    os.chmod(top, 0o777)
    for person in PEOPLE:
        name = top / person.name

        def rename(name: Path = name) -> None:
            name.write_bytes(b"x")
            rename2(name, name.with_suffix(".new"), WHITEOUT)

        person.does(rename)
        found = os.lstat(name)
        assert stat.S_ISCHR(found.st_mode)
        assert found.st_rdev == 0
        assert (found.st_uid, found.st_gid) == (person.uid, person.gid)
        assert name.with_suffix(".new").read_bytes() == b"x"


@case
def rename_needs_both_directories(top: Path) -> None:
    needs_root()
    for name, mode in (("open", 0o777), ("closed", 0o755)):
        os.mkdir(top / name)
        os.chmod(top / name, mode)
        (top / name / "roots").write_bytes(b"")

    def ordinary() -> None:
        for old, new in (("open", "closed"), ("closed", "open")):
            with fails_with(errno.EACCES):
                os.rename(top / old / "roots", top / new / "mine")
            with fails_with(errno.EACCES):
                rename2(top / old / "roots", top / new / "roots", EXCHANGE)
        os.rename(top / "open" / "roots", top / "open" / "mine")

    OUTSIDER.does(ordinary)
    # A directory's ".." changes when it gets another parent, so the directory must be writable too.
    os.mkdir(top / "open" / "roots-own")

    def move_directory() -> None:
        os.mkdir(top / "open" / "sub")
        with fails_with(errno.EACCES):
            os.rename(top / "open" / "roots-own", top / "open" / "sub" / "x")
        os.rename(top / "open" / "roots-own", top / "open" / "renamed")

    ALONE.does(move_directory)


@case
def rename_in_a_sticky_directory(top: Path) -> None:
    needs_root()
    os.mkdir(top / "d")
    os.chmod(top / "d", 0o1777)
    (top / "d" / "roots").write_bytes(b"")

    def others() -> None:
        (top / "d" / "mine").write_bytes(b"")
        with fails_with(errno.EPERM):
            os.rename(top / "d" / "roots", top / "d" / "x")
        with fails_with(errno.EPERM):
            os.rename(top / "d" / "mine", top / "d" / "roots")
        with fails_with(errno.EPERM):
            rename2(top / "d" / "mine", top / "d" / "roots", EXCHANGE)
        os.rename(top / "d" / "mine", top / "d" / "x")

    MEMBER.does(others)
    os.chown(top / "d", OUTSIDER.uid, OUTSIDER.gid)

    def its_owner() -> None:
        os.rename(top / "d" / "roots", top / "d" / "y")
        os.rename(top / "d" / "x", top / "d" / "y")

    OUTSIDER.does(its_owner)
