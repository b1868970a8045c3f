"""An original EMS configuration, turned into the settings section ``ems``.

Pure. `PARAMETERS` has every parameter that the original's guides describe (operations guide
6.04.01, pages 49 to 53; installation guide 6.03.42, page 54) and what it is called here; the
manual's table is made to agree with it by a test. Values are carried over only where they are
valid here; whatever is not is told with its line.

The guides' pages with the names for user, password and kind of log-in are not public, so these are
left for the operator to fill in. A password is never copied, whatever its parameter is called.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, get_args

import yaml
from pydantic import TypeAdapter, ValidationError

from copyagent.ems.perl_expressions import python_expression
from copyagent.ems.shell_assignments import Assignment, read_assignments
from vtsfs.contract.setting_values import VaultKey
from vtsfs.contract.settings_logins import (
    Expression,
    Line,
    LoginName,
    fault_of_answer,
)

REQUIRED: Final = ("user", "password_file")
"""What no original configuration tells under a name that is known; written without a value."""

_EXPRESSION: TypeAdapter[str] = TypeAdapter(Expression)
_LINE: TypeAdapter[str] = TypeAdapter(Line)
_VAULT: TypeAdapter[str] = TypeAdapter(VaultKey)
_KINDS: Final[tuple[str, ...]] = get_args(LoginName)
_SECRET = re.compile(r"(?i)pass|pwd|secret|credential")
_KEY_CHARACTERS = re.compile(r"[^A-Za-z0-9]")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of the original, as its guide writes it.

    A name ends with ``_NSserver`` where a host's name belongs, with ``_<type>`` where that may also
    be ``TYPE:`` and a kind of log-in, or ``ANYSYS``. *ours* is the dotted key here, empty if there
    is none *because* of something.
    """

    name: str
    ours: str
    because: str = ""

    @property
    def stem(self) -> str:
        """The name without what stands for a host."""
        return self.name.removesuffix("_NSserver").removesuffix("_<type>")


_NOTIFY_TOO: Final = "and notify.logout_timeout, once notify has its command"

PARAMETERS: Final = (
    Parameter("ems_enable", "ems.required", "a host that is listed is read; NO lists none"),
    Parameter("ems_hostnames", "ems.hosts", "each is a HOST, and its address"),
    Parameter("ems_keep_alive", "ems.hosts.HOST.keep_alive", "off in the original unless given"),
    Parameter("ems_notify_wait_timeout", "ems.hosts.HOST.notify.wait_timeout"),
    Parameter("ems_notify_wait_timeout_NSserver", "ems.hosts.HOST.notify.wait_timeout"),
    Parameter("ems_notify_logout_timeout", "ems.hosts.HOST.logout_timeout", _NOTIFY_TOO),
    Parameter("ems_notify_logout_timeout_NSserver", "ems.hosts.HOST.logout_timeout", _NOTIFY_TOO),
    Parameter("ems_response_timeout", "ems.hosts.HOST.response_timeout"),
    Parameter("ems_response_timeout_NSserver", "ems.hosts.HOST.response_timeout"),
    Parameter("ems_mount_delay", "", "mounting is the tape engine's; nothing is mounted here"),
    Parameter(
        "ems_InterSystemCommunication_hosts",
        "",
        "mounts are not co-ordinated here, they are only watched",
    ),
    Parameter("ems_vaults_NSserver", "ems.hosts.HOST.vaults"),
    Parameter("ems_mount_reset", "", "no drive is reset here; that is the tape engine's"),
    Parameter("ems_resetdevs_NSserver", "", "no drive is reset here; that is the tape engine's"),
    Parameter("ems_service_prompt_<type>", "ems.hosts.HOST.prompts", "its step service"),
    Parameter("ems_service_answer_<type>", "ems.hosts.HOST.answers", "its step tacl"),
    Parameter("ems_service_select_<type>", "ems.hosts.HOST.service"),
    Parameter(
        "ems_login_userprompt_<type>",
        "ems.hosts.HOST.prompts",
        "its step user; with SAFEGUARD, its step tacl",
    ),
)
_BY_STEM: Final = {parameter.stem: parameter for parameter in PARAMETERS}


@dataclass(frozen=True, slots=True)
class Note:
    """Something the operator has to know about *line*; 0 is the file as a whole.

    *is_lost* tells that something the original would have acted upon is not in the settings.
    """

    line: int
    text: str
    is_lost: bool = False


@dataclass(slots=True)
class Imported:
    """The section ``ems`` as plain data, and the notes, in the order of their lines."""

    ems: dict[str, Any]
    notes: list[Note] = field(default_factory=list)


def import_config(text: str) -> Imported:
    """Turn an original configuration into settings; never raises, and carries nothing out."""
    return _Import(text).run()


class _NotCarried(Exception):
    """A value that cannot be had here; the message says why."""


