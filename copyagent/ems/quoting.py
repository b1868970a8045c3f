"""Events in which a host quotes the password of the link: they are kept without it. Pure.

Whoever prints a password had it from us, or knew it; that is no reason to write it down. What a
label or a drive can be stays what it is, though it may be a password, too: a NO RING must not be
lost because somebody chose the label of a tape to log on with.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Final

from copyagent.core.host_events import HostEvent, Printed, Unrecognised
from copyagent.ems.secret import NOT_SHOWN

Quotes = Callable[[str], bool]
"""Tell whether a text quotes the password."""

_FREE: Final = frozenset({"text", "why", "alias", "process"})
# A volume has up to six characters (DSM/TC manual 520481-003, appendix D), a device eight.
_NAME: Final = re.compile(r"[A-Za-z0-9]{1,6}|(?:\\[A-Za-z0-9]{1,7}\.)?\$[A-Za-z0-9]{1,7}")
_OF_THE_LINK: Final = frozenset({"host", "node", "printed_at"})


def printed_unquoted(printed: Printed, quotes: Quotes) -> Printed:
    """Return *printed* with a note in the place of each field that quotes the password."""
    if not quotes(f"{printed.process}\n{printed.ssid}\n{printed.text}"):
        return printed
    return replace(
        printed,
        process=_noted(printed.process, quotes),
        ssid=_noted(printed.ssid, quotes),
        text=_noted(printed.text, quotes),
    )


def event_unquoted(event: HostEvent, quotes: Quotes) -> HostEvent:
    """Return *event* without the password; what then means nothing any more is `Unrecognised`."""
    printed = event.printed
    if printed is None:
        return event
    clean = printed_unquoted(printed, quotes)
    if clean is printed:
        # Its fields were read in that text.
        return event
    changed: dict[str, str] = {}
    for field in fields(event):
        value = getattr(event, field.name)
        if not isinstance(value, str) or field.name in _OF_THE_LINK or not quotes(value):
            continue
        if field.name in _FREE:
            changed[field.name] = NOT_SHOWN
        elif not _NAME.fullmatch(value):
            return Unrecognised(
                event.host,
                printed.number,
                NOT_SHOWN,
                node=event.node,
                printed_at=event.printed_at,
                printed=clean,
            )
    return replace(event, printed=clean, **changed)


def _noted(text: str, quotes: Quotes) -> str:
    return NOT_SHOWN if quotes(text) else text
