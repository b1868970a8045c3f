"""Operators' requests, answered by an engine that runs (`answers` over a real store)."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from copyagent.answers import answer, question
from copyagent.control.errands import Release
from copyagent.control.inquiries import Copies, Doubt, History
from copyagent.control.licences import InstallLicence, ShowLicence
from copyagent.control.listings import Queue, Tapes
from copyagent.control.protocol import EngineRequest, Events, Explain, Request, Retry, Status
from copyagent.control.stopping import Cancel, Hold
from copyagent.control.traffic import Sync
from copyagent.core import on_record
from copyagent.core.book import Book
from copyagent.core.copying import CopyDone, CopyStopped, HoldReason, PublishedCopy, TargetStamp
from copyagent.core.engine import Engine
from copyagent.core.events import CopyEnded
from copyagent.core.host_events import HostEvent, TapeDismounted
from copyagent.core.records import CopyRecord, TapeRecord
from copyagent.core.tape import Approved, Cancelled, Copied, Held, HoldDecided, Started
from copyagent.core.time import Moment
from copyagent.ems.link_settings import LinkTally
from copyagent.runner import Runner
from copyagent.ssh.sftp import connect
from copyagent.state.encoding import ON_RECORD
from copyagent.state.store import Changes, open_store
from tests.support.example_settings import EXAMPLE, example_settings
from tests.support.expected_logs import ExpectedLogs
from vtsfs.contract.errors import NameUnknown, RequestFailed
from vtsfs.contract.naming import PoolId, TapeId
from vtsfs.contract.signals import Identity
from vtsfs.runtime.eventlog import EventLog

TAPE = TapeId("VAULT00", "BILL", "X00001")
COPY = PublishedCopy(
    0, Identity(1, 2, 5, 3, 4), 5, "", TargetStamp(5, 1), "size", 1_700_000_000_000_000_000
)
WITH_HOST = EXAMPLE.replace(
    "ems: {required: false}",
    "ems: {hosts: {DEV2: {address: 127.0.0.1, user: VTS.EMS, password_file: ROOT/password}}}",
)


@asynccontextmanager
async def asking_about_events(root: Path) -> AsyncIterator[Any]:
    """Run an agent that hears DEV2; hand it out, and a function that answers a request."""
    settings = example_settings(
        root, WITH_HOST.replace("{DEV2: {", "{DEV2: {timezone: Europe/Berlin, ")
    )
    store, _ = open_store(root / "agent.sqlite", "now")
    log = EventLog(settings.paths.event_log, settings.system, program="copyagent")

    def now() -> Moment:
        return Moment(trio.current_time(), 1_700_000_000_000_000_000)

    runner = Runner(Engine(Book(settings)), store, log, connect, now)
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(runner.run)
            yield runner, partial(_answer, runner)
            nursery.cancel_scope.cancel()
    finally:
        log.close()
        store.close()


async def _answer(runner: Runner, request: Request) -> Any:
    return await answer(runner, request, "root")


def dismounted(volume: str) -> HostEvent:
    return TapeDismounted("DEV2", volume, None, printed_at="06-09-14 22:00:01")


@asynccontextmanager
async def asking(root: Path) -> AsyncIterator[Any]:
    """Run an agent's engine and hand out a function that asks it as *root* would."""
    settings = example_settings(root, WITH_HOST)
    store, _ = open_store(root / "agent.sqlite", "now")
    log = EventLog(settings.paths.event_log, settings.system, program="copyagent")

    def now() -> Moment:
        return Moment(trio.current_time(), 1_700_000_000_000_000_000)

    runner = Runner(Engine(Book(settings)), store, log, connect, now)
    runner.tallies["DEV2"] = LinkTally(unrecognised=3, garbage_lines=4)

    async def ask(request: EngineRequest) -> Any:
        return await runner.ask(question(runner, request, "root"))

    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(runner.run)
            yield ask
            nursery.cancel_scope.cancel()
    finally:
        log.close()
        store.close()


async def test_the_status_counts_what_a_host_said_and_nobody_understood(tmp_path: Path) -> None:
    async with asking(tmp_path) as ask:
        document = await ask(Status())
    assert document["system"] == "TAPESRV1"
    assert document["hosts"][0]["unrecognised"] == 3
    assert document["hosts"][0]["garbage_lines"] == 4


