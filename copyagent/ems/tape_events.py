r"""Printed events to typed host events: what the tape server's texts mean.

Pure. The texts are the templates of the event management manual (520372-020, subsystem ZTAP) and
of DSM/TC. They are recognised by their words, in any letter case (two manuals print one message
differently), with or without the sender's prefix ``$ZSVR: ``. Event numbers decide nothing where
the words are known: a site can renumber, the words it needs itself.

Only a mount request says with ring or no ring. After its fixed fields comes a comment of the
job's own making, which can hold the words NO RING as well; so the first ring phrase after the
fixed fields counts, and where fields stand that no manual lists, only if the event number agrees.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final, NamedTuple, TypedDict

from copyagent.core.host_events import (
    DeviceAccepted,
    DeviceRequested,
    DeviceUse,
    HostEvent,
    LabelType,
    MountRequested,
    Printed,
    RequestEnded,
    RequestOutcome,
    RequestsForgotten,
    Ring,
    TapeDismounted,
    TapeInUse,
    TapeNotice,
    TapeOnline,
    TapeOpened,
    Unrecognised,
    VolumeMounted,
    VolumeSubstituted,
)
from copyagent.ems.lines import EmsEvent
from copyagent.ems.policy import read_policy_command

TAPE_SUBSYSTEMS: Final = frozenset({"TAPE", "ZTAP"})
FIRST_TAPE_SERVER_NUMBER: Final = 600
"""Below it the tape processes report on their hardware (cover open, and so on): no mounts."""

RING_OF_NUMBER: Final[Mapping[int, Ring]] = {
    **dict.fromkeys((600, 602, 603, 605, 609, 705), Ring.WITH_RING),
    **dict.fromkeys((601, 604, 610, 706), Ring.NO_RING),
}
"""The ring that goes with each mount request's event number."""

_Found = re.Match[str]


class _Header(NamedTuple):
    host: str
    node: str
    printed_at: str
    number: int


class _Common(TypedDict):
    node: str
    printed_at: str


class _Template(NamedTuple):
    pattern: re.Pattern[str]
    build: Callable[[_Header, _Found], HostEvent | None]


def _upper(found: _Found, name: str) -> str | None:
    value: str | None = found[name]
    return value.upper().rstrip(",") if value else None


def _must(found: _Found, name: str) -> str:
    return _upper(found, name) or ""


def _request(found: _Found) -> int | None:
    return int(found["request"]) if found["request"] else None


def _mount_requested(head: _Header, found: _Found) -> MountRequested | None:
    ring = Ring.WITH_RING if found["ring"].upper() == "WITH" else Ring.NO_RING
    if found["unknown"] and RING_OF_NUMBER.get(head.number) is not ring:
        return None
    label = LabelType(_upper(found, "label") or "ANSI")
    return MountRequested(
        head.host,
        _request(found),
        _upper(found, "volume"),
        ring,
        _upper(found, "drive"),
        label,
        found["scratch"] is not None,
        found["alias"] if label is LabelType.ESM else None,
        **_common(head),
    )


def _device_requested(head: _Header, found: _Found) -> DeviceRequested:
    unlabelled = found["use"].upper().startswith("UNLABEL")
    use = DeviceUse.UNLABELLED if unlabelled else DeviceUse.BYPASS_LABELS
    return DeviceRequested(head.host, _request(found), _must(found, "drive"), use, **_common(head))


def _unknown_tape(head: _Header, found: _Found) -> DeviceRequested:
    drive, use = _must(found, "drive"), DeviceUse.UNKNOWN_TAPE
    return DeviceRequested(head.host, _request(found), drive, use, **_common(head))


def _volume_mounted(head: _Header, found: _Found) -> VolumeMounted:
    return VolumeMounted(head.host, _request(found), _must(found, "volume"), **_common(head))


def _request_ended(head: _Header, found: _Found) -> RequestEnded:
    rejected = found["how"].upper() == "REJECTED"
    how = RequestOutcome.REJECTED if rejected else RequestOutcome.CANCELLED
    volume, drive = _upper(found, "volume"), _upper(found, "drive")
    return RequestEnded(head.host, _request(found), volume, how, drive, **_common(head))


