"""Conversations with the engine: ``play >> event`` hands it an event, ``play << command`` is what it
must ask for next.

Time stands still but for `Playbook.wait` and its relatives, which wake the engine whenever it asked
for it, as the runner does. Messages to the event log come in between freely; they are kept in
`Playbook.said`. A mismatch prints the whole conversation.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Self, TypeVar

from pydantic import TypeAdapter

from copyagent.core.book import Book
from copyagent.core.commands import Command, Say, StartCopy
from copyagent.core.copying import CopyJob
from copyagent.core.engine import Engine
from copyagent.core.events import AgentStarted, Event, SignalSeen, WakeupDue
from copyagent.core.floods import Floods
from copyagent.core.host_events import HostEvent
from copyagent.core.licence import Permission
from copyagent.core.quiet import remembered
from copyagent.core.records import CopyRecord, TapeRecord
from copyagent.core.shelf import Shelf
from copyagent.core.tape import Copied, State
from copyagent.core.time import Moment
from copyagent.state import encoding
from copyagent.state.encoding import FLOODS, LICENCE, LINKS, MOUNTS, PAUSES, RECORD, decode, encode
from tests.support.histories import (
    START_NS,
    TAPE,
    TARGET,
    Overlay,
    done,
    requested,
    tape_dismounted,
    volume_mounted,
)
from vtsfs.contract.messages import Message
from vtsfs.contract.naming import TapeId

#: A command, its kind, or a question about it.
Expected = Command | type[Command] | Callable[[Command], bool]

START = Moment(1000.0, START_NS)

_T = TypeVar("_T")


@dataclass(slots=True)
class Playbook:
    """One conversation. *open* are the commands that nobody has expected yet."""

    engine: Engine
    now: Moment = START
    origin: float = START.mono
    open: list[Command] = field(default_factory=list)
    said: list[Say] = field(default_factory=list)
    jobs: list[CopyJob] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def __rshift__(self, event: Event | HostEvent) -> Self:
        """Hand *event* to the engine; whatever it asked for before must have been expected.

        A signal handed over so is of this very moment.
        """
        self.nothing_open()
        if isinstance(event, SignalSeen):
            event = replace(event, signal=replace(event.signal, wall_ns=self.now.wall_ns))
        self.hand(event)
        return self

    def __lshift__(self, expected: Expected) -> Self:
        """Take the next command, which must be *expected*."""
        if not self.open:
            raise AssertionError(self._told(f"expected {expected!r}, and nothing was asked for"))
        found = self.open.pop(0)
        if isinstance(expected, type):
            fits = isinstance(found, expected)
        elif isinstance(expected, Command):
            fits = found == expected
        else:
            fits = expected(found)
        if not fits:
            raise AssertionError(self._told(f"expected {expected!r}, not {found!r}"))
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.nothing_open()

    def hand(self, event: Event | HostEvent) -> list[Command]:
        """Hand *event* over, whatever is open; return what is asked for besides messages."""
        self._note(f">> {event!r}")
        made = self.engine.handle(event, self.now)
        for command in made:
            self._note(f"<< {command!r}")
        self.said += [command for command in made if isinstance(command, Say)]
        self.jobs += [command.job for command in made if isinstance(command, StartCopy)]
        asked: list[Command] = [command for command in made if not isinstance(command, Say)]
        self.open += asked
        return asked

    # ---- time ------------------------------------------------------------------------------------

    def wait(self, seconds: float) -> Self:
        """Let time pass, waking the engine when it wants to; stop early if it asks for something."""
        self.nothing_open()
        return self._until(self.now.mono + seconds)

    def at(self, seconds: float) -> Self:
        """Go to *seconds* after the start of this conversation (or of this run of the agent)."""
        self.nothing_open()
        return self._until(self.origin + seconds)

    def wait_until_wakeup(self) -> Self:
        """Go to the next moment that the engine asked for."""
        at = self.engine.next_wakeup()
        if at is None:
            raise AssertionError(self._told("the engine does not want to be woken"))
        return self._until(at)

    def step_clock(self, seconds: float) -> Self:
        """Let somebody set the wall clock."""
        self._note(f"-- the wall clock is set by {seconds:+} s")
        self.now = replace(self.now, wall_ns=self.now.wall_ns + int(seconds * 10**9))
        return self

    def _until(self, mono: float) -> Self:
        while not self.open:
            at = self.engine.next_wakeup()
            if at is None or at > mono:
                self._go(mono)
                break
            self._go(max(at, self.now.mono))
            self.hand(WakeupDue())
            again = self.engine.next_wakeup()
            if again is not None and again <= self.now.mono and not self.open:
                raise AssertionError(self._told(f"woken at {at}, it wants to be woken at {again}"))
        return self

    def _go(self, mono: float) -> None:
        wall_ns = self.now.wall_ns + round((mono - self.now.mono) * 10**9)
        self.now = Moment(mono, wall_ns)

    # ---- a new run of the agent ------------------------------------------------------------------

    def restart(self, *, origin: float = 50.0, away: float = 0.0) -> Self:
        """End this run of the agent at once; start another from its records on another clock."""
        self.open.clear()
        self._note(f"-- restart after {away} s, monotonic clock at {origin}")
        known = sorted(self.engine.book.records.items())
        records = Shelf({tape: again(RECORD, record) for tape, record in known})
        self.engine = Engine(book_again(self.engine.book, records))
        self.origin = origin
        self.now = Moment(origin, self.now.wall_ns + int(away * 10**9))
        self.hand(AgentStarted())
        return self

    # ---- looking ---------------------------------------------------------------------------------

    @property
    def engines(self) -> tuple[Engine, ...]:
        """Every engine that takes part."""
        return (self.engine,)

    def nothing_open(self) -> None:
        """Fail if the engine asked for something that was not expected."""
        if self.open:
            raise AssertionError(self._told(f"nobody expected {self.open!r}"))

    def record(self, tape: TapeId = TAPE) -> TapeRecord:
        return self.engine.book.records[tape]

    def copy(self, tape: TapeId = TAPE, target: str = TARGET) -> CopyRecord:
        return self.record(tape).copies[target]

    def state(self, tape: TapeId = TAPE, target: str = TARGET) -> State:
        return self.copy(tape, target).state

    def verdict(self, tape: TapeId = TAPE) -> str:
        """The last verdict on *tape* in the operator's words; empty if there is none."""
        judgement = self.record(tape).judgement
        return judgement.verdict.value if judgement else ""

    def times_said(self, message: Message) -> int:
        return sum(1 for say in self.said if say.message is message)

    @property
    def job(self) -> CopyJob:
        """The order that was given last."""
        return self.jobs[-1]

    @property
    def elapsed(self) -> float:
        """Seconds since the start of this run."""
        return self.now.mono - self.origin

    def _note(self, line: str) -> None:
        self.lines.append(f"{self.now.mono - self.origin:10.3f}  {line}")

    def _told(self, why: str) -> str:
        return "\n".join([why, "the conversation was:", *self.lines])


