"""No floods: of many messages with one cause the first is told, and of the others how many there are.

One fault of a target or a vault makes a message for each of ten thousand tapes, and the one that
matters is not found among them. So of messages about single tapes that have one cause, pool and
target, one is told within an hour; the others are counted, and told together: soon after the first of
them, since an operator wants to know now whether two tapes or ten thousand are concerned, and what
came after that when the hour is over. Two lines an hour, three at the worst, whatever happens.

Nothing is lost by it: every one of them is in the history, which is written where things are decided,
and what is counted here is durable with the messages that are told.

What concerns no single tape (a link, a vault, a pool that has fallen behind) is not limited here: who
says it knows since when it lasts, and says so once an hour. What operators did is on record each time.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from copyagent.core.commands import Command, Say
from copyagent.core.time import Moment
from vtsfs.contract import messages
from vtsfs.contract.alarm_kinds import HOLDS
from vtsfs.contract.errors import NameInvalid
from vtsfs.contract.messages import Message, Severity
from vtsfs.contract.naming import TapeId

#: How long messages of one cause are counted together, in seconds.
HOUR_S: Final = 3600.0

#: How soon it is told, after the first that was not told by itself, how many there are, in seconds.
SOON_S: Final = 60.0

#: How many causes of one message, pool and target are told apart; all others are one.
MOST_CAUSES: Final = 5

#: Names of tapes that a summary has room for.
MOST_NAMES: Final = 12

#: Attempts have numbers, and one of each is told: a ladder of the default has eleven that failed.
MOST_ATTEMPTS: Final = 12

_HOLDS: Final = frozenset(message.id for message in HOLDS)

#: About one tape, and each is on record by itself.
_ALWAYS: Final = frozenset({messages.OPERATOR_ACTION.id, messages.ROLLED_BACK.id})

#: The last word on a copy, which somebody has to hear.
_LAST: Final = messages.GAVE_UP.id

_NUMBERS = re.compile(r"[0-9]+")
_OTHER: Final = "various causes"


@dataclass(frozen=True, slots=True)
class Matter:
    """What is one matter: a message, where (the pool, and its target), and the cause as it reads."""

    id: int
    where: str
    cause: str


@dataclass(frozen=True, slots=True)
class Run:
    """Messages of one matter, until *until*: one was told, and *more* are to be told at *due*.

    *tapes* are the labels of some of them, *cause* is that of the last, as it reads. *summed* tells
    whether a summary came already, *attempts* the numbers of which one was told.
    """

    until: Moment
    more: int = 0
    due: Moment | None = None
    summed: bool = False
    attempts: tuple[str, ...] = ()
    tapes: tuple[str, ...] = ()
    cause: str = ""


@dataclass(slots=True)
class Floods:
    """What is counted at present; *dirty* if it is not saved as it is."""

    runs: dict[Matter, Run] = field(default_factory=dict)
    dirty: bool = False

    def pass_on(self, commands: Iterable[Command], now: Moment) -> list[Command]:
        """Return *commands* without the messages that are only counted, and with the summaries due."""
        self._begin_anew(now)
        passed = [c for c in commands if not isinstance(c, Say) or self._is_told(c, now)]
        return passed + self._summaries(now)

    def recover(self, now: Moment) -> None:
        """After a restart, go on counting: only the wall clock of the former run means anything."""
        for matter, run in self.runs.items():
            due = now.again(run.due, HOUR_S) if run.due is not None else None
            self.runs[matter] = replace(run, until=now.again(run.until, HOUR_S), due=due)

    def times(self) -> list[float]:
        """Return the monotonic seconds at which there is a summary to tell."""
        return [run.due.mono for run in self.runs.values() if run.due is not None]

    def _is_told(self, say: Say, now: Moment) -> bool:
        matter = self._matter(say)
        if matter is None:
            if say.message.id == messages.COPIED.id:
                self._mended(_where(say.fields))
            return True
        self.dirty = True
        run, attempt = self.runs.get(matter), say.fields.get("attempt", "")
        if run is None:
            self.runs[matter] = Run(now.after(HOUR_S), attempts=(attempt,))
            return True
        if attempt not in run.attempts and len(run.attempts) < MOST_ATTEMPTS:
            self.runs[matter] = replace(run, attempts=(*run.attempts, attempt))
            return True
        due = run.due or (run.until if run.summed else _earlier(now.after(SOON_S), run.until))
        names = run.tapes
        if len(names) < MOST_NAMES and (label := _label(say)) not in names:
            names = (*names, label)
        more, cause = run.more + 1, _cause(say)
        self.runs[matter] = replace(run, more=more, due=due, tapes=names, cause=cause)
        return False

    def _mended(self, where: str) -> None:
        """After a copy has arrived, giving up again is a matter of its own: nobody knows of it."""
        over = [m for m, r in self.runs.items() if not r.more and (m.id, m.where) == (_LAST, where)]
        for matter in over:
            del self.runs[matter]
            self.dirty = True

    def _matter(self, say: Say) -> Matter | None:
        """Return what *say* is about if there can be many of it; None if it is told in any case."""
        if not _is_about_a_tape(say):
            return None
        matter = Matter(say.message.id, _where(say.fields), _likeness(say))
        if matter in self.runs:
            return matter
        alike = sum((r.id, r.where) == (matter.id, matter.where) for r in self.runs)
        if alike >= MOST_CAUSES:
            return replace(matter, cause=_OTHER)
        return matter

    def _begin_anew(self, now: Moment) -> None:
        """Forget what was over without another of its kind."""
        over = [m for m, run in self.runs.items() if not run.more and now.reached(run.until)]
        for matter in over:
            del self.runs[matter]
            self.dirty = True

    def _summaries(self, now: Moment) -> list[Command]:
        said: list[Command] = []
        for matter, run in list(self.runs.items()):
            if run.due is None or not now.reached(run.due):
                continue
            said.append(_summary(matter, run))
            # They go on coming: what follows is told together again.
            over = now.reached(run.until)
            until, attempts = (now.after(HOUR_S), ("",)) if over else (run.until, run.attempts)
            self.runs[matter] = Run(until, summed=True, attempts=attempts)
            self.dirty = True
        return said


def summary_of(message: Message) -> Message:
    """Return by which message others like *message* are told together: of the same severity."""
    if message.id in _HOLDS:
        return messages.MORE_HELD
    return messages.MORE_FAILED if message.severity >= Severity.ERROR else messages.MORE_WARNINGS


def _summary(matter: Matter, run: Run) -> Say:
    named = ", ".join(run.tapes) + (" and others" if run.more > len(run.tapes) else "")
    fields = {
        "where": matter.where,
        "count": f"{run.more:,}",
        "id": f"{matter.id:06}",
        "cause": _OTHER if matter.cause == _OTHER else run.cause,
        "tapes": named,
    }
    return Say(summary_of(messages.CATALOGUE[matter.id]), fields)


def _is_about_a_tape(say: Say) -> bool:
    message = say.message
    limited = message.severity > Severity.INFO and message.id not in _ALWAYS
    return limited and "tape" in message.fields and "pool" not in message.fields


def _where(fields: Mapping[str, str]) -> str:
    tape, target = fields.get("tape", ""), fields.get("target", "")
    pool = tape.rpartition("/")[0] or tape
    return f"{pool} to {target}" if target else pool


def _label(say: Say) -> str:
    return say.fields.get("tape", "").rpartition("/")[2]


def _cause(say: Say) -> str:
    told = say.fields.get("cause") or say.fields.get("detail") or say.fields.get("verdict") or ""
    return told or _plain(say.message)


def _plain(message: Message) -> str:
    """Say in the message's own words what it is about, where it has no cause to name."""
    return " ".join(re.sub(r"\{\w+\}", "", message.text).split()).strip(" :,")


def _likeness(say: Say) -> str:
    """Return the cause without what is each tape's own: its name, and all numbers."""
    if say.message.id in _HOLDS:
        return ""  # the message is the cause: its details are each tape's own
    cause = say.fields.get("cause", "")
    try:
        tape = TapeId.parse(say.fields["tape"])
        cause = cause.replace(str(tape), "").replace(tape.label, "")
    except NameInvalid:
        pass
    return _NUMBERS.sub("#", cause)[:120]


def _earlier(one: Moment, other: Moment) -> Moment:
    return one if one.mono <= other.mono else other
