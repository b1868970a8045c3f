"""POSIX cases: names, hard and symbolic links, paths."""

# ruff: noqa: S103 - everybody works in these directories

import errno
import os
import stat
from pathlib import Path

from tests.support.posix_case import (
    ALONE,
    OUTSIDER,
    PEOPLE,
    apart,
    case,
    fails_with,
    for_everyone,
    libc_call,
    needs_root,
    opened,
    sysctl,
)

_AT_FDCWD = -100
_AT_SYMLINK_FOLLOW = 0x400


@for_everyone
def hard_links(top: Path) -> None:
    (top / "a").write_bytes(b"one")
    os.link(top / "a", top / "b")
    assert (top / "a").stat().st_nlink == 2
    assert (top / "a").stat().st_ino == (top / "b").stat().st_ino
    (top / "b").write_bytes(b"two")
    assert (top / "a").read_bytes() == b"two"
    os.chmod(top / "a", 0o600)
    assert stat.S_IMODE((top / "b").stat().st_mode) == 0o600
    with opened(top / "a", os.O_RDWR) as fd:
        os.unlink(top / "a")
        assert os.fstat(fd).st_nlink == 1
        os.pwrite(fd, b"TWO", 0)
    assert (top / "b").stat().st_nlink == 1
    assert (top / "b").read_bytes() == b"TWO"


@for_everyone
def a_place_stays_the_same_file_whichever_of_its_names_goes(top: Path) -> None:
    (top / "a").write_bytes(b"one")
    os.link(top / "a", top / "b")
    with opened(top / "a", os.O_PATH) as place:
        os.unlink(top / "b")
        assert os.fstat(place).st_nlink == 1
        assert (top / "a").read_bytes() == b"one"
        assert os.fstat(place).st_nlink == 1
        os.link(top / "a", top / "b")
        os.unlink(top / "a")
        os.unlink(top / "b")
        # Its number is free below, if nobody keeps the file.
        (top / "a").write_bytes(b"two")
        (top / "b").write_bytes(b"two")
        assert Path(f"/proc/self/fd/{place}").read_bytes() == b"one"
        assert os.fstat(place).st_nlink == 0


@for_everyone
def hard_link_errors(top: Path) -> None:
    (top / "a").write_bytes(b"")
    os.mkdir(top / "d")
    for name in ("a", "d"):
        with fails_with(errno.EEXIST):
            os.link(top / "a", top / name)
    with fails_with(errno.EPERM):
        os.link(top / "d", top / "e")
    with fails_with(errno.ENOENT):
        os.link(top / "none", top / "e")
    with fails_with(errno.ENOTDIR):
        os.link(top / "a", top / "a" / "e")
    assert (top / "a").stat().st_nlink == 1


@for_everyone
def link_of_an_open_file(top: Path) -> None:
    with opened(top / "a", os.O_RDWR | os.O_CREAT) as fd:
        os.write(fd, b"open")
        link_descriptor(fd, top / "b")
        assert (top / "b").read_bytes() == b"open"
        assert os.fstat(fd).st_nlink == 2
        os.unlink(top / "a")
        os.unlink(top / "b")
        with fails_with(errno.ENOENT):
            link_descriptor(fd, top / "c")


def link_descriptor(fd: int, name: Path) -> None:
    """Name an open file, as linkat(2) describes; os.link does not follow there."""
    source = f"/proc/self/fd/{fd}".encode()
    libc_call("linkat", _AT_FDCWD, source, _AT_FDCWD, os.fsencode(name), _AT_SYMLINK_FOLLOW)


@for_everyone
def link_to_a_symbolic_link(top: Path) -> None:
    os.symlink("a", top / "link")
    os.link(top / "link", top / "other", follow_symlinks=False)
    assert os.readlink(top / "other") == "a"
    assert os.lstat(top / "other").st_nlink == 2


@case
def links_keep_their_owner_and_are_not_for_strangers(top: Path) -> None:
    needs_root()
    os.chmod(top, 0o777)
    (top / "roots").write_bytes(b"x")
    os.chmod(top / "roots", 0o644)
    protected = sysctl("fs.protected_hardlinks")
    for person in PEOPLE:

        def link(name: str = person.name, mine: bool = person.uid == 0) -> None:
            (top / f"{name}-own").write_bytes(b"")
            os.link(top / f"{name}-own", top / f"{name}-linked")
            if mine or not protected:
                os.link(top / "roots", top / f"{name}-roots")
                return
            with fails_with(errno.EPERM):
                os.link(top / "roots", top / f"{name}-roots")

        person.does(link)
        assert (top / f"{person.name}-linked").stat().st_uid == person.uid
    os.chmod(top / "roots", 0o666)
    # Whoever may read and write a file may link it.
    OUTSIDER.does(lambda: os.link(top / "roots", top / "outsiders"))
    assert (top / "outsiders").stat().st_uid == 0


@for_everyone
def symbolic_links(top: Path) -> None:
    (top / "a").write_bytes(b"target")
    os.symlink("a", top / "link")
    assert os.readlink(top / "link") == "a"
    assert (top / "link").read_bytes() == b"target"
    assert stat.S_ISLNK(os.lstat(top / "link").st_mode)
    assert stat.S_IMODE(os.lstat(top / "link").st_mode) == 0o777
    with fails_with(errno.ELOOP):
        os.open(top / "link", os.O_RDONLY | os.O_NOFOLLOW)
    os.symlink("nowhere", top / "dangling")
    assert not (top / "dangling").exists()
    assert os.lstat(top / "dangling").st_size == 7
    with fails_with(errno.EEXIST):
        os.open(top / "dangling", os.O_WRONLY | os.O_CREAT | os.O_EXCL)
    with opened(top / "dangling", os.O_WRONLY | os.O_CREAT):
        assert (top / "nowhere").exists()
    os.rename(top / "link", top / "other")
    assert os.readlink(top / "other") == "a"
    with fails_with(errno.EINVAL):
        os.readlink(top / "a")
    with fails_with(errno.EEXIST):
        os.symlink("x", top / "other")


