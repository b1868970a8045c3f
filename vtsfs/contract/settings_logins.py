"""The settings of a log-in: which prompts a host shows, what is answered, and what is a refusal.

A log-in is a row of named steps (`LOGIN_STEPS`). What is waited for at a step and what is typed
then is built in, and can be replaced for every host, for one kind of log-in, and for one host.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from vtsfs.contract.setting_values import AbsolutePath, Model

LoginName = Literal["TACL", "TACLS", "XYGATE", "SAFEGUARD"]
LoginScope = Literal["ANY", "TACL", "TACLS", "XYGATE", "SAFEGUARD"]
StepName = Literal["service", "tacl", "user", "password", "ready"]

ALL_STEPS: Final[tuple[StepName, ...]] = ("service", "tacl", "user", "password", "ready")
_WITHOUT_TACL: Final[tuple[StepName, ...]] = ("service", "user", "password", "ready")
LOGIN_STEPS: Final[Mapping[LoginScope, tuple[StepName, ...]]] = {
    "ANY": ALL_STEPS,
    "TACL": _WITHOUT_TACL,
    "TACLS": _WITHOUT_TACL,
    "XYGATE": _WITHOUT_TACL,
    "SAFEGUARD": ALL_STEPS,
}
"""Which steps each kind of log-in goes through, in this order."""

PASSWORD: Final = "%password%"  # noqa: S105 - the placeholder, not a password
DISTRIBUTOR: Final = "%distributor%"
_ONLY_AT: Final[Mapping[str, StepName]] = {PASSWORD: "password", DISTRIBUTOR: "ready"}


def _expression(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("should be a regular expression, in quotes")
    try:
        found = re.compile(value).search("")
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"is no regular expression: {error}") from error
    if found is not None:
        raise ValueError("matches an empty line, so it would be met before the host says anything")
    return value


def _one_line(value: str) -> str:
    if not value.isprintable():
        raise ValueError("should be one line of printable characters")
    try:
        value.encode("latin-1")
    except UnicodeEncodeError as error:
        character = value[error.start]
        raise ValueError(f"{character!r} cannot be typed: it is not in ISO 8859-1") from error
    return value


def _user(value: str) -> str:
    # A user's number is two: group and member.
    if "," in value and not re.fullmatch(r"\d{1,3},\d{1,3}", value):
        raise ValueError(f"should be a user alone; {_BEHIND_A_COMMA}")
    return value


def _file_not_password(value: object) -> object:
    # Who writes the password itself here must not find it in a log.
    if not isinstance(value, str) or not value.startswith("/"):
        raise ValueError("should be the absolute path of a file that holds the password")
    return value


_BEHIND_A_COMMA = "what may be a password behind a comma belongs into password_file"
Expression = Annotated[str, BeforeValidator(_expression), Field(min_length=1, max_length=500)]
Line = Annotated[str, Field(min_length=1, max_length=500), AfterValidator(_one_line)]
User = Annotated[Line, AfterValidator(_user)]
PasswordFile = Annotated[AbsolutePath, BeforeValidator(_file_not_password)]


class Login(Model):
    """Changes to a log-in: which prompt is waited for at a step, and what is answered.

    In an answer ``%username%``, ``%password%`` and ``%distributor%`` stand for the host's values.
    *refusals* are added to the expressions that say that a log-on was refused.
    """

    prompts: dict[StepName, Expression] = Field(default_factory=dict)
    answers: dict[StepName, Line] = Field(default_factory=dict)
    refusals: tuple[Expression, ...] = ()


def fault_of_answer(step: str, answer: str) -> str | None:
    """Say why *answer* must not be typed at *step*, or None.

    A host shows what is typed at any prompt but that for the password (TACL reference manual
    429513-018, LOGON), and a command that is typed before the log-on is taken for something else.
    """
    for placeholder, only in _ONLY_AT.items():
        if placeholder in answer and step != only:
            return f"{placeholder} may be typed at the step {only} alone"
    if step in {"service", "tacl", "user"} and re.search(r",\s*[^\s\d]", answer):
        return f"would be shown by the host; {_BEHIND_A_COMMA}"
    return None


def problems_of_login(
    key: str, kind: LoginScope, prompts: Mapping[StepName, str], answers: Mapping[StepName, str]
) -> list[str]:
    """List what is wrong with changes to the log-in *kind* that stand below the dotted *key*."""
    known = LOGIN_STEPS[kind]
    problems = [
        f"{key}.{part}.{step}: a log-in of type {kind} has no such step: it has {', '.join(known)}"
        for part, words in (("prompts", prompts), ("answers", answers))
        for step in words
        if step not in known
    ]
    return problems + [
        f"{key}.answers.{step}: {fault}"
        for step, answer in answers.items()
        if (fault := fault_of_answer(step, answer)) is not None
    ]
