"""POSIX cases: names, directories, links and renames."""

import errno
import os
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.posix_case import (
    case,
    fails_with,
    opened,
)


@case
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


@case
def rename_over_an_open_file(top: Path) -> None:
    (top / "old").write_bytes(b"old")
    (top / "new").write_bytes(b"new")
    with opened(top / "old", os.O_RDWR) as fd:
        os.rename(top / "new", top / "old")
        assert os.pread(fd, 3, 0) == b"old"
        os.pwrite(fd, b"OLD", 0)
    assert (top / "old").read_bytes() == b"new"


@case
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
        with _open_at("a", fd) as inner:
            assert os.read(inner, 10) == b"onetwo"


@contextmanager
def _open_at(name: str, directory: int) -> Iterator[int]:
    fd = os.open(name, os.O_RDONLY, dir_fd=directory)
    try:
        yield fd
    finally:
        os.close(fd)


@case
def rename_across_directories(top: Path) -> None:
    os.mkdir(top / "x")
    os.mkdir(top / "y")
    (top / "x" / "a").write_bytes(b"a")
    os.rename(top / "x" / "a", top / "y" / "a")
    assert (top / "y" / "a").read_bytes() == b"a"
    os.rename(top / "x", top / "y" / "x")
    assert sorted(os.listdir(top / "y")) == ["a", "x"]
    assert (top / "y").stat().st_nlink == 3


@case
def rename_errors(top: Path) -> None:
    os.mkdir(top / "d")
    os.mkdir(top / "full")
    (top / "full" / "a").write_bytes(b"")
    (top / "f").write_bytes(b"")
    with fails_with(errno.ENOENT):
        os.rename(top / "none", top / "x")
    with fails_with(errno.ENOTEMPTY):
        os.rename(top / "d", top / "full")
    with fails_with(errno.EISDIR):
        os.rename(top / "f", top / "d")
    with fails_with(errno.ENOTDIR):
        os.rename(top / "d", top / "f")
    with fails_with(errno.EINVAL):
        os.rename(top / "d", top / "d" / "e")


@case
def hard_links(top: Path) -> None:
    (top / "a").write_bytes(b"one")
    os.link(top / "a", top / "b")
    assert (top / "a").stat().st_nlink == 2
    assert (top / "a").stat().st_ino == (top / "b").stat().st_ino
    (top / "b").write_bytes(b"two")
    assert (top / "a").read_bytes() == b"two"
    os.unlink(top / "a")
    assert (top / "b").stat().st_nlink == 1
    assert (top / "b").read_bytes() == b"two"
    with fails_with(errno.EEXIST):
        os.mkdir(top / "d")
        os.link(top / "b", top / "d")


@case
def symbolic_links(top: Path) -> None:
    (top / "a").write_bytes(b"target")
    os.symlink("a", top / "link")
    assert os.readlink(top / "link") == "a"
    assert (top / "link").read_bytes() == b"target"
    assert stat.S_ISLNK(os.lstat(top / "link").st_mode)
    with fails_with(errno.ELOOP):
        os.open(top / "link", os.O_RDONLY | os.O_NOFOLLOW)
    os.symlink("nowhere", top / "dangling")
    assert not (top / "dangling").exists()
    assert os.lstat(top / "dangling").st_size == 7
    os.rename(top / "link", top / "other")
    assert os.readlink(top / "other") == "a"


@case
def directories(top: Path) -> None:
    os.makedirs(top / "x" / "y")
    assert (top / "x").stat().st_nlink == 3
    with fails_with(errno.ENOTEMPTY):
        os.rmdir(top / "x")
    with fails_with(errno.EISDIR):
        os.unlink(top / "x")
    os.rmdir(top / "x" / "y")
    os.rmdir(top / "x")
    with fails_with(errno.ENOENT):
        os.listdir(top / "x")
    (top / "f").write_bytes(b"")
    with fails_with(errno.ENOTDIR):
        os.rmdir(top / "f")
    with fails_with(errno.ENOTDIR):
        os.stat(top / "f" / "x")


@case
def listing_has_dots_and_right_numbers(top: Path) -> None:
    os.mkdir(top / "d")
    (top / "d" / "a").write_bytes(b"")
    with os.scandir(top / "d") as entries:
        for entry in entries:
            assert entry.inode() == entry.stat(follow_symlinks=False).st_ino
            assert entry.is_file()
    names = subprocess_ls(top / "d")
    assert names == [".", "..", "a"]


def subprocess_ls(directory: Path) -> list[str]:
    """List a directory with its dots, which Python leaves out."""
    ended = subprocess.run(["ls", "-a", directory], capture_output=True, text=True, check=True)
    return sorted(ended.stdout.split())


@case
def big_directory(top: Path) -> None:
    names = {f"X{n:05}" for n in range(1000)}
    for name in names:
        with opened(top / name, os.O_WRONLY | os.O_CREAT):
            pass
    assert set(os.listdir(top)) == names
    for name in list(names)[:300]:
        os.unlink(top / name)
    assert len(os.listdir(top)) == 700


@case
def listing_while_entries_go(top: Path) -> None:
    for n in range(300):
        (top / f"f{n}").write_bytes(b"")
    seen = 0
    with os.scandir(top) as entries:
        for entry in entries:
            os.unlink(entry.path)
            seen += 1
    assert seen == 300
    assert os.listdir(top) == []


@case
def strange_names(top: Path) -> None:
    names = [b"caf\xe9", b"\xff\xfe", b"new\nline", b" blank ", "grün".encode(), b"x" * 255]
    base = os.fsencode(top)
    for name in names:
        with open(base + b"/" + name, "wb") as file:
            file.write(name)
    assert sorted(os.listdir(base)) == sorted(names)
    for name in names:
        with open(base + b"/" + name, "rb") as file:
            assert file.read() == name
    with fails_with(errno.ENAMETOOLONG):
        os.stat(base + b"/" + b"x" * 256)
    (top / "really (deleted)").write_bytes(b"no")
    assert (top / "really (deleted)").read_bytes() == b"no"


@case
def deep_paths(top: Path) -> None:
    here = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=here)
        inner = os.open("d" * 200, os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = inner
    fd = os.open("leaf", os.O_RDWR | os.O_CREAT, 0o644, dir_fd=here)
    assert os.write(fd, b"deep") == 4
    assert os.stat("leaf", dir_fd=here).st_size == 4
    os.close(fd)
    os.unlink("leaf", dir_fd=here)
    os.close(here)


@case
def special_files(top: Path) -> None:
    os.mkfifo(top / "fifo", 0o600)
    assert stat.S_ISFIFO((top / "fifo").stat().st_mode)
    with opened(top / "fifo", os.O_RDWR) as fd:
        os.write(fd, b"through")
        assert os.read(fd, 10) == b"through"