def book_again(old: Book, records: Shelf) -> Book:
    """Return what a new run of the agent knows that finds *records*, and the rest as *old* has it."""
    floods = again(FLOODS, list(old.floods.runs.items()))
    return Book(
        old.settings,
        records=records,
        mounts=again(MOUNTS, old.mounts),
        links=again(LINKS, old.links),
        acks=dict(old.acks),
        baselines=set(old.baselines),
        behind=dict(old.behind),
        pauses=again(PAUSES, old.pauses),
        licence=Permission(
            old.licence.required, old.licence.found, again(LICENCE, old.licence.memory)
        ),
        uncovered=again(encoding.UNCOVERED, old.uncovered),
        calls=again(encoding.CALLS, old.calls),
        said=remembered(again(encoding.SAID, old.said.kept(0))),
        floods=Floods(dict(floods)),
    )


def again(adapter: TypeAdapter[_T], value: _T) -> _T:
    """Write *value* down as the agent's state does, and read it back."""
    return decode(adapter, encode(adapter, value), "the playbook")


def copied_once(play: Playbook, overlay: Overlay, tape: TapeId = TAPE) -> None:
    """Play a whole with-ring mount and its copy: the ordinary day."""
    play >> requested(tape.label) >> overlay.mounted(tape) >> volume_mounted(tape.label)
    play >> overlay.dismounted(tape) >> tape_dismounted(tape.label)
    play.wait(play.engine.book.settings.cross_check.settle) << StartCopy
    play >> done(play.job)
    assert isinstance(play.state(tape), Copied)
