"""What got a tape's name without a session: made durable behind its caller's back.

A session's tape is durable before its *dismounted* is told. A rename is told before its caller gets
an answer, and the caller has not asked for durability; so the file and its new name are synced
while the agent still weighs what it was told. DESIGN.md says what a power cut in between leaves.
"""

import logging
import os

import trio

from vtsfs.overlay import store
from vtsfs.overlay.inodes import Inode
from vtsfs.runtime.tasks import Starter

_logger = logging.getLogger(__name__)

#: Most entries that wait for their turn; each costs two descriptors. So many wait only for a disk
#: that hardly answers, and then the kernel's own writing back (half a minute) is no slower.
MOST_WAITING = 500


class RenamedFiles:
    """The entries of one vault that are being made durable."""

    def __init__(
        self, nursery: Starter, threads: int = 4, most_waiting: int = MOST_WAITING
    ) -> None:
        self._nursery = nursery
        self._most_waiting = most_waiting
        self._limiter = trio.CapacityLimiter(threads)
        self._waiting = 0

    def make_durable(self, parent: Inode, name: bytes) -> None:
        """Begin to make the file *name* in *parent* durable, and its name; returns at once.

        What cannot be made so is logged. A file that has gone already needs nothing.
        """
        if self._waiting >= self._most_waiting:
            _logger.warning(
                "%s, renamed, is not made durable at once: the vault's disk is too slow",
                os.fsdecode(name),
            )
            return
        try:
            opened = store.open_entry(parent, name)
        except FileNotFoundError:
            return
        except OSError as error:
            self._log(name, error)
            return
        self._waiting += 1
        self._nursery.start_soon(self._sync, opened, name)

    async def _sync(self, opened: tuple[int, int], name: bytes) -> None:
        try:
            for fd in opened:
                await trio.to_thread.run_sync(store.sync, fd, limiter=self._limiter)
        except OSError as error:
            self._log(name, error)
        finally:
            self._waiting -= 1
            for fd in opened:
                os.close(fd)

    def _log(self, name: bytes, error: OSError) -> None:
        _logger.error(
            "%s, renamed, could not be made durable: %s; check the vault's disk",
            os.fsdecode(name),
            error.strerror,
        )
