"""POSIX cases: modes, times and room."""

import errno
import os
import stat
from pathlib import Path

from tests.support.posix_case import (
    ALONE,
    OUTSIDER,
    case,
    fails_with,
    for_everyone,
    libc_call,
    needs_root,
    opened,
    umask,
)

_AT_FDCWD = -100
NOW, OMIT = (1 << 30) - 1, (1 << 30) - 2


def utimens(path: Path, atime: tuple[int, int], mtime: tuple[int, int]) -> None:
    """Call utimensat(2): seconds and nanoseconds, the latter also NOW or OMIT."""
    times = b"".join(n.to_bytes(8, "little", signed=True) for n in (*atime, *mtime))
    libc_call("utimensat", _AT_FDCWD, os.fsencode(path), times, 0)


@for_everyone
def exact_modes(top: Path) -> None:
    with umask(0):
        for mode in (0o600, 0o644, 0o777, 0o4755, 0o2755, 0o1777, 0o400, 0):
            name = top / f"m{mode:o}"
            with opened(name, os.O_WRONLY | os.O_CREAT, mode) as fd:
                assert stat.S_IMODE(os.fstat(fd).st_mode) == mode
            assert stat.S_IMODE(name.stat().st_mode) == mode
            os.mkfifo(top / f"p{mode:o}", mode)
            assert stat.S_IMODE((top / f"p{mode:o}").stat().st_mode) == mode
        os.mkdir(top / "d", 0o1750)
        assert stat.S_IMODE((top / "d").stat().st_mode) == 0o1750


@for_everyone
def umask_is_taken_off(top: Path) -> None:
    for mask in (0, 0o022, 0o027, 0o077, 0o777):
        with umask(mask):
            with opened(top / f"f{mask:o}", os.O_WRONLY | os.O_CREAT, 0o666):
                pass
            os.mkdir(top / f"d{mask:o}", 0o777)
            os.mknod(top / f"n{mask:o}", 0o666)
            os.mkfifo(top / f"p{mask:o}", 0o666)
        for kind, mode in (("f", 0o666), ("d", 0o777), ("n", 0o666), ("p", 0o666)):
            found = os.lstat(top / f"{kind}{mask:o}")
            assert stat.S_IMODE(found.st_mode) == mode & ~mask


@for_everyone
def chmod_changes_ctime_only(top: Path) -> None:
    (top / "a").write_bytes(b"x")
    os.utime(top / "a", ns=(7, 8))
    before = (top / "a").stat()
    os.chmod(top / "a", 0o604)
    after = (top / "a").stat()
    assert stat.S_IMODE(after.st_mode) == 0o604
    assert (after.st_atime_ns, after.st_mtime_ns) == (7, 8)
    assert after.st_ctime_ns >= before.st_ctime_ns
    with opened(top / "a", os.O_RDONLY) as fd:
        os.fchmod(fd, 0o640)
    assert stat.S_IMODE((top / "a").stat().st_mode) == 0o640


@for_everyone
def a_handle_outlives_its_permissions(top: Path) -> None:
    with opened(top / "a", os.O_RDWR | os.O_CREAT, 0o600) as fd:
        os.chmod(top / "a", 0)
        assert os.write(fd, b"still") == 5
        assert os.pread(fd, 5, 0) == b"still"
    with opened(top / "b", os.O_RDWR | os.O_CREAT, 0o444) as fd:
        assert os.write(fd, b"made so") == 7


@for_everyone
def times_in_nanoseconds(top: Path) -> None:
    (top / "a").write_bytes(b"x")
    for atime, mtime in (
        (1_234_567_890_123_456_789, 1_000_000_001_000_000_001),
        (999_999_999, 1),
        (-1_000_000_001, -2_000_000_000),
        (4_102_444_800_000_000_005, 9_000_000_000_000_000_007),
    ):
        os.utime(top / "a", ns=(atime, mtime))
        found = (top / "a").stat()
        assert (found.st_atime_ns, found.st_mtime_ns) == (atime, mtime)
    os.utime(top / "a")
    assert (top / "a").stat().st_mtime_ns > 1_500_000_000_000_000_000
    os.symlink("a", top / "link")
    os.utime(top / "link", ns=(1_000_000_007, 2_000_000_009), follow_symlinks=False)
    assert os.lstat(top / "link").st_mtime_ns == 2_000_000_009
    os.mkdir(top / "d")
    os.utime(top / "d", ns=(3, 4))
    assert (top / "d").stat().st_mtime_ns == 4
    with opened(top / "a", os.O_RDONLY) as fd:
        os.utime(fd, ns=(11, 12))
        assert os.fstat(fd).st_atime_ns == 11


