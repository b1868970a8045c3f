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
from vtsfs.contract.notes import TapeClosed, TapeReopened
from vtsfs.contract.signals import Access, Identity, Kind, Signal, all_companions
from vtsfs.overlay import store
from vtsfs.overlay.links import Links, has_other_names
from vtsfs.overlay.moves import Report
from vtsfs.overlay.reports import Reporter, SessionFacts
from vtsfs.overlay.usage import (
    Changed,
    Command,
    Elapsed,
    Event,
    Hurried,
    Opened,
    Released,
    Removed,
    Settling,
    Synced,
    TapeUsage,
)
from vtsfs.runtime.tasks import Starter

_logger = logging.getLogger(__name__)

#: Seconds after the last release until the tape is made durable, and its end noted that is not told
#: yet. Both are the disk's time: an engine that comes back at once, or opens one tape after the
#: other, should not have to share it.
QUIET_S = 0.25

#: Most tapes that are closed and wait for somebody to come back.
MOST_SETTLING = 256

#: The descriptor that is being synced, and the one that is to be synced next.
_MOST_LEFT = 2

#: Tells which tape an open descriptor is now, None if it is none any more.
TapeOf = Callable[[int], TapeId | None]


class WriteSession:
    """One span of writers of one file; `usage` says when it begins and ends."""

    __slots__ = (
        "begun",
        "bytes_written",
        "companions",
        "exact",
        "extents",
        "failed_to_sync",
        "failure",
        "id",
        "key",
        "left",
        "names",
        "noted",
        "opened",
        "pids",
        "released_at",
        "settler",
        "since_ns",
        "synced",
        "tape",
        "usage",
        "wrote",
    )

    def __init__(
        self, key: tuple[int, int], tape: TapeId, opened: Identity | None, settle_s: float
    ) -> None:
        self.id = secrets.token_hex(8)
        self.key = key
        self.tape = tape
        #: The file as it was before, None if this session created it.
        self.opened = opened
        self.usage = TapeUsage(settle_s)
        self.extents = ExtentSet()
        #: Whether `extents` are all that changed: not if a handle has written without marking.
        self.exact = opened is not None
        self.wrote = False
        self.bytes_written = 0
        #: Names of the tape's companions that changed meanwhile.
        self.companions: set[str] = set()
        self.pids: set[int] = set()
        self.since_ns = 0
        self.begun = trio.Event()
        self.failure: OutboxError | None = None
        #: Descriptors of released handles that the settling needs, the latest last.
        self.left: list[int] = []
        #: When the last handle was released, in seconds of trio's clock.
        self.released_at = 0.0
        #: Set and replaced when the task that settles must look again; None while there is none.
        self.settler: trio.Event | None = None
        #: Whether the last fsync went well, and no other has failed.
        self.synced = False
        #: An fsync has failed, also one that somebody asked for: what could not be written then is
        #: lost, and the next one does not tell (fsync(2)).
        self.failed_to_sync = False
        #: Whether the outbox was told how the tape was left, and not yet that this is over.
        self.noted = False
        #: The tapes that the file is, where it has several names or lost the one it was opened by.
        self.names: list[TapeId] = []

    @property
    def settling(self) -> bool:
        """Whether nobody has the tape open, and only the settling is waited for."""
        return isinstance(self.usage.state, Settling)

    def mark(self, start: int, end: int) -> None:
        """Note that these bytes may be about to change; call it before they do."""
        if start < end:
            self.wrote = True
            self.extents.add(start, end)

    def mark_resize(self, old: int, new: int) -> None:
        """Note that the size is about to change; what lies between both sizes may differ."""
        self.mark(min(old, new), max(old, new))

    def facts(self, *, synced: bool, quiet_s: float = 0.0) -> SessionFacts:
        """Say what has happened so far; *quiet_s* seconds have passed since the last release."""
        return SessionFacts(
            session=self.id,
            access=Access.WRITE,
            opened=self.opened,
            wrote=self.wrote,
            bytes_written=self.bytes_written,
            extents=self.extents.listed() if self.exact else None,
            synced=synced,
            quiet_ns=round(quiet_s * 1e9),
            companions=all_companions(self.companions),
        )


