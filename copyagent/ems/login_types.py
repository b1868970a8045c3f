"""The log-ins of NonStop hosts, as data: which prompt is answered with what.

Pure. A log-in is a row of steps. Each waits for the last line the host has sent to match its
*prompt* and types its *answer*; a step that is *optional* may be passed over, when the host shows
the prompt of a later one. The defaults are those of the original's ``ems_service_*`` and
``ems_login_*`` parameters where they are documented (operations guide 6.04.01), else what the
host's manuals show: the TACL reference manual (429513-018, LOGON), the Safeguard user's guide
(422089-020, "Safeguard Logon Dialog") and the TCP/IP manual's transcript of a Telnet log-in. They
were not tried on a host. Every one can be replaced in the settings.

In an answer ``%username%``, ``%password%`` and ``%distributor%`` stand for the settings' values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from vtsfs.contract.settings_ems import EmsHost
from vtsfs.contract.settings_logins import (
    PASSWORD,
    Login,
    LoginScope,
    StepName,
    fault_of_answer,
)

DEFAULT_DISTRIBUTOR: Final = "EMSDIST /NAME/ TYPE PRINTING, COLLECTOR $0, TEXTOUT [#MYTERM]"
"""Start a printing distributor on the session's own terminal (EMS manual 426909-005, EMSDIST).

