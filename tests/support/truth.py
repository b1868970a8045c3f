"""What really happens to tapes: mounts, versions of the bytes, and what the agent was told of them.

`tests.support.true_world` lets it happen.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from copyagent.core.host_events import HostEvent, Ring
from vtsfs.contract.naming import TapeId

Told = Callable[[], None]
"""What is to be noted when a word or a signal reaches the agent."""


@dataclass(eq=False)
class Mount:
    """One mount as it really is. *told* is whether its request has reached the agent.

    *sure*: the agent has heard the request, and everything of that host since.
    """

    host: str
    tape: TapeId
    ring: Ring
    request: int
    asked_s: float
    scratch: bool = False
    fulfilled: bool = False
    told: bool = False
    told_s: float = 0.0
    sure: bool = False
    over: bool = False
    met_told: bool = False
    over_told: bool = False


@dataclass
class Version:
    """The bytes of a tape after one change; *mount* is who made it, None for nobody the host knows.

    *foreign*: changed without a session. *cut*: the session was interrupted. *expected*: when the
    agent heard of the session's end, it knew the mount and that the host had the tape still.
    *covered*: all that the agent had heard until the session was over fitted another mount, one
    with ring, whose end was printed before it and came after it. Then nobody can know better.
    """

    mount: Mount | None
    foreign: bool = False
    cut: bool = False
    expected: bool = False
    covered: bool = False


@dataclass
class TrueTape:
    """A tape's truth. Version n is ``versions[n - 1]``; *published* is the target's version.

    *ringed* are all mounts with ring there were; *agreed* are mounts with ring whose end the agent was told: each is good for one copy of bytes
    that nobody was seen to write. *unplain*: the agent cannot know enough to judge without fault.
    *allowed*: an operator has taken the responsibility.
    """

    versions: list[Version] = field(default_factory=list)
    published: int = 0
    mount: Mount | None = None
    opener: Mount | None = None
    agreed: list[Mount] = field(default_factory=list)
    ringed: list[Mount] = field(default_factory=list)
    unplain: bool = False
    allowed: bool = False

    @property
    def version(self) -> int:
        return len(self.versions)


@dataclass
class Link:
    """The wire to one host: what is on its way, and what it would replay when it is back.

    *said* is when, in seconds, *since* when the link is up.
    """

    host: str
    up: bool = True
    since: float = 0.0
    said: deque[float] = field(default_factory=deque)
    wire: deque[tuple[HostEvent, Told]] = field(default_factory=deque)


class Broken(AssertionError):
    """An invariant does not hold."""
