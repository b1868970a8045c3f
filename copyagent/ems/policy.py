"""VTSPolicy commands in a host's events.

Pure. A NonStop operator drives the tape system by an event whose text is a ``VTSPolicy`` command,
sent by a TACL macro or with FUP (operations guide 6.04.04). Its subsystem and number are of the
site's choosing, so the text alone tells. Such an event can be forged by whoever can write to the
host's collector: it is recognised and handed on as it was printed. What it says is read by
`copyagent.core.policy_commands`; what comes of it, `copyagent.core.requests_of_hosts` decides.
"""

from __future__ import annotations

import re

from copyagent.core.host_events import PolicyCommand
from copyagent.ems.lines import EmsEvent

_COMMAND = re.compile(r"[\s\x00-\x1f]*VTSPolicy\s+\S", re.IGNORECASE)
# A critical event that was written as text is printed with a BEL (EMS manual 426909-005, event 512).
_BLANKS = dict.fromkeys((*range(32), 127), " ")


def read_policy_command(host: str, event: EmsEvent) -> PolicyCommand | None:
    """Give the VTSPolicy command that *event* holds, if it holds one."""
    if _COMMAND.match(event.text) is None:
        return None
    text = " ".join(event.text.translate(_BLANKS).split())
    return PolicyCommand(host, text, node=event.node, printed_at=event.printed_at)
