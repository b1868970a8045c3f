r"""The tape server's texts, template by template, and the host event each one means.

Pure. The texts are those of the event management manual (520372-020, subsystem ZTAP) and of
DSM/TC (520481-003, 422947-007). They are recognised by their words, in any letter case, since two
manuals print one message differently. A volume may be called IBM, NO or SCRATCH, so every template
is held together by its fixed words and never by what a volume looks like.

Only a mount request says with ring or no ring. After its fixed fields comes a comment of the job's
own making (DEFINE attribute MOUNTMSG, up to 80 characters), which can hold the words NO RING as
well: the ring phrase that stands right after the fixed fields counts. The event number says it
once more (601 asks for input, 600 for output). Should the two disagree, then no ring is believed,
wherever it stands: that can hold a copy back, and the other could make one that must not be made.
Where fields stand that no manual lists, ring phrase and number have to agree, or nothing is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
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
    TapeOnline,
    TapeOpened,
    VolumeMounted,
    VolumeSubstituted,
)

LABEL_OF_NUMBER: Final[Mapping[int, LabelType]] = {
    **dict.fromkeys((600, 601, 602), LabelType.ANSI),
    **dict.fromkeys((603, 604, 605), LabelType.IBM),
    **dict.fromkeys((609, 610), LabelType.TMF),
    **dict.fromkeys((705, 706), LabelType.ESM),
}
"""The label type that goes with each mount request's event number."""

RING_OF_NUMBER: Final[Mapping[int, Ring]] = {
    **dict.fromkeys((600, 602, 603, 605, 609, 705), Ring.WITH_RING),
    **dict.fromkeys((601, 604, 610, 706), Ring.NO_RING),
}
"""The ring that goes with each mount request's event number."""

_Found = re.Match[str]


class Header(NamedTuple):
    """Hold what the reading of a text takes from the event's header.

    *drive* is who sent it, if that was a tape process and not the server: its name is the drive's.
    """

    host: str
    node: str
    printed_at: str
    printed: Printed
    drive: str | None = None

    @property
    def number(self) -> int:
        """Give the event number."""
        return self.printed.number


class Common(TypedDict):
    """Name the fields that every host event has from its header."""

    node: str
    printed_at: str
    printed: Printed


class _Template(NamedTuple):
    pattern: re.Pattern[str]
    build: Callable[[Header, _Found], HostEvent | None]


def common(head: Header) -> Common:
    """Give the fields that every host event has."""
    return {"node": head.node, "printed_at": head.printed_at, "printed": head.printed}


def name_in(found: re.Match[str], group: str) -> str | None:
    """Give the volume or drive that *group* found: in capitals, without punctuation after it."""
    value: str | None = found[group]
    return value.upper().rstrip(",;:.") or None if value else None


def _must(found: _Found, group: str) -> str:
    return name_in(found, group) or ""


def _request(found: _Found) -> int | None:
    return int(found["request"]) if found["request"] else None


def _mount_requested(head: Header, found: _Found) -> MountRequested | None:
    ring = Ring.WITH_RING if found["ring"].upper() == "WITH" else Ring.NO_RING
    told = RING_OF_NUMBER.get(head.number)
    if found["unknown"] and told is not ring:
        return None
    label = LabelType(name_in(found, "label") or "ANSI")
    return MountRequested(
        head.host,
        _request(found),
        name_in(found, "volume"),
        Ring.NO_RING if told is Ring.NO_RING else ring,
        name_in(found, "drive"),
        label,
        found["scratch"] is not None,
        found["alias"] if label is LabelType.ESM else None,
        **common(head),
    )


def _device_requested(head: Header, found: _Found) -> DeviceRequested:
    unlabelled = found["use"].upper().startswith("UNLABEL")
    use = DeviceUse.UNLABELLED if unlabelled else DeviceUse.BYPASS_LABELS
    return DeviceRequested(head.host, _request(found), _must(found, "drive"), use, **common(head))


def _unknown_tape(head: Header, found: _Found) -> DeviceRequested:
    drive, use = _must(found, "drive"), DeviceUse.UNKNOWN_TAPE
    return DeviceRequested(head.host, _request(found), drive, use, **common(head))


def _volume_mounted(head: Header, found: _Found) -> VolumeMounted:
    return VolumeMounted(head.host, _request(found), _must(found, "volume"), **common(head))


def _request_ended(head: Header, found: _Found) -> RequestEnded:
    rejected = found["how"].upper() == "REJECTED"
    how = RequestOutcome.REJECTED if rejected else RequestOutcome.CANCELLED
    volume, drive = name_in(found, "volume"), name_in(found, "drive")
    return RequestEnded(head.host, _request(found), volume, how, drive, **common(head))


def _device_accepted(head: Header, found: _Found) -> DeviceAccepted:
    return DeviceAccepted(head.host, _request(found), _must(found, "drive"), **common(head))


def _tape_opened(head: Header, found: _Found) -> TapeOpened:
    return TapeOpened(head.host, name_in(found, "volume"), _must(found, "drive"), **common(head))


def _tape_in_use(head: Header, found: _Found) -> TapeInUse:
    volume, drive = name_in(found, "volume"), _must(found, "drive")
    return TapeInUse(head.host, volume, drive, _must(found, "process"), **common(head))