class _Import:
    def __init__(self, text: str) -> None:
        found, strays = read_assignments(text)
        # As in a shell: the last one counts, and a site adds its own at the end of the file.
        self._given = {assignment.name: assignment for assignment in found}
        self._notes = [Note(stray.line, stray.why, is_lost=True) for stray in strays]
        self._hosts: dict[str, dict[str, Any]] = {}
        self._logins: dict[str, dict[str, dict[str, str]]] = {}

    def run(self) -> Imported:
        if self._is_off():
            return Imported({"required": False}, self._notes)
        self._name_hosts()
        ours = [given for given in self._given.values() if given.name.startswith("ems_")]
        for given in sorted(ours, key=lambda given: _rank(given.name)):
            self._take(given)
        if foreign := len(self._given) - len(ours):
            self._notes.append(Note(0, f"settings that are not of EMS were left out: {foreign}"))
        self._say_defaults()
        ems: dict[str, Any] = {} if self._hosts else {"required": False}
        if self._logins:
            ems["logins"] = self._logins
        if self._hosts:
            ems["hosts"] = {entry.pop("key"): entry for entry in self._hosts.values()}
        return Imported(ems, sorted(self._notes, key=lambda note: note.line))

    # ---- hosts -------------------------------------------------------------------------------

    def _is_off(self) -> bool:
        enabled = self._given.get("ems_enable")
        if enabled is None or enabled.value.strip().upper() == "YES":
            return False
        text = "ems_enable: is not YES, so nothing is taken over; say YES there if links are wanted"
        self._notes.append(Note(enabled.line, text))
        return True

    def _name_hosts(self) -> None:
        names = self._given.get("ems_hostnames")
        if names is None or not names.value.split():
            line = names.line if names is not None else 0
            self._notes.append(Note(line, "ems_hostnames: names no host", is_lost=True))
            return
        for name in dict.fromkeys(names.value.split()):
            self._add_host(name, names.line)

    def _add_host(self, name: str, line: int) -> None:
        key = self._free_key(name)
        if not name.isprintable() or not key:
            text = "ems_hostnames: one of the names cannot be the name of a host"
            self._notes.append(Note(line, text, is_lost=True))
            return
        if key != name:
            self._notes.append(Note(line, f"ems_hostnames: {name} is called {key} here"))
        self._hosts[name] = {"key": key, "address": name, **dict.fromkeys(REQUIRED)}
        for what in REQUIRED:
            text = f"{name}: {what} has to be filled in; its original name is not known"
            self._notes.append(Note(line, text))
        text = f"{name}: login is TACL unless you say another: {', '.join(_KINDS)}"
        self._notes.append(Note(line, text))

    def _free_key(self, name: str) -> str:
        """Make a HOST of *name*: up to 8 letters and digits, none of them taken."""
        # An address in numbers has no first part that names it.
        first = name if name[:1].isdigit() else name.partition(".")[0]
        plain = _KEY_CHARACTERS.sub("", first)
        taken = {entry["key"] for entry in self._hosts.values()}
        candidates = [plain[:8], *(f"{plain[:5]}{number}" for number in range(1, 1000))]
        return next((key for key in candidates if plain and key not in taken), "")

    def _say_defaults(self) -> None:
        silent = [host for host in self._hosts.values() if "keep_alive" not in host]
        for host in silent:
            host["keep_alive"] = "0s"
        if silent:
            text = "ems_keep_alive: is not given, which is off; here 1m would be usual"
            self._notes.append(Note(0, text))

    # ---- parameters --------------------------------------------------------------------------

    def _take(self, given: Assignment) -> None:
        if given.would_change:
            text = f"{given.name}: a shell would put something else for $ or `; taken as written"
            self._notes.append(Note(given.line, text))
        try:
            parameter, scope = self._parameter_of(given.name)
            if not parameter.ours:
                text = f"{given.name}: not needed: {parameter.because}"
                self._notes.append(Note(given.line, text))
            elif parameter.stem in _CARRIED:
                _CARRIED[parameter.stem](self, given, scope)
        except _NotCarried as reason:
            self._notes.append(Note(given.line, f"{given.name}: {reason}", is_lost=True))

    def _parameter_of(self, name: str) -> tuple[Parameter, str]:
        """Find what *name* is, and what stands in the place of a host's name; empty if nothing."""
        for stem in sorted(_BY_STEM, key=len, reverse=True):
            if name == stem or name.startswith(f"{stem}_"):
                return _BY_STEM[stem], name[len(stem) + 1 :]
        if _SECRET.search(name):
            raise _NotCarried(
                "a password is not copied; write it into a file, as its only line, say chmod 600 "
                "to it, and name it as password_file"
            )
        raise _NotCarried("is not among the parameters that are known")

    def _hosts_of(self, scope: str) -> list[dict[str, Any]]:
        """Return the hosts that *scope* means: one of them, or all if it is empty."""
        if not scope:
            return list(self._hosts.values())
        if scope not in self._hosts:
            raise _NotCarried(f"{scope} is not one of the hosts")
        return [self._hosts[scope]]

    def _carry_seconds(self, key: str, given: Assignment, scope: str, *, least: int = 1) -> None:
        value = given.value.strip()
        if not re.fullmatch(r"[0-9]{1,8}", value) or int(value) < least:
            raise _NotCarried(f"should be a number of seconds, at least {least}")
        for host in self._hosts_of(scope):
            host[key] = f"{int(value)}s"

    def _carry_vaults(self, given: Assignment, scope: str) -> None:
        names = [name.strip("/") for name in re.split(r"[\s,]+", given.value) if name.strip("/")]
        for host in self._hosts_of(scope or "ANYSYS"):
            host["vaults"] = [_valid(_VAULT, name) for name in dict.fromkeys(names)]

    def _carry_notify_wait(self, _: Assignment, scope: str) -> None:
        self._hosts_of(scope)
        raise _NotCarried(
            "belongs to notify, which is off until its command is given: "
            "notify: {command: [...], wait_timeout: ...}"
        )

    # ---- the words of a log-in ---------------------------------------------------------------

    def _login(self, scope: str) -> dict[str, Any]:
        """Return what *scope* means: a log-in of all hosts, of a kind, or of one host."""
        kind = scope.removeprefix("TYPE:")
        if scope == "ANYSYS":
            return self._logins.setdefault("ANY", {})
        if scope.startswith("TYPE:") and kind in _KINDS:
            return self._logins.setdefault(kind, {})
        if scope.startswith("TYPE:"):
            raise _NotCarried(f"{kind} is no kind of log-in: {', '.join(_KINDS)}")
        (host,) = self._hosts_of(scope or "a name")
        return host

    def _carry_service_prompt(self, given: Assignment, scope: str) -> None:
        expression = _expression(given.value)
        self._login(scope).setdefault("prompts", {})["service"] = expression

    def _carry_service(self, given: Assignment, scope: str) -> None:
        answer = _answer("service", given.value)
        login = self._login(scope)
        if scope in self._hosts:
            login["service"] = answer
        else:
            login.setdefault("answers", {})["service"] = answer

    def _carry_answer(self, given: Assignment, scope: str) -> None:
        answer = _answer("tacl", given.value)
        if scope not in {"ANYSYS", "TYPE:SAFEGUARD"}:
            raise _NotCarried(
                "is what SAFEGUARD types at the TACL prompt; where a host's login is that, write it "
                "as answers: {tacl: ...}"
            )
        self._login(scope).setdefault("answers", {})["tacl"] = answer

    def _carry_user_prompt(self, given: Assignment, scope: str) -> None:
        expression = _expression(given.value)
        scopes = [f"TYPE:{kind}" for kind in _KINDS] if scope == "ANYSYS" else [scope]
        for one in scopes:
            step = "tacl" if one == "TYPE:SAFEGUARD" else "user"
            self._login(one).setdefault("prompts", {})[step] = expression
        if scope in self._hosts:
            text = f"{given.name}: if the host's login is SAFEGUARD, call its step tacl"
            self._notes.append(Note(given.line, text))


