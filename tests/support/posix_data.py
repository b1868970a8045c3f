"""POSIX cases: the bytes of files, through descriptors."""

import errno
import fcntl
import mmap
import os
import threading
from pathlib import Path

from tests.support.posix_case import (
    as_user,
    case,
    fails_with,
    for_everyone,
    may_be_refused,
    opened,
)


@for_everyone
def write_and_read(top: Path) -> None:
    (top / "a").write_bytes(b"hello")
    assert (top / "a").read_bytes() == b"hello"
    assert (top / "a").stat().st_size == 5


@case
def tape_blocks(top: Path) -> None:
    blocks = [bytes([n]) * 57_344 for n in range(64)]
    with opened(top / "a", os.O_WRONLY | os.O_CREAT) as fd:
        for block in blocks:
            assert os.write(fd, block) == len(block)
    with opened(top / "a", os.O_RDONLY) as fd:
        for block in blocks:
            assert os.read(fd, len(block)) == block
        assert os.read(fd, 1) == b""


@case
def large_writes(top: Path) -> None:
    data = os.urandom(5 * 1024 * 1024 + 13)
    (top / "a").write_bytes(data)
    assert (top / "a").read_bytes() == data


@for_everyone
def append(top: Path) -> None:
    (top / "a").write_bytes(b"one")
    with opened(top / "a", os.O_WRONLY | os.O_APPEND) as fd:
        os.write(fd, b"two")
        os.lseek(fd, 0, os.SEEK_SET)
        os.write(fd, b"three")
    assert (top / "a").read_bytes() == b"onetwothree"


@for_everyone
def two_appenders(top: Path) -> None:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    with opened(top / "a", flags) as first, opened(top / "a", flags) as second:
        for _ in range(20):
            os.write(first, b"1")
            os.write(second, b"2")
    assert (top / "a").read_bytes() == b"12" * 20


@for_everyone
def positioned_io(top: Path) -> None:
    with opened(top / "a", os.O_RDWR | os.O_CREAT) as fd:
        os.pwrite(fd, b"world", 6)
        os.pwrite(fd, b"hello ", 0)
        assert os.pread(fd, 5, 6) == b"world"
        assert os.pread(fd, 100, 8) == b"rld"
        assert os.pread(fd, 1, 11) == b""


@for_everyone
def truncate_by_path_and_descriptor(top: Path) -> None:
    (top / "a").write_bytes(b"0123456789")
    os.truncate(top / "a", 4)
    assert (top / "a").read_bytes() == b"0123"
    with opened(top / "a", os.O_RDWR) as fd:
        os.ftruncate(fd, 8)
        assert os.pread(fd, 10, 0) == b"0123\0\0\0\0"
    assert (top / "a").stat().st_size == 8


@for_everyone
def truncate_on_open(top: Path) -> None:
    (top / "a").write_bytes(b"0123456789")
    with opened(top / "a", os.O_WRONLY | os.O_TRUNC) as fd:
        assert os.fstat(fd).st_size == 0
        os.write(fd, b"x")
    assert (top / "a").read_bytes() == b"x"
    with opened(top / "a", os.O_RDONLY | os.O_TRUNC):
        pass
    assert (top / "a").stat().st_size == 0


@for_everyone
def exclusive_create(top: Path) -> None:
    with opened(top / "a", os.O_WRONLY | os.O_CREAT | os.O_EXCL):
        pass
    with fails_with(errno.EEXIST):
        os.open(top / "a", os.O_WRONLY | os.O_CREAT | os.O_EXCL)


@for_everyone
def reader_beside_writer(top: Path) -> None:
    with opened(top / "a", os.O_WRONLY | os.O_CREAT) as writer, opened(top / "a", 0) as reader:
        for n in range(10):
            os.write(writer, b"%d" % n)
            assert os.pread(reader, 1, n) == b"%d" % n
        with fails_with(errno.EBADF):
            os.write(reader, b"x")
        with fails_with(errno.EBADF):
            os.read(writer, 1)


