"""Everything that can happen to the engine, in the past tense. Host events have a file of their own."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from copyagent.core.copying import CopyFailed, CopyOutcome, CopyWaits, PublishedCopy
from vtsfs.contract.feed import Hello
from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Identity, Signal


@dataclass(frozen=True, slots=True)
class AgentStarted:
    """The state was read; whatever was running before is not running any more."""


@dataclass(frozen=True, slots=True)
class FeedOpened:
    """An overlay answered, and said hello."""

    hello: Hello


@dataclass(frozen=True, slots=True)
class FeedLost:
    """The overlay of *vault* does not answer (any more)."""

    vault: str
    cause: str


@dataclass(frozen=True, slots=True)
class SignalSeen:
    """An overlay reported something, as number ``signal.seq`` of *outbox_id*."""

    outbox_id: str
    signal: Signal


@dataclass(frozen=True, slots=True)
class VaultSwept:
    """Every watched tape of *vault* was looked at, from *started* (monotonic seconds) on.

    *found* holds the regular files that are tapes by name, *unfit* what has a tape's name and is no
    plain file, with what it is; *ignored* counts the names in watched pools that are not tapes',
    *examples* are some of them; *unread* are pools that could not be read: of their tapes nothing
    is known.
    """

    vault: str
    started: float
    found: Mapping[TapeId, Identity]
    ignored: int = 0
    unread: tuple[str, ...] = ()
    unfit: Mapping[TapeId, str] = field(default_factory=dict)
    examples: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CopyIntended:
    """The running copy is about to rename *copy* into place."""

    tape: TapeId
    target: str
    copy: PublishedCopy


@dataclass(frozen=True, slots=True)
class CopyEnded:
    """A copy that was started has ended, one way or another."""

    tape: TapeId
    target: str
    outcome: CopyOutcome


@dataclass(frozen=True, slots=True)
class TargetProbed:
    """A target was asked whether it lets us in; *outcome* is None if so.

    Else it is how any copy to it would end. *unfit* are its vaults that take no copies all the same,
    with the cause.
    """

    target: str
    outcome: CopyFailed | CopyWaits | None = None
    unfit: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WakeupDue:
    """A moment that the engine asked for has come."""


Event = (
    AgentStarted
    | FeedOpened
    | FeedLost
    | SignalSeen
    | VaultSwept
    | CopyIntended
    | CopyEnded
    | TargetProbed
    | WakeupDue
)
