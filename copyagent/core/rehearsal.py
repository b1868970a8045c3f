"""A recorded history, played to an engine that is connected to nothing.

Support reproduces a site's case with it: what the hosts printed and what the overlays reported goes
in, in the order of its arrival; every verdict, message and order comes out. Time is the recording's.
No state is kept, no file looked at and nobody told: sweeps find what the signals left, and copies
succeed after `COPY_S`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from copyagent.core import report
from copyagent.core.book import Book
from copyagent.core.commands import Command, ProbeTarget, Say, StartCopy, StopCopy, SweepVault
from copyagent.core.copying import (
    CopyDone,
    CopyJob,
    CopyOutcome,
    CopyStopped,
    PublishedCopy,
    TargetStamp,
)
from copyagent.core.dates import iso_ms
from copyagent.core.engine import Engine
from copyagent.core.events import (
    AgentStarted,
    CopyEnded,
    CopyIntended,
    Event,
    FeedOpened,
    SignalSeen,
    TargetProbed,
    VaultSwept,
    WakeupDue,
)
from copyagent.core.host_events import HostEvent, LinkUp
from copyagent.core.host_report import Document, event_document, zone_of
from copyagent.core.queues import CopyKey
from copyagent.core.readings import signal_in_words
from copyagent.core.records import Judgement
from copyagent.core.shown_states import shown_state
from copyagent.core.time import Moment
from vtsfs.contract.feed import Hello
from vtsfs.contract.naming import TapeId
from vtsfs.contract.settings import Settings
from vtsfs.contract.signals import Identity, Kind, Signal

#: How long every copy takes, in seconds of the recording.
COPY_S: Final = 1.0
#: How long time goes on after the last thing recorded, in seconds: beyond `mounted_max`'s default.
AFTERWARDS_S: Final = 25 * 3600.0

#: A signal can be so old when it arrives: the agent was down for a week.
_LATEST_NS: Final = 7 * 86400 * 10**9
_OUTBOX: Final = "recorded"
_FIRST_MONO: Final = 1000.0


@dataclass(frozen=True, slots=True)
class Happening:
    """One thing that a recording tells of; *at_ns* is since the epoch."""

    at_ns: int
    event: HostEvent | Signal


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was seen to happen: *what* is host, overlay, verdict, state, message or copy.

    *at* is in seconds from the beginning; *details* are for ``--json``.
    """

    at: float
    what: str
    text: str
    details: Document = field(default_factory=dict)


@dataclass(slots=True)
class _Running:
    """A copy that is being made, until *due*."""

    job: CopyJob
    due: float
    stopped: bool = False