@for_everyone
def unlink_while_open(top: Path) -> None:
    with opened(top / "a", os.O_RDWR | os.O_CREAT) as fd:
        os.write(fd, b"kept")
        os.unlink(top / "a")
        assert not (top / "a").exists()
        os.write(fd, b" on")
        assert os.pread(fd, 10, 0) == b"kept on"
        assert os.fstat(fd).st_nlink == 0
        os.fchmod(fd, 0o600)
        os.ftruncate(fd, 2)
        assert os.fstat(fd).st_size == 2


@for_everyone
def fsync_file_and_directory(top: Path) -> None:
    with opened(top / "a", os.O_RDWR | os.O_CREAT) as fd:
        os.write(fd, b"x")
        os.fsync(fd)
        os.fdatasync(fd)
    with opened(top, os.O_RDONLY | os.O_DIRECTORY) as fd:
        os.fsync(fd)


@for_everyone
def descriptor_survives_dup_and_fork(top: Path) -> None:
    with opened(top / "a", os.O_RDWR | os.O_CREAT) as fd:
        twin = os.dup(fd)
        os.write(fd, b"one")
        os.write(twin, b"two")
        os.close(twin)

        def child() -> None:
            os.write(fd, b"three")

        as_user(child, uid=os.geteuid(), gid=os.getegid())
        assert os.pread(fd, 20, 0) == b"onetwothree"


