"""Settings that are read again: all or nothing, one at a time, and told to whoever waits for it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio
import trio.testing

from copyagent.core.book import Book
from copyagent.core.engine import Engine
from copyagent.core.time import Moment
from copyagent.runner import Runner
from copyagent.settings_desk import BY_SIGNAL, Asked, SettingsDesk
from copyagent.settings_parts import SettingsParts
from copyagent.state.history_rows import HistoryWanted
from copyagent.state.store import open_store
from copyagent.transfer.target import Target, TargetUnreachable
from tests.support.example_settings import EXAMPLE
from tests.support.expected_logs import ExpectedLogs
from vtsfs.contract import settings
from vtsfs.contract.errors import SettingsError
from vtsfs.contract.settings_file import read_settings
from vtsfs.runtime.eventlog import EventLog
from vtsfs.runtime.systemd import Notifier

ACTED = "224170 .* reload"
#: What is told where a file is refused.
REFUSED = "624182 Settings not taken over"
OPERATOR = Asked("ann", "a test")
HOST = "ems: {hosts: {DEV2: {access: file, file: ROOT/events}}}\n"


@asynccontextmanager
async def nowhere(target: settings.Target) -> AsyncIterator[Target]:
    """Refuse every connection."""
    raise TargetUnreachable(f"{target.host} refuses the connection")
    yield  # type: ignore[unreachable]  # what makes this a generator


@dataclass
class Desk:
    """A desk over a real runner, whose settings file is written by the tests."""

    root: Path
    desk: SettingsDesk
    runner: Runner

    def write(self, text: str) -> None:
        """Put *text* into the settings file."""
        self.desk.path.write_text(text.replace("ROOT", str(self.root)))

    @property
    def book(self) -> Book:
        """What the engine knows."""
        return self.runner.engine.book


@asynccontextmanager
async def open_desk(tmp_path: Path) -> AsyncIterator[Desk]:
    """An agent that watches pool BILL, without overlay and target."""
    for name in ("backing/BILL", "VAULT00"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("key", "known_hosts", "events"):
        (tmp_path / name).write_text("")
        (tmp_path / name).chmod(0o600)
    file = tmp_path / "settings.yaml"
    file.write_text(EXAMPLE.replace("ROOT", str(tmp_path)))
    made = read_settings(file)
    store, _ = open_store(tmp_path / "agent.sqlite", "now")
    log = EventLog(made.paths.event_log, made.system, program="copyagent")

    def now() -> Moment:
        return Moment(trio.current_time(), 1_795_000_000 * 10**9)

    runner = Runner(Engine(Book(made)), store, log, nowhere, now)
    parts = SettingsParts(runner)
    run_parts = await parts.begin(made)
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(runner.run)
            await run_parts(nursery)
            yield Desk(tmp_path, SettingsDesk(file, runner, Notifier(), parts.prepare), runner)
            nursery.cancel_scope.cancel()
    finally:
        log.close()
        store.close()


async def test_what_is_in_order_is_in_force_and_on_record(
    tmp_path: Path, expect_log: ExpectedLogs
) -> None:
    expect_log(ACTED, level=20)
    async with open_desk(tmp_path) as desk:
        desk.write(f"{EXAMPLE}traffic: {{parallel: 5}}\n")
        told = await desk.desk.reload(Asked("ann", "only a look", dry_run=True))
        assert told["result"] == "dry run"
        assert [change["key"] for change in told["changes"]] == ["traffic.parallel"]
        assert desk.book.settings.traffic.parallel == 2
        assert (await desk.desk.reload(OPERATOR))["result"] == "applied"
        assert desk.book.settings.traffic.parallel == 5
        assert desk.book.history.settings == desk.book.settings.digest
        assert (await desk.desk.reload(OPERATOR))["result"] == "unchanged"
        kinds = [entry.kind for entry in desk.runner.store.find_history(HistoryWanted())]
        assert kinds.count("loaded") == 1


async def test_a_wrong_file_is_refused_whole(tmp_path: Path, expect_log: ExpectedLogs) -> None:
    expect_log(REFUSED, level=40)
    async with open_desk(tmp_path) as desk:
        before = desk.book.settings
        for wrong, said in (
            (f"{EXAMPLE}traffic: {{parallel: 0}}\nodd: 1\n", "(and 1 more)"),
            (EXAMPLE.replace("BILL", "LIBB"), "there is no pool /VAULT00/LIBB"),
            (EXAMPLE.replace("required: false", "hosts: {A: {access: file}}"), "needs file"),
            ("a: [", "not YAML"),
        ):
            desk.write(wrong)
            with pytest.raises(SettingsError):
                await desk.desk.reload(OPERATOR)
            assert desk.book.settings is before
            assert said in desk.runner.settings_file.trouble
        desk.write(EXAMPLE)
        await desk.desk.reload(OPERATOR)
        assert desk.runner.settings_file.trouble == ""


async def test_what_is_away_under_both_settings_is_no_fault_of_the_new_ones(
    tmp_path: Path, expect_log: ExpectedLogs
) -> None:
    expect_log(ACTED, level=20)
    async with open_desk(tmp_path) as desk:
        (desk.root / "backing" / "BILL").rmdir()
        desk.write(f"{EXAMPLE}traffic: {{parallel: 5}}\n")
        assert (await desk.desk.reload(OPERATOR))["result"] == "applied"


async def test_halves_that_contradict_each_other_are_refused(
    tmp_path: Path, expect_log: ExpectedLogs
) -> None:
    """The mount point moves with a restart alone; until then nothing else may lie there."""
    expect_log(REFUSED, level=40)
    async with open_desk(tmp_path) as desk:
        text = EXAMPLE.replace("mountpoint: ROOT/VAULT00", "mountpoint: ROOT/NEW")
        text = text.replace(
            "vaults:\n", "vaults:\n  VAULT01: {backing: ROOT/b1, mountpoint: ROOT/VAULT00}\n", 1
        )
        for name in ("NEW", "b1"):
            (desk.root / name).mkdir()
        desk.write(text)
        with pytest.raises(SettingsError, match="as long as the agent is not started again"):
            await desk.desk.reload(OPERATOR)


async def test_parts_follow_and_signals_ask(tmp_path: Path, expect_log: ExpectedLogs) -> None:
    expect_log(ACTED, level=20)
    async with open_desk(tmp_path) as desk:
        desk.write(EXAMPLE.replace("ems: {required: false}\n", HOST))

        async def hang_up() -> AsyncIterator[int]:
            yield 1

        await desk.desk.follow_signals(hang_up())
        assert desk.runner.settings_file.user == BY_SIGNAL
        await desk.runner.ask(lambda _: None)  # the link has begun by then
        assert list(desk.runner.tallies) == ["DEV2"]
        desk.write(EXAMPLE)
        told = await desk.desk.reload(OPERATOR)
        assert told["begun_anew"] == ["link to DEV2"]
        assert not desk.runner.tallies


async def test_a_reload_that_nobody_waits_for_is_done_to_its_end(
    tmp_path: Path, expect_log: ExpectedLogs
) -> None:
    """As when the state's disk is full for longer than an operator is kept waiting."""
    expect_log(ACTED, level=20)

    async def never() -> AsyncIterator[int]:
        await trio.sleep_forever()
        yield 1  # type: ignore[unreachable]  # what makes this a generator

    async with open_desk(tmp_path) as desk, trio.open_nursery() as nursery:
        nursery.start_soon(desk.desk.follow_signals, never())
        await trio.testing.wait_all_tasks_blocked()
        desk.write(EXAMPLE.replace("ems: {required: false}\n", HOST))
        assert (await desk.desk.asked("ann", "a look", True))["result"] == "dry run"
        with trio.CancelScope() as patience:
            patience.cancel()
            await desk.desk.asked("ann", "a test", False)
        with trio.fail_after(10):
            while "DEV2" not in desk.runner.tallies:
                await desk.runner.ask(lambda _: None)
        assert desk.runner.settings_file.user == "ann"
        desk.write("a: [")
        with pytest.raises(SettingsError):
            await desk.desk.asked("ann", "a test", True)
        nursery.cancel_scope.cancel()


