"""Whoever acts leaves one event in the log and one entry in the history, whatever the request.

Every request that needs the right to act is tried: a new one without its record fails here.
"""

import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import click
import pytest
import trio

from copyagent.answers import answer
from copyagent.cli.commands import copyagent
from copyagent.control.admission import Right
from copyagent.control.errands import Adopt, AtTarget, Drilled, Release, Relocate, RollBack
from copyagent.control.inquiries import Doubt
from copyagent.control.licences import InstallLicence, RemoveLicence
from copyagent.control.protocol import NAMES, RIGHTS, Request, Retry
from copyagent.control.reloads import Reload
from copyagent.control.stopping import Cancel, Hold
from copyagent.control.traffic import Pause, Resume, Sync
from copyagent.core import on_record, tape
from copyagent.core.book import Book
from copyagent.core.chain import marks_at_end
from copyagent.core.copying import HoldReason, PublishedCopy, TargetStamp
from copyagent.core.engine import Engine
from copyagent.core.gates import Pause as Paused
from copyagent.core.history import Entry, Kind
from copyagent.core.licence import Permission, day_of
from copyagent.core.time import Moment
from copyagent.licence.desk import LicenceDesk
from copyagent.runner import Runner
from copyagent.ssh.sftp import connect
from copyagent.state.history_check import check_file
from copyagent.state.history_rows import HistoryWanted
from copyagent.state.store import open_store
from copyagent.taking_up import take_up
from tests.support.example_settings import example_settings
from tests.support.expected_logs import ExpectedLogs
from tests.support.histories import START_NS
from tests.support.licences import TERMS, Issuer
from vtsfs.contract import messages
from vtsfs.contract.errors import VtsError
from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Identity
from vtsfs.runtime.eventlog import EventLog
from vtsfs.runtime.late_acts import LateAct, leave

TAPE = TapeId("VAULT00", "BILL", "X00001")
OTHER = TapeId("VAULT00", "BILL", "X00002")
TARGET = "drsite"
BECAUSE = "the tests say so"
ISSUER = Issuer()
LICENCE = ISSUER.issue(
    replace(TERMS, issued=day_of(START_NS), expires=day_of(START_NS) + timedelta(365))
)
SOURCE = Identity(1, 2, 4096, START_NS, START_NS)
BASE = PublishedCopy(3, SOURCE, 4096, "", TargetStamp(4096, 1), "readback", published_ns=START_NS)


@dataclass(frozen=True, slots=True)
class Case:
    """A request, the state of two tapes before it, and what has to stand on record."""

    request: Request
    state: tape.State = field(default_factory=tape.Unsynced)
    action: str = ""
    about: str = ""
    old: str = ""
    new: str = ""
    because: str = BECAUSE


BOTH = f"{TAPE.pool_id}, 2 copies of 2 tapes"
ONE = f"{TAPE} to {TARGET}"
FAILED = tape.Failed(4, 12, "no room", "make some", unreachable=False, at_ns=START_NS)
HELD = tape.Held(4, HoldReason.CONFLICT, "two words", START_NS)
ELSEWHERE = tape.Held(4, HoldReason.LABEL_ELSEWHERE, "there", START_NS, place="/VAULT00/PAY/X00001")
QUEUED = tape.Queued(4)