@for_everyone
def times_now_and_left_alone(top: Path) -> None:
    (top / "a").write_bytes(b"x")
    utimens(top / "a", (1, 1), (2, 2))
    utimens(top / "a", (0, OMIT), (3, 3))
    found = (top / "a").stat()
    assert (found.st_atime_ns, found.st_mtime_ns) == (1_000_000_001, 3_000_000_003)
    utimens(top / "a", (4, 4), (0, OMIT))
    found = (top / "a").stat()
    assert (found.st_atime_ns, found.st_mtime_ns) == (4_000_000_004, 3_000_000_003)
    before = found.st_ctime_ns
    utimens(top / "a", (0, OMIT), (0, OMIT))
    assert (top / "a").stat().st_ctime_ns == before
    utimens(top / "a", (0, NOW), (0, OMIT))
    found = (top / "a").stat()
    assert found.st_atime_ns > 1_500_000_000_000_000_000
    assert found.st_mtime_ns == 3_000_000_003
    utimens(top / "a", (5, 5), (0, NOW))
    found = (top / "a").stat()
    assert found.st_atime_ns == 5_000_000_005
    assert found.st_mtime_ns > 1_500_000_000_000_000_000
    with fails_with(errno.EINVAL):
        utimens(top / "a", (0, 1_000_000_000), (0, 0))


@case
def who_may_set_times(top: Path) -> None:
    needs_root()
    for name, mode in (("writable", 0o666), ("readable", 0o644)):
        (top / name).write_bytes(b"")
        os.chmod(top / name, mode)
    new, now, omit = (1, 1), (0, NOW), (0, OMIT)

    def others() -> None:
        utimens(top / "writable", now, now)
        for atime, mtime in ((new, new), (now, omit), (omit, now), (new, omit)):
            with fails_with(errno.EPERM):
                utimens(top / "writable", atime, mtime)
        utimens(top / "readable", omit, omit)
        with fails_with(errno.EACCES):
            utimens(top / "readable", now, now)
        with fails_with(errno.EPERM):
            utimens(top / "readable", new, new)

    OUTSIDER.does(others)
    os.chown(top / "readable", ALONE.uid, ALONE.gid)
    os.chmod(top / "readable", 0)
    # Its owner may, whatever the mode says.
    ALONE.does(lambda: utimens(top / "readable", new, now))


@for_everyone
def writing_advances_mtime(top: Path) -> None:
    (top / "a").write_bytes(b"xyz")
    with opened(top / "a", os.O_WRONLY) as fd:
        for change in (
            lambda: os.write(fd, b"y"),
            lambda: os.pwrite(fd, b"y", 1),
            lambda: os.ftruncate(fd, 1),
            lambda: os.ftruncate(fd, 1),
            lambda: os.truncate(top / "a", 1),
            lambda: os.truncate(top / "a", 9),
            lambda: os.close(os.open(top / "a", os.O_WRONLY | os.O_TRUNC)),
        ):
            os.utime(top / "a", ns=(0, 0))
            ctime = os.fstat(fd).st_ctime_ns
            change()
            found = (top / "a").stat()
            assert found.st_mtime_ns > 1_500_000_000_000_000_000
            assert found.st_atime_ns == 0
            assert found.st_ctime_ns >= ctime
        os.utime(top / "a", ns=(0, 0))
        os.write(fd, b"")
        assert (top / "a").stat().st_mtime_ns == 0
    with opened(top / "a", os.O_RDWR | os.O_CREAT):
        pass
    assert (top / "a").stat().st_mtime_ns == 0


@for_everyone
def chown_to_nobody_new_moves_ctime(top: Path) -> None:
    (top / "a").write_bytes(b"x")
    os.utime(top / "a", ns=(0, 0))
    before = (top / "a").stat()
    while (top / "a").stat().st_ctime_ns == before.st_ctime_ns:
        # The clock of a file system ticks every few milliseconds.
        os.chown(top / "a", -1, -1)
    after = (top / "a").stat()
    assert (after.st_uid, after.st_gid, after.st_mtime_ns) == (before.st_uid, before.st_gid, 0)


@for_everyone
def reading_with_and_without_access_time(top: Path) -> None:
    (top / "a").write_bytes(b"x")
    os.utime(top / "a", ns=(0, 0))
    with opened(top / "a", os.O_RDONLY | os.O_NOATIME) as fd:
        assert os.read(fd, 1) == b"x"
    assert (top / "a").stat().st_atime_ns == 0
    with opened(top / "a", os.O_RDONLY) as fd:
        assert os.read(fd, 1) == b"x"
    # As below: at most once a day with relatime, which this is after 1970.
    assert (top / "a").stat().st_atime_ns > 0


@for_everyone
def statfs_tells_room(top: Path) -> None:
    found = os.statvfs(top)
    assert found.f_blocks > 0
    assert 0 < found.f_bavail <= found.f_bfree <= found.f_blocks
    assert 0 < found.f_ffree <= found.f_files
    assert found.f_namemax == 255
    (top / "a").write_bytes(b"x")
    with opened(top / "a", os.O_RDONLY) as fd:
        assert os.fstatvfs(fd).f_blocks == found.f_blocks


@for_everyone
def blocks_and_sizes(top: Path) -> None:
    (top / "a").write_bytes(bytes(100_000))
    os.sync()
    found = (top / "a").stat()
    assert found.st_size == 100_000
    assert 100_000 <= found.st_blocks * 512 < 200_000
    assert found.st_blksize == top.stat().st_blksize == 4096