def _tape_dismounted(head: Header, found: _Found) -> TapeDismounted | None:
    volume, drive = name_in(found, "volume"), name_in(found, "drive")
    if volume is None and drive is None:
        return None
    return TapeDismounted(head.host, volume, drive, **common(head))


def _tape_online(head: Header, found: _Found) -> TapeOnline:
    label = _must(found, "label")
    kind = LabelType.UNLABELLED if label == "NL" else LabelType(label)
    volume, drive = name_in(found, "volume"), _must(found, "drive")
    return TapeOnline(head.host, volume, drive, kind, found["alias"], **common(head))


def _volume_substituted(head: Header, found: _Found) -> VolumeSubstituted:
    wanted, used = _must(found, "wanted"), _must(found, "used")
    return VolumeSubstituted(head.host, wanted, used, **common(head))


def _requests_forgotten(head: Header, found: _Found) -> RequestsForgotten:
    return RequestsForgotten(head.host, found[0].strip(), **common(head))


DASH: Final = " ?(?:--?|[\u2013\u2014\x96\x97]|\xe2\x80[\x93\x94])? ?"
"""What stands between a message's number and its words: a hyphen, or a dash in any encoding."""

# A volume is up to six characters; an alias, which some releases print in its place, up to 63.
_VOLUME = r"(?P<volume>\S{1,63})"
_REQUEST = r"(?:(?P<request>\d{1,5}) )?"
# Manuals disagree on whether 1515 is a STATUS or an ERROR.
_STATUS = rf"(?:(?:\d{{1,5}} )?(?:STATUS|ERROR) \d{{1,5}}{DASH})?"
# ANSI is not printed by any known host, and BACKUP is known from a message about labels only.
_LABEL = r"(?P<label>ANSI|IBM|TMF|ESM|BACKUP)"
_FIELD = r"REEL \d{1,3}|DENSITY \S+|ON (?P<drive>\S+)"
_EXACTLY = rf"(?: (?:{_FIELD})){{0,8}}(?P<unknown>(?!))? "
# Fields that no manual lists are a word and its value.
_OTHER = r"(?P<unknown>(?!REEL |DENSITY |WITH )[A-Z][A-Z/-]{2,15} (?!(?:WITH|NO) RING\b)\S+)"
_LOOSELY = rf"(?: (?:{_FIELD}|{_OTHER})){{1,8}}? "
_ALIAS = r"(?: ALIAS ?= ?(?P<alias>\S+))?"
_RING = rf"(?P<ring>WITH|NO) RING(?!\w){_ALIAS}"
_SCRATCH = rf"(?P<scratch>SCRATCH TAPE)(?: (?!(?:REEL|DENSITY|ON|WITH|NO) ){_VOLUME})?"
# Group "scratch" has to exist in the form without it: it never takes part.
_NAMED = rf"{_VOLUME}(?P<scratch>(?!))?"


def _template(
    pattern: str, build: Callable[[Header, _Found], HostEvent | None], prefix: str = _REQUEST
) -> _Template:
    return _Template(re.compile(prefix + pattern, re.IGNORECASE), build)


_TEMPLATES: Final = (
    *(
        _template(rf"MOUNT (?:{_LABEL} )?{tape}{fields}{_RING}", _mount_requested)
        for fields in (_EXACTLY, _LOOSELY)
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
    # The operator's rejection once more, as a status of its own number, 502 in the manual.
    _template(
        rf"(?P<request>(?!))?VOLUME {_VOLUME} (?P<how>REJECTED)\b(?P<drive>(?!))?",
        _request_ended,
        prefix=_STATUS,
    ),
    _template(rf"(?:{_VOLUME} )?TAPE OPENED ON (?P<drive>\S+)", _tape_opened, prefix=_STATUS),
    _template(
        rf"(?:{_VOLUME} )?TAPE ON DRIVE (?P<drive>\S+) USED BY (?P<process>\d+, ?\d+|\S+)",
        _tape_in_use,
        prefix=_STATUS,
    ),
    _template(
        rf"(?:{_VOLUME} )?TAPE DISMOUNTED(?: FROM (?:DRIVE )?(?P<drive>[$\\]\S+|(?<=DRIVE )\S+))?(?![^ .])",
        _tape_dismounted,
        prefix=_STATUS,
    ),
    _template(
        rf"UNREQUESTED (?:(?:OLD|NEW) )?(?P<label>ANSI|IBM|BACKUP|TMF|ESM|NL) TAPE(?: {_VOLUME})?"
        rf" ONLINE ON (?P<drive>\S+){_ALIAS}",
        _tape_online,
        prefix=_STATUS,
    ),
    _template(
        r"TAPE (?P<used>\S+) USED INSTEAD OF TAPE (?P<wanted>\S+)",
        _volume_substituted,
        prefix=_STATUS,
    ),
    _template(r"TAKE-?OVER BY BACKUP \$ZSVR.*", _requests_forgotten, prefix=_STATUS),
)


def read_template(head: Header, body: str) -> HostEvent | None:
    """Say what *body*, a text without its sender, means; None if none of these templates fits.

    They are tried in turn, and the first one that fits decides.
    """
    for template in _TEMPLATES:
        found = template.pattern.match(body)
        if found is not None:
            event = template.build(head, found)
            if event is not None:
                return event
    return None
