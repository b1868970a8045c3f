r"""The settings section ``ems``: the NonStop hosts whose events are read, and what may be told them.

The original's ``ems_*`` parameters (operations guide 6.04.01) and what they are called here are in
a table of ``vts-autocopy.yaml(5)``. Where a parameter there ends with a host's name it is a key of
that host here; with ``TYPE:TACL`` it is a key of ``logins: {TACL: ...}``; with ``ANYSYS``, of
``logins: {ANY: ...}``. A host's own words win over its log-in type's, and those over ANY's.
"""

import zoneinfo
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    WithJsonSchema,
    model_validator,
)

from vtsfs.contract.errors import NameInvalid
from vtsfs.contract.naming import TapeId
from vtsfs.contract.setting_values import (
    AbsolutePath,
    Model,
    Port,
    Seconds,
    SecondsOrNone,
    VaultKey,
)
from vtsfs.contract.settings_logins import (
    Expression,
    Line,
    Login,
    LoginName,
    LoginScope,
    PasswordFile,
    StepName,
    User,
    problems_of_login,
)

DEFAULT_DISTRIBUTOR = "EMSDIST /NAME/ TYPE PRINTING, COLLECTOR $0, TEXTOUT [#MYTERM]"

NotifyKind = Literal["failed", "held", "behind", "copied"]


def _zone(value: str) -> str:
    try:
        zoneinfo.ZoneInfo(value)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise ValueError(f"no such time zone: {value!r}; write one such as Europe/Berlin") from (
            error
        )
    return value


