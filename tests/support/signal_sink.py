"""A place for signals in memory, and the small things that signals are made of."""

from collections.abc import Sequence

from vtsfs.contract.errors import OutboxError
from vtsfs.contract.naming import TapeId
from vtsfs.contract.notes import Entry, Note
from vtsfs.contract.signals import Access, Identity, Kind, Signal
from vtsfs.outbox.folding import Earlier

TAPE = TapeId("VAULT00", "BILL", "X00001")


class FixedClock:
    """Clocks that stand still."""

    boot_id = "boot"

    def wall_ns(self) -> int:
        return 1_000

    def mono_ns(self) -> int:
        return 2_000


class Sink:
    """Keeps what it is given; with *failing* nothing becomes durable, as with a full disk."""

    def __init__(self, *, failing: bool = False) -> None:
        self.signals: list[Signal] = []
        self.notes: list[Note] = []
        self.failing = failing

    def post(self, signals: Sequence[Entry]) -> None:
        for entry in signals:
            if isinstance(entry, Signal):
                self.signals.append(entry)
            else:
                self.notes.append(entry)

    async def commit(self, signals: Sequence[Entry]) -> None:
        self.post(signals)
        if self.failing:
            raise OutboxError("no room")


def earlier(signals: Sequence[Signal]) -> Earlier:
    """Give undelivered signals, which stand in their order, to be folded with."""
    return Earlier(reversed(signals), lambda name: [s for s in signals if s.session == name])


def identity(mtime_ns: int, *, ino: int = 7, size: int = 10) -> Identity:
    return Identity(dev=1, ino=ino, size=size, mtime_ns=mtime_ns, ctime_ns=mtime_ns)


def a_signal(
    kind: Kind,
    session: str = "",
    *,
    tape: TapeId = TAPE,
    access: Access = Access.WRITE,
    before: Identity | None = None,
    after: Identity | None = None,
    extents: tuple[tuple[int, int], ...] | None = (),
    origin: str = "",
) -> Signal:
    return Signal(
        kind=kind,
        vault=tape.vault,
        pool=tape.pool,
        label=tape.label,
        boot_id="boot",
        wall_ns=1,
        mono_ns=2,
        identity=after,
        session=session,
        access=access,
        opened=before,
        wrote=bool(extents),
        extents=extents,
        origin=origin,
    )
