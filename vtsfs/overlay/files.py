"""Open files: telling sessions apart from mere files, and what each handle is for.

One descriptor of ours per open of theirs, never shared: descriptors differ in access mode, and the
last release of a tape must be seen. How their bytes are moved is in `data`.
"""

import errno
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Kind, Signal
from vtsfs.overlay import store
from vtsfs.overlay.caller import Caller, acting_for
from vtsfs.overlay.companions import Companions
from vtsfs.overlay.data import DataPath, clear_set_id
from vtsfs.overlay.gate import Gate
from vtsfs.overlay.handles import OpenFile
from vtsfs.overlay.inodes import Inode, InodeTable
from vtsfs.overlay.links import FileKey, Links, has_other_names
from vtsfs.overlay.moves import Report
from vtsfs.overlay.readers import Readers
from vtsfs.overlay.renamed import RenamedFiles
from vtsfs.overlay.reports import Clock, Reporter
from vtsfs.overlay.sessions import Sessions, WriteSession
from vtsfs.overlay.sharing import Sharing


@dataclass(frozen=True, slots=True)
class Parts:
    """What the rooms of the overlay share."""

    inodes: InodeTable
    reporter: Reporter
    sessions: Sessions
    readers: Readers
    clock: Clock
    tape_of: Callable[[int], TapeId | None]
    renamed: RenamedFiles
    links: Links
    companions: Companions
    gate: Gate | None = None
    #: The files that are open, by node number.
    sharing: dict[int, Sharing] = field(default_factory=dict)


def _take_away(parent: Inode, name: bytes, inode: Inode) -> None:
    """Remove what an open has made that is refused after all, unless the name is another's by now."""
    found = store.lstat(parent, name)
    if found is not None and (found.st_dev, found.st_ino) == (inode.dev, inode.ino):
        os.unlink(name, dir_fd=parent.fd)


def _may_be_a_tape(fd: int, found: os.stat_result) -> bool:
    """Whether a file that is no tape by the name it was opened by has another name."""
    return stat.S_ISREG(found.st_mode) and has_other_names(fd, None)


#: Opens that wait for leases below at once; those beyond them wait for one of these.
_LEASES = 16


