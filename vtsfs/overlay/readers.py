"""Read sessions: reported too, but so that a scanner of every tape costs next to nothing.

Nobody waits for these signals. They are gathered here for a moment, folded per tape, and handed to
the outbox together; the outbox folds them again while nobody listens.
"""

import secrets
from dataclasses import dataclass, field

import trio

from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Access, Identity, Kind, Signal, merge
from vtsfs.overlay.reports import Reporter, SessionFacts

#: Seconds for which read signals are gathered before they are handed over.
GATHERING_S = 0.5


class ReadReports:
    """Signals of readers that were not handed over yet; pure.

    Of one tape at most a *dismounted* and the *mounted* of the next session are kept: a session that
    began and ended within the gathering leaves its end alone, and several ends become one.
    """

    def __init__(self) -> None:
        self._ended: dict[TapeId, Signal] = {}
        self._begun: dict[str, Signal] = {}

    def __bool__(self) -> bool:
        return bool(self._ended or self._begun)

    def add(self, tape: TapeId, signal: Signal) -> None:
        """Take a reader's *mounted* or *dismounted*."""
        if signal.kind is Kind.MOUNTED:
            self._begun[signal.session] = signal
            return
        # By session: the tape can have got another name meanwhile.
        self._begun.pop(signal.session, None)
        earlier = self._ended.pop(tape, None)
        self._ended[tape] = signal if earlier is None else merge(earlier, signal)

    def drain(self) -> list[Signal]:
        """Return what was gathered and forget it."""
        drained = [*self._ended.values(), *self._begun.values()]
        self._ended.clear()
        self._begun.clear()
        return drained


@dataclass(slots=True)
class ReadSession:
    """One span in which a tape had readers."""

    key: tuple[int, int]
    tape: TapeId
    opened: Identity
    since_ns: int
    readers: int = 0
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    pids: set[int] = field(default_factory=set)


class Readers:
    """The read sessions of one vault."""

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._by_file: dict[tuple[int, int], ReadSession] = {}
        self._reports = ReadReports()
        self._wake = trio.Event()

    def sessions(self) -> list[ReadSession]:
        """Return the sessions that are running."""
        return list(self._by_file.values())

    def opened(self, tape: TapeId, identity: Identity, since_ns: int, pid: int) -> ReadSession:
        """Count a reader of *tape*."""
        key = (identity.dev, identity.ino)
        session = self._by_file.get(key)
        if session is None:
            session = ReadSession(key, tape, identity, since_ns)
            self._by_file[key] = session
            self._gather(Kind.MOUNTED, session, identity)
        session.readers += 1
        session.pids.add(pid)
        return session

    def released(self, session: ReadSession, tape: TapeId | None, identity: Identity) -> None:
        """Count the end of a reader; the file is now called *tape*, and *identity* is its present one.

        A file that has no tape's name any more is reported under its last one, without identity.
        """
        session.readers -= 1
        if session.readers > 0:
            return
        del self._by_file[session.key]
        if tape is None:
            self._gather(Kind.DISMOUNTED, session, None, "removed")
        else:
            session.tape = tape
            self._gather(Kind.DISMOUNTED, session, identity)

    async def hand_over_forever(self) -> None:
        """Give what was gathered to the outbox, every now and then; runs until it is cancelled."""
        while True:
            await self._wake.wait()
            await trio.sleep(GATHERING_S)
            self.hand_over()

    def hand_over(self) -> None:
        """Give what was gathered to the outbox now."""
        self._wake = trio.Event()
        if self._reports:
            self._reporter.post(*self._reports.drain())

    def _gather(
        self, kind: Kind, session: ReadSession, identity: Identity | None, cause: str = ""
    ) -> None:
        facts = SessionFacts(session.id, Access.READ, session.opened)
        self._reports.add(
            session.tape, self._reporter.of_session(kind, session.tape, facts, identity, cause)
        )
        self._wake.set()
