"""Old entries go a little at a time, never without a record, and by the settings of that moment."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import trio

from copyagent.core.book import Book
from copyagent.core.engine import Engine
from copyagent.core.history import Entry, Kind
from copyagent.core.time import Moment
from copyagent.pruning import IN_A_ROW, keep_bounded, prune
from copyagent.runner import Runner
from copyagent.ssh.sftp import connect
from copyagent.state.history_check import check_file
from copyagent.state.history_rows import HistoryWanted
from copyagent.state.store import open_store
from tests.support.example_settings import EXAMPLE, example_settings
from vtsfs.runtime.clock import wall_ns
from vtsfs.runtime.eventlog import EventLog

DAY_NS = 86_400 * 10**9


@asynccontextmanager
async def agent(root: Path, *, old: int, young: int) -> AsyncIterator[Runner]:
    """Run an agent whose history has *old* entries of two years ago and *young* ones of yesterday."""
    settings = example_settings(root, EXAMPLE + "history: {keep: 365d, most: 10000}\n")
    store, _ = open_store(root / "agent.sqlite", "now")
    log = EventLog(settings.paths.event_log, settings.system, program="copyagent")

    def now() -> Moment:
        return Moment(trio.current_time(), wall_ns())

    runner = Runner(Engine(Book(settings)), store, log, connect, now)
    for number in range(old + young):
        days = 730 if number < old else 1
        runner.engine.book.history.add(Kind.STOPPED, wall_ns() - days * DAY_NS)
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(runner.run)
            yield runner
            nursery.cancel_scope.cancel()
    finally:
        log.close()
        store.close()


def kept(runner: Runner) -> list[Entry]:
    return runner.store.find_history(HistoryWanted(most=100_000))


async def test_what_is_too_old_goes_in_pieces(tmp_path: Path) -> None:
    async with agent(tmp_path, old=250, young=3) as runner:
        before = kept(runner)
        assert await prune(runner, at_once=100, pause_s=0.0) == 250
        left = kept(runner)
        assert [e.number for e in left] == list(range(251, 257))
        assert [e.facts["count"] for e in left if e.kind == Kind.PRUNED] == [100, 100, 50]
        last = [e.facts for e in left if e.kind == Kind.PRUNED][-1]
        assert (last["first"], last["last"], last["value"]) == (201, 250, before[249].chain)
        assert await prune(runner) == 0
    found = check_file(tmp_path / "agent.sqlite")
    assert (found.faults, found.first, found.pruned) == ([], 251, 250)


async def test_a_wrong_clock_takes_no_more_than_a_days_share(tmp_path: Path) -> None:
    async with agent(tmp_path, old=60, young=0) as runner:
        assert await prune(runner, at_once=2, pause_s=0.0) == 2 * IN_A_ROW
        assert len([e for e in kept(runner) if e.kind == Kind.STOPPED]) == 60 - 2 * IN_A_ROW


async def test_what_is_too_much_goes_however_young(tmp_path: Path) -> None:
    async with agent(tmp_path, old=0, young=10_010) as runner:
        assert await prune(runner, at_once=4, pause_s=0.0) >= 10
        assert runner.engine.book.history.newest - kept(runner)[0].number <= 10_000, (
            "and the record"
        )
    assert check_file(tmp_path / "agent.sqlite").faults == []


async def test_it_is_done_by_itself_after_the_start(tmp_path: Path) -> None:
    async with agent(tmp_path, old=5, young=0) as runner, trio.open_nursery() as nursery:
        nursery.start_soon(partial(keep_bounded, runner, first_s=0.0))
        with trio.fail_after(10):
            while [e.kind for e in kept(runner)] != [Kind.PRUNED]:
                await runner.ask(lambda _: None)
        nursery.cancel_scope.cancel()
