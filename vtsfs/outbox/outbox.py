"""The outbox in the loop: signals are queued, committed in groups, and never lost silently.

One task writes. It takes everything that is queued into one transaction, in a thread, so that
opens that come together share one fsync. What cannot be committed stays queued and is tried again;
host I/O meanwhile goes on, and the vault counts as unclean until the agent has swept it.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import trio

from vtsfs.contract.errors import OutboxCorrupt, OutboxError
from vtsfs.contract.notes import Entry
from vtsfs.contract.signals import Signal
from vtsfs.outbox.database import Aside, Database, Mark, Meta, open_or_replace, set_aside

_logger = logging.getLogger(__name__)

#: Seconds a caller waits for its signals to be durable before host I/O goes on without.
PATIENCE_S = 2.0
#: Seconds for which signals that nobody waits for are gathered into one transaction.
GATHERING_S = 0.05
#: Seconds between two attempts to write to an outbox that failed.
RETRY_S = 1.0
#: Most signals kept in memory while the outbox cannot be written.
MAX_QUEUED = 50_000
#: Most ranges of bytes in them. Whose would be more tell that their extents are unknown.
MAX_QUEUED_EXTENTS = 200_000
#: Characters of signals read for a subscriber in one go.
MOST_READ = 1 << 20
#: Groups in the transaction that tries whether a failing outbox can be written again: what was
#: queued meanwhile would keep the processor busy for seconds, only to be rolled back.
PROBE = 100


@dataclass(slots=True)
class _Group:
    """Signals that belong into one transaction, and whoever waits for them."""

    signals: tuple[Entry, ...]
    done: trio.Event = field(default_factory=trio.Event)
    error: OutboxError | None = None


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What the outbox asks of its owner. All are called in the loop, but *interrupted*.

    *interrupted* turns marks of a run that was cut off into signals and notes; it may look at the disk and is
    called in a thread. *failed* is told once when writing begins to fail, *set_aside* where a
    damaged file was put, *stamp* gives a date for its name.
    """

    interrupted: Callable[[Sequence[Mark]], Sequence[Entry]]
    failed: Callable[[str], None]
    set_aside: Callable[[Aside], None]
    stamp: Callable[[], str]


