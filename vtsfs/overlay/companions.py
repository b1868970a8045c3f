"""What happens to companions, told as something that happened to their tapes.

A companion that changed within a session of its tape belongs to that session; without one it is a
*changed* of the tape, whose own bytes are as they were. While a companion is open for writing the
outbox has a note of it, so that a crash in the midst of it is told, too. Where there is no tape of
that name, nothing is told: when the tape comes, its companions come with it.
"""

import logging
import os
import secrets
import stat
from collections.abc import Callable

import trio

from vtsfs.contract.notes import CompanionClosed, CompanionOpened
from vtsfs.contract.signals import Identity, Kind, Signal
from vtsfs.overlay import store
from vtsfs.overlay.moves import Report
from vtsfs.overlay.places import Companion
from vtsfs.overlay.reports import Reporter
from vtsfs.overlay.sessions import Sessions
from vtsfs.runtime.tasks import Starter

_logger = logging.getLogger(__name__)

#: Tells which companion an open descriptor is now, None if it is none.
CompanionOf = Callable[[int], Companion | None]


class Companions:
    """The companions of one vault's tapes."""

    def __init__(
        self,
        reporter: Reporter,
        nursery: Starter,
        sessions: Sessions,
        companion_of: CompanionOf,
        root_fd: int,
        threads: int = 4,
    ) -> None:
        self._reporter = reporter
        self._nursery = nursery
        self._sessions = sessions
        #: Tells which companion a descriptor is by its present name.
        self.of = companion_of
        self._root_fd = root_fd
        self._limiter = trio.CapacityLimiter(threads)

    async def opened(self, fd: int, *, created: bool) -> str:
        """Note that a regular file that is no tape was opened for writing, before it is changed.

        Returns the name of the opening, '' if the file is no companion. Raises OutboxError only
        where the site refuses opens that cannot be recorded.
        """
        companion = self.of(fd)
        if companion is None:
            return ""
        opening = secrets.token_hex(8)
        before = None if created else store.identity_of(os.fstat(fd))
        note = CompanionOpened(opening, companion.tape, companion.name, before)
        try:
            await self._reporter.commit_opening(note)
        except BaseException:
            self._reporter.post(CompanionClosed(opening))
            raise
        return opening

    def released(self, opening: str, fd: int, *, changed: bool) -> None:
        """A handle of *opening* ('': no companion when it was opened) is gone; takes *fd* over."""
        if changed and self.of(fd) is not None:
            self._nursery.start_soon(self._tell, opening, fd)
            return
        self.ended(opening)
        os.close(fd)

    def ended(self, opening: str) -> None:
        """What was opened as a companion is told as something else, or was not changed."""
        if opening:
            self._reporter.post(CompanionClosed(opening))

    def told(self, *companions: Companion | None) -> list[Signal]:
        """Enter changes into the sessions of their tapes; return the signals of those without."""
        signals = []
        for companion in companions:
            identity = None if companion is None else self._look_at_tape(companion)
            if companion is None or identity is None:
                continue
            session = self._sessions.of_file(identity.dev, identity.ino)
            if session is not None:
                session.companions.add(companion.name)
                continue
            tape = companion.tape
            report = Report(Kind.CHANGED, tape.pool_id, tape, cause="companion")
            names = (companion.name,)
            signals.append(
                self._reporter.of_report(
                    report, identity, (), opened=identity, wrote=False, companions=names
                )
            )
        return signals

    async def _tell(self, opening: str, fd: int) -> None:
        """Make the companion durable outside its writer's close, then tell of it."""
        try:
            await trio.to_thread.run_sync(store.sync_with_name, fd, limiter=self._limiter)
        except OSError as error:
            _logger.error(
                "companion %s could not be made durable: %s; check the vault's disk",
                self.of(fd),
                error.strerror,
            )
        finally:
            closed = (CompanionClosed(opening),) if opening else ()
            self._reporter.post(*self.told(self.of(fd)), *closed)
            os.close(fd)

    def _look_at_tape(self, companion: Companion) -> Identity | None:
        tape = companion.tape
        path = os.path.join(tape.pool, tape.label)
        try:
            found = os.stat(path, dir_fd=self._root_fd, follow_symlinks=False)
        except OSError:
            return None
        return store.identity_of(found) if stat.S_ISREG(found.st_mode) else None
