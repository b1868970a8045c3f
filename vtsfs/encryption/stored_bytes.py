"""Reading a few bytes of an open tape, without holding the loop up and without leaving a trace."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fcntl import F_GETFL, F_SETFL, fcntl

import trio

from vtsfs.encryption.signature import Piece


@contextmanager
def readable(fd: int) -> Iterator[int]:
    """Give a descriptor of the same file that reads, and leaves the time of last access alone.

    That is *fd* itself, unless it was opened for writing alone.
    """
    flags = fcntl(fd, F_GETFL)
    if flags & os.O_ACCMODE == os.O_WRONLY:
        ours = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            with _without_access_time(ours, os.O_RDONLY):
                yield ours
        finally:
            os.close(ours)
    else:
        with _without_access_time(fd, flags):
            yield fd


@contextmanager
def _without_access_time(fd: int, flags: int) -> Iterator[None]:
    # The flag is for the file's owner and those with CAP_FOWNER (open(2)); others leave a trace.
    with suppress(PermissionError):
        fcntl(fd, F_SETFL, flags | os.O_NOATIME)
    try:
        yield
    finally:
        fcntl(fd, F_SETFL, flags)


async def read_piece(fd: int, piece: Piece, limiter: trio.CapacityLimiter) -> bytes:
    """Return the bytes of *piece*, fewer if the file became shorter; from a thread if they must be
    fetched from the disk.
    """
    buffer = bytearray(piece.length)
    try:
        if os.preadv(fd, [buffer], piece.offset, os.RWF_NOWAIT) == piece.length:
            return bytes(buffer)
    except OSError:
        # Not in memory (EAGAIN), or the file system cannot tell (EOPNOTSUPP); other errors will
        # come again below.
        pass
    return await trio.to_thread.run_sync(os.pread, fd, piece.length, piece.offset, limiter=limiter)
