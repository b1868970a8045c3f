"""The outbox in the loop: grouping, failure, recovery, and what a new start finds."""

import secrets
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
import trio

from tests.support.signal_sink import a_signal, identity
from vtsfs.contract.errors import OutboxError
from vtsfs.contract.signals import Kind, Signal
from vtsfs.outbox import outbox as outbox_module
from vtsfs.outbox.database import Aside, Mark, SessionMark
from vtsfs.outbox.outbox import Callbacks, Outbox

MOUNTED = a_signal(Kind.MOUNTED, "s1", before=identity(1), after=identity(1))
DISMOUNTED = a_signal(Kind.DISMOUNTED, "s1", before=identity(1), after=identity(2))


@dataclass
class Heard:
    """What the outbox told its owner."""

    marks: list[SessionMark] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    aside: list[Aside] = field(default_factory=list)

    def interrupted(self, marks: Sequence[Mark]) -> list[Signal]:
        self.marks.extend(mark for mark in marks if isinstance(mark, SessionMark))
        return [a_signal(Kind.INTERRUPTED, mark.session) for mark in self.marks]


@asynccontextmanager
async def running(path: Path, heard: Heard, *, clean: bool = True) -> AsyncIterator[Outbox]:
    outbox = Outbox(
        path,
        Callbacks(heard.interrupted, heard.failures.append, heard.aside.append, lambda: "now"),
    )
    async with trio.open_nursery() as nursery:
        await nursery.start(outbox.run)
        yield outbox
        await outbox.close(clean=clean)
        nursery.cancel_scope.cancel()


async def kinds(outbox: Outbox) -> list[Kind]:
    return [Signal.from_json(b).kind for _, b in await outbox.after(0, 100, deliver=False)]


async def test_what_is_committed_is_there_and_in_order(tmp_path: Path) -> None:
    heard = Heard()
    async with running(tmp_path / "o", heard) as outbox:
        outbox.post([MOUNTED])
        await outbox.commit([DISMOUNTED])
        assert await kinds(outbox) == [Kind.MOUNTED, Kind.DISMOUNTED]
        assert not outbox.needs_sweep
    assert heard == Heard()


async def test_commits_that_come_together_are_grouped(tmp_path: Path) -> None:
    transactions = 0
    async with running(tmp_path / "o", Heard()) as outbox:

        async def count() -> None:
            nonlocal transactions
            while True:
                await outbox.committed.wait()
                transactions += 1

        async with trio.open_nursery() as nursery:
            nursery.start_soon(count)
            await trio.testing.wait_all_tasks_blocked()
            async with trio.open_nursery() as opens:
                for _ in range(100):
                    opens.start_soon(outbox.commit, [MOUNTED])
            nursery.cancel_scope.cancel()
        assert outbox.meta is not None
        assert outbox.meta.highest == 100
    assert transactions <= 3


async def test_what_nobody_waits_for_rides_with_the_next_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox_module, "GATHERING_S", 3600.0)
    async with running(tmp_path / "o", Heard()) as outbox:
        committed = outbox.committed
        outbox.post([MOUNTED])
        await trio.testing.wait_all_tasks_blocked()
        assert not committed.is_set(), "an open would now wait for this transaction first"
        await outbox.commit([DISMOUNTED])
        assert await kinds(outbox) == [Kind.MOUNTED, Kind.DISMOUNTED]
        outbox.post([a_signal(Kind.CHANGED, "")])
    async with running(tmp_path / "o", Heard()) as outbox:
        assert (await kinds(outbox))[-1] is Kind.CHANGED, "the end waits for nothing"


async def test_what_nobody_waits_for_is_committed_soon(tmp_path: Path) -> None:
    async with running(tmp_path / "o", Heard()) as outbox:
        committed = outbox.committed
        outbox.post([MOUNTED])
        with trio.fail_after(10):
            await committed.wait()


async def test_a_run_that_was_cut_off_is_told(tmp_path: Path) -> None:
    async with running(tmp_path / "o", Heard(), clean=False) as outbox:
        await outbox.commit([MOUNTED])
    heard = Heard()
    async with running(tmp_path / "o", heard) as outbox:
        assert outbox.needs_sweep
        assert [mark.session for mark in heard.marks] == ["s1"]
        assert await kinds(outbox) == [Kind.MOUNTED, Kind.INTERRUPTED]
        outbox.swept()
    heard = Heard()
    async with running(tmp_path / "o", heard) as outbox:
        assert not outbox.needs_sweep
        assert heard.marks == []


async def test_acknowledged_is_dropped(tmp_path: Path) -> None:
    async with running(tmp_path / "o", Heard()) as outbox:
        await outbox.commit([MOUNTED, DISMOUNTED])
        outbox.acknowledge(1)
        committed = outbox.committed
        with trio.fail_after(5):
            await committed.wait()
        assert await kinds(outbox) == [Kind.DISMOUNTED]
        assert outbox.depth == 1


