"""Carries out what the engine decides: the only executor of commands.

One task owns the engine. Events reach it through one channel, in the order of their arrival; each
batch is decided, committed to the state in one transaction, and only then acted on. After a crash at
any point the state alone says what has to go on (`AgentStarted` derives it).
"""

import logging
import math
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from functools import partial

import trio

from copyagent.core.book import Acknowledged
from copyagent.core.commands import (
    Command,
    ProbeTarget,
    Say,
    StartCopy,
    StopCopy,
    Subscribe,
    SweepVault,
)
from copyagent.core.copying import CopyFailed, CopyJob, CopyOutcome, CopyStopped, PublishedCopy
from copyagent.core.dates import iso
from copyagent.core.engine import Engine
from copyagent.core.events import (
    AgentStarted,
    CopyEnded,
    CopyIntended,
    Event,
    TargetProbed,
    VaultSwept,
    WakeupDue,
)
from copyagent.core.hook_queue import HookQueue
from copyagent.core.host_events import HostEvent
from copyagent.core.queues import CopyKey
from copyagent.core.time import Moment
from copyagent.core.traffic_report import Meter, Progress
from copyagent.ems.host_writer import HostWriter
from copyagent.ems.link_settings import LinkTally
from copyagent.feed_client import FeedClient
from copyagent.licence.desk import LicenceDesk
from copyagent.notify import Hook
from copyagent.saving import Saving
from copyagent.state.store import Changes, Store
from copyagent.sweep import sweep_vault
from copyagent.transfer.attempt import Route
from copyagent.transfer.copier import copy_tape
from copyagent.transfer.fencing import layouts_of
from copyagent.transfer.pacing import Paces
from copyagent.transfer.premises import Premises
from copyagent.transfer.probing import probe, unfit_vaults
from copyagent.transfer.progress import CopyProgress
from copyagent.transfer.target import Target
from vtsfs.contract import settings
from vtsfs.contract.errors import StateError
from vtsfs.contract.naming import PoolId
from vtsfs.runtime.clock import wall_ns
from vtsfs.runtime.eventlog import EventLog

log = logging.getLogger(__name__)

#: Most events decided in one transaction: a flood is committed in big steps, not one by one.
BATCH = 200

#: How long to wait before a failed commit is tried again, in seconds.
COMMIT_RETRY_S = 5.0

Connect = Callable[[settings.Target], AbstractAsyncContextManager[Target]]


@dataclass(slots=True)
class _Journal:
    """The copier's way into the state: the intent is durable before the rename."""

    runner: "Runner"
    job: CopyJob

    async def intend(self, copy: PublishedCopy) -> None:
        await self.runner.post_durably(CopyIntended(self.job.tape, self.job.target, copy))


@dataclass(slots=True)
class _Posted:
    """Events, or a question, on their way to the engine; *done* is set when all is durable."""

    event: Event | HostEvent | None = None
    heard: Sequence[HostEvent] = ()
    question: Callable[[Moment], object] | None = None
    answer: object = None
    error: BaseException | None = None
    done: trio.Event | None = None


@dataclass(slots=True)
class SettingsFile:
    """How the settings in force stand to their file, for the operator.

    *trouble* is why the file on disk is not in force, *waiting* what only a restart brings in.
    """

    path: str = ""
    user: str = ""
    since_ns: int = 0
    trouble: str = ""
    waiting: tuple[str, ...] = ()

    def taken(self, user: str, at_ns: int) -> None:
        """Note who had the file taken over, and when."""
        self.user, self.since_ns = user, at_ns

    def document(self, digest: str) -> dict[str, object]:
        """Return what ``copyagent status --json`` says of it."""
        return {
            "file": self.path,
            "sha256": digest,
            "since": iso(self.since_ns),
            "by": self.user,
            "not_in_force": self.trouble or None,
            "waiting_for_restart": list(self.waiting),
        }