async def test_a_password_alone_that_is_another_is_an_act_on_record_too(
    tmp_path: Path, expect_log: ExpectedLogs
) -> None:
    expect_log(ACTED, level=20)

    async def prepare(_: settings.Settings) -> Callable[[], Awaitable[list[str]]]:
        return follow

    async def follow() -> list[str]:
        return ["link to DEV2"]

    async with open_desk(tmp_path) as desk:
        again = SettingsDesk(desk.desk.path, desk.runner, Notifier(), prepare)
        assert (await again.reload(OPERATOR))["result"] == "applied"
        (act,) = desk.runner.store.find_history(HistoryWanted(kinds=("action",)))
        assert (act.facts["user"], act.facts["new"]) == ("ann", "begun anew: link to DEV2")


async def test_the_same_fault_is_told_once_an_hour_however_often_it_is_met(
    tmp_path: Path, expect_log: ExpectedLogs
) -> None:
    expect_log(REFUSED, level=40)
    async with open_desk(tmp_path) as desk:
        for text in ("a: [", "a: [", "b: [[", "a: ["):
            desk.write(text)
            with pytest.raises(SettingsError):
                await desk.desk.reload(Asked(BY_SIGNAL, "a test"))
        log = desk.book.settings.paths.event_log.read_text()
        assert log.count("|624182|") == 2


async def test_a_signal_for_a_wrong_file_is_told_in_the_journal(
    tmp_path: Path, expect_log: ExpectedLogs
) -> None:
    expect_log("the settings stay as they were", level=40)
    expect_log(REFUSED, level=40)
    async with open_desk(tmp_path) as desk:
        desk.write("a: [")

        async def hang_up() -> AsyncIterator[int]:
            yield 1

        await desk.desk.follow_signals(hang_up())
        assert "not YAML" in desk.runner.settings_file.trouble


async def test_a_fault_of_ours_in_the_middle_ends_the_agent(
    tmp_path: Path, expect_log: ExpectedLogs
) -> None:
    """Half of the settings may be in force: whoever starts it again starts it with all of the file."""
    expect_log("could not be taken over", level=50)
    async with open_desk(tmp_path) as desk:
        del desk.runner.engine.requests  # whatever it may be
        desk.write(f"{EXAMPLE}traffic: {{parallel: 5}}\n")
        with pytest.raises(SystemExit):
            await desk.desk.reload(OPERATOR)
