"""POSIX cases: the bytes of files, through descriptors and mappings."""

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
    opened,
)


@case
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


@case
def append(top: Path) -> None:
    (top / "a").write_bytes(b"one")
    with opened(top / "a", os.O_WRONLY | os.O_APPEND) as fd:
        os.write(fd, b"two")
        os.lseek(fd, 0, os.SEEK_SET)
        os.write(fd, b"three")
    assert (top / "a").read_bytes() == b"onetwothree"


@case
def two_appenders(top: Path) -> None:
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    with opened(top / "a", flags) as first, opened(top / "a", flags) as second:
        for _ in range(20):
            os.write(first, b"1")
            os.write(second, b"2")
    assert (top / "a").read_bytes() == b"12" * 20


@case
def positioned_io(top: Path) -> None:
    with opened(top / "a", os.O_RDWR | os.O_CREAT) as fd:
        os.pwrite(fd, b"world", 6)
        os.pwrite(fd, b"hello ", 0)
        assert os.pread(fd, 5, 6) == b"world"
        assert os.pread(fd, 100, 8) == b"rld"
        assert os.pread(fd, 1, 11) == b""


@case
def sparse_file(top: Path) -> None:
    with opened(top / "a", os.O_RDWR | os.O_CREAT) as fd:
        os.pwrite(fd, b"end", 50 * 1024 * 1024)
        assert os.pread(fd, 4, 1024 * 1024) == bytes(4)
        found = os.fstat(fd)
    assert found.st_size == 50 * 1024 * 1024 + 3
    assert found.st_blocks * 512 < 1024 * 1024


@case
def beyond_two_tebibytes(top: Path) -> None:
    offset = (2 << 40) + 4096
    with opened(top / "a", os.O_RDWR | os.O_CREAT) as fd:
        os.pwrite(fd, b"far", offset)
        assert os.pread(fd, 3, offset) == b"far"
        assert os.fstat(fd).st_size == offset + 3


@case
def truncate_by_path_and_descriptor(top: Path) -> None:
    (top / "a").write_bytes(b"0123456789")
    os.truncate(top / "a", 4)
    assert (top / "a").read_bytes() == b"0123"
    with opened(top / "a", os.O_RDWR) as fd:
        os.ftruncate(fd, 8)
        assert os.pread(fd, 10, 0) == b"0123\0\0\0\0"
    assert (top / "a").stat().st_size == 8


@case
def truncate_on_open(top: Path) -> None:
    (top / "a").write_bytes(b"0123456789")
    with opened(top / "a", os.O_WRONLY | os.O_TRUNC) as fd:
        assert os.fstat(fd).st_size == 0
        os.write(fd, b"x")
    assert (top / "a").read_bytes() == b"x"
    with opened(top / "a", os.O_RDONLY | os.O_TRUNC):
        pass
    assert (top / "a").stat().st_size == 0


@case
def exclusive_create(top: Path) -> None:
    with opened(top / "a", os.O_WRONLY | os.O_CREAT | os.O_EXCL):
        pass
    with fails_with(errno.EEXIST):
        os.open(top / "a", os.O_WRONLY | os.O_CREAT | os.O_EXCL)


@case
def reader_beside_writer(top: Path) -> None:
    with opened(top / "a", os.O_WRONLY | os.O_CREAT) as writer, opened(top / "a", 0) as reader:
        for n in range(10):
            os.write(writer, b"%d" % n)
            assert os.pread(reader, 1, n) == b"%d" % n
        with fails_with(errno.EBADF):
            os.write(reader, b"x")
        with fails_with(errno.EBADF):
            os.read(writer, 1)


@case
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


@case
def fsync_file_and_directory(top: Path) -> None:
    with opened(top / "a", os.O_RDWR | os.O_CREAT) as fd:
        os.write(fd, b"x")
        os.fsync(fd)
        os.fdatasync(fd)
    with opened(top, os.O_RDONLY | os.O_DIRECTORY) as fd:
        os.fsync(fd)


@case
def mapped_shared_write(top: Path) -> None:
    (top / "a").write_bytes(bytes(8192))
    with opened(top / "a", os.O_RDWR) as fd, mmap.mmap(fd, 8192) as mapped:
        mapped[4096:4100] = b"mmap"
        mapped.flush()
        assert os.pread(fd, 4, 4096) == b"mmap"
    assert (top / "a").read_bytes()[4096:4100] == b"mmap"


@case
def mapped_read(top: Path) -> None:
    (top / "a").write_bytes(b"x" * 5000)
    with (
        opened(top / "a", os.O_RDONLY) as fd,
        mmap.mmap(fd, 0, prot=mmap.PROT_READ) as mapped,
    ):
        assert mapped[:] == b"x" * 5000


@case
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
def locks_exclude(top: Path) -> None:
    flags = os.O_RDWR | os.O_CREAT
    with opened(top / "a", flags) as first, opened(top / "a", flags) as second:
        fcntl.flock(first, fcntl.LOCK_EX)
        with fails_with(errno.EAGAIN):
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        fcntl.flock(first, fcntl.LOCK_UN)
        fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)


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


@case
def copied_with_the_kernel(top: Path) -> None:
    (top / "a").write_bytes(b"0123456789" * 1000)
    with (
        opened(top / "a", os.O_RDONLY) as source,
        opened(top / "b", os.O_WRONLY | os.O_CREAT) as to,
    ):
        left = 10_000
        while left:
            left -= os.sendfile(to, source, None, left)
    assert (top / "b").read_bytes() == (top / "a").read_bytes()
