"""What is said to people leaves an entry in the history: alarms, and what operators did.

All that is said in a batch comes through here once, after everything else of the batch was decided,
so no caller can forget the entry and none can write it twice. An act of an operator is told with
its entry's mark, so that the event log tells later whether the history is still the same.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from copyagent.core.commands import Command, Say
from copyagent.core.history import History, Kind
from copyagent.core.time import Moment
from vtsfs.contract import messages
from vtsfs.contract.errors import NameInvalid
from vtsfs.contract.messages import Severity
from vtsfs.contract.naming import TapeId

#: Warnings that are no alarms: an attempt that is made again by itself, and what operators do.
NO_ALARMS: Final = frozenset({messages.ATTEMPT_FAILED.id, messages.OPERATOR_ACTION.id})

#: What tells of an alarm's end, and is kept for that.
ENDS: Final = frozenset({messages.CAUGHT_UP.id, messages.LINK_UP.id, messages.PAUSE_OVER.id})

#: Characters of an old or new state in the event log; the history has all of it.
_STATE_ROOM: Final = 32


def is_alarm(message: messages.Message) -> bool:
    """Tell whether *message* leaves an entry of kind `ALARM`: what warns, and what ends that."""
    if message.id in ENDS:
        return True
    return message.severity >= Severity.WARNING and message.id not in NO_ALARMS


def put_on_record(history: History, commands: list[Command], now: Moment) -> list[Command]:
    """Make the entries of what *commands* say; return them with the marks of acts filled in."""
    return [
        _on_record(history, command, now) if isinstance(command, Say) else command
        for command in commands
    ]


def _on_record(history: History, say: Say, now: Moment) -> Say:
    message, fields = say.message, say.fields
    if message.id == messages.OPERATOR_ACTION.id:
        history.add(
            Kind.ACTION,
            now.wall_ns,
            user=fields["user"],
            action=fields["action"],
            object=fields["object"],
            because=fields["because"],
            old=fields.get("old", ""),
            new=fields.get("new", ""),
        )
        return replace(say, fields={**fields, "mark": _mark(history, fields)})
    if is_alarm(message):
        history.add(
            Kind.ALARM,
            now.wall_ns,
            tape=_tape(fields),
            target=fields.get("target", ""),
            message=message.id,
            severity=message.severity.name.lower(),
            text=message.render(fields, limit=2000),
        )
    return say


def _mark(history: History, fields: Mapping[str, str]) -> str:
    old, new = fields.get("old", ""), fields.get("new", "")
    change = f"{old[:_STATE_ROOM]} -> {new[:_STATE_ROOM]}; " if old or new else ""
    return f"{change}{history.mark.short}"


def _tape(fields: Mapping[str, str]) -> TapeId | None:
    try:
        return TapeId.parse(fields.get("tape", ""))
    except NameInvalid:
        return None