@pytest.mark.parametrize(
    "request_", [Explain(TAPE), Retry(TAPE), Sync(TAPE), Release(TAPE, "looked at it")]
)
async def test_an_unknown_tape_is_refused_by_name(tmp_path: Path, request_: Request) -> None:
    async with asking(tmp_path) as ask:
        with pytest.raises((RequestFailed, NameUnknown), match=str(TAPE)):
            await ask(request_)


async def test_when_nothing_failed_or_lacks_a_copy_that_is_said(tmp_path: Path) -> None:
    async with asking(tmp_path) as ask:
        assert await ask(Retry(None)) == ["no copy has failed"]
        assert await ask(Sync(PoolId("VAULT00", "BILL"))) == ["/VAULT00/BILL: nothing to copy"]


async def test_what_is_asked_to_be_copied_without_a_licence_is_told_of_it(
    tmp_path: Path, expect_log: ExpectedLogs
) -> None:
    expect_log("Nothing is copied, no valid licence", logging.ERROR)
    async with asking_about_events(tmp_path) as (runner, ask):
        runner.engine.book.licence.required = True
        assert (await ask(Status()))["licence"]["standing"] == "missing"
        nothing, why = await ask(Retry(None))
        assert nothing == "no copy has failed"
        assert why.startswith("no copy without a licence: no licence is installed. Get a licence")
        assert (await ask(ShowLicence()))["copying"] is False
        with pytest.raises(RequestFailed, match="keeps no licence"):
            await ask(InstallLicence("x", "y"))


async def test_what_a_host_said_is_told_with_how_it_was_read(tmp_path: Path) -> None:
    async with asking_about_events(tmp_path) as (runner, ask):
        await runner.post(dismounted("X00001"))
        document = await ask(Events(wait=20.0))
        (event,) = document["events"]
        assert (document["oldest"], document["newest"], document["left_out"]) == (1, 1, 0)
        assert event["reading"] == "X00001 dismounted"
        assert event["printed_at_utc"] == "2006-09-14T20:00:01Z"
        assert (await ask(Events(tape=TAPE)))["events"] == [event]
        assert (await ask(Events(host="DEV3")))["events"] == []


async def test_an_answer_waits_for_something_to_tell(tmp_path: Path) -> None:
    async with asking_about_events(tmp_path) as (runner, ask), trio.open_nursery() as nursery:
        heard: list[str] = []

        async def listen() -> None:
            document = await ask(Events(tape=TAPE, wait=20.0))
            heard.extend(event["reading"] for event in document["events"])

        nursery.start_soon(listen)
        with trio.fail_after(10):
            while not runner.heard.statistics().tasks_waiting:
                await trio.lowlevel.checkpoint()
            await runner.post(dismounted("X00002"))
            await runner.post(dismounted("X00001"))
            nursery.cancel_scope.deadline = trio.current_time() + 10
    assert heard == ["X00001 dismounted"]


async def test_an_answer_does_not_wait_for_ever(tmp_path: Path) -> None:
    async with asking_about_events(tmp_path) as (_, ask):
        with trio.fail_after(10):
            assert (await ask(Events(wait=0.05)))["events"] == []