class Rehearsal:
    """Plays one recording; `play` once, then read `steps` and `tapes`."""

    def __init__(self, settings: Settings, happenings: Sequence[Happening]) -> None:
        self._happenings = sorted(happenings, key=lambda happening: happening.at_ns)
        self._begun_ns = self._happenings[0].at_ns if happenings else 0
        self._engine = Engine(Book(settings))
        self._book = self._engine.book
        self._now = Moment(_FIRST_MONO, self._begun_ns)
        self._copies: dict[CopyKey, _Running] = {}
        self._files = _first_seen(self._happenings)
        self._verdicts: dict[TapeId, Judgement | None] = {}
        self._states: dict[CopyKey, str] = {}
        self._seq = self._entries = 0
        self.steps: list[Step] = []

    def play(self) -> None:
        """Let everything happen, then wait until nothing more is to come of it."""
        if not self._happenings:
            return
        self._begin()
        for happening in self._happenings:
            mono = _FIRST_MONO + (happening.at_ns - self._begun_ns) / 1e9
            self._wait_until(mono)
            self._now = Moment(max(mono, self._now.mono), happening.at_ns)
            if isinstance(happening.event, Signal):
                self._report(happening.event)
            else:
                self._hear(happening.event)
        self._wait_until(self._now.mono + AFTERWARDS_S, for_verdicts=True)

    @property
    def begins(self) -> str | None:
        """The time of the first thing recorded, ISO 8601 in UTC; None where nothing was."""
        return iso_ms(self._begun_ns)

    def tapes(self) -> list[Document]:
        """Return what `explain` would say of every tape in the end."""
        return [
            report.explain(self._engine, tape, self._now)
            for tape in sorted(self._book.records)
            if self._book.watches(tape.pool_id)
        ]

    def _begin(self) -> None:
        self._take(AgentStarted())
        for vault in self._engine.vaults.feeds:
            self._take(FeedOpened(Hello(vault, _OUTBOX, 0, 0, False, "")))
        # What an engine says of tapes that it has never seen is no part of what was recorded.
        self.steps.clear()
        heard = [h.event for h in self._happenings if isinstance(h.event, HostEvent)]
        for host in dict.fromkeys(event.host for event in heard):
            if not isinstance(next(e for e in heard if e.host == host), LinkUp):
                self._hear(LinkUp(host))

    # ---- time ------------------------------------------------------------------------------------

    def _wait_until(self, end: float, *, for_verdicts: bool = False) -> None:
        """Let time pass up to *end*, or until no tape waits for a verdict or a copy any more."""
        while True:
            if for_verdicts and not (self._copies or self._book.deadlines or self._book.pending):
                return
            wakeup = self._engine.next_wakeup()
            times = [copy.due for copy in self._copies.values()]
            times += [] if wakeup is None else [wakeup]
            # A wakeup that has come already would be handed out again and again.
            following = max(min(times, default=end), self._now.mono + 0.001)
            if following >= end:
                return
            self._now = self._now.after(following - self._now.mono)
            for key, copy in list(self._copies.items()):
                if copy.due <= self._now.mono:
                    self._end_copy(key, copy)
            self._take(WakeupDue())

    # ---- what happens ----------------------------------------------------------------------------

    def _hear(self, event: HostEvent) -> None:
        journal = self._book.journal
        self._engine.take(event, self._now)
        if journal.newest > self._entries:
            self._entries = journal.newest
            entry = journal.entries[-1]
            document = event_document(entry, zone_of(self._book.settings, entry.host))
            self._note("host", f"{entry.host}: {entry.reading}", **document)
        self._follow()

    def _report(self, signal: Signal) -> None:
        self._seq += 1
        tape = signal.tape
        if signal.kind is Kind.MOVED and signal.origin and tape is not None:
            self._files.pop(TapeId.parse(signal.origin), None)
        if tape is not None and signal.identity is None:
            self._files.pop(tape, None)
        elif tape is not None and signal.identity is not None:
            self._files[tape] = signal.identity
        self._note("overlay", signal_in_words(signal), kind=signal.kind.value, tape=str(tape or ""))
        at_ns = self._now.wall_ns
        # A recording that was put on another line of time must not keep the times of the first.
        own_ns = signal.wall_ns if 0 <= at_ns - signal.wall_ns < _LATEST_NS else at_ns
        numbered = replace(signal, seq=self._seq, extents=None, wall_ns=own_ns)
        self._take(SignalSeen(_OUTBOX, numbered))

    def _take(self, event: Event | HostEvent) -> None:
        self._engine.take(event, self._now)
        self._follow()

    def _follow(self) -> None:
        """Let the engine decide, show what it came to, and carry out what it orders."""
        commands = self._engine.due(self._now)
        self._show_verdicts()
        for command in commands:
            self._carry_out(command)

    # ---- what comes of it ------------------------------------------------------------------------

    def _show_verdicts(self) -> None:
        for tape in sorted(self._book.dirty):
            record = self._book.records[tape]
            known, self._verdicts[tape] = self._verdicts.get(tape), record.judgement
            if record.judgement is not None and record.judgement is not known:
                document = report.explain(self._engine, tape, self._now)["verdict"]
                text = f"{tape}: {document['verdict']}"
                self._note("verdict", text, tape=str(tape), **document)
            for target in record.copies:
                words = shown_state(self._book, record, target, self._now).text
                if self._states.get((tape, target), "clean") != words:
                    self._states[tape, target] = words
                    self._note("state", f"{tape} at {target}: {words}", tape=str(tape), state=words)
        self._book.dirty.clear()
        self._book.dropped.clear()

    def _carry_out(self, command: Command) -> None:
        match command:
            case Say(message=message, fields=fields):
                text = f"{message.id} {message.text.format(**fields)}"
                self._note("message", text, id=message.id, fields=dict(fields))
            case SweepVault(vault=vault):
                found = {tape: file for tape, file in self._files.items() if tape.vault == vault}
                self._take(VaultSwept(vault, self._now.mono, found))
            case StartCopy(job=job):
                self._note("copy", f"{job.tape} to {job.target}: begun", tape=str(job.tape))
                self._copies[job.tape, job.target] = _Running(job, self._now.mono + COPY_S)
            case StopCopy():
                running = self._copies.get((command.tape, command.target))
                if running is not None:
                    running.stopped, running.due = True, self._now.mono
            case ProbeTarget(target=target):
                self._take(TargetProbed(target, None))
            case _:
                pass  # there is no overlay that could be subscribed to

    def _end_copy(self, key: CopyKey, copy: _Running) -> None:
        del self._copies[key]
        job, outcome = copy.job, self._outcome(copy)
        done = isinstance(outcome, CopyDone)
        words = "published" if done else "stopped before it was published"
        self._note(
            "copy", f"{job.tape} to {job.target}: {words}", tape=str(job.tape), published=done
        )
        self._take(CopyEnded(job.tape, job.target, outcome))

    def _outcome(self, copy: _Running) -> CopyOutcome:
        job = copy.job
        wanted = self._engine.may_publish(job.tape, job.target, job.generation)
        source = job.identity or self._files.get(job.tape)
        if copy.stopped or not wanted or source is None:
            return CopyStopped("the order was withdrawn")
        stamp = TargetStamp(source.size, source.mtime_ns // 10**9)
        published = PublishedCopy(
            job.generation, source, source.size, "0" * 64, stamp, "rehearsed",
            self._now.wall_ns,
        )  # fmt: skip
        self._engine.take(CopyIntended(job.tape, job.target, published), self._now)
        return CopyDone(published, sent=source.size, took_s=COPY_S)

    def _note(self, what: str, text: str, /, **details: object) -> None:
        self.steps.append(Step(self._now.mono - _FIRST_MONO, what, text, details))


def _first_seen(happenings: Sequence[Happening]) -> dict[TapeId, Identity]:
    """Return the tapes that were there before the first signal of each, as they were."""
    files: dict[TapeId, Identity | None] = {}
    for happening in happenings:
        signal = happening.event
        if isinstance(signal, Signal) and signal.tape is not None:
            before = signal.identity if signal.kind is Kind.MOUNTED else None
            files.setdefault(signal.tape, signal.opened or before)
    return {tape: file for tape, file in files.items() if file is not None}
