r"""Events that a host could not put into words, since it has no template for them.

Pure. EMSTEXT prints in their place ``EMSTEXT -- No template and no TEXT token for event. SSID =
TANDEM.TAPE.G06 Event number = 648 [ Subject = X00001 ]``, or that an error prevented the display
(operator messages manual, EMSTEXT messages; EMS manual 426909-005, 2-13). Of the tape server's
events it can meet those that carry no text of their own, 648 to 653 (520372-020, 9-9).

What is told apart by number and subject alone is read: subject of 648, 649 and 651 is the volume,
of 650, 652 and 653 the drive. The request they end is not in it. A mount request that an error
kept from display is read for its number's ring. Where number or subject is missing, or the header
gives another number, or the subject is of the wrong kind, nothing is read. A dismount is not
either: its first subject is the drive, which would look like that of a tape without a label.
"""

from __future__ import annotations

import re
from typing import Final

from copyagent.core.host_events import (
    DeviceAccepted,
    HostEvent,
    MountRequested,
    RequestEnded,
    RequestOutcome,
    VolumeMounted,
)
from copyagent.ems.tape_templates import LABEL_OF_NUMBER, RING_OF_NUMBER, Header, common

_UNTEMPLATED: Final = re.compile(
    r"EMSTEXT(?=.{0,40}(?:NO TEMPLATE|PREVENTED DISPLAY)).{0,400}?"
    r" EVENT NUMBER ?= ?(?P<number>[+-]?\d{1,6})\b(?: ?\[? ?SUBJECT ?= ?(?P<subject>[^\s\]]{1,63}))?",
    re.IGNORECASE,
)
_VOLUME: Final = re.compile(r"[A-Z0-9_-]{1,6}")
_DRIVE: Final = re.compile(r"(?:\\\w{1,8}\.)?\$\w{1,8}")


def read_untemplated(head: Header, body: str) -> HostEvent | None:
    """Say what *body* means, if it stands for the text of an event; None if nothing is certain."""
    found = _UNTEMPLATED.match(body)
    if found is None or found["subject"] is None or int(found["number"]) != head.number:
        return None
    subject = found["subject"].upper()
    if _DRIVE.fullmatch(subject):
        return _about_drive(head, subject)
    if _VOLUME.fullmatch(subject):
        return _about_volume(head, subject)
    return None


def _about_volume(head: Header, volume: str) -> HostEvent | None:
    ring = RING_OF_NUMBER.get(head.number)
    if ring is not None:
        label = LABEL_OF_NUMBER[head.number]
        scratch = head.number in {602, 605}
        return MountRequested(head.host, None, volume, ring, None, label, scratch, **common(head))
    match head.number:
        case 648:
            return VolumeMounted(head.host, None, volume, **common(head))
        case 649:
            how = RequestOutcome.CANCELLED
        case 651:
            how = RequestOutcome.REJECTED
        case _:
            return None
    return RequestEnded(head.host, None, volume, how, **common(head))


def _about_drive(head: Header, drive: str) -> HostEvent | None:
    match head.number:
        case 652:
            return DeviceAccepted(head.host, None, drive, **common(head))
        case 650:
            how = RequestOutcome.CANCELLED
        case 653:
            how = RequestOutcome.REJECTED
        case _:
            return None
    return RequestEnded(head.host, None, None, how, drive, **common(head))
