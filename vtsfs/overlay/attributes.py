"""Attributes: what stat tells and chmod, chown, utime and truncate change."""

import os
import stat
from functools import partial

import trio

from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Kind, Signal
from vtsfs.overlay import caller, store
from vtsfs.overlay.files import Parts
from vtsfs.overlay.handles import OpenFile
from vtsfs.overlay.inodes import Inode
from vtsfs.overlay.links import FileKey, has_other_names
from vtsfs.overlay.moves import Report
from vtsfs.overlay.store import Changes


class Attributes:
    """The attributes of one vault's files."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._limiter = trio.CapacityLimiter(4)

    def get(self, inode: Inode) -> os.stat_result:
        """Return the attributes as they are below."""
        return self._parts.inodes.stat(inode)

    async def set(
        self, inode: Inode, changes: Changes, file: OpenFile | None, uid: int
    ) -> os.stat_result:
        """Change attributes for the user *uid* and return the new ones.

        A tape whose size or modification time changes without a session is reported before this
        returns: the size changes bytes, the time is part of what is copied. A backup tool that sets
        back what it found has changed nothing.
        """
        before = os.stat(inode.fd)
        key = (before.st_dev, before.st_ino)
        session = self._parts.sessions.of_file(*key)
        if changes.size is not None:
            if session is not None:
                session.mark_resize(before.st_size, changes.size)
            elif file is not None:
                file.wrote = True
        if changes.size is not None:
            await self._resize(inode, before.st_size, changes.size, file, uid)
        store.apply(inode, changes)
        after = os.stat(inode.fd)
        sharing = self._parts.sharing.get(inode.number)
        if sharing is not None and after.st_mode & (stat.S_ISUID | stat.S_ISGID):
            sharing.got_set_id = True
        if (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns):
            return after
        if session is not None and session is self._parts.sessions.of_file(*key):
            self._parts.sessions.changed_by_path(session)
        else:
            # A session can have ended while a large file was cut off.
            await self._report(inode, before, after, resized=changes.size is not None)
            await self._report_companion(inode, after, file)
        return after

    async def _report_companion(
        self, inode: Inode, after: os.stat_result, file: OpenFile | None
    ) -> None:
        """A companion that is open for writing is told of when it is closed."""
        if not stat.S_ISREG(after.st_mode):
            return
        if file is not None and file.companion:
            file.wrote = True
        else:
            told = self._parts.companions.told(self._parts.companions.of(inode.fd))
            await self._parts.reporter.commit(*told)

    async def _resize(
        self, inode: Inode, old: int, new: int, file: OpenFile | None, uid: int
    ) -> None:
        """Give a file its new size; what takes the disk long does not keep the loop."""
        fd, opened = (inode.fd, False) if file is None else (file.fd, True)
        if old - new < store.LARGE_CUT:
            _resize_as(uid, fd, new, opened=opened)
            return
        duplicate = os.dup(fd)
        try:
            await trio.to_thread.run_sync(
                partial(_resize_as, uid, duplicate, new, opened=opened), limiter=self._limiter
            )
        finally:
            os.close(duplicate)

    async def _report(
        self, inode: Inode, before: os.stat_result, after: os.stat_result, *, resized: bool
    ) -> None:
        """Report the change of a file for every tape that it is."""
        if not stat.S_ISREG(after.st_mode):
            return
        tape = self._parts.tape_of(inode.fd)
        signals = []
        if tape is not None:
            signals.append(self._signal(tape, before, after, resized=resized))
        if has_other_names(inode.fd, tape):
            # What is known exactly must be on its way before anybody else's change to the tape.
            self._parts.reporter.post(*signals)
            signals = await self._signals_of_links((after.st_dev, after.st_ino), tape)
        await self._parts.reporter.commit(*signals)

    async def _signals_of_links(self, key: FileKey, known: TapeId | None) -> list[Signal]:
        links = self._parts.links
        return [
            self._parts.reporter.of_report(
                Report(Kind.CHANGED, tape.pool_id, tape, cause="link"), links.identity(tape)
            )
            for tape in await links.tapes_of(key)
            if tape != known and links.is_at(tape, key)
        ]

    def _signal(
        self, tape: TapeId, before: os.stat_result, after: os.stat_result, *, resized: bool
    ) -> Signal:
        low, high = sorted((before.st_size, after.st_size))
        cause = "truncate" if resized else "times"
        return self._parts.reporter.of_report(
            Report(Kind.CHANGED, tape.pool_id, tape, cause=cause),
            store.identity_of(after),
            ((low, high),) if low < high else (),
            opened=store.identity_of(before),
            wrote=low < high,
        )


def _resize_as(uid: int, fd: int, size: int, *, opened: bool) -> None:
    """Set the size as the user *uid*: a new size may take a block."""
    acting = caller.take(uid)
    try:
        store.resize(fd, size, opened=opened)
    finally:
        if acting:
            caller.give_back()
