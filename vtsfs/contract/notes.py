"""What the overlay notes for its own next run, should this one be cut off; nobody is told of it.

Notes are committed in the order of the signals that they stand among. They go when what they are
about has been told.
"""

from dataclasses import dataclass

from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Identity, Signal


@dataclass(frozen=True, slots=True)
class TapeClosed:
    """A write session's last handle is gone and its tape durable; it is only settling.

    *identity* is how the tape was left: found so by the next run, the session has ended as it
    should, and nobody has to hold the tape.
    """

    session: str
    identity: Identity
    wrote: bool
    bytes_written: int


@dataclass(frozen=True, slots=True)
class TapeReopened:
    """What `TapeClosed` said of the session is over: somebody writes again.

    Durable before the first write can be: of an overwrite in place a crash may leave the bytes and
    not the time stamps (fdatasync(2)), and then the tape would look as it was left.
    """

    session: str


@dataclass(frozen=True, slots=True)
class CompanionOpened:
    """The companion *name* of *tape* is open for writing, under the random name *opening*.

    *identity* is the companion as it was before, None if this open created it.
    """

    opening: str
    tape: TapeId
    name: str
    identity: Identity | None


@dataclass(frozen=True, slots=True)
class CompanionClosed:
    """What `CompanionOpened` said of *opening* is over, and told where there was a change."""

    opening: str


Note = TapeClosed | TapeReopened | CompanionOpened | CompanionClosed

#: What the outbox takes.
Entry = Signal | Note