class Outbox:
    """One vault's outbox. `run` must run for anything to become durable."""

    def __init__(
        self,
        path: Path,
        callbacks: Callbacks,
        *,
        boot_id: str = "",
        patience_s: float = PATIENCE_S,
        most_queued: int = MAX_QUEUED,
        most_extents: int = MAX_QUEUED_EXTENTS,
    ) -> None:
        self._path = path
        self._callbacks = callbacks
        self._boot_id = boot_id
        self._patience_s = patience_s
        self._most_queued = most_queued
        self._most_extents = most_extents
        self._database: Database | None = None
        self._meta: Meta | None = None
        self._queue: list[_Group] = []
        self._queued = 0
        self._queued_extents = 0
        self._acknowledged = 0
        self._sweep: bool | None = None
        #: Signals have been dropped since something was last committed.
        self._losing = False
        self._work = trio.Event()
        #: Somebody waits for what is queued.
        self._urgent = trio.Event()
        self._idle = trio.Event()
        self._lock = trio.Lock()
        #: The file whose open-for-write marks were told in this run; those in it now are our own.
        self._taken_over = ""
        self._is_damaged = False
        self._limiter = trio.CapacityLimiter(1)
        #: Why signals cannot be made durable at present; empty when they can.
        self.failure = ""
        #: The highest number that a subscriber was sent.
        self.delivered = 0
        #: Set and replaced whenever something was committed.
        self.committed = trio.Event()
        #: Set and replaced when what a hello said is no longer so: subscribers must begin anew.
        self.renewed = trio.Event()

    @property
    def meta(self) -> Meta | None:
        """The outbox's facts as last committed; None while there is no file to be had."""
        return self._meta

    @property
    def needs_sweep(self) -> bool:
        """Whether signals may have been missed since the agent last swept."""
        if self._sweep is not None:
            return self._sweep
        return self._meta is None or self._meta.sweep

    @property
    def depth(self) -> int:
        """How many signals are not acknowledged, those not yet durable included."""
        return self._queued + (0 if self._database is None else self._database.depth)

    def post(self, signals: Sequence[Entry]) -> None:
        """Take signals to be committed soon, in this order, together with others; never blocks."""
        self._enqueue(_Group(tuple(signals)))

    async def commit(self, signals: Sequence[Entry]) -> None:
        """Return when the signals are durable; raise `OutboxError` if that fails or takes too long.

        They stay queued even then. While writing fails nobody is made to wait for it again.
        """
        group = _Group(tuple(signals))
        failing = self.failure
        self._enqueue(group)
        self._urgent.set()
        if failing:
            raise OutboxError(failing)
        with trio.move_on_after(self._patience_s):
            await group.done.wait()
            if group.error is not None:
                raise group.error
            return
        self._begin_failing(self._too_slow())
        raise OutboxError(self._too_slow())

    def acknowledge(self, seq: int) -> None:
        """Drop everything up to *seq*, soon."""
        self._acknowledged = max(self._acknowledged, seq)
        self._work.set()

    def swept(self) -> None:
        """The agent has looked at every tape: what was missed is known.

        Not so while signals are being dropped, which it may have looked too early for.
        """
        if not self.failure and not self._losing:
            self._sweep = False
            self._work.set()

    async def after(self, seq: int, limit: int, *, deliver: bool) -> list[tuple[int, str]]:
        """Return up to *limit* committed signals with numbers above *seq*.

        With *deliver* they are about to be sent, and are not folded with later ones any more.
        """
        async with self._lock:
            if self._database is None:
                raise OutboxError(self.failure)
            found = await trio.to_thread.run_sync(
                self._database.after, seq, limit, MOST_READ, limiter=self._limiter
            )
            if deliver and found:
                self.delivered = max(self.delivered, found[-1][0])
            return found

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Write what is queued until cancelled.

        Reports as started after the first attempt to open, or when that has taken too long.
        """
        tried = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._write_forever, tried)
            with trio.move_on_after(self._patience_s):
                await tried.wait()
            if not tried.is_set():
                self._begin_failing(f"outbox {self._path}: its disk does not answer")
            task_status.started()

    async def _write_forever(self, tried: trio.Event) -> None:
        await self._write()
        tried.set()
        while True:
            if self.failure:
                # Not sooner because there is more to write: opens come by the hundred.
                await trio.sleep(RETRY_S)
            else:
                await self._work.wait()
                # An open that comes now must not find the disk busy with what nobody waits for.
                with trio.move_on_after(GATHERING_S):
                    await self._urgent.wait()
            self._work, self._urgent = trio.Event(), trio.Event()
            await self._write()

    async def close(self, *, clean: bool, deadline_s: float = 10.0) -> None:
        """Make durable what is left and close; note a *clean* end if nothing was lost.

        `run` must still be running, and nobody may hand over signals any more. A disk that does not
        answer is left alone after *deadline_s*: the next start then finds what an unclean end leaves.
        """
        with trio.move_on_after(deadline_s) as waiting:
            while self._queue and not self.failure:
                self._idle = trio.Event()
                self._urgent.set()
                await self._idle.wait()
            async with self._lock:
                await trio.to_thread.run_sync(
                    self._close, clean, limiter=self._limiter, abandon_on_cancel=True
                )
        if waiting.cancelled_caught:
            _logger.error("outbox %s: its disk does not answer; it is not closed", self._path)

    def _close(self, clean: bool) -> None:
        database, self._database = self._database, None
        if database is None:
            return
        # What a slow disk has left waiting, too.
        signals = [signal for group in self._queue for signal in group.signals]
        try:
            if clean or signals:
                database.commit(
                    signals,
                    delivered=self.delivered,
                    acknowledged=self._acknowledged,
                    attached=False if clean else None,
                    sweep=self._sweep,
                )
        except OutboxError as error:
            _logger.error("the end could not be noted: %s", error)
        finally:
            database.close()

    def _enqueue(self, group: _Group) -> None:
        group.signals = tuple(map(self._light, group.signals))
        self._queue.append(group)
        self._queued += len(group.signals)
        while self._queued > self._most_queued and len(self._queue) > 1:
            # The signals are gone; that they were is what `sweep` says.
            lost = self._queue.pop(0)
            self._queued -= len(lost.signals)
            self._queued_extents -= _extents_in(lost)
            self._sweep = True
            if not self._losing:
                self._losing = True
                self._renew()
        self._work.set()

    def _light(self, entry: Entry) -> Entry:
        """Return *entry*, without its extents if there is no room in memory for them."""
        extents = _extents_of(entry)
        if isinstance(entry, Signal) and self._queued_extents + extents > self._most_extents:
            return replace(entry, extents=None) if extents else entry
        self._queued_extents += extents
        return entry

    def _renew(self) -> None:
        """Have subscribers begin anew: they learn from the new hello that they must sweep."""
        self.renewed.set()
        self.renewed = trio.Event()

    async def _write(self) -> None:
        """Commit everything queued at this moment in one transaction."""
        groups = self._queue[: PROBE if self.failure else len(self._queue)]
        try:
            async with self._lock:
                if self._database is None:
                    await self._open()
                begun = trio.current_time()
                # Abandoned only at the very end, see `close`.
                meta = await trio.to_thread.run_sync(
                    self._commit, groups, limiter=self._limiter, abandon_on_cancel=True
                )
                is_slow = trio.current_time() - begun > self._patience_s
        except OutboxError as error:
            await self._failed(error)
            return
        except (RuntimeError, MemoryError, OverflowError) as error:
            # No thread to be had, or no memory: that may pass, and no tape may suffer by it.
            await self._failed(OutboxError(f"outbox {self._path}: {error!r}"))
            return
        written = set(map(id, groups))
        self._queue = [group for group in self._queue if id(group) not in written]
        self._queued = sum(len(group.signals) for group in self._queue)
        self._queued_extents = sum(map(_extents_in, self._queue))
        for group in groups:
            group.done.set()
        self._meta = meta
        if is_slow:
            # Durable, but the next one who opens a tape would wait as long.
            self._begin_failing(self._too_slow())
        else:
            self._recover(meta)
        self.committed.set()
        self.committed = trio.Event()
        if not self._queue or is_slow:
            self._idle.set()
        if self._queue or self._sweep is not None:
            self._work.set()

    def _recover(self, meta: Meta) -> None:
        """It was written, and quickly."""
        self._sweep = None if self._sweep is meta.sweep else self._sweep
        if self.failure or self._losing:
            # A sweep that began before does not count; whoever asks now learns that one is due.
            self.failure, self._losing = "", False
            self._renew()

    def _commit(self, groups: Sequence[_Group]) -> Meta:
        database = self._database
        if database is None:
            raise OutboxError(f"outbox {self._path} is not open")
        signals = [signal for group in groups for signal in group.signals]
        acknowledged, sweep = self._acknowledged, self._sweep
        if signals or acknowledged or sweep is not None:
            database.commit(
                signals, delivered=self.delivered, acknowledged=acknowledged, sweep=sweep
            )
        if self._acknowledged == acknowledged:
            self._acknowledged = 0
        return database.meta()

    async def _open(self) -> None:
        """Open the file, begin a new one if it is damaged, and report what a crash cut off."""
        stamp = self._callbacks.stamp()
        if self._is_damaged:
            found = await trio.to_thread.run_sync(
                set_aside, self._path, stamp, limiter=self._limiter
            )
            self._is_damaged = False
            self._callbacks.set_aside(Aside(found))
        database, aside = await trio.to_thread.run_sync(
            open_or_replace, self._path, stamp, limiter=self._limiter
        )
        if aside is not None:
            self._callbacks.set_aside(aside)
        try:
            meta = await trio.to_thread.run_sync(self._take_over, database, limiter=self._limiter)
        except BaseException:
            database.close()
            raise
        self._database, self._meta = database, meta
        # Whatever lies there may have been sent by the run before.
        self.delivered = meta.highest

    def _take_over(self, database: Database) -> Meta:
        before = database.meta()
        # A file that failed and is there again has marks of sessions that are still running.
        is_ours = before.outbox_id == self._taken_over
        interrupted = [] if is_ours else self._callbacks.interrupted(database.marks())
        # Set from here to the clean end: a run that finds it set knows that the last one was cut.
        sweep = True if before.attached or self._sweep else None
        database.commit(
            interrupted,
            delivered=before.highest,
            attached=True,
            sweep=sweep,
            boot_id=self._boot_id,
        )
        self._taken_over = before.outbox_id
        return database.meta()

    async def _failed(self, error: OutboxError) -> None:
        if isinstance(error, OutboxCorrupt):
            self._meta = None
            # Not every damage shows when the file is opened again.
            self._is_damaged = True
        self._begin_failing(str(error))
        self._idle.set()
        async with self._lock:
            if self._database is not None and not _is_full(error):
                # Not held while its disk is mended, which may take an unmount, or be another disk.
                database, self._database = self._database, None
                await trio.to_thread.run_sync(database.close, limiter=self._limiter)

    def _begin_failing(self, text: str) -> None:
        if not self.failure:
            self._callbacks.failed(text)
            self._renew()
        self.failure = text
        self._sweep = True
        for group in self._queue:
            if not group.done.is_set():
                group.error = OutboxError(text)
                group.done.set()

    def _too_slow(self) -> str:
        return f"outbox {self._path}: a commit takes more than {self._patience_s:g} s"


def _extents_of(entry: Entry) -> int:
    return len(entry.extents or ()) if isinstance(entry, Signal) else 0


def _extents_in(group: _Group) -> int:
    return sum(map(_extents_of, group.signals))


def _is_full(error: OutboxError) -> bool:
    """Tell whether there is only no room: what is in the file can be read all the same."""
    return getattr(error.__cause__, "sqlite_errorname", "") == "SQLITE_FULL"
