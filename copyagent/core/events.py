"""Everything that can happen to the engine, in the past tense. Host events have a file of their own."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field

from copyagent.core.copying import CopyFailed, CopyOutcome, CopyWaits, PublishedCopy
from copyagent.core.uncovered import Answer, Mounted
from vtsfs.contract.feed import Hello
from vtsfs.contract.naming import TapeId
from vtsfs.contract.settings import Target
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
class TapesFound:
    """A sweep of *vault* that began at *started* has found so much; `VaultSwept` follows.

    *found* and *unfit* are as there. Very many at once would keep everything else waiting.
    """

    vault: str
    started: float
    found: Mapping[TapeId, Identity]
    unfit: Mapping[TapeId, str] = field(default_factory=dict)

    def tells(self, tape: TapeId) -> bool:
        """Tell whether it says what became of *tape*."""
        return tape in self.found


@dataclass(frozen=True, slots=True)
class VaultSwept:
    """Every watched tape of *vault* was looked at, from *started* (monotonic seconds) on.

    *found* holds the regular files that are tapes by name, *unfit* what has a tape's name and is no
    plain file, with what it is. *same* are, by pool, the labels of those that were seen as well,
    and need no more words: they are as `Shelf.files` had them, or `TapesFound` has told of them.
    *ignored* counts the names in watched pools that are not tapes',
    *examples* are some of them; *unread* are pools that could not be read: of their tapes nothing
    is known. *pools* are those that were watched when it began, None: all that are watched now.
    """

    vault: str
    started: float
    found: Mapping[TapeId, Identity]
    ignored: int = 0
    unread: tuple[str, ...] = ()
    unfit: Mapping[TapeId, str] = field(default_factory=dict)
    examples: tuple[str, ...] = ()
    same: Mapping[str, AbstractSet[str]] = field(default_factory=dict)
    pools: AbstractSet[str] | None = None

    def has_read(self, pool: str) -> bool:
        """Tell whether all tapes of *pool* were looked at."""
        return pool not in self.unread and (self.pools is None or pool in self.pools)

    @property
    def tapes(self) -> int:
        """How many tapes there are."""
        return len(self.found) + sum(map(len, self.same.values()))

    def tells(self, tape: TapeId) -> bool:
        """Tell whether it says what became of *tape*: what it is, or that it is gone."""
        return self.has_read(tape.pool) and tape.label not in self.same.get(tape.pool, ())

    def has(self, tape: TapeId) -> bool:
        """Tell whether there was something of that name."""
        seen = tape in self.found or tape in self.unfit
        return seen or tape.label in self.same.get(tape.pool, ())


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
    with the cause. *asked* are the target's settings as they were when it was asked, if told.
    """

    target: str
    outcome: CopyFailed | CopyWaits | None = None
    unfit: Mapping[str, str] = field(default_factory=dict)
    asked: Target | None = None


@dataclass(frozen=True, slots=True)
class VaultSeen:
    """Somebody looked at the mount point of *vault*: what is mounted there, the topmost last.

    *answer* is that of the topmost, if it is ours; *trouble* says why nothing could be seen.
    """

    vault: str
    layers: tuple[Mounted, ...] = ()
    answer: Answer = Answer.LIVE
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class WakeupDue:
    """A moment that the engine asked for has come."""


Event = (
    AgentStarted
    | FeedOpened
    | FeedLost
    | SignalSeen
    | TapesFound
    | VaultSwept
    | CopyIntended
    | CopyEnded
    | TargetProbed
    | VaultSeen
    | WakeupDue
)
