"""Write sessions of tapes: their extents, and the signals at their two ends.

The meaning is in `usage`; here its commands are carried out. What one session shares between the
tasks that have the tape open is only touched between two awaits, so no lock is needed.
"""

import logging
import os
import secrets
from collections.abc import Callable, Iterator

import trio

from vtsfs.contract.errors import OutboxError
from vtsfs.contract.extents import ExtentSet
from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Access, Identity, Kind
from vtsfs.overlay import store
from vtsfs.overlay.reports import Reporter, SessionFacts
from vtsfs.overlay.usage import Command, Opened, Released, Settled, Settling, TapeUsage

_logger = logging.getLogger(__name__)

#: Tells which tape an open descriptor is now, None if it is none any more.
TapeOf = Callable[[int], TapeId | None]


class WriteSession:
    """One span from first open for writing to last release of one file."""

    __slots__ = (
        "begun",
        "bytes_written",
        "extents",
        "failure",
        "id",
        "key",
        "opened",
        "pids",
        "since_ns",
        "tape",
        "usage",
        "wrote",
    )

    def __init__(self, key: tuple[int, int], tape: TapeId, opened: Identity | None) -> None:
        self.id = secrets.token_hex(8)
        self.key = key
        self.tape = tape
        #: The file as it was before, None if this session created it.
        self.opened = opened
        self.usage = TapeUsage()
        self.extents = ExtentSet()
        self.wrote = False
        self.bytes_written = 0
        self.pids: set[int] = set()
        self.since_ns = 0
        self.begun = trio.Event()
        self.failure: OutboxError | None = None

    def mark(self, start: int, end: int) -> None:
        """Note that these bytes may be about to change; call it before they do."""
        self.wrote = True
        self.extents.add(start, end)

    def mark_resize(self, old: int, new: int) -> None:
        """Note that the size is about to change; what lies between both sizes may differ."""
        self.mark(min(old, new), max(old, new))

    def facts(self, *, synced: bool) -> SessionFacts:
        """Say what has happened so far."""
        return SessionFacts(
            session=self.id,
            access=Access.WRITE,
            opened=self.opened,
            wrote=self.wrote,
            bytes_written=self.bytes_written,
            extents=tuple(self.extents) if self.opened is not None else None,
            synced=synced,
        )


class Sessions:
    """The write sessions of one vault."""

    def __init__(
        self, reporter: Reporter, nursery: trio.Nursery, tape_of: TapeOf, fsync_threads: int = 8
    ) -> None:
        self._reporter = reporter
        self._nursery = nursery
        self._tape_of = tape_of
        self._limiter = trio.CapacityLimiter(fsync_threads)
        self._by_file: dict[tuple[int, int], WriteSession] = {}

    def __iter__(self) -> Iterator[WriteSession]:
        return iter(list(self._by_file.values()))

    def __len__(self) -> int:
        return len(self._by_file)

    def of_file(self, dev: int, ino: int) -> WriteSession | None:
        """Return the session that is running on the file, if there is one."""
        return self._by_file.get((dev, ino))

    async def opened(
        self, tape: TapeId, fd: int, *, created: bool, since_ns: int, pid: int
    ) -> WriteSession:
        """Count an open for writing; return when the session's beginning is durable.

        *fd* is the opened file, before any truncation. Raises OutboxError only where the site
        refuses opens that cannot be recorded; the handle is then not counted, and *fd* closed.
        """
        found = os.fstat(fd)
        key = (found.st_dev, found.st_ino)
        identity = store.identity_of(found)
        session = self._by_file.get(key)
        if session is None:
            session = WriteSession(key, tape, None if created else identity)
            session.since_ns = since_ns
            self._by_file[key] = session
        session.pids.add(pid)
        if session.usage.apply(Opened()) is Command.BEGIN_SESSION:
            await self._begin(session, identity)
        else:
            await session.begun.wait()
        if session.failure is not None:
            self.released(session, fd)
            raise session.failure
        return session

    def released(self, session: WriteSession, fd: int) -> None:
        """Count the end of a handle; takes *fd* over and closes it, sooner or later."""
        command = session.usage.apply(Released())
        state = session.usage.state
        if command is Command.START_SETTLING and isinstance(state, Settling):
            self._nursery.start_soon(self._settle, session, state.serial, fd)
        else:
            os.close(fd)

    async def _begin(self, session: WriteSession, identity: Identity) -> None:
        cause = "" if session.opened is not None else "create"
        facts = session.facts(synced=False)
        try:
            await self._reporter.commit_opening(
                self._reporter.of_session(Kind.MOUNTED, session.tape, facts, identity, cause)
            )
        except OutboxError as error:
            session.failure = error
        finally:
            session.begun.set()

    async def _settle(self, session: WriteSession, serial: int, fd: int) -> None:
        """Make the tape durable outside the engine's close, then end the session if it is over."""
        try:
            synced = await self._sync(session, fd)
            # No await from here to the hand-over: an open in between would join a session whose
            # end is already told.
            if session.usage.apply(Settled(serial)) is Command.END_SESSION:
                del self._by_file[session.key]
                self._end(session, fd, synced=synced)
        finally:
            os.close(fd)

    async def _sync(self, session: WriteSession, fd: int) -> bool:
        try:
            make_durable = store.sync if session.opened is not None else store.sync_with_name
            await trio.to_thread.run_sync(make_durable, fd, limiter=self._limiter)
        except OSError as error:
            _logger.error(
                "%s could not be made durable: %s; check the vault's disk",
                session.tape,
                error.strerror,
            )
            return False
        return True

    def _end(self, session: WriteSession, fd: int, *, synced: bool) -> None:
        """Report the dismount under the tape's present name.

        A file that has no tape's name any more (unlinked, replaced, moved away) is reported under
        its last one, without identity: there is nothing to look at there.
        """
        found = os.fstat(fd)
        tape = self._tape_of(fd)
        if tape is not None:
            session.tape = tape
        self._reporter.post(
            self._reporter.of_session(
                Kind.DISMOUNTED,
                session.tape,
                session.facts(synced=synced),
                None if tape is None else store.identity_of(found),
                _cause_of_end(session, present=tape is not None),
            )
        )


def _cause_of_end(session: WriteSession, *, present: bool) -> str:
    if session.failure is not None:
        return "refused"
    if not present:
        return "removed"
    return "" if session.opened is not None else "create"
