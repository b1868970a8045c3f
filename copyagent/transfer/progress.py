"""How far a copy has come, for those who watch it."""

from dataclasses import dataclass
from enum import StrEnum

from vtsfs.contract.naming import TapeId


class Phase(StrEnum):
    """What a copy is doing, in the order in which it does it."""

    CONNECTING = "connecting"
    COMPARING = "comparing"
    SENDING = "sending"
    VERIFYING = "verifying"
    PUBLISHING = "publishing"


@dataclass(frozen=True, slots=True)
class CopyProgress:
    """*done* of *total* bytes of the phase; both 0 where a phase has no length.

    While SENDING, *done* counts what the target has acknowledged.
    """

    tape: TapeId
    target: str
    phase: Phase
    done: int = 0
    total: int = 0