async def test_nothing_is_lost_while_the_disk_refuses(tmp_path: Path) -> None:
    heard = Heard()
    path = tmp_path / "missing" / "o"
    async with running(path, heard) as outbox:
        with pytest.raises(OutboxError):
            await outbox.commit([MOUNTED])
        outbox.post([DISMOUNTED])
        with pytest.raises(OutboxError):
            await outbox.commit([a_signal(Kind.REMOVED)])
        assert len(heard.failures) == 1
        assert outbox.needs_sweep
        assert outbox.depth == 3
        path.parent.mkdir()
        with trio.fail_after(10):
            while outbox.failure:
                await outbox.committed.wait()
        assert await kinds(outbox) == [Kind.MOUNTED, Kind.DISMOUNTED, Kind.REMOVED]
        assert outbox.needs_sweep, "what was not durable in time must be swept"
        await outbox.commit([MOUNTED])
    async with running(path, Heard()) as outbox:
        assert outbox.needs_sweep


async def test_subscribers_must_begin_anew_when_it_fails(tmp_path: Path) -> None:
    async with running(tmp_path / "missing" / "o", Heard()) as outbox:
        assert outbox.meta is None
        assert outbox.failure


async def test_a_slow_disk_is_waited_for_only_so_long(tmp_path: Path) -> None:
    heard = Heard()
    callbacks = Callbacks(
        heard.interrupted, heard.failures.append, heard.aside.append, lambda: "now"
    )
    outbox = Outbox(tmp_path / "o", callbacks, patience_s=0.3)
    # Nobody runs the writer: as slow as a disk can be.
    with trio.fail_after(5), pytest.raises(OutboxError, match="takes more than"):
        await outbox.commit([MOUNTED])
    with trio.fail_after(5), pytest.raises(OutboxError):
        await outbox.commit([MOUNTED])
    assert len(heard.failures) == 1
    async with trio.open_nursery() as nursery:
        await nursery.start(outbox.run)
        assert await kinds(outbox) == [Kind.MOUNTED, Kind.MOUNTED]
        assert outbox.failure == ""
        await outbox.close(clean=True)
        nursery.cancel_scope.cancel()


async def test_a_damaged_outbox_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "o").write_bytes(b"garbage" * 1000)
    heard = Heard()
    async with running(tmp_path / "o", heard) as outbox:
        await outbox.commit([MOUNTED])
    assert len(heard.aside) == 1


async def test_what_a_slow_disk_left_waiting_is_written_at_the_end(tmp_path: Path) -> None:
    heard = Heard()
    async with running(tmp_path / "o", heard) as outbox:
        await outbox.commit([MOUNTED])
        # As it is after a commit that took too long.
        outbox.failure = "slow"
        outbox.post([DISMOUNTED])
    async with running(tmp_path / "o", heard) as outbox:
        assert await kinds(outbox) == [Kind.MOUNTED, Kind.DISMOUNTED]
        assert heard.marks == []


@pytest.mark.parametrize(
    "damage", ["UPDATE signals SET body = '{}'", "UPDATE open_sessions SET opened = '{'"]
)
async def test_a_row_that_is_damaged_costs_the_file_not_the_program(
    tmp_path: Path, damage: str
) -> None:
    path = tmp_path / "o"
    async with running(path, Heard(), clean=False) as outbox:
        await outbox.commit([MOUNTED])
    with closing(sqlite3.connect(path)) as sql:
        assert sql.execute(damage).rowcount == 1
        sql.execute("UPDATE meta SET value = 0 WHERE key = 'highest'")
        sql.commit()
    heard = Heard()
    async with running(path, heard) as outbox:
        outbox.post([DISMOUNTED])
        with trio.fail_after(10):
            while not heard.aside or outbox.failure:
                await outbox.committed.wait()
        assert outbox.needs_sweep


async def test_no_thread_to_be_had_is_a_failure_that_passes(tmp_path: Path) -> None:
    class Short(Heard):
        def interrupted(self, marks: Sequence[Mark]) -> list[Signal]:
            if not self.failures:
                raise RuntimeError("can't start new thread")
            return super().interrupted(marks)

    heard = Short()
    async with running(tmp_path / "o", heard) as outbox:
        with trio.fail_after(10):
            while outbox.failure:
                await outbox.committed.wait()
        await outbox.commit([MOUNTED])
    assert len(heard.failures) == 1


async def test_memory_is_bounded_in_extents_too(tmp_path: Path) -> None:
    heard = Heard()
    callbacks = Callbacks(
        heard.interrupted, heard.failures.append, heard.aside.append, lambda: "now"
    )
    outbox = Outbox(tmp_path / "o", callbacks, most_extents=100)
    scattered = replace(DISMOUNTED, extents=tuple((n * 10, n * 10 + 1) for n in range(40)))
    # Nobody runs the writer yet, as while the disk is broken.
    for _ in range(4):
        outbox.post([replace(scattered, session=secrets.token_hex(4))])
    async with trio.open_nursery() as nursery:
        await nursery.start(outbox.run)
        found = [Signal.from_json(b) for _, b in await outbox.after(0, 100, deliver=False)]
        # What was written makes room again.
        outbox.post([scattered])
        await outbox.commit([MOUNTED])
        last = [Signal.from_json(b) for _, b in await outbox.after(0, 100, deliver=False)][-2]
        await outbox.close(clean=True)
        nursery.cancel_scope.cancel()
    assert [s.extents is None for s in found] == [False, False, True, True]
    assert last.extents == scattered.extents
