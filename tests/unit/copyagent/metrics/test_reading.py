"""The figures of a running agent: every one of the catalogue, no more for more tapes, and quickly read."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from copyagent.core.census import SLICE
from copyagent.core.engine import Engine
from copyagent.core.events import VaultSwept
from copyagent.core.gates import Pause
from copyagent.core.time import Moment
from copyagent.metrics.catalogue import (
    CATALOGUE,
    COPIES,
    HELD,
    LAST_COPY,
    LINK_UP,
    MESSAGES,
    OLDEST,
    PENDING,
    POOL_PAUSED,
    TAPES,
    TARGET_PAUSED,
    TARGET_UP,
    UNPROTECTED,
    VERDICTS,
)
from copyagent.metrics.exposition import Sheet, encode
from copyagent.metrics.reading import Reader
from copyagent.runner import Runner
from copyagent.state.store import open_store
from copyagent.transfer.target import Target, TargetUnreachable
from tests.support.expected_logs import ExpectedLogs
from tests.support.histories import (
    HOST,
    START_NS,
    TARGET,
    Overlay,
    link_up,
    make_engine,
)
from tests.support.playbook import Playbook, copied_once
from vtsfs.contract import messages, settings
from vtsfs.contract.naming import PoolId, TapeId
from vtsfs.contract.signals import Identity
from vtsfs.runtime.eventlog import EventLog

WAY = ("/VAULT00/BILL", TARGET)


@asynccontextmanager
async def no_target(target: settings.Target) -> AsyncIterator[Target]:
    raise TargetUnreachable(f"{target.host} refuses the connection")
    yield  # type: ignore[unreachable]  # what makes this a generator


class Counting(Runner):
    """A runner that counts questions, and lets something happen *between* two of a reading."""

    asked = 0
    between: Callable[[Moment], object] | None = None

    async def ask(self, question: Callable[[Moment], object]) -> object:
        self.asked += 1
        answer = await super().ask(question)
        if self.between is not None:
            between, self.between = self.between, None
            await super().ask(between)
        return answer


@asynccontextmanager
async def running(engine: Engine, root: Path) -> AsyncIterator[Counting]:
    """Run an agent around *engine*, without overlays and targets."""
    store, _ = open_store(root / "agent.sqlite", "now")
    book = engine.book
    log = EventLog(root / "event.log", book.settings.system, program="copyagent")

    def now() -> Moment:
        return Moment(trio.current_time(), START_NS + int(trio.current_time() * 1e9))

    runner = Counting(engine, store, log, no_target, now)
    runner.feeds.clear()  # they would look for the overlays of this very machine
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(runner.run)
            yield runner
            nursery.cancel_scope.cancel()
    finally:
        log.close()
        store.close()


async def read(runner: Runner) -> Sheet:
    with trio.fail_after(20):
        return await Reader(runner).read()


def series(sheet: Sheet) -> int:
    return sum(map(len, sheet.values.values())) + sum(map(len, sheet.histograms.values()))


def swept(overlay: Overlay, count: int) -> VaultSwept:
    """Let a sweep find *count* tapes that were there before AutoCopy."""
    tapes = [TapeId("VAULT00", "BILL", f"T{number:05}") for number in range(count)]
    found = {tape: Identity(1, n + 7, 1000, 1, 1) for n, tape in enumerate(tapes)}
    return VaultSwept("VAULT00", 0.0, found)


async def test_every_figure_of_the_catalogue_is_there(tmp_path: Path) -> None:
    async with running(make_engine(), tmp_path) as runner:
        sheet = await read(runner)
    assert {metric.name for metric in (*sheet.values, *sheet.histograms)} == set(CATALOGUE)
    assert encode(sheet, "")[0]


async def test_what_was_copied_and_what_is_lacking_is_told(
    tmp_path: Path, expect_log: ExpectedLogs
) -> None:
    expect_log("have no copy", level=30)
    play, overlay = Playbook(make_engine()), Overlay()
    play.hand(overlay.hello())
    play.hand(link_up())
    play.open.clear()
    copied_once(play, overlay)
    async with running(play.engine, tmp_path) as runner:
        await runner.post_durably(swept(overlay, 3))
        values = (await read(runner)).values
    assert values[TAPES][*WAY, "copied"] == 1
    assert values[TAPES][*WAY, "unsynced"] == 3
    assert values[TAPES][*WAY, "failed"] == 0
    assert values[UNPROTECTED][WAY] == 3
    assert values[PENDING][WAY] == 3000
    assert values[OLDEST][WAY] >= 0
    assert values[COPIES][*WAY, "copied"] == 1
    assert values[LAST_COPY][WAY] == pytest.approx(play.now.wall_ns / 1e9)
    assert values[VERDICTS]["/VAULT00/BILL", "agreed"] == 1
    assert values[MESSAGES][f"{messages.UNSYNCED.id}", "warning"] == 1
    assert values[HELD][*WAY, "conflict"] == 0
    assert values[LINK_UP][HOST,] in {0, 1}


async def test_pauses_and_what_is_wrong_with_a_target_are_told(tmp_path: Path) -> None:
    engine = make_engine()
    for about in ("/VAULT00/PAY", TARGET):
        engine.book.pauses[about] = Pause(about, "root", "moving house", START_NS)
    async with running(engine, tmp_path) as runner:
        engine.book.health[TARGET] = replace(engine.book.health[TARGET], trouble="no route")
        values = (await read(runner)).values
    assert values[TARGET_PAUSED][TARGET,] == 1
    assert values[POOL_PAUSED]["/VAULT00/PAY",] == 1
    assert values[POOL_PAUSED]["/VAULT00/BILL",] == 0
    assert values[TARGET_UP][TARGET,] == 0


async def test_more_tapes_make_no_more_series(tmp_path: Path, expect_log: ExpectedLogs) -> None:
    expect_log("have no copy", level=30)
    async with running(make_engine(), tmp_path) as runner:
        few = await read(runner)
        await runner.post_durably(swept(Overlay(), 500))
        many = await read(runner)
    assert many.values[UNPROTECTED][WAY] == 500
    assert series(many) == series(few)


async def test_a_reading_is_many_short_questions(tmp_path: Path, expect_log: ExpectedLogs) -> None:
    """Who asks while it goes on waits for one of them, not for all."""
    expect_log("have no copy", level=30)
    async with running(make_engine(), tmp_path) as runner:
        await runner.post_durably(swept(Overlay(), 2 * SLICE))
        awake = len(runner.engine.book.records.active())
        before = runner.asked
        await read(runner)
    # To begin with, one for each slice, one for what is known anyway, one for the pools.
    assert runner.asked - before == 1 + -(-awake // SLICE) + 1 + 1


async def test_a_pool_that_leaves_the_settings_meanwhile_is_left_out(tmp_path: Path) -> None:
    engine = make_engine()
    async with running(engine, tmp_path) as runner:
        runner.between = lambda _: engine.book.ways.pop((PoolId.parse(WAY[0]), TARGET))
        sheet = await read(runner)
    assert WAY not in sheet.values[UNPROTECTED]
    assert ("/VAULT00/PAY", TARGET) in sheet.values[UNPROTECTED]
