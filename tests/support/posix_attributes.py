"""POSIX cases: modes, owners, times, room, and who may do what."""

# ruff: noqa: S103 - permissions are what these cases are about

import errno
import os
import stat
from pathlib import Path

from tests.support.posix_case import (
    GROUP,
    OTHER_GROUP,
    USER,
    as_user,
    case,
    fails_with,
    needs_root,
    opened,
    umask,
)


@case
def exact_modes(top: Path) -> None:
    with umask(0):
        for mode in (0o600, 0o644, 0o777, 0o4755, 0o2755, 0o1777, 0o400, 0):
            name = top / f"m{mode:o}"
            with opened(name, os.O_WRONLY | os.O_CREAT, mode) as fd:
                assert stat.S_IMODE(os.fstat(fd).st_mode) == mode
            assert stat.S_IMODE(name.stat().st_mode) == mode
        os.mkdir(top / "d", 0o1750)
        assert stat.S_IMODE((top / "d").stat().st_mode) == 0o1750
    with umask(0o027):
        with opened(top / "masked", os.O_WRONLY | os.O_CREAT, 0o666):
            pass
        assert stat.S_IMODE((top / "masked").stat().st_mode) == 0o640


@case
def chmod_changes_ctime_only(top: Path) -> None:
    (top / "a").write_bytes(b"x")
    before = (top / "a").stat()
    os.chmod(top / "a", 0o604)
    after = (top / "a").stat()
    assert stat.S_IMODE(after.st_mode) == 0o604
    assert after.st_mtime_ns == before.st_mtime_ns
    assert after.st_ctime_ns >= before.st_ctime_ns


@case
def times_in_nanoseconds(top: Path) -> None:
    (top / "a").write_bytes(b"x")
    os.utime(top / "a", ns=(1_234_567_890_123_456_789, 1_000_000_001_000_000_001))
    found = (top / "a").stat()
    assert found.st_atime_ns == 1_234_567_890_123_456_789
    assert found.st_mtime_ns == 1_000_000_001_000_000_001
    os.utime(top / "a")
    assert (top / "a").stat().st_mtime_ns > 1_500_000_000_000_000_000
    os.symlink("a", top / "link")
    os.utime(top / "link", ns=(1_000_000_007, 2_000_000_009), follow_symlinks=False)
    assert os.lstat(top / "link").st_mtime_ns == 2_000_000_009


@case
def writing_advances_mtime(top: Path) -> None:
    (top / "a").write_bytes(b"x")
    os.utime(top / "a", ns=(0, 0))
    with opened(top / "a", os.O_WRONLY) as fd:
        os.write(fd, b"y")
    assert (top / "a").stat().st_mtime_ns > 0
    os.utime(top / "a", ns=(0, 0))
    os.truncate(top / "a", 0)
    assert (top / "a").stat().st_mtime_ns > 0


@case
def statfs_tells_room(top: Path) -> None:
    found = os.statvfs(top)
    assert found.f_blocks > 0
    assert 0 < found.f_bavail <= found.f_bfree <= found.f_blocks
    assert found.f_namemax == 255


@case
def access_follows_permissions(top: Path) -> None:
    needs_root()
    os.chmod(top, 0o755)
    (top / "secret").write_bytes(b"x")
    os.chmod(top / "secret", 0o600)
    (top / "shared").write_bytes(b"x")
    os.chown(top / "shared", 0, OTHER_GROUP)
    os.chmod(top / "shared", 0o640)

    def stranger() -> None:
        with fails_with(errno.EACCES):
            os.open(top / "secret", os.O_RDONLY)
        with fails_with(errno.EACCES):
            os.open(top / "shared", os.O_RDONLY)
        with fails_with(errno.EACCES):
            os.open(top / "new", os.O_WRONLY | os.O_CREAT)
        with fails_with(errno.EPERM):
            os.chmod(top / "shared", 0o777)

    def member() -> None:
        assert (top / "shared").read_bytes() == b"x"
        with fails_with(errno.EACCES):
            os.open(top / "shared", os.O_WRONLY)

    as_user(stranger)
    as_user(member, groups=[OTHER_GROUP])


