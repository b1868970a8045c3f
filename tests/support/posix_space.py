"""POSIX cases: sparse files, room set aside, large offsets, limits."""

import errno
import os
import resource
import signal
from ctypes import c_int64
from functools import partial
from pathlib import Path

from tests.support.posix_case import (
    apart,
    can,
    fails_with,
    for_everyone,
    libc_call,
    opened,
)

_MIB = 1 << 20
KEEP_SIZE, PUNCH_HOLE, COLLAPSE, ZERO, INSERT = 1, 2, 8, 16, 32


def fallocate(fd: int, mode: int, offset: int, length: int) -> bool:
    """Call fallocate(2); False if the file system cannot do that, which it may say but one way."""
    call = partial(libc_call, "fallocate", fd, mode, c_int64(offset), c_int64(length))
    return can(call, errno.EOPNOTSUPP)


@for_everyone
def sparse_file(top: Path) -> None:
    with opened(top / "a", os.O_RDWR | os.O_CREAT) as fd:
        os.pwrite(fd, b"end", 50 * _MIB)
        assert os.pread(fd, 4, _MIB) == bytes(4)
        found = os.fstat(fd)
    assert found.st_size == 50 * _MIB + 3
    assert found.st_blocks * 512 < _MIB


@for_everyone
def holes_and_data(top: Path) -> None:
    """What lseek(2) asks of a file system that knows its holes, and of one that does not."""
    size = 3 * _MIB
    with opened(top / "a", os.O_RDWR | os.O_CREAT) as fd:
        os.pwrite(fd, b"d" * 4096, _MIB)
        os.ftruncate(fd, size)
        data = os.lseek(fd, 0, os.SEEK_DATA)
        assert data in {0, _MIB}
        hole = os.lseek(fd, _MIB, os.SEEK_HOLE)
        assert hole in {_MIB + 4096, size}
        for whence in (os.SEEK_DATA, os.SEEK_HOLE):
            with fails_with(errno.ENXIO):
                os.lseek(fd, size, whence)
        assert os.pread(fd, 2, _MIB - 1) == b"\0d"
        assert os.lseek(fd, -1, os.SEEK_END) == size - 1


@for_everyone
def room_set_aside(top: Path) -> None:
    """posix_fallocate(3) works everywhere: the C library writes where the kernel does not know it."""
    with opened(top / "a", os.O_RDWR | os.O_CREAT) as fd:
        os.pwrite(fd, b"kept", 5000)
        os.posix_fallocate(fd, 0, 300_000)
        found = os.fstat(fd)
        assert found.st_size == 300_000
        assert found.st_blocks * 512 >= 300_000
        assert os.pread(fd, 6, 4999) == b"\0kept\0"
        os.posix_fallocate(fd, 0, 100)
        assert os.fstat(fd).st_size == 300_000
        with fails_with(errno.EINVAL):
            os.posix_fallocate(fd, 0, 0)


@for_everyone
def fallocate_does_it_or_refuses(top: Path) -> None:
    block = 4096
    data = b"".join(bytes([n]) * block for n in range(1, 5))
    hole, first = bytes(block), data[:block]
    for name, mode, wanted in (
        ("keep", KEEP_SIZE, data),
        ("punch", PUNCH_HOLE | KEEP_SIZE, first + hole + data[2 * block :]),
        ("zero", ZERO, first + hole + data[2 * block :]),
        ("collapse", COLLAPSE, first + data[2 * block :]),
        ("insert", INSERT, first + hole + data[block:]),
    ):
        (top / name).write_bytes(data)
        with opened(top / name, os.O_RDWR) as fd:
            done = fallocate(fd, mode, block, block)
        assert (top / name).read_bytes() == (wanted if done else data), name
    with opened(top / "keep", os.O_RDWR) as fd:
        done = fallocate(fd, KEEP_SIZE, 0, 1 << 20)
        assert os.fstat(fd).st_size == len(data)
        assert (os.fstat(fd).st_blocks * 512 >= 1 << 20) == done


@for_everyone
def beyond_two_tebibytes(top: Path) -> None:
    with opened(top / "a", os.O_RDWR | os.O_CREAT) as fd:
        for offset in (1 << 32, (2 << 40) + 4096, (3 << 40) - 3):
            os.pwrite(fd, b"far", offset)
            assert os.pread(fd, 3, offset) == b"far"
            assert os.fstat(fd).st_size == offset + 3
        assert os.fstat(fd).st_blocks * 512 < _MIB
        os.lseek(fd, -3, os.SEEK_END)
        assert os.read(fd, 10) == b"far"
        os.truncate(top / "a", (2 << 40) + 4097)
        assert os.pread(fd, 10, (2 << 40) + 4096) == b"f"


@for_everyone
def beyond_what_a_file_can_be(top: Path) -> None:
    """Files of ext4 end at 16 TiB, of other file systems at 8 EiB at the latest."""
    with opened(top / "a", os.O_RDWR | os.O_CREAT) as fd:
        with fails_with(errno.EFBIG):
            os.pwrite(fd, b"xx", (1 << 63) - 1 - 4096)
        with fails_with(errno.EFBIG):
            os.ftruncate(fd, (1 << 63) - 1)
        with fails_with(errno.EFBIG):
            os.truncate(top / "a", (1 << 63) - 1)
        assert os.fstat(fd).st_size == 0


@for_everyone
def limits_of_the_process(top: Path) -> None:
    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
        with opened(top / "a", os.O_RDWR | os.O_CREAT) as fd:
            assert os.write(fd, bytes(8000)) == 8000
            assert os.write(fd, bytes(8000)) == 2000
            with fails_with(errno.EFBIG):
                os.write(fd, b"x")
            with fails_with(errno.EFBIG):
                os.ftruncate(fd, 10_001)
            os.ftruncate(fd, 10_000)
        with fails_with(errno.EFBIG):
            os.truncate(top / "a", 10_001)
        caught = []
        signal.signal(signal.SIGXFSZ, lambda number, _frame: caught.append(number))
        with opened(top / "a", os.O_WRONLY | os.O_APPEND) as fd, fails_with(errno.EFBIG):
            os.write(fd, b"x")
        assert caught == [signal.SIGXFSZ]

    apart(limited)
    assert (top / "a").stat().st_size == 10_000
