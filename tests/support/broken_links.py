"""Sessions with one host that follow on each other, without the host: what they tell is kept."""

from __future__ import annotations

from dataclasses import dataclass, field

from copyagent.core.host_clock import as_printed, printed_second
from copyagent.core.host_events import CaughtUp, EventsMissed, HostEvent, TapeDismounted
from copyagent.core.host_memory import HostMemory, Resumption
from copyagent.ems.catch_up import begin_at
from copyagent.ems.lines import EmsEvent
from copyagent.ems.link_settings import LinkTally
from copyagent.ems.listening import Listener

START = printed_second("26-10-24 22:00:00") or 0
PLAIN = "EMSDIST /NAME/ TYPE PRINTING, COLLECTOR $0, TEXTOUT [#MYTERM]"


def dismounted(second: int, volume: str = "X00001", *, node: str = "\\DEV2") -> EmsEvent:
    """Make a dismount that the host printed at *second* of its clock."""
    text = f"STATUS 1512 - {volume} TAPE DISMOUNTED FROM DRIVE $T"
    return EmsEvent(as_printed(second), node, "$ZSVR", "TANDEM.TAPE.G06", 659, text)


def other(second: int, text: str = "LINE READY") -> EmsEvent:
    """Make an event of another subsystem."""
    return EmsEvent(as_printed(second), "\\DEV2", "$ZLM1", "TANDEM.TMDS.D46", 100, text)


@dataclass
class Link:
    """Sessions with one host, one after the other; *durable* is what the engine would keep."""

    memory: HostMemory = field(default_factory=HostMemory)
    durable: HostMemory = field(default_factory=HostMemory)
    now: float = 0.0
    told: list[HostEvent] = field(default_factory=list)
    listener: Listener | None = None

    def begin(self, resumption: Resumption | None = None) -> Resumption:
        """Begin a session, where the memory says unless told; return where."""
        self.memory.broke()
        self.durable.broke()
        found = resumption or begin_at(self.memory, PLAIN, wanted=True, refused=False)
        latest = self.listener.latest if self.listener is not None else None
        self.listener = Listener("DEV2", self.memory, found, LinkTally(), self.now, latest=latest)
        self.durable.came_up()
        self._keep(self.listener.begin())
        return found

    def hear(self, *events: EmsEvent) -> None:
        """Let the host print whole events."""
        assert self.listener is not None
        self._keep(self.listener.take(events, self.now))

    def hear_open(self, *events: EmsEvent) -> None:
        """Let it print events of which the last may go on."""
        assert self.listener is not None
        self._keep(self.listener.take_open(list(events), self.now))

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        assert self.listener is not None
        self.now += seconds
        self._keep(self.listener.tick(self.now))

    def end(self) -> None:
        """End the session; what was not given is lost."""
        assert self.listener is not None
        self._keep(self.listener.end(self.now))

    def crash(self) -> None:
        """Lose all but what was durable."""
        self.memory = self.durable.copy()

    def _keep(self, events: list[HostEvent]) -> None:
        for event in events:
            self.durable.heard(event)
            if isinstance(event, CaughtUp | EventsMissed):
                self.durable.settle()
        self.told += events

    @property
    def dismounts(self) -> list[tuple[str, str | None]]:
        """When, by the host's clock, which volume was dismounted, as told."""
        return [(e.printed_at, e.volume) for e in self.told if isinstance(e, TapeDismounted)]

    @property
    def gaps(self) -> list[str]:
        """Why events may be missing, as often as it was told."""
        return [event.why for event in self.told if isinstance(event, EventsMissed)]

    @property
    def catch_ups(self) -> int:
        """How often it was told that nothing is missing."""
        return sum(isinstance(event, CaughtUp) for event in self.told)


def linked(*events: EmsEvent) -> Link:
    """Make a link whose first session has heard *events* and ended."""
    link = Link()
    link.begin()
    link.hear(*events)
    link.end()
    return link
