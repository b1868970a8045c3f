"""What can happen to one tape's copy at one target, as the state machine is told of it.

What becomes of each is in `copyagent.core.tape`, which hands on all names of here.
"""

from dataclasses import dataclass

from copyagent.core import copying
from copyagent.core.copying import HoldReason, WaitReason


@dataclass(frozen=True, slots=True)
class Approved:
    """A verdict, a sync or a release says: copy *generation*.

    *again* asks for a comparison even if that generation is recorded as copied already. *complete*
    is False if nobody saw the generation come to its end: a touch, or a host's word alone.
    """

    generation: int
    again: bool = False
    complete: bool = True


@dataclass(frozen=True, slots=True)
class HoldDecided:
    """A verdict says: do not copy *generation* without the operator's word."""

    generation: int
    reason: HoldReason
    detail: str


@dataclass(frozen=True, slots=True)
class WriterCame:
    """A write session began."""


@dataclass(frozen=True, slots=True)
class Unchanged:
    """Everything was judged and the tape still is *generation*: nothing new to copy."""

    generation: int


@dataclass(frozen=True, slots=True)
class Started:
    """The scheduler starts an attempt."""


@dataclass(frozen=True, slots=True)
class Deferred:
    """The running attempt is stopped without fault: a window closes, an operator pauses."""


@dataclass(frozen=True, slots=True)
class Ended:
    """The running attempt ended with *outcome*."""

    outcome: copying.CopyOutcome


@dataclass(frozen=True, slots=True)
class TargetDown:
    """The target did not answer, for another tape or when it was asked, while this one was due.

    That counts as an attempt. Or its vault takes no copies (*whole_vault*); *permanent* as in
    `Retrying`.
    """

    cause: str
    next_step: str
    permanent: bool = False
    whole_vault: bool = False


@dataclass(frozen=True, slots=True)
class TargetWaits:
    """The target had another tape wait while this one was due: counts as no attempt."""

    reason: WaitReason
    detail: str


@dataclass(frozen=True, slots=True)
class TargetReturned:
    """The target answers again."""


@dataclass(frozen=True, slots=True)
class Cleared:
    """What copies waited for, *reason*, was put right by an operator."""

    reason: WaitReason


@dataclass(frozen=True, slots=True)
class RetryAsked:
    """An operator wants a new ladder."""

    generation: int


@dataclass(frozen=True, slots=True)
class CancelAsked:
    """The operator *by* wants what is pending not to be made, for the reason *because*."""

    by: str
    because: str


@dataclass(frozen=True, slots=True)
class HoldAsked:
    """An operator keeps the copy back from now on; the step's context says so, and why."""


@dataclass(frozen=True, slots=True)
class Vanished:
    """The tape is gone, or empty, at the source."""

    how: str


@dataclass(frozen=True, slots=True)
class Received:
    """A peer published this tape here: it is the peer's to copy."""


@dataclass(frozen=True, slots=True)
class Restarted:
    """The agent starts: whatever was running is not running any more."""


Event = (
    Approved
    | HoldDecided
    | WriterCame
    | Unchanged
    | Started
    | Deferred
    | Ended
    | TargetDown
    | TargetWaits
    | TargetReturned
    | Cleared
    | RetryAsked
    | CancelAsked
    | HoldAsked
    | Vanished
    | Received
    | Restarted
)
