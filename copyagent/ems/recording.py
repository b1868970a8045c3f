"""Recorded histories: what hosts printed and overlays reported, read from files.

Pure. A recording is either a session as a terminal log has it, or lines of JSON.

In a session, a line ``@ TIME`` of the recorder's own gives the arrival of what follows; TIME is in
seconds from the beginning, or a date (``2026-11-22T17:44:43.120Z``). After it can stand what
happened to the link then: ``@ 12.5 link lost``, ``link up``, ``gap``. Without a single mark the
host's printed times are taken for the arrivals.

Lines of JSON are events as ``copyagent events --json`` prints them, or signals as the overlay's feed
sends them: ``{"at": TIME, "signal": {...}}``; without *at*, a signal's own time is taken.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final
from zoneinfo import ZoneInfo

from copyagent.core.host_events import (
    CaughtUp,
    EventsMissed,
    HostEvent,
    LinkLost,
    LinkTrouble,
    LinkUp,
    SetAside,
)
from copyagent.core.timeline import Instant, printed_instant, read_instant
from copyagent.ems.lines import EmsEvent, EmsLineDecoder
from copyagent.ems.tape_events import read_host_event
from copyagent.ems.telnet import TelnetDecoder
from vtsfs.contract.errors import UsageError
from vtsfs.contract.signals import MALFORMED, Signal

# What terminal programs write into their logs for colours and the like (ECMA-48, CSI).
_ESCAPES: Final = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_MARK: Final = re.compile(r"@ +(\S+)(?: +(.*?))? *\Z")


def _lost(host: str, why: str) -> HostEvent:
    return LinkLost(host, why, LinkTrouble.DISCONNECTED)


#: What can be said of a link, by the words of a mark and by the kind in a line of JSON.
_LINK: Final[dict[str, Callable[[str, str], HostEvent]]] = {
    "link up": lambda host, _: LinkUp(host),
    "link lost": _lost,
    "gap": EventsMissed,
    "events missed": EventsMissed,
    "caught up": lambda host, _: CaughtUp(host),
}


@dataclass(slots=True)
class Recording:
    """What was recorded, in the order of the file; *at* None where nothing tells the time.

    *guessed* says that the host's printed times were taken for arrivals. *others* counts events of other subsystems by subsystem; *garbage* holds the latest lines that
    belong to no event, *garbage_count* says how many there were.
    """

    happened: list[tuple[Instant | None, HostEvent | Signal]] = field(default_factory=list)
    others: Counter[str] = field(default_factory=Counter)
    garbage: list[str] = field(default_factory=list)
    garbage_count: int = 0
    guessed: bool = False

    def take(self, at: Instant | None, host: str, event: EmsEvent) -> None:
        """Read one printed event."""
        found = read_host_event(host, event)
        if found is None:
            self.others[event.subsystem] += 1
        else:
            self.happened.append((at, found))


def read_recording(data: bytes, name: str, host: str | None, zone: ZoneInfo | None) -> Recording:
    """Read *data*, which is in file *name*; raise `UsageError` for what is in none of its forms.

    *host* is whose session it is; lines of JSON name theirs. *zone* is the one of that host's clock.
    """
    # As the link does: Telnet's escapes, if the bytes were caught on their way, are no text.
    text = _ESCAPES.sub("", TelnetDecoder().feed(data).text.decode("latin-1"))
    if text.lstrip().startswith("{"):
        return _read_json(text, name)
    if host is None:
        raise UsageError(f"{name} is a session of one host: say --host HOST")
    return _read_session(text, name, host, zone)


def _read_session(text: str, name: str, host: str, zone: ZoneInfo | None) -> Recording:
    recording, lines = Recording(), EmsLineDecoder()
    at: Instant | None = None
    for number, part in _parts(text):
        mark = _MARK.match(part)
        if mark is None:
            _take_all(recording, at, host, lines.feed(part), zone)
            continue
        _take_all(recording, at, host, lines.flush(unfinished_too=True), zone)
        at = _instant(mark[1], f"{name}:{number}")
        if mark[2]:
            recording.happened.append((at, _of_link(host, mark[2], f"{name}:{number}")))
    _take_all(recording, at, host, lines.flush(unfinished_too=True), zone)
    recording.garbage, recording.garbage_count = list(lines.garbage), lines.garbage_count
    return recording


def _parts(text: str) -> Iterator[tuple[int, str]]:
    """Cut a session at its marks, with the number of each part's first line."""
    begin, lines = 0, text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if line.startswith("@ "):
            if begin < number:
                yield begin + 1, "".join(lines[begin:number])
            yield number + 1, line.rstrip("\r\n")
            begin = number + 1
    if begin < len(lines):
        yield begin + 1, "".join(lines[begin:])


def _take_all(
    recording: Recording,
    at: Instant | None,
    host: str,
    events: list[EmsEvent],
    zone: ZoneInfo | None,
) -> None:
    recording.guessed = recording.guessed or (at is None and bool(events))
    for event in events:
        recording.take(at or printed_instant(event.printed_at, zone), host, event)


def _instant(text: str, place: str) -> Instant:
    try:
        return read_instant(text)
    except ValueError as error:
        raise UsageError(f"{place}: {error}") from error


def _of_link(host: str, words: str, place: str) -> HostEvent:
    made = next((make for said, make in _LINK.items() if words.startswith(said)), None)
    if made is None:
        raise UsageError(
            f"{place}: after a time can stand link up, link lost or gap, not {words!r}"
        )
    return made(host, words)


def _read_json(text: str, name: str) -> Recording:
    recording = Recording()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            _read_line(recording, json.loads(line), f"{name}:{number}")
        except MALFORMED as error:
            why = f"the key {error} is missing" if isinstance(error, KeyError) else str(error)
            raise UsageError(
                f"{name}:{number}: neither an event nor a signal in JSON: {why}"
            ) from error
    return recording


def _read_line(recording: Recording, data: dict[str, Any], place: str) -> None:
    told = data.get("at")
    at = None if told is None else _instant(str(told), place)
    if "signal" in data:
        signal = Signal.from_mapping(data["signal"])
        recording.happened.append((at or Instant(signal.wall_ns, dated=True), signal))
        return
    host, kind = str(data["host"]), str(data["kind"])
    if kind == "set aside":
        recording.happened.append((at, SetAside(host, str(data["fields"]["why"]))))
    elif kind in {"link lost", "login refused"}:
        fields = data["fields"]
        recording.happened.append(
            (at, LinkLost(host, str(fields["why"]), LinkTrouble(fields["trouble"])))
        )
    elif data["text"] is None:
        recording.happened.append((at, _of_link(host, kind, place)))
    else:
        recording.take(at, host, _event(data))


def _event(data: dict[str, Any]) -> EmsEvent:
    return EmsEvent(
        printed_at=str(data["printed_at"] or ""),
        node=str(data["node"] or ""),
        process=str(data["process"]),
        ssid=str(data["ssid"]),
        number=int(data["event"]),
        text=str(data["text"]),
        critical=bool(data["critical"]),
    )
