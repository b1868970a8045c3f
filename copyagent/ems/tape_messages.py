r"""The tape server's numbered messages: ERROR, WARNING and STATUS with a number and words.

Pure. What they mean for the question whether a tape was written (event management manual
520372-020, chapter 9; DSM/TC 520481-003, appendix D):

- A tape that was found and does not meet the request (errors 1, 3 to 12, 18, 19, 1014, 1016) is
  unloaded, and the request stays open: `TapeRefused`.
- A volume that was asked for and cannot be (1021, 1022) is passed over: another request follows,
  with a number and a ring of its own: `VolumePassedOver`.
- A dismount that failed (1015) is none: the tape may still be on the drive: `DismountFailed`.
- Everything else decides nothing. So does 1029, a job that ended without closing its tape file: it
  names a file and no volume, and the dismount follows. 1036 and 1037 (no alternate found) leave
  the request open, and 1020 and 1013 are about drives: `TapeNotice`, with what it names.
"""

from __future__ import annotations

import re
from typing import Final

from copyagent.core.host_events import (
    DismountFailed,
    HostEvent,
    TapeNotice,
    TapeRefused,
    VolumePassedOver,
)
from copyagent.ems.tape_templates import DASH, Header, common, name_in

_MESSAGE = re.compile(
    rf"(?:\d{{1,5}} )?(?P<kind>ERROR|WARNING|STATUS) (?P<code>\d{{1,5}})(?!\d){DASH}(?P<text>.*)",
    re.IGNORECASE,
)
_VOLUME = r"(?P<volume>\S{1,63})"
_NO_VOLUME = r"(?P<volume>(?!))?"
_DRIVE = r"(?P<drive>\S{1,63})"
_NO_DRIVE = r"(?P<drive>(?!))?"
_NO_WANTED = r"(?P<wanted>(?!))?"
_NO_REQUEST = r"(?P<request>(?!))?"


def _compiled(*patterns: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern, re.IGNORECASE) for pattern in patterns)


_REFUSED: Final = _compiled(
    rf"WRONG TAPE,? (?:{_VOLUME} MOUNTED|NOT LABELL?ED)\b,?(?: SHOULD BE (?P<wanted>\S+))?{_NO_DRIVE}",
    rf"VOLUME {_VOLUME} IS (?:AN? )?\w+ TAPE,? NOT (?:AN? )?\w+ TAPE\b{_NO_DRIVE}{_NO_WANTED}",
    rf"ACS TAPE {_VOLUME} MOUNTED ON {_DRIVE} IS WRONG LABEL TYPE\b{_NO_WANTED}",
    rf"EJECTING MISMATCHED TAPE,? INTERNAL:? {_VOLUME},? EXTERNAL:? (?P<wanted>\S+){_NO_DRIVE}",
    rf"CAN ?NOT PERFORM VOLUME RECOGNITION\b{_NO_VOLUME}{_NO_DRIVE}{_NO_WANTED}",
)
_PASSED_OVER: Final = re.compile(
    rf"VOLUME {_VOLUME} (?:CAN ?NOT BE USED|IS NOT ASSIGNED),? SELECTING ALTERNATE", re.IGNORECASE
)
_DISMOUNT_FAILED: Final = re.compile(
    rf"DISMOUNT OF (?:ACS )?TAPE,? {_VOLUME},? FAILED\b", re.IGNORECASE
)
_NAMING: Final = _compiled(
    rf"VOLUME {_VOLUME}(?: ON {_DRIVE})?{_NO_REQUEST}",
    rf"{_VOLUME} ON {_DRIVE} DOES NOT ALLOW\b{_NO_REQUEST}",
    rf"BAD TRAILER LABELS {_VOLUME}{_NO_DRIVE}{_NO_REQUEST}",
    rf"ACS DRIVE {_DRIVE} IS BUSY\b{_NO_VOLUME}{_NO_REQUEST}",
    rf"CONNECTION TO (?!TPTM\b){_DRIVE} COMPLETED\b{_NO_VOLUME}{_NO_REQUEST}",
    rf"NO TAPE FOUND IN CORRECT ACS FOR {_DRIVE}{_NO_VOLUME}{_NO_REQUEST}",
    r"(?:EXECUTED TAPECOM ACCEPT|ALTER TAPEMOUNT) (?P<request>\d{1,5})\b" + _NO_VOLUME + _NO_DRIVE,
)


def read_message(head: Header, body: str) -> HostEvent | None:
    """Say what the numbered message *body* means; None if it is no numbered message."""
    message = _MESSAGE.match(body)
    if message is None:
        return None
    kind, code, text = message["kind"].upper(), int(message["code"]), message["text"]
    if kind == "ERROR":
        event = _error(head, text)
        if event is not None:
            return event
    named = next((found for pattern in _NAMING if (found := pattern.match(text))), None)
    if named is None:
        return TapeNotice(head.host, kind, code, text, None, head.drive, **common(head))
    return TapeNotice(
        head.host,
        kind,
        code,
        text,
        name_in(named, "volume"),
        name_in(named, "drive") or head.drive,
        int(named["request"]) if named["request"] else None,
        **common(head),
    )


def _error(head: Header, text: str) -> HostEvent | None:
    for pattern in _REFUSED:
        if found := pattern.match(text):
            volume, wanted = name_in(found, "volume"), name_in(found, "wanted")
            drive = name_in(found, "drive") or head.drive
            return TapeRefused(head.host, volume, drive, wanted, **common(head))
    if found := _PASSED_OVER.match(text):
        return VolumePassedOver(head.host, name_in(found, "volume") or "", **common(head))
    if found := _DISMOUNT_FAILED.match(text):
        return DismountFailed(head.host, name_in(found, "volume") or "", **common(head))
    return None