``NAME`` without a value lets the host choose the process name, so that a distributor left over
from a lost session does not stand in the way of the next; ``[#MYTERM]`` is TACL's name for the
terminal. Without NOWAIT no prompt comes back as long as events are printed.
"""

TITLES: Final[Mapping[StepName, str]] = {
    "service": "service prompt",
    "tacl": "TACL prompt",
    "user": "user prompt",
    "password": "password prompt",
    "ready": "prompt after the log-on",
}
"""What an operator reads where the settings name a step."""

# A terminal that Safeguard controls shows its own prompt until somebody has logged on.
_READY = r"(?i)^(?!\s*SAFEGUARD\b)(?:[^>]{0,80}[^>\d])?\d{1,6}>\s*$"
_TACL = r"(?i)\b(?:TACL|SAFEGUARD) \d{1,6}>\s*$"


@dataclass(frozen=True, slots=True)
class Step:
    """Describe one exchange of a log-in; *name* is what the settings call it.

    *prompt* is a regular expression that is searched in the host's last line, and *unless* one
    that must not be found there.
    """

    name: StepName
    prompt: str
    answer: str
    optional: bool = False
    unless: str = ""

    @property
    def title(self) -> str:
        """Name the step to an operator."""
        return TITLES[self.name]


@dataclass(frozen=True, slots=True)
class LoginType:
    """Describe a log-in from connecting to the command that starts the distributor.

    *refusals* are regular expressions; one that matches a line, after the first answer was
    given, means that the host has said no.
    """

    name: str
    steps: tuple[Step, ...]
    refusals: tuple[str, ...]


# Lines such as "Invalid logon attempts since: 0" or "*WARNING* Password Expires: 4 Jan" are news,
# not refusals.
_REFUSALS: Final = (
    r"(?i)^\s*\*+\s*ERROR\s*\*+",
    (
        r"(?i)^\s*(?:invalid|incorrect|unknown|illegal)\s+"
        r"(?:user(?:name)?|log-?[io]n|name|password|id)\b(?!.*\battempts?\b)"
    ),
    r"(?i)^\s*(?:access|log-?[io]n)\s+(?:is\s+)?(?:denied|refused|rejected|failed|incorrect|invalid)",
    (
        r"(?i)^\s*(?:user(?:name)?|password|account)\b.*\b(?:is|has)\s+"
        r"(?:been\s+)?(?:invalid|incorrect|expired|frozen|suspended|unknown|denied)"
    ),
    r"(?i)^\s*password\s+expired\b",
    r"(?i)^\s*(?:re-?)?enter\s+(?:the\s+|your\s+|a\s+)?new\s+password\b",
    r"(?i)^\s*expecting:?\s.*\blog-?on\b",
    r"(?i)\bnot\s+logged\s+on\b",
    r"(?i)\bsecurity violation\b",
)
_SERVICE = Step("service", r"(?i)^\s*Enter Choice>\s*$", "TACL", optional=True)
# "Last login: Mon" can arrive cut off behind its colon.
_NOT_NEWS = r"(?<!last )"
# A host that asks for a new password would be given the old one, and show or keep it.
_NEW = r"(?i)\b(?:new|re-?enter|re-?type|verify|confirm|again)\b"
_PASSWORD = Step("password", r"(?i)password(?:\s+for\s[^:]{1,60})?\s*:\s*$", PASSWORD, unless=_NEW)
_START = Step("ready", _READY, "%distributor%")

LOGIN_TYPES: Final[Mapping[str, LoginType]] = {
    found.name: found
    for found in (
        LoginType(
            "TACL",
            (_SERVICE, Step("user", _TACL, "LOGON %username%"), _PASSWORD, _START),
            _REFUSALS,
        ),
        # A TACL that asks for the user by itself before it gives a prompt.
        LoginType(
            "TACLS",
            (
                _SERVICE,
                Step("user", rf"(?i){_NOT_NEWS}login:\s*$", "%username%"),
                _PASSWORD,
                _START,
            ),
            _REFUSALS,
        ),
        LoginType(
            "XYGATE",
            (_SERVICE, Step("user", _TACL, "LOGON %username%"), _PASSWORD, _START),
            _REFUSALS,
        ),
        LoginType(
            "SAFEGUARD",
            (
                _SERVICE,
                Step("tacl", _TACL, "logon"),
                Step(
                    "user",
                    rf"(?i){_NOT_NEWS}(?:user|log-?[io]n)[^:>?]{{0,40}}[:>?]\s*$",
                    "%username%",
                ),
                _PASSWORD,
                _START,
            ),
            _REFUSALS,
        ),
    )
}
"""By the name used for it in the settings."""

_OF_THE_LOG_ON: Final = frozenset({"tacl", "user", "password"})


def login_of(host: EmsHost, logins: Mapping[LoginScope, Login]) -> LoginType:
    """Put together the log-in of *host*: its own words, then its type's, ANY's, and ours.

    *logins* are the settings' ``ems.logins``. Raises ValueError as `with_steps_replaced`.
    """
    login = LOGIN_TYPES[host.login]
    known = {step.name for step in login.steps}
    scopes: tuple[LoginScope, ...] = ("ANY", host.login)
    for scope in scopes:
        words = logins.get(scope, Login())
        # What holds for any log-in holds where there is such a step.
        prompts = {name: words.prompts[name] for name in words.prompts if name in known}
        answers = {name: words.answers[name] for name in words.answers if name in known}
        login = with_steps_replaced(login, prompts, answers, words.refusals)
    service: dict[StepName, str] = (
        {"service": host.service} if "service" in host.model_fields_set else {}
    )
    login = with_steps_replaced(login, host.prompts, service | host.answers, host.refusals)
    return _after_ssh(login, host) if host.access == "ssh" else login


def _after_ssh(login: LoginType, host: EmsHost) -> LoginType:
    """Let a host that knows us by SSH leave out what it does not ask for any more.

    TACL's prompt is ``TACL 1>`` until somebody is logged on (Security management guide 522283-021,
    "Logging Off"), so where it shows that, and there is a password to be given, it is asked for a
    log-on; without one whatever prompt comes has to do.
    """
    steps = tuple(
        replace(step, optional=step.name != "ready")
        for step in login.steps
        if step.name not in _OF_THE_LOG_ON or (host.user and host.password_file)
    )
    return replace(login, steps=steps)


def with_steps_replaced(
    login: LoginType,
    prompts: Mapping[StepName, str],
    answers: Mapping[StepName, str],
    refusals: tuple[str, ...] = (),
) -> LoginType:
    """Replace prompts and answers by the names of their steps, and add *refusals*.

    Raises ValueError for a step that the log-in does not have, an expression that is none, or an
    answer that must not be given at its step; the message names it.
    """
    known = [step.name for step in login.steps]
    for name in (*prompts, *answers):
        if name not in known:
            msg = f"log-in type {login.name} has no step {name!r}: it has {', '.join(known)}"
            raise ValueError(msg)
    expressions = [*prompts.items(), *(("a refusal", refusal) for refusal in refusals)]
    for what, expression in expressions:
        try:
            re.compile(expression)
        except re.error as error:
            msg = f"{what} of log-in type {login.name} is no regular expression: {error}"
            raise ValueError(msg) from error
    for name, answer in answers.items():
        if (fault := fault_of_answer(name, answer)) is not None:
            raise ValueError(f"{name} of log-in type {login.name}: {fault}")
    steps = tuple(
        replace(
            step,
            prompt=prompts.get(step.name, step.prompt),
            answer=answers.get(step.name, step.answer),
            # Who words the prompt anew has a host that words it so.
            unless="" if step.name in prompts else step.unless,
        )
        for step in login.steps
    )
    return replace(login, steps=steps, refusals=(*login.refusals, *refusals))