def _device_accepted(head: _Header, found: _Found) -> DeviceAccepted:
    return DeviceAccepted(head.host, _request(found), _must(found, "drive"), **_common(head))


def _tape_opened(head: _Header, found: _Found) -> TapeOpened:
    return TapeOpened(head.host, _upper(found, "volume"), _must(found, "drive"), **_common(head))


def _tape_in_use(head: _Header, found: _Found) -> TapeInUse:
    volume, drive, process = _upper(found, "volume"), _must(found, "drive"), _must(found, "process")
    return TapeInUse(head.host, volume, drive, process, **_common(head))


def _tape_dismounted(head: _Header, found: _Found) -> TapeDismounted:
    volume, drive = _upper(found, "volume"), _upper(found, "drive")
    return TapeDismounted(head.host, volume, drive, **_common(head))


def _tape_online(head: _Header, found: _Found) -> TapeOnline:
    label = _must(found, "label")
    kind = LabelType.UNLABELLED if label == "NL" else LabelType(label)
    volume, drive = _upper(found, "volume"), _must(found, "drive")
    return TapeOnline(head.host, volume, drive, kind, **_common(head))


def _volume_substituted(head: _Header, found: _Found) -> VolumeSubstituted:
    wanted, used = _must(found, "wanted"), _must(found, "used")
    return VolumeSubstituted(head.host, wanted, used, **_common(head))


def _requests_forgotten(head: _Header, found: _Found) -> RequestsForgotten:
    return RequestsForgotten(head.host, found[0].strip(), **_common(head))


def _tape_notice(head: _Header, found: _Found) -> TapeNotice:
    kind, code = _must(found, "kind"), int(found["code"])
    return TapeNotice(head.host, kind, code, found["text"] or "", **_common(head))


def _common(head: _Header) -> _Common:
    return {"node": head.node, "printed_at": head.printed_at}


# A volume is up to six characters; an alias, which some releases print in its place, up to 63.
_VOLUME = r"(?P<volume>\S{1,63})"
_REQUEST = r"(?:(?P<request>\d{1,5}) )?"
_STATUS = r"(?:STATUS \d{1,5} ?- ?)?"
# ANSI is not printed by any known host, but would be no surprise.
_LABEL = r"(?P<label>ANSI|IBM|TMF|ESM)"
_FIELDS = r"(?: (?:REEL \d{1,3}|DENSITY \S+|ON (?P<drive>\S+)))*"
_RING = r"(?P<ring>WITH|NO) RING(?![^ ])(?: ALIAS ?= ?(?P<alias>\S+))?"
_SCRATCH = rf"(?P<scratch>SCRATCH TAPE)(?: (?!(?:REEL|DENSITY|ON|WITH|NO) ){_VOLUME})?"
# Group "scratch" has to exist in the form without it: it never takes part.
_NAMED = rf"{_VOLUME}(?P<scratch>(?!))?"
_EXACTLY = r"(?P<unknown>(?!))? "
_LOOSELY = r"(?P<unknown>(?: \S+){1,8}?) "


def _template(
    pattern: str, build: Callable[[_Header, _Found], HostEvent | None], prefix: str = _REQUEST
) -> _Template:
    return _Template(re.compile(prefix + pattern, re.IGNORECASE), build)


