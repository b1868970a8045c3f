"""Reading and writing: in the loop while the disk is quick, in threads while it is not.

A thread hop costs three quarters of the speed at tape block sizes, so a request is served where it
arrives, as long as that does not make everybody else wait. For a read the kernel itself says
whether it would have to wait for the disk (RWF_NOWAIT, preadv2(2)). For a write no file system of
ours can say that; so the time is taken, and a file whose last write took long is written through
threads until one of its writes is quick again.
"""

import errno
import os
import stat
import time

import trio

from vtsfs.overlay import caller
from vtsfs.overlay.handles import OpenFile

#: Seconds from which a write or read counts as slow. The others wait no longer than this for it,
#: but for the first one, which nobody can foresee.
SLOW_S = 0.020
#: The largest request a kernel sends us is 1 MiB (fs.fuse.max_pages_limit, 256 by default).
_LARGEST = 1 << 20
#: Threads for slow files. The kernel lets one write of a file through at a time, so this is how
#: many tapes can be slow at once without waiting for each other.
THREADS = 32


class DataPath:
    """How the bytes of open files are moved."""

    def __init__(self, threads: int = THREADS) -> None:
        self._limiter = trio.CapacityLimiter(threads)
        # One buffer for every read that need not wait: what it returns is sent before the loop
        # goes on, so no read allocates memory.
        self._buffer = memoryview(bytearray(_LARGEST))
        self._can_ask = True

    async def read(self, file: OpenFile, offset: int, size: int) -> bytes | memoryview:
        """Return *size* bytes at *offset*, fewer only at the end of the file.

        What is returned may be overwritten by the next read: use it before the next await.
        """
        if size <= _LARGEST and self._can_ask:
            done = self._read_at_once(file, offset, size)
            if done is not None:
                return done
        elif not file.sharing.slow_to_read:
            return _read(file, offset, size)
        return await trio.to_thread.run_sync(_read, file, offset, size, limiter=self._limiter)

    async def write(self, file: OpenFile, offset: int, data: bytes) -> int:
        """Write *data* at *offset* as the user who opened the file; it is then in the backing file."""
        if file.sharing.slow:
            return await trio.to_thread.run_sync(_write, file, offset, data, limiter=self._limiter)
        return _write(file, offset, data)

    def _read_at_once(self, file: OpenFile, offset: int, size: int) -> bytes | memoryview | None:
        """Read without waiting for the disk; None if that cannot be done."""
        got = 0
        try:
            # A short answer means the end of the file, or that the rest is not in memory: the
            # kernel would take either for the end, so it must be asked again.
            while got < size:
                into = self._buffer[got:size]
                count = os.preadv(file.fd, [into], offset + got, os.RWF_NOWAIT)
                if count == 0:
                    break
                got += count
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise
            self._can_ask = False
            return _read(file, offset, size)
        return self._buffer[:got]


def _read(file: OpenFile, offset: int, size: int) -> bytes:
    """Read as pread(2) does, however long it takes, and note how long that was."""
    began = time.monotonic()
    data = os.pread(file.fd, size, offset)
    while data and len(data) < size:
        more = os.pread(file.fd, size - len(data), offset + len(data))
        if not more:
            break
        data += more
    file.sharing.slow_to_read = time.monotonic() - began > SLOW_S
    return data


def _write(file: OpenFile, offset: int, data: bytes) -> int:
    began = time.monotonic()
    # Blocks that only root may use are refused to others by the one who allocates: by us.
    acting = caller.take(file.uid)
    try:
        written = os.pwrite(file.fd, data, offset)
    finally:
        if acting:
            caller.give_back()
    file.sharing.slow = time.monotonic() - began > SLOW_S
    if file.sharing.got_set_id and file.uid != 0:
        clear_set_id(file.fd)
        file.sharing.got_set_id = False
    return written


def clear_set_id(fd: int) -> None:
    """Leave the permissions as a write by an ordinary user leaves them (inode(7)).

    Without group execution the set-group-ID bit means mandatory locking and stays.
    """
    mode = stat.S_IMODE(os.fstat(fd).st_mode)
    kept = mode & ~stat.S_ISUID
    if mode & stat.S_IXGRP:
        kept &= ~stat.S_ISGID
    if kept != mode:
        os.fchmod(fd, kept)