@case
def new_things_belong_to_their_maker(top: Path) -> None:
    needs_root()
    os.chmod(top, 0o777)

    def make() -> None:
        with umask(0o022):
            with opened(top / "file", os.O_WRONLY | os.O_CREAT, 0o444) as fd:
                os.write(fd, b"x")
            os.mkdir(top / "dir", 0o755)
            os.symlink("file", top / "link")
            os.mkfifo(top / "fifo")

    as_user(make)
    for name in ("file", "dir", "link", "fifo"):
        found = os.lstat(top / name)
        assert (found.st_uid, found.st_gid) == (USER, GROUP), name
    assert stat.S_IMODE((top / "file").stat().st_mode) == 0o444


@case
def set_group_id_directory_gives_its_group(top: Path) -> None:
    needs_root()
    os.mkdir(top / "d")
    os.chown(top / "d", 0, OTHER_GROUP)
    os.chmod(top / "d", 0o2777)

    def make() -> None:
        (top / "d" / "file").write_bytes(b"x")
        os.mkdir(top / "d" / "sub")
        with opened(top / "d" / "sg", os.O_WRONLY | os.O_CREAT, 0o2777):
            pass

    as_user(make)
    assert (top / "d" / "file").stat().st_gid == OTHER_GROUP
    assert (top / "d" / "sub").stat().st_gid == OTHER_GROUP
    assert (top / "d" / "sub").stat().st_mode & stat.S_ISGID
    assert not (top / "d" / "sg").stat().st_mode & stat.S_ISGID


@case
def supplementary_group_may_create(top: Path) -> None:
    needs_root()
    os.mkdir(top / "d")
    os.chown(top / "d", 0, OTHER_GROUP)
    os.chmod(top / "d", 0o770)

    def make() -> None:
        (top / "d" / "file").write_bytes(b"x")

    as_user(make, groups=[OTHER_GROUP])
    found = (top / "d" / "file").stat()
    assert (found.st_uid, found.st_gid) == (USER, GROUP)


@case
def writing_clears_set_id_bits(top: Path) -> None:
    needs_root()
    os.chmod(top, 0o777)

    def write() -> None:
        (top / "a").write_bytes(b"x")
        os.chmod(top / "a", 0o6755)
        with opened(top / "a", os.O_WRONLY) as fd:
            os.write(fd, b"y")

    as_user(write)
    assert stat.S_IMODE((top / "a").stat().st_mode) == 0o755

    def truncate() -> None:
        os.chmod(top / "a", 0o6755)
        os.truncate(top / "a", 0)

    as_user(truncate)
    assert stat.S_IMODE((top / "a").stat().st_mode) == 0o755

    def truncate_on_open() -> None:
        os.chmod(top / "a", 0o6755)
        with opened(top / "a", os.O_WRONLY | os.O_TRUNC):
            pass

    as_user(truncate_on_open)
    assert stat.S_IMODE((top / "a").stat().st_mode) == 0o755


@case
def chown_clears_set_id_bits(top: Path) -> None:
    needs_root()
    (top / "a").write_bytes(b"x")
    os.chmod(top / "a", 0o6755)
    os.chown(top / "a", USER, GROUP)
    found = (top / "a").stat()
    assert (found.st_uid, found.st_gid) == (USER, GROUP)
    assert stat.S_IMODE(found.st_mode) == 0o755
    os.symlink("a", top / "link")
    os.lchown(top / "link", USER, OTHER_GROUP)
    assert os.lstat(top / "link").st_gid == OTHER_GROUP
    assert (top / "a").stat().st_gid == GROUP


@case
def sticky_directory(top: Path) -> None:
    needs_root()
    os.mkdir(top / "d")
    os.chmod(top / "d", 0o1777)
    (top / "d" / "roots").write_bytes(b"x")

    def stranger() -> None:
        with fails_with(errno.EPERM):
            os.unlink(top / "d" / "roots")
        (top / "d" / "mine").write_bytes(b"x")
        os.unlink(top / "d" / "mine")

    as_user(stranger)
