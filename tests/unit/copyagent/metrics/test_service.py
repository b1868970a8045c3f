"""The figures are offered where the settings say, and what was copied before counts from the start."""

from pathlib import Path

import trio

from copyagent.core.book import Book
from copyagent.core.engine import Engine
from copyagent.core.history import Entry, Kind
from copyagent.core.time import Moment
from copyagent.metrics.service import offer_figures
from copyagent.runner import Runner
from copyagent.ssh.sftp import connect
from copyagent.state.store import Changes, open_store
from tests.support.example_settings import EXAMPLE, example_settings
from tests.support.expected_logs import ExpectedLogs
from vtsfs.contract import messages
from vtsfs.runtime.eventlog import EventLog

SCRAPE = b"GET /metrics HTTP/1.1\r\n\r\n"


def now() -> Moment:
    return Moment(trio.current_time(), int(trio.current_time() * 1e9))


async def lines_of(path: Path) -> list[str]:
    """Ask for the figures at *path* as soon as somebody answers there."""
    for _ in range(1000):
        try:
            stream = await trio.open_unix_socket(path)
        except OSError:
            await trio.sleep(0.01)
            continue
        async with stream:
            await stream.send_all(SCRAPE)
            told = b""
            while piece := await stream.receive_some(65536):
                told += piece
            return told.decode().splitlines()
    raise AssertionError(f"nobody answers on {path}")


async def serve_and_ask(root: Path, listen: Path) -> tuple[Runner, list[str]]:
    made = example_settings(root, EXAMPLE + f"metrics: {{listen: {listen}}}\n")
    store, _ = open_store(root / "agent.sqlite", "now")
    changes = Changes()
    changes.put_history(
        [Entry(1, 5_000_000_000, Kind.COPIED, "/VAULT00/BILL/X00001", "drsite", 1, "", {})]
    )
    store.commit(changes)
    log = EventLog(made.paths.event_log, made.system, program="copyagent")
    runner = Runner(Engine(Book(made)), store, log, connect, now)
    found: list[str] = []
    try:
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                await nursery.start(runner.run)
                nursery.start_soon(offer_figures, made, runner)
                if not listen.exists():
                    found = await lines_of(listen)
                else:
                    await trio.testing.wait_all_tasks_blocked(0.05)
                    await runner.ask(lambda _: None)
                nursery.cancel_scope.cancel()
    finally:
        log.close()
        store.close()
    return runner, found


async def test_the_figures_are_offered_and_the_last_copy_is_of_before(scratch: Path) -> None:
    _, lines = await serve_and_ask(scratch, scratch / "metrics.sock")
    way = '{pool="/VAULT00/BILL",target="drsite"}'
    assert f"vts_autocopy_last_copy_timestamp_seconds{way} 5.0" in lines
    assert f"vts_autocopy_unprotected_tapes{way} 0.0" in lines


async def test_a_place_that_cannot_be_had_is_told_in_the_event_log(
    scratch: Path, expect_log: ExpectedLogs
) -> None:
    expect_log("cannot be offered", level=30)
    (scratch / "metrics.sock").write_text("in the way")
    runner, _ = await serve_and_ask(scratch, scratch / "metrics.sock")
    number = messages.METRICS_UNAVAILABLE.id
    assert runner.event_log.written[number] == 1
    (line,) = [x for x in (scratch / "event.log").read_text().splitlines() if f"|{number}|" in x]
    assert str(scratch / "metrics.sock")[:20] in line


async def test_nothing_is_offered_where_the_settings_do_not_say_so(scratch: Path) -> None:
    made = example_settings(scratch, EXAMPLE)
    store, _ = open_store(scratch / "agent.sqlite", "now")
    log = EventLog(made.paths.event_log, made.system, program="copyagent")
    with trio.fail_after(5):
        await offer_figures(made, Runner(Engine(Book(made)), store, log, connect, now))
    log.close()
    store.close()
