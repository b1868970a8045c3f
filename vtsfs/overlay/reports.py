"""From what happened to a signal on its way: stamped with boot and clocks, given to the outbox."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from vtsfs.contract.errors import OutboxError
from vtsfs.contract.naming import PoolId, TapeId
from vtsfs.contract.notes import Entry
from vtsfs.contract.signals import Access, Identity, Kind, Signal
from vtsfs.overlay.moves import Report


class SignalSink(Protocol):
    """Where signals go: the outbox."""

    def post(self, signals: Sequence[Entry]) -> None:
        """Take signals and notes to be committed as soon as possible, in this order; never blocks."""

    async def commit(self, signals: Sequence[Entry]) -> None:
        """Return when the signals and notes are durable; raise OutboxError if that fails or takes too long.

        They are kept and tried again even then.
        """


class Clock(Protocol):
    """The clocks that stamp signals."""

    boot_id: str

    def wall_ns(self) -> int:
        """Nanoseconds since the epoch."""

    def mono_ns(self) -> int:
        """Nanoseconds of the monotonic clock."""


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What a session's signal says beyond what every signal says."""

    session: str
    access: Access
    opened: Identity | None
    wrote: bool = False
    bytes_written: int = 0
    extents: tuple[tuple[int, int], ...] | None = ()
    synced: bool = False
    quiet_ns: int = 0
    companions: tuple[str, ...] = ()


class Reporter:
    """Builds the signals of one vault and hands them on."""

    def __init__(self, vault: str, sink: SignalSink, clock: Clock, *, refuse: bool = False) -> None:
        self.vault = vault
        self._sink = sink
        self._clock = clock
        #: `outbox_failure: refuse`: an open for writing fails when its signal is not durable.
        self._refuse = refuse

    @property
    def boot_id(self) -> str:
        """The machine's boot ID now."""
        return self._clock.boot_id

    def of_session(
        self,
        kind: Kind,
        tape: TapeId,
        facts: SessionFacts,
        identity: Identity | None,
        cause: str = "",
    ) -> Signal:
        """Build a session's signal."""
        return Signal(
            kind=kind,
            vault=tape.vault,
            pool=tape.pool,
            label=tape.label,
            boot_id=self._clock.boot_id,
            wall_ns=self._clock.wall_ns(),
            mono_ns=self._clock.mono_ns(),
            identity=identity,
            session=facts.session,
            access=facts.access,
            opened=facts.opened,
            wrote=facts.wrote,
            bytes_written=facts.bytes_written,
            extents=facts.extents,
            synced=facts.synced,
            cause=cause,
            quiet_ns=facts.quiet_ns,
            companions=facts.companions,
        )

    def of_report(
        self,
        report: Report,
        identity: Identity | None,
        extents: tuple[tuple[int, int], ...] | None = None,
        *,
        opened: Identity | None = None,
        wrote: bool = True,
        companions: tuple[str, ...] = (),
    ) -> Signal:
        """Build the signal of something that happened without a session.

        *opened* is the tape as it was before, where *extents* say what changed since.
        """
        pool: PoolId = report.pool
        return Signal(
            kind=report.kind,
            vault=pool.vault,
            pool=pool.pool,
            label="" if report.tape is None else report.tape.label,
            boot_id=self._clock.boot_id,
            wall_ns=self._clock.wall_ns(),
            mono_ns=self._clock.mono_ns(),
            identity=identity,
            opened=opened,
            wrote=wrote and report.kind is Kind.CHANGED,
            extents=extents,
            origin=report.origin,
            cause=report.cause,
            companions=companions,
        )

    def post(self, *signals: Entry) -> None:
        """Hand signals and notes over without waiting; they are committed in this order."""
        self._sink.post(signals)

    async def commit(self, *signals: Entry) -> None:
        """Wait until the signals are durable, or the outbox has failed and said so.

        Host I/O does not fail because of it: the vault is unclean then, and will be swept.
        """
        if signals:
            try:
                await self._sink.commit(signals)
            except OutboxError:
                return

    async def commit_opening(self, signal: Entry) -> None:
        """As `commit`, but raise OutboxError where the site wants an open to fail with it."""
        try:
            await self._sink.commit((signal,))
        except OutboxError:
            if self._refuse:
                raise