@case
def writers_side_by_side(top: Path) -> None:
    def write(name: str) -> None:
        with opened(top / name, os.O_WRONLY | os.O_CREAT) as fd:
            for n in range(50):
                os.write(fd, bytes([n]) * 10_000)

    threads = [threading.Thread(target=write, args=(f"f{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wanted = b"".join(bytes([n]) * 10_000 for n in range(50))
    for n in range(8):
        assert (top / f"f{n}").read_bytes() == wanted


@for_everyone
def append_turned_on_later(top: Path) -> None:
    (top / "a").write_bytes(b"0123456789")
    with opened(top / "a", os.O_RDWR) as fd:
        fcntl.fcntl(fd, fcntl.F_SETFL, os.O_APPEND)
        os.write(fd, b"end")
        fcntl.fcntl(fd, fcntl.F_SETFL, 0)
        os.lseek(fd, 0, os.SEEK_SET)
        os.write(fd, b"start")
        assert fcntl.fcntl(fd, fcntl.F_GETFL) & (os.O_ACCMODE | os.O_APPEND) == os.O_RDWR
    assert (top / "a").read_bytes() == b"start56789end"


@for_everyone
def appenders_and_a_truncation(top: Path) -> None:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    with opened(top / "a", flags) as first, opened(top / "a", flags) as second:
        os.write(first, b"12345")
        os.ftruncate(second, 2)
        os.write(first, b"a")
        os.truncate(top / "a", 1)
        os.write(second, b"b")
    assert (top / "a").read_bytes() == b"1b"


@for_everyone
def vectors(top: Path) -> None:
    with opened(top / "a", os.O_RDWR | os.O_CREAT) as fd:
        assert os.writev(fd, [b"one", b"", b"two"]) == 6
        assert os.pwritev(fd, [b"T", b"W"], 3) == 2
        into = [bytearray(4), bytearray(4)]
        assert os.preadv(fd, into, 0) == 6
        assert bytes(into[0] + into[1]) == b"oneTWo\0\0"
        assert os.pwritev(fd, [b"sure"], 6, os.RWF_DSYNC) == 4
        assert os.pwritev(fd, [b"!"], 0, os.RWF_APPEND) == 1
    assert (top / "a").read_bytes() == b"oneTWosure!"


@for_everyone
def synchronous_writes(top: Path) -> None:
    for flag in (os.O_SYNC, os.O_DSYNC):
        with opened(top / "a", os.O_RDWR | os.O_CREAT | flag) as fd:
            assert os.write(fd, b"durable") == 7
            assert os.pread(fd, 7, 0) == b"durable"


@for_everyone
def around_the_cache(top: Path) -> None:
    """O_DIRECT with what every file system takes: whole aligned blocks of 4 KiB."""
    with (
        opened(top / "a", os.O_RDWR | os.O_CREAT | os.O_DIRECT) as direct,
        opened(top / "a", os.O_RDWR) as cached,
        mmap.mmap(-1, 65_536) as aligned,
    ):
        aligned[:] = b"d" * 65_536
        assert os.writev(direct, [aligned]) == 65_536
        assert os.pread(cached, 4, 65_532) == b"dddd"
        os.pwrite(cached, b"cached", 4096)
        assert os.preadv(direct, [aligned], 0) == 65_536
        assert aligned[4096:4102] == b"cached"
        assert os.preadv(direct, [aligned], 65_536) == 0
        aligned[:] = b"e" * 65_536
        assert os.pwritev(direct, [memoryview(aligned)[:8192]], 8192) == 8192
        assert os.pread(cached, 3, 8191) == b"dee"


@for_everyone
def descriptors_without_access(top: Path) -> None:
    (top / "a").write_bytes(b"x")
    with opened(top / "a", os.O_PATH) as fd:
        assert os.fstat(fd).st_size == 1
        with fails_with(errno.EBADF):
            os.read(fd, 1)
        with fails_with(errno.EBADF):
            os.fchmod(fd, 0o600)
        with opened(f"/proc/self/fd/{fd}", os.O_RDWR) as again:
            assert os.read(again, 1) == b"x"
        os.unlink(top / "a")
        with opened(f"/proc/self/fd/{fd}", os.O_RDWR) as again:
            assert os.pwrite(again, b"y", 0) == 1


@for_everyone
def open_flags(top: Path) -> None:
    with fails_with(errno.ENOENT):
        os.open(top / "a", os.O_RDWR)
    with opened(top / "a", os.O_RDWR | os.O_CREAT) as fd:
        os.write(fd, b"kept")
    with opened(top / "a", os.O_RDWR | os.O_CREAT) as fd:
        assert os.read(fd, 4) == b"kept"
    with opened(top / "a", os.O_RDWR | os.O_CREAT | os.O_TRUNC) as fd:
        assert os.read(fd, 4) == b""
    with fails_with(errno.EEXIST):
        os.open(top / "a", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_TRUNC)
    with fails_with(errno.EINVAL):
        os.open(top / "b", os.O_RDWR | os.O_CREAT | os.O_DIRECTORY)
    with opened(top / "a", os.O_RDONLY) as fd, fails_with(errno.EINVAL):
        os.ftruncate(fd, 0)
    with opened(top / "a", os.O_WRONLY) as fd, fails_with(errno.EINVAL):
        os.lseek(fd, -1, os.SEEK_SET)


@for_everyone
def a_file_without_a_name(top: Path) -> None:
    """O_TMPFILE works or is refused in the one way that programs are prepared for (open(2))."""
    with may_be_refused(errno.EOPNOTSUPP), opened(top, os.O_RDWR | os.O_TMPFILE, 0o600) as fd:
        assert os.write(fd, b"x") == 1
        assert os.fstat(fd).st_nlink == 0
    assert os.listdir(top) == []


@for_everyone
def bad_addresses_and_sizes(top: Path) -> None:
    with opened(top / "a", os.O_RDWR | os.O_CREAT) as fd:
        with fails_with(errno.EINVAL):
            os.pread(fd, 1, -1)
        with fails_with(errno.EINVAL):
            os.pwrite(fd, b"x", -1)
        with fails_with(errno.EINVAL):
            os.truncate(top / "a", -1)
        assert os.pread(fd, 10, 1 << 40) == b""
        assert os.fstat(fd).st_size == 0
