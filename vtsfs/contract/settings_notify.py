"""The settings section ``notify``: a command of the site that is run for alarms.

It is run by its own path with its own arguments, never through a shell: nothing that a host or a
tape's name could say is ever read as a command.
"""

from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema

from vtsfs.contract.alarm_kinds import KINDS, fault_of
from vtsfs.contract.setting_values import Model, Seconds


def _kind(value: object) -> object:
    name = f"{value:06}" if isinstance(value, int) and not isinstance(value, bool) else value
    if not isinstance(name, str):
        raise ValueError(f"should be a kind of message or its ID, not {value!r}")
    if fault := fault_of(name):
        raise ValueError(fault)
    return name


def _command(value: object) -> object:
    if not isinstance(value, list | tuple) or not all(isinstance(word, str) for word in value):
        raise ValueError("should be a list: the program's path and its arguments, each a text")
    if value and not value[0].startswith("/"):
        raise ValueError(f"should begin with the program's absolute path, not {value[0]!r}")
    if any("\0" in word for word in value):
        raise ValueError("should not contain a NUL")
    return tuple(value)


#: For whoever checks a file by its schema, before it is here.
_SCHEMA = {
    "anyOf": [
        {"type": "string", "enum": list(KINDS)},
        {"type": "string", "pattern": "^[2468][0-9]{5}$"},
        {"type": "integer", "minimum": 200_000, "maximum": 899_999},
    ]
}

AlarmKind = Annotated[str, BeforeValidator(_kind), WithJsonSchema(_SCHEMA)]
CommandLine = Annotated[tuple[str, ...], BeforeValidator(_command), Field(max_length=64)]


class AlarmHook(Model):
    """The command *run* is given every message that *on* names, one at a time.

    Without a command nothing is run. *timeout* is how long it may take, in seconds.
    """

    on: tuple[AlarmKind, ...] = ("critical", "error", "behind", "caught-up", "covered-again")
    run: CommandLine = ()
    timeout: Seconds = 30.0
