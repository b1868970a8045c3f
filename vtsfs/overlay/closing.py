"""Closing descriptors: the last one of a large file without a name goes in a thread.

With it the file goes, and the file system gives back its blocks and the pages it has in memory:
a quarter of a second for each gigabyte, in which nobody else would be answered.
"""

import os

import trio

from vtsfs.runtime.tasks import Starter

#: Bytes on the disk from which giving them back may take longer than others should wait.
LARGE = 64 << 20


class Closing:
    """Closes descriptors for one vault."""

    def __init__(self, nursery: Starter, threads: int = 4) -> None:
        self._nursery = nursery
        self._limiter = trio.CapacityLimiter(threads)

    def close(self, fd: int) -> None:
        """Close *fd*, now or as soon as a thread is free; it must not be used any more."""
        found = os.fstat(fd)
        if found.st_nlink == 0 and found.st_blocks * 512 >= LARGE:
            self._nursery.start_soon(self._close_in_thread, fd)
        else:
            os.close(fd)

    async def _close_in_thread(self, fd: int) -> None:
        await trio.to_thread.run_sync(os.close, fd, limiter=self._limiter)
