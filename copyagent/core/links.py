"""The host links: which can be heard, and what a host's word means for the tapes it names."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Final

from copyagent.core.book import Book
from copyagent.core.host_events import (
    NEXT_STEPS,
    CaughtUp,
    EventsMissed,
    HostEvent,
    LinkLost,
    LinkTrouble,
    LinkUp,
    OthersHeard,
    SetAside,
    TapeDismounted,
)
from copyagent.core.judging import Judge
from copyagent.core.link import Link, News
from copyagent.core.readings import volumes_in
from copyagent.core.records import TapeRecord
from copyagent.core.time import Moment
from vtsfs.contract import messages

_TOLD_AS: Final = {
    LinkTrouble.LOGIN_REFUSED: messages.LOGIN_REFUSED,
    LinkTrouble.HOST_KEY_REJECTED: messages.HOST_KEY_REJECTED,
}
"""Trouble that nobody but an operator ends has a message of its own."""


@dataclass(slots=True)
class Links:
    """The links of one agent, by host; whatever a host says reaches the tapes through `judge`."""

    book: Book
    judge: Judge
    state: dict[str, Link] = field(init=False)

    def __post_init__(self) -> None:
        known = self.book.links
        self.state = {host: known.get(host, Link()) for host in self.book.settings.ems.hosts}
        self.book.links = self.state

    def follow(self) -> None:
        """Take up the hosts of other settings; what one said that was not listened to is not known."""
        hosts = self.book.settings.ems.hosts
        for host in self.state.keys() - hosts.keys():
            del self.state[host]
        for host in hosts.keys() - self.state.keys():
            self.state[host] = Link()
            self.book.mounts.lose(host, gap=True)
        self.book.mounts_dirty = self.book.links_dirty = True

    def recover(self, now: Moment) -> None:
        """After a restart: what the hosts said meanwhile is still to come, if it comes at all."""
        for host, link in self.state.items():
            self.book.mounts.lose(host, gap=not link.memory.known)
            link.restarted(now, self._remind_every(host))
        self.book.mounts_dirty = self.book.links_dirty = True

    def heard(self, event: HostEvent, now: Moment) -> None:
        """Take in what a host, or the link to it, said."""
        link = self.state.get(event.host)
        if link is None:
            return
        if not isinstance(event, LinkUp | LinkLost | CaughtUp | EventsMissed):
            self._note_progress(event, link, now)
        if isinstance(event, OthersHeard):
            return
        match event:
            case LinkUp():
                self._came_up(event.host, link, now)
            case LinkLost():
                self._link_lost(event, link, now)
            case EventsMissed():
                self._missed(event, link, now)
            case CaughtUp():
                link.caught_up = True
                link.memory.settle()
                self.book.links_dirty = True
            case SetAside():
                pass
            case _:
                link.events += 1
        volumes = self.book.mounts.handle(event, now.wall_ns, self.judge.meant.tape_on(event))
        self.book.mounts_dirty = self.book.mounts_dirty or bool(volumes)
        meant = {
            volume: self.judge.meant.addressed(event.host, volume)
            for volume in dict.fromkeys((*volumes_in(event), *volumes))
        }
        self.book.journal.add(event, [str(r.tape) for rs in meant.values() for r in rs], now)
        for volume in volumes:
            for record in meant[volume]:
                self._host_spoke(record, event, now)
            if not meant[volume]:
                self.book.mounts.is_elsewhere(event.host, volume)

    def due(self, now: Moment) -> None:
        """Tell what time has made worth telling."""
        for host, link in self.state.items():
            news = link.alarm.due(now, self._lost_after(host), self._remind_every(host))
            if news is not None:
                self._tell(host, link, news, now)

    def times(self) -> list[float]:
        """Return the monotonic seconds at which `due` is wanted."""
        times = (link.alarm.due_at(self._lost_after(host)) for host, link in self.state.items())
        return [at for at in times if at is not None]

    # ---- the link itself -------------------------------------------------------------------------

    def _note_progress(self, event: HostEvent, link: Link, now: Moment) -> None:
        link.last_ns, link.printed_at = now.wall_ns, event.printed_at
        if link.memory.heard(event):
            self.book.links_dirty = True

    def _came_up(self, host: str, link: Link, now: Moment) -> None:
        if not link.up:
            link.since_ns = now.wall_ns
        link.up, link.trouble, link.kind = True, "", None
        link.caught_up = not link.memory.known
        link.memory.came_up()
        self.judge.links[host] = True
        self.book.links_dirty = True
        if link.alarm.came_up(now, self._lost_after(host)):
            self.book.say(messages.LINK_UP, host=host)

    def _link_lost(self, event: LinkLost, link: Link, now: Moment) -> None:
        if link.up:
            link.losses += 1
        if link.up or not link.since_ns:
            link.since_ns = now.wall_ns
        link.up, link.trouble, link.kind, link.caught_up = False, event.why, event.trouble, False
        link.memory.broke()
        self.book.links_dirty = True
        every = self._remind_every(event.host)
        link.alarm.lost(now, self._lost_after(event.host))
        if event.trouble in _TOLD_AS and link.alarm.may_tell_refusal(now, every):
            self._say_lost(event.host, link)
            link.alarm.tell(now, every)
        if link.alarm.told_ns:
            self._expect_nothing_of(event.host, now)

    def _missed(self, event: EventsMissed, link: Link, now: Moment) -> None:
        link.gaps += 1
        link.gap_ns, link.gap, link.caught_up = now.wall_ns, event.why, link.up
        link.memory.settle()
        self.book.links_dirty = True
        about = f"{event.host}: {event.why}"
        self.book.say_once(messages.EMS_GAP, about, now, host=event.host, cause=event.why)

    def _tell(self, host: str, link: Link, news: News, now: Moment) -> None:
        self.book.links_dirty = True
        match news:
            case News.BACK:
                self.book.say(messages.LINK_UP, host=host)
            case News.LOST:
                is_known = link.kind in _TOLD_AS
                if not is_known or link.alarm.may_tell_refusal(now, self._remind_every(host)):
                    self._say_lost(host, link)
                self._expect_nothing_of(host, now)
            case News.STILL_LOST:
                since = datetime.fromtimestamp(link.alarm.since_ns // 10**9, UTC)
                self._say_lost(host, link, f"since {since:%Y-%m-%d %H:%M:%S} UTC, ")

    def _say_lost(self, host: str, link: Link, since: str = "") -> None:
        message = messages.LINK_LOST if link.kind is None else _TOLD_AS.get(link.kind)
        cause = link.trouble.removeprefix(f"EMS link to {host}: ")
        if link.kind is not None:
            # A line of the event log has little room, and the message has a next step of its own.
            cause = cause.removesuffix(f". {NEXT_STEPS[link.kind]}")
        self.book.say(message or messages.LINK_LOST, host=host, cause=since + cause)

    def _expect_nothing_of(self, host: str, now: Moment) -> None:
        """Judge what waits for this host's word without it."""
        if not self.judge.links.get(host):
            return
        self.judge.links[host] = False
        for tape in list(self.book.deadlines):
            if tape in self.book.records:
                self.judge.consider(self.book.records[tape], now)

    def _lost_after(self, host: str) -> float:
        return self.book.settings.ems.hosts[host].lost_after

    def _remind_every(self, host: str) -> float:
        return self.book.settings.ems.hosts[host].remind_every

    # ---- the tapes -------------------------------------------------------------------------------

    def _host_spoke(self, record: TapeRecord, event: HostEvent, now: Moment) -> None:
        self.book.dirty.add(record.tape)
        record.note(now.wall_ns, f"{event.host}: {_in_words(event)}")
        if isinstance(event, TapeDismounted) and record.evidence.empty:
            record.evidence = replace(record.evidence, began=now.mono, quiet_since=now.mono)
        self.judge.consider(record, now)


def _in_words(event: HostEvent) -> str:
    name = type(event).__name__
    words = "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()
    ring = getattr(event, "ring", None)
    return f"{words}, {ring.value}" if ring is not None else words
