"""The host links: which can be heard, and what a host's word means for the tapes it names."""

from dataclasses import dataclass, field, replace
from typing import Final

from copyagent.core.book import Book
from copyagent.core.host_events import (
    HostEvent,
    LinkLost,
    LinkTrouble,
    LinkUp,
    LoginRefused,
    MountRequested,
    TapeDismounted,
)
from copyagent.core.judging import Judge
from copyagent.core.readings import volumes_in
from copyagent.core.records import TapeRecord
from copyagent.core.time import Moment
from vtsfs.contract import messages
from vtsfs.contract.units import format_duration

_TOLD_AS: Final = {
    LinkTrouble.LOGIN_REFUSED: messages.LOGIN_REFUSED,
    LinkTrouble.HOST_KEY_REJECTED: messages.HOST_KEY_REJECTED,
}
"""Trouble that nobody but an operator ends has a message of its own."""


@dataclass(slots=True)
class Link:
    """What is known of the link to one host, for the operator."""

    up: bool = False
    since_ns: int = 0
    trouble: str = "connecting"
    events: int = 0
    last_ns: int = 0


@dataclass(slots=True)
class Links:
    """The links of one agent, by host; whatever a host says reaches the tapes through `judge`."""

    book: Book
    judge: Judge
    state: dict[str, Link] = field(init=False)

    def __post_init__(self) -> None:
        self.state = {host: Link() for host in self.book.settings.ems.hosts}

    def recover(self) -> None:
        """After a restart: what the hosts said meanwhile is lost, as if the links had been down."""
        for host in self.state:
            self.book.mounts.lose(host)
        self.book.mounts_dirty = True

    def heard(self, event: HostEvent, now: Moment) -> None:
        """Take in what a host, or the link to it, said."""
        link = self.state.get(event.host)
        if link is None:
            return
        link.last_ns = now.wall_ns
        match event:
            case LinkUp():
                if link.since_ns and not link.up:
                    age = format_duration((now.wall_ns - link.since_ns) / 1e9)
                    cause = f"the link was down for {age}"
                    self.book.say(messages.EMS_GAP, host=event.host, cause=cause)
                self.state[event.host] = replace(link, up=True, since_ns=now.wall_ns, trouble="")
                self.judge.links[event.host] = True
                self.book.say(messages.LINK_UP, host=event.host)
            case LinkLost() | LoginRefused():
                self._link_lost(event, link, now)
            case _:
                link.events += 1
        if isinstance(event, MountRequested) and event.volume is not None:
            self._end_former_mount(event, event.volume, now)
        volumes = self.book.mounts.handle(event, now.wall_ns)
        self.book.mounts_dirty = self.book.mounts_dirty or bool(volumes)
        self._write_down(event, volumes, now)
        for volume in volumes:
            for record in self.book.called(volume):
                self._host_spoke(record, event, now)

    def _write_down(self, event: HostEvent, volumes: tuple[str, ...], now: Moment) -> None:
        """Keep what was said, with the tapes it concerns here, to be shown."""
        tapes = [
            str(record.tape)
            for volume in dict.fromkeys((*volumes_in(event), *volumes))
            for record in self.book.called(volume)
            if self.judge.concerns(event.host, record.tape.vault)
        ]
        self.book.journal.add(event, tapes, now)

    def _host_spoke(self, record: TapeRecord, event: HostEvent, now: Moment) -> None:
        if not self.judge.concerns(event.host, record.tape.vault):
            return
        self.book.dirty.add(record.tape)
        record.note(now.wall_ns, f"{event.host}: {_in_words(event)}")
        if isinstance(event, TapeDismounted) and record.evidence.empty:
            record.evidence = replace(record.evidence, began=now.mono, quiet_since=now.mono)
        self.judge.consider(record, now)

    def _end_former_mount(self, event: MountRequested, volume: str, now: Moment) -> None:
        """A new request for a volume means that its last mount is over, whether we heard so or not.

        Without this, sessions that wait for a lost dismount would be judged by the new mount's ring.
        """
        former = self.book.mounts.of(volume)
        if former is None or former.ring is None:
            return
        if event.request is not None and former.told_by(event):
            return
        for record in self.book.called(volume):
            if record.writers or record.evidence.empty:
                continue
            later = any(s.opened_ns > former.dismounted_ns for s in record.evidence.sessions)
            if former.dismounted_ns and later:
                continue
            if not former.dismounted_ns:
                self.book.mounts.mounts[volume] = replace(former, dismounted_ns=now.wall_ns)
                record.note(now.wall_ns, f"{former.host}: asked for it again, so it was dismounted")
            self.judge.consider(record, now, at_once=True)

    def _link_lost(self, event: LinkLost | LoginRefused, link: Link, now: Moment) -> None:
        if link.up or link.trouble != event.why:
            message = _TOLD_AS.get(event.trouble, messages.LINK_LOST)
            cause = event.why.removeprefix(f"EMS link to {event.host}: ")
            if link.up:
                # The log's last word on a link must be true, however often it comes and goes.
                self.book.say(message, host=event.host, cause=cause)
            else:
                self.book.say_once(message, event.host, now, host=event.host, cause=cause)
            self.state[event.host] = replace(
                link, up=False, since_ns=now.wall_ns, trouble=event.why
            )
        self.judge.links[event.host] = False
        for tape in list(self.book.deadlines):
            if tape in self.book.records:
                self.judge.consider(self.book.records[tape], now)


def _in_words(event: HostEvent) -> str:
    name = type(event).__name__
    words = "".join(f" {c.lower()}" if c.isupper() else c for c in name).strip()
    ring = getattr(event, "ring", None)
    return f"{words}, {ring.value}" if ring is not None else words