class Files:
    """All open files, by the handle number the kernel was given."""

    def __init__(self, parts: Parts, sync_threads: int = 8) -> None:
        self._parts = parts
        self._open: dict[int, OpenFile] = {}
        self._next = 1
        self._data = DataPath()
        self._limiter = trio.CapacityLimiter(sync_threads)
        self._waiting = trio.CapacityLimiter(_LEASES)
        #: Set when a stop was asked for: tapes are not opened any more.
        self.refusing = False

    def __len__(self) -> int:
        return len(self._open)

    def __getitem__(self, handle: int) -> OpenFile:
        return self._open[handle]

    async def open(self, inode: Inode, flags: int, caller: Caller) -> int:
        """Open a known file; for a tape, return only when its mount is durably recorded."""
        try:
            fd = store.open_again(inode, flags)
        except BlockingIOError:
            if flags & os.O_NONBLOCK:
                raise
            fd = await self._open_after_lease(inode, flags)
        if self._parts.gate is not None:
            await self._admit(self._parts.gate, fd, caller)
        return await self._register(fd, inode, flags, caller, created=False)

    async def _open_after_lease(self, inode: Inode, flags: int) -> int:
        """Wait as the caller would below: the kernel gives a lease's holder 45 s to give it back."""
        place = os.dup(inode.fd)
        try:
            return await trio.to_thread.run_sync(
                store.open_held, place, flags, limiter=self._waiting
            )
        finally:
            os.close(place)

    async def _admit(self, gate: Gate, fd: int, caller: Caller) -> None:
        """Before the session begins: a refused open is no mount. Closes *fd* when it is refused."""
        try:
            tape = self._parts.tape_of(fd) if stat.S_ISREG(os.fstat(fd).st_mode) else None
            if tape is not None:
                await gate.admit(tape, fd, caller)
        except BaseException:
            os.close(fd)
            raise

    async def create(
        self, parent: Inode, name: bytes, mode: int, flags: int, caller: Caller
    ) -> tuple[int, Inode, os.stat_result]:
        """Create *name* and open it.

        If it is there after all, somebody made it behind the kernel's back, which has therefore not
        looked whether the caller may open it: ESTALE makes it look, and open what it finds.
        """
        try:
            with acting_for(caller):
                fd = store.open_new(parent, name, flags, mode)
        except FileExistsError:
            if flags & os.O_EXCL:
                raise
            raise OSError(errno.ESTALE, os.strerror(errno.ESTALE)) from None
        try:
            inode, _ = self._parts.inodes.lookup(parent, name)
        except OSError:
            os.close(fd)
            raise
        try:
            handle = await self._register(fd, inode, flags, caller, created=True)
        except BaseException:
            _take_away(parent, name, inode)
            self._parts.inodes.forget(inode.number, 1)
            raise
        return handle, inode, os.fstat(self._open[handle].fd)

    async def read(self, handle: int, offset: int, size: int) -> bytes | memoryview:
        """Read up to *size* bytes at *offset*; use them before the next await."""
        return await self._data.read(self._open[handle], offset, size)

    async def write(self, handle: int, offset: int, data: bytes) -> int:
        """Write at *offset*; what is returned is in the backing file."""
        file = self._open[handle]
        # Marked first: a write that fails may have changed a part.
        file.mark(offset, offset + len(data))
        written = await self._data.write(file, offset, data)
        if file.session is not None:
            file.session.bytes_written += written
        return written

    async def sync(self, handle: int, *, data_only: bool) -> None:
        """Make a file durable; the loop goes on meanwhile."""
        # The kernel releases a handle only when what was asked of it is answered.
        file = self._open[handle]
        try:
            await trio.to_thread.run_sync(
                lambda: store.sync(file.fd, data_only=data_only), limiter=self._limiter
            )
        except OSError:
            if file.session is not None:
                file.session.failed_to_sync = True
            raise

    def release(self, handle: int) -> None:
        """Forget a handle; the last writer's starts the end of the tape's session."""
        file = self._open.pop(handle)
        self._parts.inodes.released(file.inode)
        file.sharing.leave(direct=file.direct)
        if file.sharing.unused:
            self._parts.sharing.pop(file.inode.number, None)
        if file.session is not None:
            self._parts.companions.ended(file.companion)
            self._parts.sessions.released(file.session, file.fd)
            return
        if file.reading is not None:
            identity = store.identity_of(os.fstat(file.fd))
            self._parts.readers.released(file.reading, self._parts.tape_of(file.fd), identity)
        elif file.wrote:
            self._report_late_writes(file)
        self._parts.companions.released(file.companion, file.fd, changed=file.wrote)

    async def adopt(self, tape: TapeId | None, file: FileKey, *signals: Signal) -> None:
        """Let handles that were open for writing when their file became a tape belong to a session.

        That is *file*, which is *tape* now, or (None) whatever has got a tape's name. Returns when
        the beginning of such sessions is durable, and before it *signals*, which tell why.
        """
        begun: list[tuple[WriteSession, Signal]] = []
        for each in self._open.values():
            if not each.writing or each.session is not None:
                continue
            found = os.fstat(each.fd)
            if not stat.S_ISREG(found.st_mode):
                continue
            named = tape if (found.st_dev, found.st_ino) == file else None
            named = named or self._parts.tape_of(each.fd)
            if named is not None:
                now = self._parts.clock.wall_ns()
                each.session, mounted = self._parts.sessions.adopt(named, each.fd, now)
                if mounted is not None:
                    begun.append((each.session, mounted))
        try:
            await self._parts.reporter.commit(*signals, *(mounted for _, mounted in begun))
        finally:
            for session, _ in begun:
                session.begun.set()

    async def _look_for_a_tape(self, handle: int, file: FileKey) -> None:
        """A file that is no tape by the name it was opened by may be one by another."""
        try:
            for tape in (await self._parts.links.tapes_of(file))[:1]:
                await self.adopt(tape, file)
        except BaseException:
            self.release(handle)
            raise

    def _report_late_writes(self, file: OpenFile) -> None:
        """A file that was no tape when it was opened may have become one since, by a rename."""
        tape = self._parts.tape_of(file.fd)
        if tape is not None:
            report = Report(Kind.CHANGED, tape.pool_id, tape, cause="late-write")
            identity = store.identity_of(os.fstat(file.fd))
            self._parts.reporter.post(self._parts.reporter.of_report(report, identity))

    async def _register(
        self, fd: int, inode: Inode, flags: int, caller: Caller, *, created: bool
    ) -> int:
        """Enter an open descriptor under a new handle; closes it when that fails."""
        # Who makes a tape changes it, with whatever intention.
        writing = created or store.wants_writing(flags)
        file = OpenFile(fd, inode, writing, caller.uid)
        try:
            found = os.fstat(fd)
            tape = self._parts.tape_of(fd) if stat.S_ISREG(found.st_mode) else None
            if tape is not None and self.refusing:
                raise OSError(errno.EBUSY, "the overlay is stopping")
            # At once: later there might be no descriptor to hold it by.
            self._parts.inodes.opened(inode, fd)
        except BaseException:
            os.close(fd)
            raise
        try:
            await self._count_in(file, tape, found, created=created, pid=caller.pid)
        except BaseException:
            self._parts.inodes.released(inode)
            raise
        handle = self._enter(file, flags)
        if file.session is None and writing and _may_be_a_tape(fd, found):
            await self._look_for_a_tape(handle, (found.st_dev, found.st_ino))
        if flags & os.O_TRUNC and not created:
            await self._truncate(handle, caller)
        return handle

    async def _count_in(
        self,
        file: OpenFile,
        tape: TapeId | None,
        found: os.stat_result,
        *,
        created: bool,
        pid: int,
    ) -> None:
        """Let an open file belong to a session, or note a companion; closes it when that fails."""
        now = self._parts.clock.wall_ns()
        running = self._parts.sessions.of_file(found.st_dev, found.st_ino)
        if tape is None and running is not None and file.writing:
            # It is the tape of a session by another name, or was until it was moved away.
            tape = running.tape
        if tape is not None and file.writing:
            file.session = await self._parts.sessions.opened(
                tape, file.fd, created=created, since_ns=now, pid=pid
            )
        elif tape is not None:
            identity = store.identity_of(found)
            file.reading = self._parts.readers.opened(tape, identity, now, pid)
        elif file.writing and stat.S_ISREG(found.st_mode):
            await self._open_companion(file, created=created)

    async def _open_companion(self, file: OpenFile, *, created: bool) -> None:
        try:
            file.companion = await self._parts.companions.opened(file.fd, created=created)
        except BaseException:
            os.close(file.fd)
            raise
        # A companion that was not there before is a change, whatever is written to it.
        file.wrote = created and bool(file.companion)

    def _enter(self, file: OpenFile, flags: int) -> int:
        """Give the handle its number; decide, with nobody in between, how it uses the kernel's pages."""
        sharing = self._parts.sharing.setdefault(file.inode.number, file.sharing)
        file.sharing = sharing
        file.direct = sharing.bypasses(flags, os.fstat(file.fd).st_mode)
        sharing.enter(direct=file.direct)
        handle = self._next
        self._next += 1
        self._open[handle] = file
        return handle

    async def _truncate(self, handle: int, caller: Caller) -> None:
        """Cut the file as O_TRUNC says; also its set-id bits, which the kernel leaves to us here."""
        file = self._open[handle]
        try:
            found = os.fstat(file.fd)
            file.mark(0, found.st_size)
            if found.st_size < store.LARGE_CUT:
                os.ftruncate(file.fd, 0)
            else:
                await trio.to_thread.run_sync(os.ftruncate, file.fd, 0, limiter=self._limiter)
            if caller.uid != 0:
                clear_set_id(file.fd)
        except BaseException:
            self.release(handle)
            raise
