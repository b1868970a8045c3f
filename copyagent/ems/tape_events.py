r"""Printed events to typed host events: which of them concern tapes, and what each one means.

Pure. A tape server's event is read by the words of its text: `tape_templates` for requests and
what becomes of them, `tape_messages` for errors, warnings and statuses, `untemplated` for hosts
that lack the words. The sender's prefix (``$ZSVR: ``, and ``$TAPE: `` for what a tape process
found, whose name is the drive's) is printed by some hosts only, and nothing depends on it.

No text raises, and none takes more than time in proportion to its length. What no template fits is
`Unrecognised`, kept with its text: never guessed, and never an error.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from copyagent.core.host_events import (
    HostEvent,
    Printed,
    RequestsForgotten,
    TapeNotice,
    Unrecognised,
)
from copyagent.ems.lines import EmsEvent
from copyagent.ems.policy import read_policy_command
from copyagent.ems.tape_messages import read_message
from copyagent.ems.tape_templates import Header, common, read_template
from copyagent.ems.untemplated import read_untemplated

TAPE_SERVER: Final = "$ZSVR"
TAPE_SUBSYSTEMS: Final = frozenset({"TAPE", "ZTAP"})
FIRST_TAPE_SERVER_NUMBER: Final = 600
"""Below it the tape processes report on their hardware (cover open, and so on): no mounts."""

_SENDERS = re.compile(r"(?:(?:\\\w{1,8}\.)?\$[\w#.-]{1,32} ?: ?){1,3}")
_SENDER = re.compile(r"\$[\w#.-]{1,32}")
WRITTEN_BY_ANYBODY: Final = ("EMS", 512)
"""Subsystem and number of what any program writes to the collector as mere text (EMS manual)."""

_HOW_IT_ENDED = r"(?:ABEND(?:ED)?|TERMINATED ABNORMALLY)\b"
_ABEND = re.compile(
    rf"\$ZSVR:?(?: [^\s$]+){{0,4}}? {_HOW_IT_ENDED}"
    rf"|\b{_HOW_IT_ENDED}:?(?: [^\s$]+){{0,2}} (?:\\\w{{1,8}}\.)?\$ZSVR\b",
    re.IGNORECASE,
)
_OWN_ABEND = re.compile(rf"(?:PROCESS )?(?:\$ZSVR )?{_HOW_IT_ENDED}", re.IGNORECASE)


def read_host_event(host: str, event: EmsEvent) -> HostEvent | None:
    """Say what *event*, printed over the link named *host*, means.

    None for events that do not concern tapes. `Unrecognised` for a tape server's event that no
    template fits; a cut-off event is one, or is read as far as its template goes. The name that it is
    about is not believed at the very end of half a line, where it may be part of a longer one.
    """
    found = _read(host, event)
    if event.unfinished and found is not None:
        text, _, last = event.text.rstrip().rpartition(" ")
        if last.upper().rstrip(",;:.") in _names_in(found):
            found = _read(host, replace(event, text=text))
    if event.uncut is not None and not _is_told(found):
        # Nothing was read from the lines as EMSTEXT breaks them: perhaps the device broke them.
        other = _read(host, event.uncut)
        if _is_told(other):
            return other
    return found


def is_tape_event(event: EmsEvent) -> bool:
    """Tell whether the tape server, or a tape process in its name, generated *event*."""
    return event.subsystem in TAPE_SUBSYSTEMS or event.process.upper() == TAPE_SERVER


def _names_in(found: HostEvent) -> set[str]:
    """Give the names that *found* is about: volumes, or the drive where no volume is named."""
    volumes: set[str | None] = {getattr(found, name, None) for name in ("volume", "wanted", "used")}
    drive: str | None = getattr(found, "drive", None)
    return {name for name in volumes if name} or ({drive} if drive else set())


def _is_told(found: HostEvent | None) -> bool:
    return found is not None and not isinstance(found, Unrecognised | TapeNotice)


def _read(host: str, event: EmsEvent) -> HostEvent | None:
    # A macro can send it in the name of any subsystem, the tape server's included.
    command = read_policy_command(host, event)
    if command is not None:
        return replace(command, printed=_printed(event))
    if is_tape_event(event):
        return _read_tape_event(host, event)
    if TAPE_SERVER in event.text.upper() and _is_of_the_system(event):
        text = " ".join(event.text.split())
        if _ABEND.search(text):
            return _forgotten(Header(host, event.node, event.printed_at, _printed(event)), text)
    return None


def _read_tape_event(host: str, event: EmsEvent) -> HostEvent | None:
    text = " ".join(event.text.split())
    senders = _SENDERS.match(text)
    body = text[senders.end() :] if senders else text
    drive = _drive_of(event.process, senders[0] if senders else "")
    head = Header(host, event.node, event.printed_at, _printed(event), drive)
    found = read_template(head, body) or read_message(head, body) or read_untemplated(head, body)
    if found is not None:
        return found
    if 0 <= event.number < FIRST_TAPE_SERVER_NUMBER:
        return None
    if _OWN_ABEND.match(body):
        return _forgotten(head, text)
    return Unrecognised(host, event.number, text, **common(head))


def _printed(event: EmsEvent) -> Printed:
    return Printed(event.process, event.ssid, event.number, event.text, event.critical)


def _drive_of(process: str, senders: str) -> str | None:
    """Name the tape process that speaks: in front of the text, else in the header."""
    names = [name.upper().rstrip(".-") for name in _SENDER.findall(senders)] or [process.upper()]
    drives = [name for name in names if name.startswith("$") and name != TAPE_SERVER]
    return drives[-1] if drives else None


def _is_of_the_system(event: EmsEvent) -> bool:
    """Tell whether a part of the system generated *event*, and no site's job or program."""
    owner = event.ssid.partition(".")[0].upper()
    return owner == "TANDEM" and (event.subsystem, event.number) != WRITTEN_BY_ANYBODY


def _forgotten(head: Header, text: str) -> RequestsForgotten:
    return RequestsForgotten(head.host, text, **common(head))
