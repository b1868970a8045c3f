"""When a tape's session begins and ends: pure accounting of writers, as a table.

Theory of operation. A *session* is one span from the first open for writing to the end of the
settling after the release of the last such handle, joined by every open that comes before::

    Idle ──opened──> Mounted(1) ──opened──> Mounted(2) ──released──> Mounted(1)
                        │  ^                                            │
                        │  └──opened── Settling(serial) <──released─────┘
                        │                  │
                        │                  └──synced and quiet long enough──> Idle   [END_SESSION]
                        └ [BEGIN_SESSION when it comes from Idle]

Settling is the time in which the tape is made durable (fsync, in a thread) and in which an engine
may open it again: it is over when both the fsync is done and the settle time has passed since the
last release. An open in that time joins the session that is still running: it neither waits for the
fsync nor begins another session. The fsync's end is then stale, which the *serial* shows: only what
was made durable since the last release, or the last change by path, counts. Readers have sessions
of their own and never come here.

Times are seconds of one monotonic clock, and come with the events. Whatever the table does not name
is impossible unless the caller lost count, and raises `IllegalTransition`; the state is then as
before.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
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
    """The last writer is gone since *since*; nothing ends before *until*.

    The tape is being made durable for the *serial*-th time, or *synced*: it has been.
    """

    serial: int
    since: float
    until: float
    synced: bool = False


@dataclass(frozen=True, slots=True)
class Opened:
    """A handle was opened for writing."""


@dataclass(frozen=True, slots=True)
class Released:
    """A handle that was open for writing is gone for good, at the moment *at*."""

    at: float


@dataclass(frozen=True, slots=True)
class Changed:
    """The tape was changed by path: what was made durable before is no longer all of it."""


@dataclass(frozen=True, slots=True)
class Synced:
    """At the moment *at* the *serial*-th settling has made the tape as durable as it can be."""

    serial: int
    at: float


@dataclass(frozen=True, slots=True)
class Elapsed:
    """It is *at* now: look whether the tape was quiet for long enough."""

    at: float


@dataclass(frozen=True, slots=True)
class Hurried:
    """No more opens can come: nothing is waited for but the fsync."""


@dataclass(frozen=True, slots=True)
class Removed:
    """The file has no tape's name any more: nobody can open it again, nothing need be durable."""


class Command(Enum):
    """What the caller must do now, in the same step, without letting others run in between."""

    BEGIN_SESSION = auto()  # commit *mounted*; the open is answered when it is durable
    SYNC = auto()  # fsync the tape, then say Synced with the state's serial
    END_SESSION = auto()  # hand *dismounted* over


State = Idle | Mounted | Settling
Event = Opened | Released | Changed | Synced | Elapsed | Hurried | Removed
Step = tuple[State, Command | None]


class TapeUsage:
    """The writers of one tape: a state, the count of its settlings so far, and the settle time."""

    __slots__ = ("_settle_s", "_settlings", "state")

    def __init__(self, settle_s: float) -> None:
        self.state: State = Idle()
        self._settlings = 0
        self._settle_s = settle_s

    def apply(self, event: Event) -> Command | None:
        """Take *event* and return what must be done; raise `IllegalTransition` if it cannot be."""
        transition = TRANSITIONS.get((type(self.state), type(event)))
        if transition is None:
            raise IllegalTransition(f"a tape that is {self.state} cannot see {event}")
        if isinstance(event, Hurried):
            self._settle_s = 0.0
        self.state, command = transition(self.state, event, self._settlings + 1, self._settle_s)
        if command is Command.SYNC:
            self._settlings += 1
        return command


def _begin(_state: State, _event: Event, _serial: int, _settle_s: float) -> Step:
    return Mounted(1), Command.BEGIN_SESSION


def _one_more(state: State, _event: Event, _serial: int, _settle_s: float) -> Step:
    assert isinstance(state, Mounted)  # noqa: S101  # the table's key says so; for the type checker
    return Mounted(state.writers + 1), None


def _one_less(state: State, event: Event, serial: int, settle_s: float) -> Step:
    assert isinstance(state, Mounted)  # noqa: S101  # see _one_more
    assert isinstance(event, Released)  # noqa: S101  # see _one_more
    if state.writers > 1:
        return Mounted(state.writers - 1), None
    return Settling(serial, event.at, event.at + settle_s), Command.SYNC


def _join(_state: State, _event: Event, _serial: int, _settle_s: float) -> Step:
    return Mounted(1), None


def _sync_again(state: State, _event: Event, serial: int, _settle_s: float) -> Step:
    assert isinstance(state, Settling)  # noqa: S101  # see _one_more
    return replace(state, serial=serial, synced=False), Command.SYNC


def _synced(state: State, event: Event, _serial: int, _settle_s: float) -> Step:
    assert isinstance(state, Settling)  # noqa: S101  # see _one_more
    assert isinstance(event, Synced)  # noqa: S101  # see _one_more
    if event.serial != state.serial:
        return state, None
    return _end_if_over(replace(state, synced=True), event.at)


def _elapsed(state: State, event: Event, _serial: int, _settle_s: float) -> Step:
    assert isinstance(state, Settling)  # noqa: S101  # see _one_more
    assert isinstance(event, Elapsed)  # noqa: S101  # see _one_more
    return _end_if_over(state, event.at)


def _hurry(state: State, _event: Event, _serial: int, _settle_s: float) -> Step:
    assert isinstance(state, Settling)  # noqa: S101  # see _one_more
    return _end_if_over(replace(state, until=state.since), state.since)


def _end_if_over(state: Settling, at: float) -> Step:
    if state.synced and at >= state.until:
        return Idle(), Command.END_SESSION
    return state, None


def _remove(_state: State, _event: Event, _serial: int, _settle_s: float) -> Step:
    return Idle(), Command.END_SESSION


def _same(state: State, _event: Event, _serial: int, _settle_s: float) -> Step:
    return state, None


#: Every legal step. What reaches an idle tape belonged to a settling that was cut short.
TRANSITIONS: Mapping[
    tuple[type[State], type[Event]], Callable[[State, Event, int, float], Step]
] = {
    (Idle, Opened): _begin,
    (Idle, Synced): _same,
    (Idle, Elapsed): _same,
    (Idle, Hurried): _same,
    (Mounted, Opened): _one_more,
    (Mounted, Released): _one_less,
    (Mounted, Changed): _same,
    (Mounted, Synced): _same,
    (Mounted, Elapsed): _same,
    (Mounted, Hurried): _same,
    (Mounted, Removed): _same,
    (Settling, Opened): _join,
    (Settling, Changed): _sync_again,
    (Settling, Synced): _synced,
    (Settling, Elapsed): _elapsed,
    (Settling, Hurried): _hurry,
    (Settling, Removed): _remove,
}