# Tried from the top; the first one that fits decides. A volume may be called IBM, NO or SCRATCH,
# so every template is held together by its fixed words, not by what a volume looks like.
_TEMPLATES: Final = (
    *(
        _template(rf"MOUNT (?:{_LABEL} )?{tape}{_FIELDS}{between}{_RING}", _mount_requested)
        for between in (_EXACTLY, _LOOSELY)
        for tape in (_SCRATCH, _NAMED)
    ),
    _template(
        r"REQUEST TO USE (?P<drive>\S+) (?P<use>UNLABEL+ED|WITH NO LABEL PROTECTION)",
        _device_requested,
    ),
    _template(r"UNKNOWN TAPE ON (?P<drive>\S+)", _unknown_tape),
    _template(rf"VOLUME {_VOLUME} MOUNTED\b", _volume_mounted),
    _template(r"REQUEST FOR DEVICE (?P<drive>\S+) ACCEPTED\b", _device_accepted),
    _template(
        rf"(?:MOUNT )?REQUEST FOR (?:DEVICE (?P<drive>\S+)|(?:VOLUME )?{_VOLUME})"
        r"(?: (?:WAS|HAS BEEN))? (?P<how>REJECTED|CANCELL?ED)\b",
        _request_ended,
    ),
    # The wording of 649 and 650 is in no manual seen: a request number and the word must do.
    _template(
        r"(?:MOUNT )?(?:REQUEST|MOUNT)(?: (?:WAS|HAS BEEN))? (?P<how>REJECTED|CANCELL?ED)\b"
        r"(?P<volume>(?!))?(?P<drive>(?!))?",
        _request_ended,
        prefix=r"(?P<request>\d{1,5}) ",
    ),
    _template(rf"(?:{_VOLUME} )?TAPE OPENED ON (?P<drive>\S+)", _tape_opened, prefix=_STATUS),
    _template(
        rf"(?:{_VOLUME} )?TAPE ON DRIVE (?P<drive>\S+) USED BY (?P<process>\d+, ?\d+|\S+)",
        _tape_in_use,
        prefix=_STATUS,
    ),
    _template(
        rf"(?:{_VOLUME} )?TAPE DISMOUNTED(?: FROM(?: DRIVE)? (?P<drive>\S+))?",
        _tape_dismounted,
        prefix=_STATUS,
    ),
    _template(
        rf"UNREQUESTED (?:(?:OLD|NEW) )?(?P<label>ANSI|IBM|TMF|ESM|NL) TAPE(?: {_VOLUME})?"
        r" ONLINE ON (?P<drive>\S+)",
        _tape_online,
        prefix=_STATUS,
    ),
    _template(
        r"TAPE (?P<used>\S+) USED INSTEAD OF TAPE (?P<wanted>\S+)",
        _volume_substituted,
        prefix=_STATUS,
    ),
    _template(r"TAKE-?OVER BY BACKUP \$ZSVR.*", _requests_forgotten, prefix=_STATUS),
    _template(
        r"(?P<kind>ERROR|WARNING|STATUS) (?P<code>\d{1,5}) ?-? ?(?P<text>.*)",
        _tape_notice,
        prefix="",
    ),
)

_SENDER = re.compile(r"(?:\\\w+\.)?\$[\w#.]+: ?")
_ABEND = re.compile(
    r"(?=.*\$ZSVR\b)(?=.*\b(?:ABEND(?:ED)?|TERMINATED ABNORMALLY)\b).*", re.IGNORECASE
)


def read_host_event(host: str, event: EmsEvent) -> HostEvent | None:
    """Say what *event*, printed over the link named *host*, means.

    None for events that do not concern tapes. `Unrecognised` for a tape server's event that no
    template fits; a cut-off event is one, or is read as far as its template goes.
    """
    found = _read(host, event)
    if found is None:
        return None
    printed = Printed(event.process, event.ssid, event.number, event.text, event.critical)
    return replace(found, printed=printed)


def _read(host: str, event: EmsEvent) -> HostEvent | None:
    head = _Header(host, event.node, event.printed_at, event.number)
    text = " ".join(event.text.split())
    if is_tape_event(event):
        return _read_tape_text(head, text)
    command = read_policy_command(host, event)
    if command is not None:
        return command
    if "$ZSVR" in text.upper() and (found := _ABEND.match(text)):
        return _requests_forgotten(head, found)
    return None


def is_tape_event(event: EmsEvent) -> bool:
    """Tell whether the tape server, or a tape process in its name, generated *event*."""
    return event.subsystem in TAPE_SUBSYSTEMS or event.process.upper() == "$ZSVR"


def _read_tape_text(head: _Header, text: str) -> HostEvent | None:
    sender = _SENDER.match(text)
    body = text[sender.end() :] if sender else text
    for template in _TEMPLATES:
        found = template.pattern.match(body)
        if found is not None:
            event = template.build(head, found)
            if event is not None:
                return event
    if 0 <= head.number < FIRST_TAPE_SERVER_NUMBER:
        return None
    if found := _ABEND.match(text):
        return _requests_forgotten(head, found)
    return Unrecognised(head.host, head.number, text, **_common(head))
