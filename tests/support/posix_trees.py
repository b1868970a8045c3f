"""POSIX cases: directories, their links and times, and the working directory."""

import errno
import os
import subprocess
from pathlib import Path

from tests.support.posix_case import (
    ALONE,
    apart,
    case,
    fails_with,
    for_everyone,
    needs_root,
    opened,
)


@for_everyone
def directories(top: Path) -> None:
    os.makedirs(top / "x" / "y")
    assert (top / "x").stat().st_nlink == 3
    with fails_with(errno.ENOTEMPTY):
        os.rmdir(top / "x")
    with fails_with(errno.EISDIR):
        os.unlink(top / "x")
    with fails_with(errno.EEXIST):
        os.mkdir(top / "x")
    os.rmdir(top / "x" / "y")
    assert (top / "x").stat().st_nlink == 2
    os.rmdir(top / "x")
    with fails_with(errno.ENOENT):
        os.listdir(top / "x")
    (top / "f").write_bytes(b"")
    with fails_with(errno.ENOTDIR):
        os.rmdir(top / "f")
    with fails_with(errno.EEXIST):
        os.mkdir(top / "f")
    with fails_with(errno.EINVAL):
        os.rmdir(f"{top}/.")
    with fails_with(errno.ENOTEMPTY):
        os.rmdir(f"{top}/..")


@for_everyone
def directories_are_not_files(top: Path) -> None:
    os.mkdir(top / "d")
    for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_CREAT, os.O_RDONLY | os.O_CREAT):
        with fails_with(errno.EISDIR):
            os.open(top / "d", flags)
    with fails_with(errno.EISDIR):
        os.truncate(top / "d", 0)
    with opened(top / "d", os.O_RDONLY) as fd:
        with fails_with(errno.EISDIR):
            os.read(fd, 1)
        with fails_with(errno.EINVAL):
            os.ftruncate(fd, 0)
        with fails_with(errno.EBADF):
            os.write(fd, b"x")
    (top / "f").write_bytes(b"")
    for flags in (os.O_RDONLY, os.O_PATH):
        with fails_with(errno.ENOTDIR):
            os.open(top / "f", flags | os.O_DIRECTORY)


@for_everyone
def links_and_times_of_a_directory(top: Path) -> None:
    inside = top / "d"
    os.mkdir(inside)
    for change in (
        lambda: (inside / "a").write_bytes(b""),
        lambda: os.link(inside / "a", inside / "b"),
        lambda: os.rename(inside / "b", inside / "c"),
        lambda: os.unlink(inside / "c"),
        lambda: os.mkdir(inside / "e"),
        lambda: os.symlink("a", inside / "l"),
        lambda: os.rmdir(inside / "e"),
        lambda: os.rename(inside / "a", top / "a"),
    ):
        os.utime(inside, ns=(0, 0))
        change()
        assert inside.stat().st_mtime_ns > 0
        assert inside.stat().st_nlink == 2 + (inside / "e").is_dir()


@for_everyone
def listing_has_dots_and_right_numbers(top: Path) -> None:
    os.mkdir(top / "d")
    (top / "d" / "a").write_bytes(b"")
    os.mkdir(top / "d" / "sub")
    with os.scandir(top / "d") as entries:
        found = {entry.name: entry for entry in entries}
    assert found.keys() == {"a", "sub"}
    assert found["a"].is_file()
    assert found["sub"].is_dir()
    for entry in found.values():
        assert entry.inode() == os.stat(entry.path).st_ino
    ended = subprocess.run(["ls", "-ai", top / "d"], capture_output=True, text=True, check=True)
    listed = {name: int(number) for number, name in map(str.split, ended.stdout.splitlines())}
    assert listed.keys() == {".", "..", "a", "sub"}
    assert listed["."] == (top / "d").stat().st_ino
    assert listed[".."] == top.stat().st_ino


@for_everyone
def big_directory(top: Path) -> None:
    names = {f"{n:05}.x" for n in range(400)}
    for name in names:
        os.mknod(top / name, 0o600)
    assert set(os.listdir(top)) == names
    for name in sorted(names)[:150]:
        os.unlink(top / name)
    assert len(os.listdir(top)) == 250


@for_everyone
def listing_while_entries_go(top: Path) -> None:
    for n in range(200):
        os.mknod(top / f"{n}.x", 0o600)
    seen = 0
    with os.scandir(top) as entries:
        for entry in entries:
            os.unlink(entry.path)
            seen += 1
    assert seen == 200
    assert os.listdir(top) == []


@for_everyone
def removed_working_directory(top: Path) -> None:
    os.mkdir(top / "d")

    def stand_in_it() -> None:
        os.chdir(top / "d")
        with opened(".", os.O_RDONLY | os.O_DIRECTORY) as fd:
            os.rmdir(top / "d")
            assert os.stat(".").st_nlink == os.fstat(fd).st_nlink == 0
            with fails_with(errno.ENOENT):
                os.getcwd()
            with fails_with(errno.ENOENT):
                os.open("x", os.O_WRONLY | os.O_CREAT)
            with fails_with(errno.ENOENT):
                os.mkdir("x")
            assert os.listdir(fd) == []
            os.mkdir(top / "d")
            assert os.fstat(fd).st_ino != (top / "d").stat().st_ino

    apart(stand_in_it)


@for_everyone
def working_directory_that_moves(top: Path) -> None:
    os.makedirs(top / "x" / "d")
    os.mkdir(top / "y")

    def stand_in_it() -> None:
        os.chdir(top / "x" / "d")
        os.rename(top / "x" / "d", top / "y" / "e")
        assert Path.cwd() == top / "y" / "e"
        Path("a").write_bytes(b"here")
        assert os.path.samefile("..", top / "y")

    apart(stand_in_it)
    assert (top / "y" / "e" / "a").read_bytes() == b"here"


@case
def directories_ask_for_permission(top: Path) -> None:
    needs_root()
    os.mkdir(top / "shut")
    os.chmod(top / "shut", 0o733)  # noqa: S103 - written and passed, not read
    (top / "shut" / "roots").write_bytes(b"")

    def ordinary() -> None:
        with fails_with(errno.EACCES):
            os.listdir(top / "shut")
        os.mkdir(top / "shut" / "mine")
        os.rmdir(top / "shut" / "mine")
        os.unlink(top / "shut" / "roots")
        for make in (os.mkdir, os.mkfifo):
            with fails_with(errno.EACCES):
                make(top / "x")
        with fails_with(errno.EACCES):
            os.symlink("x", top / "x")
        with fails_with(errno.EACCES):
            os.rmdir(top / "shut")

    ALONE.does(ordinary)
