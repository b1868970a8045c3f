"""VTSPolicy commands in a host's events.

Pure. A NonStop operator drives the tape system by an event whose text is a ``VTSPolicy`` command,
sent by a TACL macro or with FUP (operations guide 6.04.04). Its subsystem and number are of the
site's choosing, so the text alone tells. Such an event can be forged by whoever can write to the
host's collector: it is recognised and handed on as it was printed, and obeyed by nobody here.
"""

from __future__ import annotations

import re

from copyagent.core.host_events import PolicyCommand
from copyagent.ems.lines import EmsEvent

_COMMAND = re.compile(r"VTSPolicy \S.*", re.IGNORECASE)


def read_policy_command(host: str, event: EmsEvent) -> PolicyCommand | None:
    """Give the VTSPolicy command that *event* holds, if it holds one."""
    text = " ".join(event.text.split())
    if _COMMAND.match(text) is None:
        return None
    return PolicyCommand(host, text, node=event.node, printed_at=event.printed_at)
