"""The log-ins of NonStop hosts, as data: which prompt is answered with what.

Pure. A log-in is a row of steps. Each waits for the last line the host has sent to match its
*prompt* and types its *answer*; a step that is *optional* may be passed over, when the host shows
the prompt of a later one. The defaults are those of the original's ``ems_service_*`` and
``ems_login_*`` parameters where they are documented (operations guide 6.04.01), else what the
host's manuals show; every one can be replaced per host.

In an answer ``%username%``, ``%password%`` and ``%distributor%`` stand for the settings' values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

PASSWORD: Final = "%password%"  # noqa: S105 - the placeholder, not a password
SERVICE_PROMPT: Final = "service prompt"
"""Name of the step at which the host's Telnet server lets choose a service."""
DEFAULT_DISTRIBUTOR: Final = "EMSDIST /NAME/ TYPE PRINTING, COLLECTOR $0, TEXTOUT [#MYTERM]"
"""Start a printing distributor on the session's own terminal (EMS manual 426909-005, EMSDIST).

``NAME`` without a value lets the host choose the process name, so that a distributor left over
from a lost session does not stand in the way of the next; ``[#MYTERM]`` is TACL's name for the
terminal. Without NOWAIT no prompt comes back as long as events are printed.
"""

_READY = r"(?i)^(?:[^>]{0,80}[^>\d])?\d{1,6}>\s*$"
_TACL = r"(?i)TACL \d{1,6}>\s*$"


@dataclass(frozen=True, slots=True)
class Step:
    """Describe one exchange of a log-in; *name* is what the operator reads in a message.

    *prompt* is a regular expression that is searched in the host's last line.
    """

    name: str
    prompt: str
    answer: str
    optional: bool = False


@dataclass(frozen=True, slots=True)
class LoginType:
    """Describe a log-in from connecting to the command that starts the distributor.

    *refusals* are regular expressions; one that matches a line, after the first answer was
    given, means that the host has said no.
    """

    name: str
    steps: tuple[Step, ...]
    refusals: tuple[str, ...]


# Lines such as "Invalid logon attempts since: 0" are news, not refusals.
_REFUSALS: Final = (
    r"(?i)^\s*\*+\s*ERROR\s*\*+",
    (
        r"(?i)^\s*(?:invalid|incorrect|unknown|illegal)\s+"
        r"(?:user|log-?[io]n|name|password|id)\b(?!.*\battempts?\b)"
    ),
    r"(?i)^\s*(?:access|log-?[io]n)\s+(?:is\s+)?(?:denied|refused|rejected|failed|incorrect|invalid)",
    (
        r"(?i)^\s*(?:user(?:name)?|password|account)\b.*\b(?:is|has)\s+"
        r"(?:been\s+)?(?:invalid|incorrect|expired|frozen|suspended|unknown|denied)"
    ),
    r"(?i)\bsecurity violation\b",
)
_SERVICE = Step(SERVICE_PROMPT, r"(?i)^\s*Enter Choice>\s*$", "TACL", optional=True)
_PASSWORD = Step("password prompt", r"(?i)password\s*:\s*$", PASSWORD)
_START = Step("prompt after the log-on", _READY, "%distributor%")

LOGIN_TYPES: Final[Mapping[str, LoginType]] = {
    found.name: found
    for found in (
        LoginType(
            "TACL",
            (_SERVICE, Step("user prompt", _TACL, "LOGON %username%"), _PASSWORD, _START),
            _REFUSALS,
        ),
        # A TACL that asks for the user by itself before it gives a prompt.
        LoginType(
            "TACLS",
            (_SERVICE, Step("user prompt", r"(?i)login:\s*$", "%username%"), _PASSWORD, _START),
            _REFUSALS,
        ),
        LoginType(
            "XYGATE",
            (_SERVICE, Step("user prompt", _TACL, "LOGON %username%"), _PASSWORD, _START),
            _REFUSALS,
        ),
        LoginType(
            "SAFEGUARD",
            (
                _SERVICE,
                Step("TACL prompt", _TACL, "logon"),
                Step("user prompt", r"(?i)(?:user|log-?[io]n)[^:>?]{0,40}[:>?]\s*$", "%username%"),
                _PASSWORD,
                _START,
            ),
            _REFUSALS,
        ),
    )
}
"""By the name used for it in the settings."""


def with_steps_replaced(
    login: LoginType, prompts: Mapping[str, str], answers: Mapping[str, str]
) -> LoginType:
    """Replace prompts and answers by the names of their steps; other steps stay as they are.

    Raises ValueError for a step that the log-in does not have or a prompt that is no regular
    expression; the message names it.
    """
    known = [step.name for step in login.steps]
    for name in (*prompts, *answers):
        if name not in known:
            msg = f"log-in type {login.name} has no step {name!r}: it has {', '.join(known)}"
            raise ValueError(msg)
    for name, prompt in prompts.items():
        try:
            re.compile(prompt)
        except re.error as error:
            msg = f"{name} of log-in type {login.name} is no regular expression: {error}"
            raise ValueError(msg) from error
    steps = tuple(
        replace(
            step,
            prompt=prompts.get(step.name, step.prompt),
            answer=answers.get(step.name, step.answer),
        )
        for step in login.steps
    )
    return replace(login, steps=steps)
