"""The link to one host: whether it is up, how it fares, and when an operator is told.

A short loss is nobody's business: the host is caught up with. What counts is *outage*, seconds that
grow while the link is down and shrink while it is up, from 0 to `EmsHost.lost_after`: full, it is an
alarm; empty again, the link counts as back. So a link that comes and goes gives an alarm if it is
down for most of the time, one alarm and no more, and none if it is up for most of it.
"""

from dataclasses import dataclass, field
from enum import Enum, auto

from copyagent.core.host_events import LinkTrouble
from copyagent.core.host_memory import HostMemory
from copyagent.core.time import Moment


class News(Enum):
    """Name what an operator is to be told of a link."""

    LOST = auto()
    STILL_LOST = auto()
    BACK = auto()


@dataclass(slots=True)
class LinkAlarm:
    """When the loss of a link is told. What is durable comes first, the rest is of this run.

    *told_ns* is when the loss was told last, 0 if it was not or if the link is back; *since_ns* is
    when the link was lost; *refused_ns* when it was last told that only an operator can mend it.
    *outage* is in seconds, as it was at *turned* (monotonic), when the link came or went last, which
    it first has done once it is *tried*.
    """

    since_ns: int = 0
    told_ns: int = 0
    refused_ns: int = 0
    tried: bool = False
    up: bool = False
    outage: float = 0.0
    turned: float = 0.0
    remind_at: float = 0.0
    greeted: bool = False

    def restarted(self, now: Moment, remind_every: float) -> None:
        """Begin a new run of the agent, in which nothing was tried yet."""
        self.up = self.greeted = self.tried = False
        self.outage = 0.0
        if self.told_ns:
            told = Moment(0.0, self.told_ns).after(remind_every)
            self.remind_at = now.again(told, remind_every).mono

    def lost(self, now: Moment, lost_after: float) -> None:
        """Take in that the link went down."""
        if self.tried and not self.up:
            return
        self._turn(now, lost_after)
        self.up = False
        if not self.told_ns:
            self.since_ns = now.wall_ns

    def came_up(self, now: Moment, lost_after: float) -> bool:
        """Take in that the link came up; tell whether it is the first time in this run."""
        if not self.up:
            self._turn(now, lost_after)
        is_first = not self.greeted
        self.up = self.greeted = True
        if is_first:
            self.told_ns, self.outage = 0, 0.0
        return is_first

    def tell(self, now: Moment, remind_every: float) -> None:
        """Take in that the loss is told now, for whatever reason."""
        self.told_ns, self.remind_at = now.wall_ns, now.mono + remind_every

    def may_tell_refusal(self, now: Moment, remind_every: float) -> bool:
        """Tell whether what only an operator can mend was not told within *remind_every*."""
        ago = now.wall_ns - self.refused_ns
        if self.refused_ns and 0 <= ago < remind_every * 1e9:
            return False
        self.refused_ns = now.wall_ns
        return True

    def due(self, now: Moment, lost_after: float, remind_every: float) -> News | None:
        """Say what has become worth telling by now, and take it as told."""
        at = self.due_at(lost_after)
        if at is None or now.mono < at:
            return None
        if self.up:
            self.told_ns = 0
            return News.BACK
        news = News.STILL_LOST if self.told_ns else News.LOST
        self.tell(now, remind_every)
        return news

    def due_at(self, lost_after: float) -> float | None:
        """Return the monotonic second at which `due` has something to say, if nothing happens."""
        if not self.tried:
            return None
        if self.up:
            return self.turned + self.outage if self.told_ns else None
        return self.remind_at if self.told_ns else self.turned + lost_after - self.outage

    def _turn(self, now: Moment, lost_after: float) -> None:
        gone = now.mono - self.turned if self.tried else 0.0
        self.tried = True
        outage = self.outage + (-gone if self.up else gone)
        self.outage, self.turned = min(max(outage, 0.0), lost_after), now.mono


@dataclass(slots=True)
class Link:
    """What is known of the link to one host. Durable.

    *since_ns* is when it last came or went, *trouble* why it is down. *events* counts what the host
    said about tapes in this run, *last_ns* is when it said something last, and *printed_at* what its
    own clock showed then. *gaps* counts the times at which events may have been missed, the last at
    *gap_ns* because of *gap*; *losses* how often the link went down. *caught_up* says that what was
    missed before the link came up is told, or is told to be missing.
    """

    up: bool = False
    since_ns: int = 0
    trouble: str = "connecting"
    kind: LinkTrouble | None = None
    events: int = 0
    last_ns: int = 0
    printed_at: str = ""
    gaps: int = 0
    gap_ns: int = 0
    gap: str = ""
    losses: int = 0
    caught_up: bool = False
    alarm: LinkAlarm = field(default_factory=LinkAlarm)
    memory: HostMemory = field(default_factory=HostMemory)

    def restarted(self, now: Moment, remind_every: float) -> None:
        """Begin a new run of the agent: there is no link yet, and what it said counts anew."""
        self.up, self.trouble, self.kind = False, "connecting", None
        self.since_ns, self.events, self.losses = now.wall_ns, 0, 0
        self.caught_up = False
        self.memory.broke()
        self.alarm.restarted(now, remind_every)