async def test_the_evidence_is_asked_of_what_is_durable(
    tmp_path: Path, expect_log: ExpectedLogs
) -> None:
    expect_log("624120", logging.ERROR)
    async with asking_about_events(tmp_path) as (runner, ask):
        book = runner.engine.book
        tapes = [TapeId("VAULT00", "BILL", f"X0000{n}") for n in range(1, 6)]

        def know(now: Moment) -> None:
            for tape in tapes:
                record = book.record(tape)
                held = HoldDecided(record.generation, HoldReason.CONFLICT, "two words")
                book.apply(record, "drsite", held, now)

        await runner.ask(know)
        first = await ask(Copies(TAPE.pool_id, most=3))
        rest = await ask(Copies(TAPE.pool_id, first["next"]))
        assert rest["next"] is None
        assert [copy["state"] for copy in rest["copies"]] == ["held", "held"]
        assert [
            ON_RECORD.validate_python(copy).tape for copy in (*first["copies"], *rest["copies"])
        ] == tapes
        assert (await ask(Copies(TapeId("VAULT00", "BILL", "X00009"))))["copies"] == []

        page = await ask(History(TAPE.pool_id, failed=True, most=3))
        assert [entry["number"] for entry in page["entries"]] == [1, 2, 3]
        page = await ask(History(TAPE.pool_id, kinds=("held",), after=page["next"]))
        assert [entry["kind"] for entry in page["entries"]] == ["held", "held"]
        assert page["next"] is None
        entry, alarm = (await ask(History(tapes[1])))["entries"]
        assert (alarm["kind"], alarm["message"]) == ("alarm", 624120)
        assert (entry["tape"], entry["reason"]) == (str(tapes[1]), "conflict")
        with pytest.raises(RequestFailed, match="nothing is on record"):
            await ask(Doubt(on_record.Doubt(TAPE, "drsite", 1, "bit rot")))


@pytest.mark.parametrize("kind", [Cancel, Hold])
@pytest.mark.parametrize("published", [False, True])
async def test_what_is_stopped_is_answered_when_its_end_is_durable(
    tmp_path: Path, kind: type[Cancel | Hold], expect_log: ExpectedLogs, *, published: bool
) -> None:
    expect_log("224170", logging.INFO)
    async with asking_about_events(tmp_path) as (runner, ask), trio.open_nursery() as nursery:
        book, told = runner.engine.book, list[str]()

        def begin(now: Moment) -> None:
            record = book.record(TAPE)
            book.apply(record, "drsite", Approved(record.generation, again=True), now)
            book.apply(record, "drsite", Started(), now)
            book.running[TAPE, "drsite"] = record.generation

        async def stop() -> None:
            told.extend(await ask(kind(TAPE, "not tonight", "drsite")))

        await runner.ask(begin)
        nursery.start_soon(stop)
        with trio.fail_after(10):
            while not runner.ended.statistics().tasks_waiting:
                await trio.lowlevel.checkpoint()
            assert told == []
            outcome = CopyDone(COPY, 5, 0.1) if published else CopyStopped("withdrawn")
            await runner.post(CopyEnded(TAPE, "drsite", outcome))
            nursery.cancel_scope.deadline = trio.current_time() + 10
    (answer_,) = told
    state = book.records[TAPE].copies["drsite"].state
    if published:
        assert "was being published already, so it is copied, and protected" in answer_
        assert isinstance(state, Copied)
    else:
        assert "stopped before anything was published" in answer_
        assert isinstance(state, Cancelled | Held)


async def test_tapes_at_rest_are_read_beside_the_engine(tmp_path: Path) -> None:
    settings = example_settings(tmp_path, WITH_HOST)
    store, _ = open_store(tmp_path / "agent.sqlite", "now")
    changes = Changes()
    tapes = [TapeId("VAULT00", "BILL", f"X0000{n}") for n in range(1, 4)]
    for tape in tapes:
        copy = CopyRecord(Copied(1, COPY.published_ns), base=COPY)
        changes.put_record(TapeRecord(tape, 1, COPY.source, copies={"drsite": copy}))
    store.commit(changes)
    records = store.load().records
    log = EventLog(settings.paths.event_log, settings.system, program="copyagent")

    def now() -> Moment:
        return Moment(trio.current_time(), 1_700_000_000_000_000_000)

    runner = Runner(Engine(Book(settings, records=records)), store, log, connect, now)
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(runner.run)
            page = await _answer(runner, Tapes(("copied",), after=tapes[0]))
            none = await _answer(runner, Tapes(("failed", "held (conflict)")))
            queue = await _answer(runner, Queue())
            nursery.cancel_scope.cancel()
    finally:
        log.close()
        store.close()
    assert [(each["tape"], each["state"]) for each in page["tapes"]] == [
        (str(tape), "copied") for tape in tapes[1:]
    ]
    assert page["tapes"][0]["since"] == "2023-11-14T22:13:20Z"
    assert (page["next"], none["tapes"]) == (None, [])
    assert [target["pending"] for target in queue["targets"]] == [0]
