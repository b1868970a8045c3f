import fcntl
import os
from pathlib import Path

import pytest
import trio

from vtsfs.encryption.signature import Piece
from vtsfs.encryption.stored_bytes import read_piece, readable

LONG_AGO_NS = 1_000_000_000


@pytest.fixture
def tape(scratch: Path) -> Path:
    path = scratch / "tape"
    path.write_bytes(b"0123456789")
    os.utime(path, ns=(LONG_AGO_NS, LONG_AGO_NS + 1))
    return path


@pytest.mark.parametrize("access", [os.O_RDONLY, os.O_WRONLY, os.O_RDWR])
@pytest.mark.parametrize("is_cached", [True, False])
async def test_however_the_tape_was_opened(tape: Path, access: int, is_cached: bool) -> None:
    fd = os.open(tape, access)
    try:
        os.fsync(fd)
        if not is_cached:
            os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        flags = fcntl.fcntl(fd, fcntl.F_GETFL)
        before = len(os.listdir("/proc/self/fd"))
        with readable(fd) as ours:
            limiter = trio.CapacityLimiter(1)
            assert await read_piece(ours, Piece(2, 3), limiter) == b"234"
            assert await read_piece(ours, Piece(8, 3), limiter) == b"89"
            assert await read_piece(ours, Piece(20, 3), limiter) == b""
        assert fcntl.fcntl(fd, fcntl.F_GETFL) == flags
        assert len(os.listdir("/proc/self/fd")) == before
        assert os.lseek(fd, 0, os.SEEK_CUR) == 0
    finally:
        os.close(fd)
    assert tape.stat().st_atime_ns == LONG_AGO_NS, "looking leaves no trace"


async def test_an_error_of_the_disk_is_told(tape: Path) -> None:
    fd = os.open(tape.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with pytest.raises(IsADirectoryError):
            await read_piece(fd, Piece(0, 1), trio.CapacityLimiter(1))
    finally:
        os.close(fd)
