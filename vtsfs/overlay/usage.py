"""When a tape's session begins and ends: pure accounting of writers, as a table.

Theory of operation. A *session* is one span from the first open for writing to the release of the
last such handle, joined by every open that comes before its end was reported::

    Idle ──opened──> Mounted(1) ──opened──> Mounted(2) ──released──> Mounted(1)
                        │  ^                                            │
                        │  └──opened── Settling(serial) <──released─────┘
                        │                  │
                        │                  └──settled(serial)──> Idle     [EndSession]
                        └ [BeginSession when it comes from Idle]

Settling is the time in which the tape is made durable (fsync, in a thread). An open in that time
joins the session that is still running: it neither waits for the fsync nor begins another session.
The fsync's end is then stale, which the *serial* shows: only the settling that is current ends a
session. Readers have sessions of their own and never come here.

Whatever the table does not name is impossible unless the caller lost count, and raises
`IllegalTransition`; the state is then as before.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from vtsfs.contract.errors import VtsError


class IllegalTransition(VtsError):
    """An event that cannot happen in this state: our own book-keeping is wrong (a bug)."""


@dataclass(frozen=True, slots=True)
class Idle:
    """Nobody has the tape open for writing, and nothing remains to be reported."""


@dataclass(frozen=True, slots=True)
class Mounted:
    """*writers* handles (at least one) are open for writing."""

    writers: int


@dataclass(frozen=True, slots=True)
class Settling:
    """The last writer is gone; the tape is being made durable for the *serial*-th time."""

    serial: int


@dataclass(frozen=True, slots=True)
class Opened:
    """A handle was opened for writing."""


@dataclass(frozen=True, slots=True)
class Released:
    """A handle that was open for writing is gone for good."""


@dataclass(frozen=True, slots=True)
class Settled:
    """The tape is as durable as it can be made; *serial* says which settling has ended."""

    serial: int


class Command(Enum):
    """What the caller must do now, in the same step, without letting others run in between."""

    BEGIN_SESSION = auto()  # commit *mounted*; the open is answered when it is durable
    START_SETTLING = auto()  # fsync the tape, then say Settled with the state's serial
    END_SESSION = auto()  # hand *dismounted* over


State = Idle | Mounted | Settling
Event = Opened | Released | Settled
Step = tuple[State, Command | None]


class TapeUsage:
    """The writers of one tape: a state, and the count of its settlings so far."""

    __slots__ = ("_settlings", "state")

    def __init__(self) -> None:
        self.state: State = Idle()
        self._settlings = 0

    def apply(self, event: Event) -> Command | None:
        """Take *event* and return what must be done; raise `IllegalTransition` if it cannot be."""
        transition = TRANSITIONS.get((type(self.state), type(event)))
        if transition is None:
            raise IllegalTransition(f"a tape that is {self.state} cannot see {event}")
        self.state, command = transition(self.state, event, self._settlings + 1)
        if command is Command.START_SETTLING:
            self._settlings += 1
        return command


def _begin(_state: State, _event: Event, _serial: int) -> Step:
    return Mounted(1), Command.BEGIN_SESSION


def _one_more(state: State, _event: Event, _serial: int) -> Step:
    assert isinstance(state, Mounted)  # noqa: S101  # the table's key says so; for the type checker
    return Mounted(state.writers + 1), None


def _one_less(state: State, _event: Event, serial: int) -> Step:
    assert isinstance(state, Mounted)  # noqa: S101  # see _one_more
    if state.writers > 1:
        return Mounted(state.writers - 1), None
    return Settling(serial), Command.START_SETTLING


def _join(_state: State, _event: Event, _serial: int) -> Step:
    return Mounted(1), None


def _settle(state: State, event: Event, _serial: int) -> Step:
    if state == Settling(getattr(event, "serial", 0)):
        return Idle(), Command.END_SESSION
    return state, None


def _stale(state: State, _event: Event, _serial: int) -> Step:
    return state, None


#: Every legal step. Idle x Settled is a stale settling too: the session it belonged to was joined,
#: and ended by a later one.
TRANSITIONS: Mapping[tuple[type[State], type[Event]], Callable[[State, Event, int], Step]] = {
    (Idle, Opened): _begin,
    (Idle, Settled): _stale,
    (Mounted, Opened): _one_more,
    (Mounted, Released): _one_less,
    (Mounted, Settled): _stale,
    (Settling, Opened): _join,
    (Settling, Settled): _settle,
}