CASES = [
    Case(Retry(TAPE, BECAUSE), FAILED, "retry", ONE, "failed", "queued"),
    Case(Retry(TAPE), FAILED, "retry", ONE, "failed", "queued", because="no reason given"),
    Case(Retry(None, BECAUSE), FAILED, "retry --failed", BOTH.replace(str(TAPE.pool_id), "all pools"),
         "2 failed", "2 queued"),
    Case(Sync(TAPE.pool_id, because=BECAUSE), action="sync", about=BOTH, old="2 unsynced",
         new="2 queued"),
    Case(Adopt(TAPE.pool_id, because=BECAUSE), action="adopt", about=BOTH, old="2 unsynced",
         new="2 queued"),
    Case(Pause(TARGET, BECAUSE), QUEUED, "pause", TARGET, "not paused", "paused"),
    Case(Resume(TARGET, BECAUSE), action="resume", about=TARGET, old="paused since", new="not paused"),
    Case(Release(TAPE, BECAUSE), HELD, "release", ONE, "held (conflict)", "queued"),
    Case(Relocate(TAPE, BECAUSE), ELSEWHERE, "relocate from /VAULT00/PAY/X00001:", ONE,
         "held (label elsewhere)", "queued"),
    Case(RollBack(TAPE, 2, BECAUSE), tape.Copied(4, START_NS), "rollback to generation 2:", ONE,
         "copied", "queued"),
    Case(Cancel(TAPE, BECAUSE), FAILED, "cancel", ONE, "failed", "cancelled"),
    Case(Hold(TAPE, BECAUSE), FAILED, "hold", ONE, "failed", "held"),
    Case(AtTarget("fence", TARGET, BECAUSE), action="fence", about=TARGET, old="in reach",
         new="fenced"),
    Case(AtTarget("unfence", TARGET, BECAUSE), action="unfence", about=TARGET, old="fenced",
         new="in reach"),
    Case(AtTarget("take-over", TARGET, BECAUSE), action="take-over", about=TARGET,
         old="another agent's", new="this agent's"),
    Case(AtTarget("fetch", TARGET, BECAUSE, f"{TAPE} generation 2 from {TARGET}"),
         action="fetch --replace", about=f"{TAPE} generation 2 from {TARGET}"),
    Case(Drilled(TARGET, BECAUSE, "VAULT00=ab"), action="drill", about=TARGET, new="VAULT00=ab"),
    Case(InstallLicence(LICENCE, BECAUSE), action="licence install", about="data-replication",
         old="none", new="until"),
    Case(RemoveLicence(BECAUSE), action="licence remove", about="data-replication", old="until",
         new="none"),
]  # fmt: skip

#: What leaves another record than `OPERATOR_ACTION`, or is tried where its desk is.
ELSEWHERE_TRIED: Mapping[type[Request], str] = {
    Doubt: "test_a_doubt_is_an_event_and_an_entry_of_its_own",
    Reload: "tests/end_to_end: a settings file and an agent that was started from it are needed",
}


def test_every_request_that_acts_is_tried() -> None:
    acting = {kind for kind, right in RIGHTS.items() if right is Right.ACT}
    assert acting == {type(case.request) for case in CASES} | ELSEWHERE_TRIED.keys()
    assert not {type(case.request) for case in CASES} & ELSEWHERE_TRIED.keys()


REQUIRED = {
    "release",
    "cancel",
    "hold",
    "fence",
    "unfence",
    "take-over",
    "relocate",
    "rollback",
    "pause",
}
MAY_HAVE = {"retry", "sync", "adopt", "resume", "reload", "drill", "fetch"}


def test_every_command_that_acts_takes_a_reason_and_some_have_to_have_one() -> None:
    assert copyagent.commands.keys() >= REQUIRED | MAY_HAVE
    acting = {NAMES[kind] for kind, right in RIGHTS.items() if right is Right.ACT}
    named = {name for name in acting if name in copyagent.commands}
    assert named <= REQUIRED | MAY_HAVE
    for name in REQUIRED | MAY_HAVE:
        options = {
            p.name: p for p in copyagent.commands[name].params if isinstance(p, click.Option)
        }
        assert options["because"].required == (name in REQUIRED), name


@asynccontextmanager
async def agent(root: Path, expect_log: ExpectedLogs) -> AsyncIterator[tuple[Runner, Path]]:
    """Run an agent without a licence: nothing can come of an act but its record."""
    expect_log("624160 Nothing is copied", logging.ERROR)
    settings = example_settings(root)
    path = root / "agent.sqlite"
    store, _ = open_store(path, "now")
    log = EventLog(settings.paths.event_log, settings.system, program="copyagent")

    def now() -> Moment:
        return Moment(trio.current_time(), START_NS)

    engine = Engine(Book(settings, licence=Permission(required=True)))
    runner = Runner(engine, store, log, connect, now)
    runner.licence_desk = LicenceDesk(
        root / "licence", [ISSUER.public], engine.licensing, runner.ask, lambda: START_NS
    )
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(runner.run)
            yield runner, path
            nursery.cancel_scope.cancel()
    finally:
        log.close()
        store.close()


def put_in(runner: Runner, state: tape.State) -> Callable[[Moment], None]:
    def put(_: Moment) -> None:
        book = runner.engine.book
        for name in (TAPE, OTHER):
            record = book.record(name)
            record.generation, record.identity = 4, SOURCE
            for copy in record.copies.values():
                copy.state = state
                copy.base = BASE
                copy.kept = (replace(BASE, generation=2),)

    return put


def pause(runner: Runner) -> Callable[[Moment], None]:
    def put(_: Moment) -> None:
        paused = Paused(TARGET, "anna", "why not", START_NS, finish=True)
        runner.engine.book.pauses[TARGET] = paused

    return put


