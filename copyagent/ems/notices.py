"""What a host is told: which messages, in which words, and how many of them.

Pure. A notice is the event log's own text behind the name of this system; it is typed at a TACL prompt
as a part of a command, so nothing may be left in it that TACL, or another shell, would take for more
than text: a tape's label and an error's cause are chosen by others.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from vtsfs.contract import messages
from vtsfs.contract.messages import TEXT_LIMIT, Message
from vtsfs.contract.settings_ems import NotifyKind

PRODUCT: Final = "VTS-AUTOCOPY"
"""The first word of all that is told: operators and filters know it by that."""

WINDOW_S: Final = 60.0
"""How long messages with one ID are counted together, in seconds."""
APART: Final = 5
"""How many of them are told one by one within that time; of the others their number and the last."""
MOST_WAITING: Final = 100
"""Notices that wait for one host; of more, the oldest are dropped."""

_KINDS: Final[Mapping[NotifyKind, tuple[Message, ...]]] = {
    "failed": (
        messages.GAVE_UP,
        messages.HOST_KEY,
        messages.FOREIGN_AGENT,
        messages.COPY_WRONG,
        messages.POOL_UNREADABLE,
        messages.NOT_COVERED,
        messages.UNLICENSED,
        messages.LICENCE_EXPIRED,
        messages.MORE_FAILED,
    ),
    "held": (
        messages.CONFLICT,
        messages.INTERRUPTED,
        messages.TARGET_CHANGED,
        messages.TARGET_UNKNOWN,
        messages.SOURCE_UNFIT,
        messages.HELD_BY_POLICY,
        messages.LABEL_TWICE,
        messages.LABEL_ELSEWHERE,
        messages.SAME_STORAGE,
        messages.NOT_EQUAL,
        messages.HELD_BY_OPERATOR,
        messages.MORE_HELD,
    ),
    "behind": (messages.FALLEN_BEHIND, messages.CAUGHT_UP),
    "copied": (messages.COPIED,),
}

KINDS: Final[Mapping[int, NotifyKind]] = {
    message.id: kind for kind, listed in _KINDS.items() for message in listed
}
"""The kind of each message that a host can be told, by its ID."""

# TACL: [ ] | & { } ~ == " ^ % ! ; ? and the backslash of node names. Other shells: ` ( ) < > * ' too.
# What is not here is no letter of a name, and nothing is lost with it that an operator needs.
_PLAIN = re.compile(r"[^A-Za-z0-9 ./,:_@#$+-]+")
_BEAT = re.compile(r"\s*\"?\s*(\S+) (\S+) HEARTBEAT (\d{1,18})\b")


def safe_text(text: str) -> str:
    """Return *text* as one line of letters, digits, and signs that mean nothing to any shell.

    Runs of other characters become a blank. ``$``, ``#`` and ``@`` stay, since they stand in names:
    without brackets and braces round it none of them makes TACL expand anything, and a parenthesis
    or a brace never follows one.
    """
    return " ".join(_PLAIN.sub(" ", text).split())


def notice(system: str, message: Message, fields: Mapping[str, object]) -> str:
    """Return what is told of *message*: at most as long as the event log's text may be."""
    head = f"{PRODUCT} {system} {message.id:06} "
    return head + safe_text(message.render(fields, limit=TEXT_LIMIT - len(head)))


def heartbeat(system: str, number: int) -> str:
    """Return the text that proves the whole way: told to the host, and printed by it again."""
    return f"{PRODUCT} {system} HEARTBEAT {number}"


def heartbeat_number(text: str, system: str) -> int | None:
    """Return the number of the heartbeat that an event's *text* is, if it is one of *system*'s."""
    found = _BEAT.match(text)
    if found is None or (found[1].upper(), found[2]) != (PRODUCT, system):
        return None
    return int(found[3])


def lines_to_type(command: Iterable[str], text: str) -> list[str]:
    """Fill *text* into the lines of a command; each place gets it as it is."""
    return [line.replace("%text%", text) for line in command]


@dataclass(slots=True)
class _Run:
    """Messages of one ID up to *until*: *told* one by one, and *more* of them, the last as *text*."""

    until: float
    told: int = 0
    more: int = 0
    text: str = ""


@dataclass(slots=True)
class Outgoing:
    """What waits to be told to one host, oldest first; times are monotonic seconds.

    *dropped* counts what never will be: the line was down for too long. Of many messages with one ID
    the first are told as they come, the others together when `WINDOW_S` is over.
    """

    system: str
    most: int = MOST_WAITING
    waiting: deque[str] = field(default_factory=deque)
    dropped: int = 0
    _runs: dict[int, _Run] = field(default_factory=dict)

    def add(self, message: Message, fields: Mapping[str, object], now: float) -> None:
        """Take in a message: at once, or with others like it."""
        self.gather(now)
        text = notice(self.system, message, fields)
        run = self._runs.setdefault(message.id, _Run(now + WINDOW_S))
        if run.told < APART:
            run.told += 1
            self._put(text)
        else:
            run.more += 1
            run.text = text

    def gather(self, now: float) -> None:
        """Put in words what has come of each ID whose time is over."""
        for id_, run in list(self._runs.items()):
            if now < run.until:
                continue
            if not run.more:
                del self._runs[id_]
                continue
            self._put(run.text if run.more == 1 else self._summary(id_, run))
            # They go on coming: the next ones are told together again.
            self._runs[id_] = _Run(now + WINDOW_S, APART)

    def next_due(self) -> float | None:
        """Return when `gather` has something to put in words."""
        return min((run.until for run in self._runs.values() if run.more), default=None)

    def put_back(self, text: str) -> None:
        """Let *text*, which could not be told, be the next again."""
        self.waiting.appendleft(text)
        self._limit()

    def _summary(self, id_: int, run: _Run) -> str:
        head = f"{PRODUCT} {self.system} {id_:06} "
        words = f"and {run.more - 1} more like this: {run.text.removeprefix(head)}"
        return (head + words)[:TEXT_LIMIT]

    def _put(self, text: str) -> None:
        self.waiting.append(text)
        self._limit()

    def _limit(self) -> None:
        while len(self.waiting) > self.most:
            self.waiting.popleft()
            self.dropped += 1