class Sessions:
    """The write sessions of one vault. *settle_s*: how long a tape must stay closed, in seconds."""

    def __init__(
        self,
        reporter: Reporter,
        nursery: Starter,
        tape_of: TapeOf,
        links: Links,
        *,
        settle_s: float = 0.0,
        most_settling: int = MOST_SETTLING,
        fsync_threads: int = 8,
        close: Callable[[int], None] = os.close,
    ) -> None:
        """*close* closes a descriptor that may be the last of a file without a name."""
        self._close = close
        self._settle_s = settle_s
        self._most_settling = most_settling
        self._reporter = reporter
        self._nursery = nursery
        self._tape_of = tape_of
        self._links = links
        self._limiter = trio.CapacityLimiter(fsync_threads)
        self._by_file: dict[tuple[int, int], WriteSession] = {}
        #: The sessions that have no writers, the one that has had none for longest first.
        self._settling: dict[tuple[int, int], WriteSession] = {}

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
            session = WriteSession(key, tape, None if created else identity, self._settle_s)
            session.since_ns = since_ns
            self._by_file[key] = session
        session.pids.add(pid)
        begins = session.usage.apply(Opened()) is Command.BEGIN_SESSION
        try:
            if begins:
                await self._begin(session, identity)
            elif session.noted:
                await self._begin_again(session)
            else:
                await session.begun.wait()
            if session.failure is not None:
                raise session.failure
        except BaseException:
            self.released(session, fd)
            if session.settling:
                # Nothing was written, and the next open must try the outbox anew.
                self._apply(session, Removed())
            raise
        return session

    def adopt(self, tape: TapeId, fd: int, since_ns: int) -> tuple[WriteSession, Signal | None]:
        """Count a handle that was open for writing when its file became the tape *tape*.

        With a session that begins comes its *mounted*, to be committed before `begun` is set: until
        then whoever opens the tape waits. What is on its way to the disk at this moment is not
        marked, so the session's extents are unknown.
        """
        identity = store.identity_of(os.fstat(fd))
        key = (identity.dev, identity.ino)
        session = self._by_file.get(key)
        if session is None:
            session = WriteSession(key, tape, identity, self._settle_s)
            session.since_ns = since_ns
            self._by_file[key] = session
        session.exact = False
        if session.usage.apply(Opened()) is not Command.BEGIN_SESSION:
            if session.noted:
                session.noted = False
                self._reporter.post(TapeReopened(session.id))
            return session, None
        facts = session.facts(synced=False)
        return session, self._reporter.of_session(Kind.MOUNTED, tape, facts, identity, "rename")

    def released(self, session: WriteSession, fd: int) -> None:
        """Count the end of a handle; takes *fd* over and closes it, sooner or later."""
        session.released_at = trio.current_time()
        session.left.append(fd)
        self._apply(session, Released(session.released_at))
        if not session.settling:
            self._close(session.left.pop())
        elif len(session.left) > _MOST_LEFT:
            self._close(session.left.pop(1))
        # What was unlinked while it was open need not be made durable.
        self.name_gone(*session.key)

    def changed_by_path(self, session: WriteSession) -> None:
        """Note that the tape was just changed by path: if it is settling, it is synced once more."""
        self._apply(session, Changed())

    def name_gone(self, dev: int, ino: int) -> None:
        """Look whether a file that lost a name is a tape still; if not, its settling is over.

        The *dismounted* is then on its way before the caller reports what became of the name. A
        file with further names is settled once more, and these are looked for.
        """
        session = self.of_file(dev, ino)
        if session is not None and session.settling and self._tape_of(session.left[-1]) is None:
            others = has_other_names(session.left[-1], None)
            self._apply(session, Changed() if others else Removed())

    def hurry(self) -> None:
        """No more opens can come: let every settling end with its fsync, now and from now on."""
        self._settle_s = 0.0
        for session in self:
            self._apply(session, Hurried())

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

    async def _begin_again(self, session: WriteSession) -> None:
        """The tape is not as it was left any more: that must be known before it is so."""
        session.noted = False
        session.begun = trio.Event()
        try:
            await self._reporter.commit_opening(TapeReopened(session.id))
        finally:
            session.begun.set()

    def _apply(self, session: WriteSession, event: Event) -> None:
        self._carry_out(session, event)
        self._keep_few_settling(session)

    def _carry_out(self, session: WriteSession, event: Event) -> None:
        """Let the table decide, and do what it says.

        No await may come in between: an open that came there would join a session whose end is
        already told.
        """
        command = session.usage.apply(event)
        if command is Command.END_SESSION:
            del self._by_file[session.key]
            self._end(session)
        elif command is Command.SYNC and session.settler is None:
            session.settler = trio.Event()
            self._nursery.start_soon(self._settle, session)
        if session.settler is not None:
            session.settler.set()

    def _keep_few_settling(self, session: WriteSession) -> None:
        """Each holds a descriptor: of very many tapes closed together the first do not wait."""
        if not session.settling:
            self._settling.pop(session.key, None)
            return
        self._settling.setdefault(session.key, session)
        if len(self._settling) > self._most_settling:
            longest = self._settling.pop(next(iter(self._settling)))
            self._carry_out(longest, Hurried())

    async def _settle(self, session: WriteSession) -> None:
        """Make the tape durable outside the engine's close, as often as the table wants, and wait.

        There is one such task for a session: it ends with the session, or when somebody joins.
        """
        noted = False
        try:
            while isinstance(state := session.usage.state, Settling):
                session.settler = trio.Event()
                if not state.synced:
                    begin = min(state.since + QUIET_S, state.until)
                    if trio.current_time() < begin:
                        with trio.move_on_at(begin):
                            await session.settler.wait()
                        continue
                    # Then it is the first of those that are left, which nobody else closes.
                    self._keep_latest(session)
                    session.synced = await self._sync(session, session.left[-1])
                    await self._look_for_names(session, session.left[-1])
                    self._keep_latest(session)
                    noted = False
                    self._apply(session, Synced(state.serial, trio.current_time()))
                    continue
                with trio.move_on_at(state.until if noted else state.since + QUIET_S):
                    await session.settler.wait()
                self._apply(session, Elapsed(trio.current_time()))
                if session.usage.state == state and not noted:
                    noted = True
                    self._note(session)
        finally:
            session.settler = None
            while session.left:
                self._close(session.left.pop())

    def _keep_latest(self, session: WriteSession) -> None:
        while len(session.left) > 1:
            self._close(session.left.pop(0))

    def _note(self, session: WriteSession) -> None:
        """Have the next run know how the tape was left, should this one not live to tell it."""
        fd = session.left[-1]
        if session.synced and self._tape_of(fd) is not None:
            identity = store.identity_of(os.fstat(fd))
            session.noted = True
            self._reporter.post(
                TapeClosed(session.id, identity, session.wrote, session.bytes_written)
            )

    async def _sync(self, session: WriteSession, fd: int) -> bool:
        try:
            make_durable = store.sync if session.opened is not None else store.sync_with_name
            await trio.to_thread.run_sync(make_durable, fd, limiter=self._limiter)
        except (OSError, RuntimeError) as error:
            _logger.error(
                "%s could not be made durable: %s; check the vault's disk",
                session.tape,
                error.strerror if isinstance(error, OSError) else error,
            )
            session.failed_to_sync = True
        return not session.failed_to_sync

    async def _look_for_names(self, session: WriteSession, fd: int) -> None:
        """Find the further names of a file that has some: what was written was written to all."""
        session.names = []
        if has_other_names(fd, self._tape_of(fd)):
            try:
                session.names = await self._links.tapes_of(session.key)
            except (OSError, RuntimeError) as error:
                _logger.error(
                    "the further names of %s could not be looked for: %s; whether they are tapes "
                    "the next sweep will say",
                    session.tape,
                    error,
                )

    def _end(self, session: WriteSession) -> None:
        """Report the dismount under the tape's present name, and the change under its other names.

        A file that has no tape's name any more (unlinked, replaced, moved away) is reported under
        its last one, without identity: there is nothing to look at there.
        """
        fd = session.left[-1]
        found = os.fstat(fd)
        tape = self._tape_of(fd)
        others = [n for n in session.names if n != tape and self._links.is_at(n, session.key)]
        if tape is None and others:
            tape = others.pop(0)
        if tape is not None:
            session.tape = tape
        quiet_s = trio.current_time() - session.released_at
        self._reporter.post(
            self._reporter.of_session(
                Kind.DISMOUNTED,
                session.tape,
                session.facts(synced=session.synced, quiet_s=quiet_s),
                None if tape is None else store.identity_of(found),
                _cause_of_end(session, present=tape is not None),
            ),
            *(
                self._reporter.of_report(
                    Report(Kind.CHANGED, other.pool_id, other, cause="link"),
                    store.identity_of(found),
                )
                for other in others
                if session.wrote or not session.exact
            ),
        )


def _cause_of_end(session: WriteSession, *, present: bool) -> str:
    if session.failure is not None:
        return "refused"
    if not present:
        return "removed"
    return "" if session.opened is not None else "create"