def _rank(name: str) -> int:
    """Put what is said of all hosts before what is said of some, which wins."""
    if name in _BY_STEM:
        return 0
    return 1 if name.endswith("_ANYSYS") else 2 if "_TYPE:" in name else 3


def _valid(kind: TypeAdapter[str], value: str) -> str:
    try:
        return kind.validate_python(value)
    except ValidationError as error:
        reason = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise _NotCarried(f"{reason[:1].lower()}{reason[1:]}") from error


def _expression(perl: str) -> str:
    try:
        return _valid(_EXPRESSION, python_expression(perl))
    except ValueError as error:
        raise _NotCarried(str(error)) from error


def _answer(step: str, text: str) -> str:
    answer = _valid(_LINE, text)
    if (fault := fault_of_answer(step, answer)) is not None:
        raise _NotCarried(fault)
    return answer


_CARRIED: Final[dict[str, Callable[[_Import, Assignment, str], None]]] = {
    "ems_keep_alive": lambda config, given, scope: config._carry_seconds(
        "keep_alive", given, scope, least=0
    ),
    "ems_response_timeout": lambda config, given, scope: config._carry_seconds(
        "response_timeout", given, scope
    ),
    "ems_notify_logout_timeout": lambda config, given, scope: config._carry_seconds(
        "logout_timeout", given, scope
    ),
    "ems_notify_wait_timeout": _Import._carry_notify_wait,
    "ems_vaults": _Import._carry_vaults,
    "ems_service_prompt": _Import._carry_service_prompt,
    "ems_service_select": _Import._carry_service,
    "ems_service_answer": _Import._carry_answer,
    "ems_login_userprompt": _Import._carry_user_prompt,
}


def settings_text(imported: Imported, source: str) -> str:
    """Write the section as a part of a settings file, made from *source*.

    What is `REQUIRED` stands there without a value and marked, so that a check asks for it.
    """
    body = yaml.safe_dump({"ems": imported.ems}, sort_keys=False, width=10_000)
    for key, what in _TO_FILL_IN.items():
        body = re.sub(rf"(?m)^(\s+{key}:) null$", rf"\1  # REQUIRED: {what}", body)
    head = [
        f"# Made from {source!a}. What is marked REQUIRED has to be filled in;",
        "# copyagent check tells what is still missing.",
    ]
    return "\n".join([*head, body])


_TO_FILL_IN: Final = {
    "user": "the user to log on as",
    "password_file": "a file with the password on its only line, mode 600",
}