@dataclass(slots=True)
class Runner:
    """Runs one engine over its store; *connect* opens a connection to a target."""

    engine: Engine
    store: Store
    event_log: EventLog
    connect: Connect
    clock: Callable[[], Moment]
    feeds: dict[str, FeedClient] = field(default_factory=dict)
    progress: dict[CopyKey, Progress] = field(default_factory=dict)
    tallies: dict[str, LinkTally] = field(default_factory=dict)
    #: Who tells the hosts what goes to the event log; they never keep anybody waiting.
    writers: dict[str, HostWriter] = field(default_factory=dict)
    #: Where the licence is changed; None where nothing can be installed.
    licence_desk: LicenceDesk | None = None
    #: Reads the settings file again, for this user and reason, or tells only what that would mean.
    reload: Callable[[str, str, bool], Awaitable[object]] | None = None
    settings_file: SettingsFile = field(default_factory=SettingsFile)
    #: Counts up with every change of what is known.
    commits: int = 0
    #: Set, and replaced by another, when something was heard that can be told.
    heard: trio.Event = field(default_factory=trio.Event)
    #: Set, and replaced by another, when copies have ended and what became of them is durable.
    ended: trio.Event = field(default_factory=trio.Event)
    #: Who runs the site's own command for alarms.
    hook: Hook = field(init=False)
    #: What of the book is not in the state yet.
    saving: Saving = field(init=False)
    #: The bandwidth limits, which all copies share.
    paces: Paces = field(init=False)
    _told: int = 0
    _copies: dict[CopyKey, trio.CancelScope] = field(default_factory=dict)
    _premises: defaultdict[str, Premises] = field(default_factory=lambda: defaultdict(Premises))
    _following: dict[str, trio.CancelScope] = field(default_factory=dict)
    _sweeping: set[str] = field(default_factory=set)
    _again: dict[str, str] = field(default_factory=dict)
    _acked: dict[str, Acknowledged] = field(default_factory=dict)
    _nursery: trio.Nursery = field(init=False)
    _send: trio.MemorySendChannel[_Posted] = field(init=False)
    _receive: trio.MemoryReceiveChannel[_Posted] = field(init=False)

    def __post_init__(self) -> None:
        self.saving = Saving(self.engine.book)
        self.hook = Hook(HookQueue(self.engine.book), self.ask)
        self.paces = Paces.of(self.engine.book.settings)
        self._send, self._receive = trio.open_memory_channel[_Posted](1000)
        self._make_feeds()

    def _make_feeds(self) -> None:
        settings = self.engine.book.settings
        watched = {entry.pool.vault for entry in settings.autocopy}
        for vault in watched - self.feeds.keys():
            self.feeds[vault] = FeedClient(vault, settings.feed_socket(vault), self.post)
        for vault in self.feeds.keys() - watched:
            del self.feeds[vault]
            self._acked.pop(vault, None)

    def follow_settings(self) -> None:
        """Do what the settings in force say from now on, when the engine has taken them."""
        self.paces = Paces.of(self.engine.book.settings)
        for premises in self._premises.values():
            premises.forget()
        self._make_feeds()
        for vault in self._following.keys() - self.feeds.keys():
            self._following.pop(vault).cancel()
        self._follow_feeds()

    def _follow_feeds(self) -> None:
        for vault in self.feeds.keys() - self._following.keys():
            scope = self._following[vault] = trio.CancelScope()
            self._nursery.start_soon(_within, scope, self.feeds[vault].run)

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Run until cancelled; reports started when the recovered state is acted on."""
        async with trio.open_nursery() as self._nursery:
            await self._write_leftovers()
            await self._process([_Posted(AgentStarted())])
            self._follow_feeds()
            task_status.started()
            while True:
                await self._process(await self._next_batch())

    def save_news(self, how: str = "") -> None:
        """Save what waited for a commit with another reason, and that the agent ends, and *how*.

        Blocks, and is for the very end.
        """
        changes = Changes()
        self.saving.put_news(changes, math.inf, along=True)
        try:
            changes.put_history(self.store.ending(self.engine.book.history, wall_ns(), how))
            if not changes.empty:
                self.store.commit(changes)
        except StateError as error:
            log.warning("what was heard last is not kept: %s", error)

    # ---- the way in ------------------------------------------------------------------------------

    async def post(self, event: Event | HostEvent) -> None:
        """Hand *event* to the engine; returns when it is queued, not when it is decided."""
        await self._send.send(_Posted(event))

    async def post_durably(self, event: Event) -> None:
        """Hand *event* to the engine and return when what it changed is durable."""
        done = trio.Event()
        await self._send.send(_Posted(event, done=done))
        await done.wait()

    async def post_heard(self, events: Sequence[HostEvent]) -> None:
        """Hand what one host said to the engine; return when what it changed is durable.

        So each host has one such piece on its way at most, however much it says.
        """
        done = trio.Event()
        await self._send.send(_Posted(heard=events, done=done))
        await done.wait()

    async def ask(self, question: Callable[[Moment], object]) -> object:
        """Let *question* work on the engine between two events, and return its answer.

        Whatever the question changed is durable when the answer comes. What it raises is raised
        here, and nothing was changed.
        """
        done = trio.Event()
        posted = _Posted(question=question, done=done)
        await self._send.send(posted)
        await done.wait()
        if posted.error is not None:
            raise posted.error
        return posted.answer

    async def _next_batch(self) -> list[_Posted]:
        wakeup = self.engine.next_wakeup()
        times = [*self.engine.book.journal.times(), *self.engine.book.reports.times()] + (
            [] if wakeup is None else [wakeup]
        )
        batch: list[_Posted] = []
        with trio.CancelScope(deadline=min(times, default=math.inf)):
            batch.append(await self._receive.receive())
        try:
            while batch and len(batch) < BATCH:
                batch.append(self._receive.receive_nowait())
        except trio.WouldBlock:
            pass
        return batch or [_Posted(WakeupDue())]

    # ---- decide, commit, act ---------------------------------------------------------------------

    async def _process(self, batch: list[_Posted]) -> None:
        now = self.clock()
        for posted in batch:
            self._decide(posted, now)
        commands = self.engine.due(now)
        saved = set(self.engine.book.dirty)
        says = [command for command in commands if isinstance(command, Say)]
        numbers = await self._commit(self.saving.changes(says, now))
        self.engine.book.put_away(saved)
        for say in says:
            self.event_log.write(say.message, now_ns=now.wall_ns, once=False, **say.fields)
            self._tell_others(say, now.wall_ns)
        await self._commit(self.saving.told(numbers))
        self._acknowledge()
        self._tell_listeners()
        for command in commands:
            self._execute(command)
        for posted in batch:
            if isinstance(posted.event, VaultSwept) and posted.event.vault in self.feeds:
                self.feeds[posted.event.vault].swept()
            if posted.done is not None:
                posted.done.set()
        if any(isinstance(posted.event, CopyEnded) for posted in batch):
            self.ended.set()
            self.ended = trio.Event()
        self.engine.book.counters.batches.add(self.clock().mono - now.mono)

    def _tell_others(self, say: Say, at_ns: int) -> None:
        for writer in self.writers.values():
            writer.tell(say.message, say.fields)
        self.hook.offer(say, at_ns)

    def _tell_listeners(self) -> None:
        if self.engine.book.journal.newest != self._told:
            self._told = self.engine.book.journal.newest
            self.heard.set()
            self.heard = trio.Event()

    def _decide(self, posted: _Posted, now: Moment) -> None:
        if posted.event is not None:
            self.engine.take(posted.event, now)
        for event in posted.heard:
            self.engine.take(event, now)
        if posted.question is not None:
            try:
                posted.answer = posted.question(now)
            except Exception as error:  # noqa: BLE001  # it belongs to whoever asked
                posted.error = error

    async def _commit(self, changes: Changes) -> list[int]:
        """Nothing is done before it is recorded: a full disk makes the agent wait, not forget."""
        if changes.empty:
            return []
        self.commits += 1
        while True:
            try:
                return await trio.to_thread.run_sync(self.store.commit, changes)
            except StateError as error:
                log.critical("%s; tried again every %.0f s, no copy is published meanwhile",
                             error, COMMIT_RETRY_S)  # fmt: skip
                await trio.sleep(COMMIT_RETRY_S)

    def _acknowledge(self) -> None:
        for vault, ack in self.engine.book.acks.items():
            if self._acked.get(vault) != ack and vault in self.feeds:
                self._acked[vault] = ack
                self.feeds[vault].acknowledge(ack.outbox_id, ack.seq)

    async def _write_leftovers(self) -> None:
        """A crash between commit and log must neither swallow a message nor double it."""
        left = await trio.to_thread.run_sync(self.store.unwritten)
        for message in left:
            self.event_log.write(
                message.say.message, now_ns=message.at_ns, once=True, **message.say.fields
            )
            self._tell_others(message.say, message.at_ns)
        await self._commit(self.saving.told([message.number for message in left]))

    def _execute(self, command: Command) -> None:
        match command:
            case Subscribe():
                outbox_id = self.engine.book.acks[command.vault].outbox_id
                self.feeds[command.vault].subscribe(outbox_id, command.after)
            case SweepVault():
                self._start_sweep(command)
            case StartCopy():
                # The scope is there at once: a StopCopy of the same batch must find it.
                scope = self._copies[command.job.tape, command.job.target] = trio.CancelScope()
                self._nursery.start_soon(self._copy, command.job, scope, self.engine.book.settings)
            case StopCopy():
                running = self._copies.get((command.tape, command.target))
                if running is not None:
                    running.cancel()
            case ProbeTarget():
                self._nursery.start_soon(self._probe, command.target, self.engine.book.settings)
            case Say():
                pass  # committed and written already

    # ---- what commands do ------------------------------------------------------------------------

    async def _copy(
        self, job: CopyJob, scope: trio.CancelScope, in_force: settings.Settings
    ) -> None:
        key = (job.tape, job.target)
        outcome: CopyOutcome = CopyStopped("the order was withdrawn")
        with scope:
            outcome = await self._attempt(job, in_force)
        del self._copies[key]
        self.progress.pop(key, None)
        await self.post(CopyEnded(job.tape, job.target, outcome))

    async def _attempt(self, job: CopyJob, in_force: settings.Settings) -> CopyOutcome:
        # Whatever the settings become meanwhile: this copy is made as it was begun, or not at all.
        target = in_force.targets[job.target]
        meter = Meter()

        def note(seen: CopyProgress) -> None:
            self.progress[job.tape, job.target] = meter.read(
                seen.phase.value, seen.done, seen.total, wall_ns()
            )

        try:
            return await copy_tape(
                job,
                replace(
                    Route.of(in_force, job, self._premises[job.target]),
                    pace=self.paces.to(job.target),
                ),
                connect=lambda: self.connect(target),
                journal=_Journal(self, job),
                permit=lambda: self.engine.may_publish(job.tape, job.target, job.generation),
                progress=note,
                wall_ns=wall_ns,
            )
        except Exception as error:
            # A bug in the copier must neither end the agent nor look like a copy that was made.
            log.exception("copy of %s to %s ended by an unforeseen error", job.tape, job.target)
            return CopyFailed(f"unforeseen error {error!r}", "report this to the makers.")

    async def _probe(self, name: str, in_force: settings.Settings) -> None:
        target, unfit = in_force.targets[name], dict[str, str]()

        async def look(connected: Target) -> None:
            unfit.update(await unfit_vaults(connected, layouts_of(in_force, name)))

        try:
            outcome = await probe(lambda: self.connect(target), look)
        except Exception as error:
            log.exception("probe of %s ended by an unforeseen error", name)
            cause = f"unforeseen error {error!r}"
            outcome = CopyFailed(cause, "report this to the makers.", unreachable=True)
        await self.post(TargetProbed(name, outcome, unfit, target))

    def _start_sweep(self, command: SweepVault) -> None:
        """One sweep of a vault at a time; a wish that comes meanwhile is granted after it."""
        in_force = self.engine.book.settings
        if command.vault not in in_force.vaults:
            return  # it was wished for before other settings came into force
        if command.vault in self._sweeping:
            self._again[command.vault] = command.why
            return
        self._sweeping.add(command.vault)
        self._nursery.start_soon(self._sweep, command, in_force)

    async def _sweep(self, command: SweepVault, in_force: settings.Settings) -> None:
        shelf = self.engine.book.records
        log.info("sweeping vault %s: %s", command.vault, command.why)
        pools = [e.pool.pool for e in in_force.autocopy if e.pool.vault == command.vault]
        swept = await trio.to_thread.run_sync(
            partial(
                sweep_vault,
                command.vault,
                in_force.vaults[command.vault].backing,
                pools,
                in_force.patterns_of(command.vault),
                self.clock().mono,
                known={p: shelf.files(PoolId(command.vault, p)) for p in pools},
                tell=lambda part: trio.from_thread.run(self.post_durably, part),
            )
        )
        await self.post_durably(swept)
        self._sweeping.discard(command.vault)
        again = self._again.pop(command.vault, None)
        if again is not None:
            self._start_sweep(SweepVault(command.vault, again))


async def _within(scope: trio.CancelScope, run: Callable[[], Awaitable[object]]) -> None:
    with scope:
        await run()
