"""What the site's own command is to be told: which messages, in which order, and how often it is tried.

A message is put here in the transaction that says it was written to the event log, and taken out in
the one that says the command has ended well: a crash in between makes it come again, never not at all.
One command runs at a time. What fails is tried again after a pause, three times in all; what comes
while many wait is counted, and told as a number. Trouble with the command is a warning, once an hour,
and nothing that the command would be told of: no alarm makes another.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from copyagent.core.book import Book
from copyagent.core.calls import Call
from copyagent.core.commands import Say
from copyagent.core.dates import iso
from copyagent.core.time import Moment
from vtsfs.contract import messages
from vtsfs.contract.alarm_kinds import kind_of, wants
from vtsfs.contract.messages import CATALOGUE, next_step, one_line

#: How many messages wait at the most.
MOST_WAITING: Final = 100

#: How often a message is given to the command in all, and the pause after a failure, in seconds.
TRIES: Final = 3
PAUSE_S: Final = 60.0

#: How long trouble with the command is not told again, in seconds.
REMIND_S: Final = 3600.0

#: Version of the document that the command reads.
SCHEMA: Final = 1

#: About the command itself: it is not told of its own trouble.
_OWN: Final = frozenset({messages.HOOK_FAILED.id, messages.HOOK_WORKS.id})

#: Fields that have a variable of their own in the command's environment.
_NAMED: Final = ("tape", "pool", "target", "vault", "host")


@dataclass(slots=True)
class HookQueue:
    """The calls of one book. *rest_until* is when the next may begin (monotonic seconds).

    *pause_s* is the pause after a failure.
    """

    book: Book
    pause_s: float = PAUSE_S
    rest_until: float = 0.0
    trouble: str = ""
    ran: int = 0
    failed: int = 0

    @property
    def waiting(self) -> list[Call]:
        """What is to be told, oldest first."""
        return self.book.calls.waiting

    def offer(self, say: Say, at_ns: int) -> bool:
        """Take *say* in if the command is to be told of it; tell whether it was taken."""
        settings = self.book.settings.notify
        summary = say.message is messages.HOOK_LEFT_OUT
        if not settings.run or say.message.id in _OWN:
            return False
        if not (summary or wants(settings.on, say.message)):
            return False
        calls = self.book.calls
        calls.dirty = True
        if len(calls.waiting) >= MOST_WAITING:
            calls.left_out += 1
            return False
        calls.newest += 1
        calls.waiting.append(Call(calls.newest, at_ns, say.message.id, dict(say.fields)))
        return True

    def next(self, now: Moment) -> Call | None:
        """Return what the command is to be told now, None if it is nothing, or not yet."""
        if not self.book.settings.notify.run and self.waiting:
            self.book.calls.waiting.clear()
            self.book.calls.dirty = True
        if not self.waiting or now.mono < self.rest_until:
            return None
        return self.waiting[0]

    def ended(self, number: int, cause: str, now: Moment) -> None:
        """Take in how the command ended that was given call *number*: well if *cause* is empty."""
        calls = self.book.calls
        if not calls.waiting or calls.waiting[0].number != number:
            return  # the settings have changed meanwhile
        calls.dirty = True
        call = calls.waiting.pop(0)
        if cause:
            self._failed(call, cause, now)
        else:
            self.ran += 1
            if self.trouble:
                self.trouble = ""
                self.book.said.forget((messages.HOOK_FAILED.id, ""))
                self.book.say(messages.HOOK_WORKS)
        # The number itself, if it cannot be told, waits for the next message: it would go on for ever.
        if calls.left_out and not calls.waiting and not (cause and _is_summary(call)):
            self.book.say(messages.HOOK_LEFT_OUT, count=calls.left_out)
            calls.left_out = 0

    def _failed(self, call: Call, cause: str, now: Moment) -> None:
        calls = self.book.calls
        self.failed += 1
        self.trouble = cause
        self.rest_until = now.mono + self.pause_s
        if call.tries + 1 < TRIES:
            calls.waiting.insert(0, replace(call, tries=call.tries + 1))
        else:
            calls.left_out += int(call.fields["count"]) if _is_summary(call) else 1
        if self.book.unsaid(messages.HOOK_FAILED, "", now, REMIND_S):
            self.book.say(messages.HOOK_FAILED, waiting=len(calls.waiting), cause=cause)


def _is_summary(call: Call) -> bool:
    return call.id == messages.HOOK_LEFT_OUT.id


def document_of(call: Call, system: str) -> dict[str, Any]:
    """Return what the command reads about *call* on its standard input."""
    message = CATALOGUE[call.id]
    return {
        "schema": SCHEMA,
        "number": call.number,
        "id": f"{call.id:06}",
        "severity": message.severity.name,
        "kind": kind_of(message),
        "at": iso(call.at_ns),
        "system": system,
        "text": message.render(call.fields, limit=2000),
        "next_step": next_step(message, call.fields),
        "fields": dict(call.fields),
    }


def variables_of(document: Mapping[str, Any]) -> dict[str, str]:
    """Return the same for the command's environment, as far as a script needs it."""
    fields = dict(document["fields"])
    if "tape" in fields and "pool" not in fields:
        fields["pool"] = fields["tape"].rpartition("/")[0]
    told = {
        "VTS_ID": document["id"],
        "VTS_SEVERITY": document["severity"],
        "VTS_KIND": document["kind"],
        "VTS_TIME": document["at"] or "",
        "VTS_SYSTEM": document["system"],
        "VTS_TEXT": document["text"],
        "VTS_NEXT_STEP": document["next_step"],
    }
    told |= {f"VTS_{name.upper()}": str(fields[name]) for name in _NAMED if name in fields}
    return {name: one_line(value) for name, value in told.items()}