def entries(runner: Runner) -> list[Entry]:
    return runner.store.find_history(HistoryWanted(kinds=(Kind.ACTION,)))


def events(runner: Runner, message: messages.Message) -> list[str]:
    log = runner.engine.book.settings.paths.event_log
    lines = log.read_text().splitlines() if log.exists() else []
    return [line for line in lines if f"|{message.id}|" in line]


@pytest.mark.parametrize("case", CASES, ids=lambda case: type(case.request).__name__)
async def test_one_event_and_one_entry(
    case: Case, tmp_path: Path, expect_log: ExpectedLogs
) -> None:
    expect_log("224170 anna: ", logging.INFO)
    async with agent(tmp_path, expect_log) as (runner, path):
        await runner.ask(put_in(runner, case.state))
        if isinstance(case.request, Resume):
            await runner.ask(pause(runner))
        if isinstance(case.request, RemoveLicence):
            await answer(runner, InstallLicence(LICENCE, "before"), "bert")
            expect_log("224170 bert: ", logging.INFO)
        known = len(entries(runner))
        await answer(runner, case.request, "anna")
        (entry,) = entries(runner)[known:]
        event = events(runner, messages.OPERATOR_ACTION)[-1]
    assert len(events(runner, messages.OPERATOR_ACTION)) == known + 1
    facts: dict[str, Any] = dict(entry.facts)
    old, new = str(facts.pop("old")), str(facts.pop("new"))
    assert facts == {
        "user": "anna",
        "action": case.action,
        "object": case.about,
        "because": case.because,
    }
    assert old.startswith(case.old)
    assert new.startswith(case.new)
    columns = event.split("|", 8)
    assert columns[6] == "anna"
    assert columns[8].startswith(f"anna: {case.action} ")
    (mark,) = marks_at_end(event)
    assert mark.number == entry.number
    assert entry.chain.startswith(mark.value)
    assert check_file(path, [mark]).faults == []


async def test_what_is_refused_is_not_on_record(tmp_path: Path, expect_log: ExpectedLogs) -> None:
    async with agent(tmp_path, expect_log) as (runner, _):
        await runner.ask(put_in(runner, tape.Clean()))
        for request in (Release(TAPE, BECAUSE), Relocate(TAPE, BECAUSE), Cancel(TAPE, BECAUSE)):
            with pytest.raises(VtsError):
                await answer(runner, request, "anna")
        assert await answer(runner, Retry(TAPE), "anna")
        assert await answer(runner, Sync(TAPE.pool_id, "missing"), "anna")
        assert await answer(runner, Sync(TAPE.pool_id, "all", dry_run=True), "anna")
        assert entries(runner) == []
        assert events(runner, messages.OPERATOR_ACTION) == []


async def test_a_doubt_is_an_event_and_an_entry_of_its_own(
    tmp_path: Path, expect_log: ExpectedLogs
) -> None:
    expect_log("624144", logging.ERROR)
    async with agent(tmp_path, expect_log) as (runner, _):
        await runner.ask(put_in(runner, tape.Copied(3, START_NS)))
        word = on_record.Doubt(TAPE, TARGET, START_NS, "bit rot")
        await answer(runner, Doubt(word), "anna")
        (entry,) = runner.store.find_history(HistoryWanted(kinds=(Kind.DOUBTED,)))
        assert entry.facts == {"cause": "bit rot", "user": "anna"}
        assert len(events(runner, messages.COPY_WRONG)) == 1


async def test_what_was_done_without_an_agent_goes_on_record_when_one_runs(
    tmp_path: Path, expect_log: ExpectedLogs
) -> None:
    expect_log("224170 anna: fence drsite", logging.INFO)
    expect_log("says of no act that can be read")
    acts = tmp_path / "acts"
    act = LateAct("anna", "fence", TARGET, BECAUSE, START_NS)
    async with agent(tmp_path, expect_log) as (runner, _):
        await take_up(runner, acts, set())
        leave(acts, act)
        await take_up(runner, acts, {path.name for path in acts.iterdir()})
        assert entries(runner) == [], (
            "it is on record and cannot be removed: not every minute again"
        )
        (acts / "0-garbled.json").write_text("{")
        await take_up(runner, acts, set())
        await take_up(runner, acts, set())
        (entry,) = entries(runner)
    assert (entry.facts["user"], entry.facts["action"]) == ("anna", "fence")
    assert str(entry.facts["because"]).startswith(f"{BECAUSE} (done at 20")
    assert [path.name for path in acts.iterdir()] == ["0-garbled.json.unreadable"]
    assert acts.stat().st_mode & 0o777 == 0o700