def _tape(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("should be a tape such as /VAULT00/BILL/X00001")
    try:
        return TapeId.parse(value)
    except NameInvalid as error:
        raise ValueError(str(error)) from error


TimeZone = Annotated[str, AfterValidator(_zone)]
Drive = Annotated[str, Field(pattern=r"^(\\[A-Za-z0-9]{1,7}\.)?\$[A-Za-z0-9]{1,7}$")]
Tape = Annotated[
    TapeId,
    BeforeValidator(_tape),
    PlainSerializer(str),
    WithJsonSchema({"type": "string", "pattern": r"^/[^/]+/[^/]+/[^/]+$"}),
]


class Reconnect(Model):
    """How a lost link is tried again: from *first*, doubled up to *longest*, each cut by chance."""

    first: Seconds = 1.0
    longest: Seconds = 60.0
    refused: Seconds = 300.0

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.first > self.longest:
            raise ValueError("first should not be longer than longest")
        return self


class Policy(Model):
    """Whether ``VTSPolicy IDR`` in this host's events is obeyed, and how often an hour."""

    enabled: bool = False
    per_hour: Annotated[int, Field(ge=1, le=3600)] = 12


class Notify(Model):
    """What is told to the host, as EMS text, by commands typed in a second session.

    *command* holds the lines to type; ``%text%`` stands for the message. *wait_timeout* is how
    long the host may take over each line, *logout_timeout* over LOGOUT.
    """

    events: tuple[NotifyKind, ...] = ("failed", "held", "behind")
    command: Annotated[tuple[Line, ...], Field(min_length=1)]
    wait_timeout: Seconds = 20.0
    logout_timeout: Seconds = 3.0

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not any("%text%" in line for line in self.command):
            raise ValueError("command has no %text%, so the host would be told nothing")
        return self


_FOREIGN: dict[str, tuple[str, ...]] = {
    "telnet": ("key", "known_hosts", "ssh_user", "ssh_command", "file"),
    "ssh": ("file",),
    "file": (
        *("address", "port", "user", "password_file", "key", "known_hosts"),
        *("ssh_user", "ssh_command"),
    ),
}


class EmsHost(Model):
    """One NonStop host, and how its EMS events are had.

    ``telnet`` and ``ssh`` log on and start a distributor; ``file`` follows printed events in a file
    that something else writes. *lost_after* is how long the link must be down before that is an
    alarm, which is repeated every *remind_every*. *keep_alive* 0 sends nothing of its own;
    *silence* 0 lets a host be silent for as long as it likes.
    """

    access: Literal["telnet", "ssh", "file"] = "telnet"
    address: Annotated[str, Field(min_length=1)] | None = None
    port: Port | None = None
    login: LoginName = "TACL"
    user: User | None = None
    password_file: PasswordFile | None = None
    key: AbsolutePath | None = None
    known_hosts: AbsolutePath | None = None
    ssh_user: Annotated[str, Field(min_length=1)] | None = None
    ssh_command: Line | None = None
    file: AbsolutePath | None = None
    service: Line = "TACL"
    prompts: dict[StepName, Expression] = Field(default_factory=dict)
    answers: dict[StepName, Line] = Field(default_factory=dict)
    refusals: tuple[Expression, ...] = ()
    distributor: Line = DEFAULT_DISTRIBUTOR
    catch_up: bool = True
    connect_timeout: Seconds = 10.0
    response_timeout: Seconds = 5.0
    logout_timeout: Seconds = 3.0
    keep_alive: SecondsOrNone = 60.0
    silence: SecondsOrNone = 0.0
    reconnect: Reconnect = Reconnect()
    lost_after: SecondsOrNone = 60.0
    remind_every: Seconds = 3600.0
    timezone: TimeZone | None = None
    vaults: tuple[VaultKey, ...] = ()
    drives: dict[Drive, Tape] = Field(default_factory=dict)
    policy: Policy = Policy()
    notify: Notify | None = None

    @model_validator(mode="after")
    def _complete(self) -> Self:
        needed: dict[str, tuple[str, ...]] = {
            "telnet": ("address", "user", "password_file"),
            "ssh": ("address", "known_hosts"),
            "file": ("file",),
        }
        missing = [name for name in needed[self.access] if getattr(self, name) is None]
        if missing:
            raise ValueError(f"access {self.access} needs {', '.join(missing)}")
        if self.access == "ssh" and self.key is None and self.password_file is None:
            raise ValueError("access ssh needs key, or password_file")
        if self.access == "file" and self.notify is not None:
            raise ValueError("a file cannot be told anything: leave notify out, or log on")
        if self.access == "ssh" and self.ssh_user is None and self.user is None:
            raise ValueError("access ssh needs ssh_user, or user")
        # Above all: who gives a key and forgets access: ssh must not send a password in the clear.
        foreign = [name for name in _FOREIGN[self.access] if getattr(self, name) is not None]
        if foreign:
            raise ValueError(f"access {self.access} has no use for {', '.join(foreign)}")
        return self

    def port_or_default(self) -> int:
        """Return the port to connect to: Telnet's or SSH's, unless another is set."""
        return self.port or (22 if self.access == "ssh" else 23)


HostKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9]{1,8}$")]


class Ems(Model):
    """The host links. Without any, every verdict rests on the overlay alone."""

    required: bool = True
    logins: dict[LoginScope, Login] = Field(default_factory=dict)
    hosts: dict[HostKey, EmsHost] = Field(default_factory=dict)

    def problems_of_logins(self) -> list[str]:
        """Return what is wrong with changes to log-ins, each behind its dotted key."""
        problems = []
        for scope, login in self.logins.items():
            key = f"ems.logins.{scope}"
            problems += problems_of_login(key, scope, login.prompts, login.answers)
        for name, host in self.hosts.items():
            key = f"ems.hosts.{name}"
            problems += problems_of_login(key, host.login, host.prompts, host.answers)
            chosen = host.answers.get("service")
            if chosen is not None and "service" in host.model_fields_set:
                problems.append(f"{key}.answers.service: is given as service, too; leave one out")
        return problems

    def secret_files(self) -> dict[str, Path]:
        """Return the files that hold a password or a private key, by their dotted keys."""
        return {
            f"ems.hosts.{name}.{kind}": path
            for name, host in self.hosts.items()
            for kind, path in (("password_file", host.password_file), ("key", host.key))
            if path is not None
        }