@for_everyone
def symbolic_links_of_any_length(top: Path) -> None:
    for length in (1, 59, 60, 1000, 4095):
        os.symlink("x" * length, top / f"l{length}")
        assert os.readlink(top / f"l{length}") == "x" * length
        assert os.lstat(top / f"l{length}").st_size == length
    with fails_with(errno.ENAMETOOLONG):
        os.symlink("x" * 4096, top / "longer")
    with fails_with(errno.ENOENT):
        os.symlink("", top / "empty")
    for name, target in (("round", "about"), ("about", "round")):
        os.symlink(target, top / name)
    with fails_with(errno.ELOOP):
        os.stat(top / "round")


@for_everyone
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
        os.rename(base + b"/" + name, base + b"/" + name[:-1] + b"\xfd")
        os.link(base + b"/" + name[:-1] + b"\xfd", base + b"/" + name[:-1] + b"\xfc")
    (top / "really (deleted)").write_bytes(b"no")
    assert (top / "really (deleted)").read_bytes() == b"no"


@for_everyone
def names_that_are_too_long(top: Path) -> None:
    name = top / ("x" * 256)
    (top / "a").write_bytes(b"")
    with fails_with(errno.ENAMETOOLONG):
        os.stat(name)
    with fails_with(errno.ENAMETOOLONG):
        os.open(name, os.O_WRONLY | os.O_CREAT)
    for make in (os.mkdir, os.mkfifo, os.unlink, os.rmdir):
        with fails_with(errno.ENAMETOOLONG):
            make(name)
    with fails_with(errno.ENAMETOOLONG):
        os.link(top / "a", name)
    with fails_with(errno.ENAMETOOLONG):
        os.symlink("a", name)


@for_everyone
def paths_up_to_the_limit(top: Path) -> None:
    """A path has at most 4,095 bytes (PATH_MAX counts the NUL)."""

    def build() -> None:
        length = len(os.fsencode(top))
        os.chdir(top)
        # Leaves room for a last name of 100 to 201 bytes.
        while 4095 - length > 202:
            os.mkdir("d" * 100)
            os.chdir("d" * 100)
            length += 101
        path = os.fsencode(top) + b"".join(
            b"/" + b"d" * 100 for _ in range((length - len(os.fsencode(top))) // 101)
        )
        last = 4095 - length - 1
        with open(path + b"/" + b"f" * last, "wb") as file:
            file.write(b"far")
        assert os.stat(path + b"/" + b"f" * last).st_size == 3
        assert os.stat("f" * last).st_size == 3
        with fails_with(errno.ENAMETOOLONG):
            os.stat(path + b"/" + b"f" * (last + 1))
        with fails_with(errno.ENAMETOOLONG):
            os.open(path + b"/" + b"f" * (last + 1), os.O_WRONLY | os.O_CREAT)

    apart(build)


@for_everyone
def trees_deeper_than_paths(top: Path) -> None:
    here = os.open(top, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(30):
        os.mkdir("d" * 200, dir_fd=here)
        inner = os.open("d" * 200, os.O_RDONLY | os.O_DIRECTORY, dir_fd=here)
        os.close(here)
        here = inner
    fd = os.open("leaf", os.O_RDWR | os.O_CREAT, 0o644, dir_fd=here)
    assert os.write(fd, b"deep") == 4
    assert os.stat("leaf", dir_fd=here).st_size == 4
    os.rename("leaf", "renamed", src_dir_fd=here, dst_dir_fd=here)
    os.ftruncate(fd, 2)
    os.fsync(fd)
    assert os.stat("renamed", dir_fd=here).st_size == 2
    os.close(fd)
    os.unlink("renamed", dir_fd=here)
    os.close(here)


@for_everyone
def path_errors(top: Path) -> None:
    (top / "f").write_bytes(b"")
    for path in ("f/x", "f/", "f/.."):
        with fails_with(errno.ENOTDIR):
            os.stat(f"{top}/{path}")
    with fails_with(errno.ENOENT):
        os.stat(top / "none" / "x")
    with fails_with(errno.ENOENT):
        os.unlink(top / "none")
    with fails_with(errno.EISDIR):
        os.open(f"{top}/new/", os.O_WRONLY | os.O_CREAT)
    with fails_with(errno.ENOTDIR):
        os.unlink(f"{top}/f/")


@case
def search_permission(top: Path) -> None:
    needs_root()
    os.makedirs(top / "d" / "e")
    (top / "d" / "e" / "f").write_bytes(b"x")
    os.chmod(top / "d", 0o711)
    os.chmod(top / "d" / "e", 0o700)

    def ordinary() -> None:
        with fails_with(errno.EACCES):
            os.listdir(top / "d")
        assert stat.S_ISDIR((top / "d" / "e").stat().st_mode)
        for name in ("f", "none"):
            with fails_with(errno.EACCES):
                os.stat(top / "d" / "e" / name)
        with fails_with(errno.EACCES):
            os.chdir(top / "d" / "e")

    ALONE.does(ordinary)
