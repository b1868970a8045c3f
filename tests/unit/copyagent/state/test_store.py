"""The agent's state: what is committed is there again, and what is damaged is noticed."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from copyagent.core import tape as states
from copyagent.core.book import Acknowledged
from copyagent.core.calls import Call, Calls
from copyagent.core.commands import Say
from copyagent.core.copying import HoldReason, PublishedCopy, TargetStamp, WaitReason
from copyagent.core.floods import Floods, Matter, Run
from copyagent.core.gates import Pause
from copyagent.core.host_events import (
    LinkTrouble,
    MountRequested,
    Printed,
    Ring,
    TapeDismounted,
)
from copyagent.core.host_mounts import HostMounts
from copyagent.core.journal import KEPT, Journal, Reports
from copyagent.core.licence import LicenceMemory
from copyagent.core.link import Link
from copyagent.core.owed import BehindAlarm
from copyagent.core.records import CopyRecord, Judgement, TapeRecord
from copyagent.core.time import Moment
from copyagent.core.uncovered import CoverAlarm
from copyagent.core.witness import Evidence, Session, Verdict
from copyagent.state import schema
from copyagent.state.encoding import MOUNTS, RECORD, decode, encode
from copyagent.state.mount_rows import MountRows
from copyagent.state.store import Changes, open_store
from vtsfs.contract import messages
from vtsfs.contract.errors import StateError
from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Access, Identity, Kind, Signal
from vtsfs.runtime.releases import running_release

TAPE = TapeId("VAULT00", "BILL", "X00001")
IDENTITY = Identity(1, 2, 3, 4, 5)
STAMP = TargetStamp(3, 1_600_000_000, "12:34")
PUBLISHED = PublishedCopy(4, IDENTITY, 3, "aa", STAMP, "sha256", 99)
LATER = Moment(12.5, 1_700_000_000_000_000_000)

EVERY_STATE: list[states.State] = [
    states.Clean(),
    states.Unsynced(),
    states.Queued(1, 2),
    states.Copying(1, 2, 3),
    states.Retrying(1, 2, "cause", "next", LATER),
    states.Failed(1, 12, "cause", "next", True, 3),
    states.Waiting(1, 2, WaitReason.FENCED, "detail", LATER),
    states.Held(1, HoldReason.TARGET_CHANGED, "detail", 3, STAMP),
    states.Cancelled(1, "anna", "not wanted", 3),
    states.Superseded(1),
    states.Copied(1, 3),
    states.Kept("erased", 3),
    states.Unmonitored(),
]


def full_record(state: states.State) -> TapeRecord:
    """Make a record in which every field holds something."""
    session = Session("s1", Access.WRITE, 5, IDENTITY, 6, IDENTITY, True, 7, False)
    record = TapeRecord(
        TAPE,
        generation=3,
        identity=IDENTITY,
        open={"s2": Session("s2", Access.READ, 8)},
        evidence=Evidence((session,), ("cut off",), received=True, began=1.0, quiet_since=2.0),
        unconfirmed=(session,),
        judgement=Judgement(Verdict.AGREED, "wrote", "dismounted", 9, 3, (session,), ("x",)),
        copies={"drsite": CopyRecord(state, PUBLISHED, PUBLISHED, STAMP, "there", 78)},
        behind_ns=77,
        warned_open=True,
    )
    record.note(10, "seen")
    return record


@pytest.mark.parametrize("state", EVERY_STATE, ids=lambda state: state.kind)
def test_a_record_is_the_same_after_writing_and_reading(state: states.State) -> None:
    record = full_record(state)
    again = decode(RECORD, encode(RECORD, record), "it")
    assert again == record
    assert type(again.copies["drsite"].state) is type(state)


def test_every_state_is_tried() -> None:
    assert {type(state) for state in EVERY_STATE} == set(states.State.__args__)


def heard_link() -> Link:
    """A link that was up, said something, and was lost long enough to be told."""
    link = Link(up=True, since_ns=5, gaps=2, gap="a burst", trouble="gone")
    link.kind = LinkTrouble.DISCONNECTED
    link.memory.came_up()
    printed = Printed("$ZSVR", "TANDEM.TAPE.G06", 659, "STATUS 1512 - X00001 TAPE DISMOUNTED")
    at = "06-09-14 22:00:01"
    link.memory.heard(TapeDismounted("DEV2", "X00001", None, printed_at=at, printed=printed))
    link.alarm.lost(Moment(5.0, 5 * 10**9), 60.0)
    link.alarm.due(Moment(65.0, 65 * 10**9), 60.0, 3600.0)
    return link


def test_what_is_committed_is_there_after_reopening(tmp_path: Path) -> None:
    path = tmp_path / "agent.sqlite"
    store, aside = open_store(path, "now")
    mounts = HostMounts()
    mounts.handle(MountRequested("DEV2", 42, "X00001", Ring.WITH_RING), 5)
    changes = Changes()
    changes.put_record(full_record(states.Queued(3)))
    changes.put_mounts(mounts, MountRows())
    changes.put_acks({"VAULT00": Acknowledged("box", 17)})
    changes.put_baselines({"VAULT00"})
    behind = {(TAPE.pool_id, "drsite"): BehindAlarm(1, 2)}
    changes.put_behind(behind)
    pauses = {"drsite": Pause("drsite", "root", "line works", 5, 9, 4.0, finish=True)}
    changes.put_pauses(pauses)
    licence = LicenceMemory(5, "digest", "serial 1", "2026-01-01", "2026-11-23", unlicensed=True)
    changes.put_licence(licence)
    links = {"DEV2": heard_link()}
    changes.put_links(links)
    store.commit(changes)
    store.close()
    store, aside = open_store(path, "now")
    known = store.load()
    store.close()
    assert aside is None
    assert known.records == {TAPE: full_record(states.Queued(3))}
    assert known.mounts == mounts
    assert known.acks == {"VAULT00": Acknowledged("box", 17)}
    assert known.baselines == {"VAULT00"}
    assert known.licence == licence
    assert known.behind == behind
    assert known.pauses == pauses
    assert known.links == links


def test_a_dropped_record_is_gone(tmp_path: Path) -> None:
    store, _ = open_store(tmp_path / "agent.sqlite", "now")
    changes = Changes()
    changes.put_record(full_record(states.Clean()))
    store.commit(changes)
    changes = Changes()
    changes.drop_record(TAPE)
    store.commit(changes)
    assert store.load().records == {}
    store.close()


def test_what_is_no_utf_8_does_not_keep_anything_from_being_saved(tmp_path: Path) -> None:
    """Somebody mounts a file system with such a name over a vault, and that is to be told."""
    store, _ = open_store(tmp_path / "agent.sqlite", "now")
    cause = "another file system is mounted over it (tmpfs \udcff)"
    changes = Changes()
    changes.put_message(Say(messages.NOT_COVERED, {"vault": "VAULT00", "detail": cause}), 1)
    changes.put_uncovered({"VAULT00": CoverAlarm(1, cause=cause)})
    store.commit(changes)
    (left,) = store.unwritten()
    told = cause.replace("\udcff", "?")
    assert (left.say.fields["detail"], store.load().uncovered["VAULT00"].cause) == (told, told)
    store.close()


def test_what_only_a_later_release_tells_of_is_left_out(tmp_path: Path) -> None:
    store, _ = open_store(tmp_path / "agent.sqlite", "now")
    changes = Changes()
    floods = Floods({Matter(899999, "x", ""): Run(LATER), Matter(624120, "x", ""): Run(LATER)})
    changes.put_floods(floods)
    calls = Calls([Call(1, 1, 899999, {}), Call(2, 1, 624120, {})], newest=2, left_out=1)
    changes.put_calls(calls)
    store.commit(changes)
    known = store.load()
    assert [matter.id for matter in known.floods.runs] == [624120]
    assert ([call.id for call in known.calls.waiting], known.calls.left_out) == ([624120], 2)
    store.close()


def test_messages_stay_until_they_are_written(tmp_path: Path) -> None:
    store, _ = open_store(tmp_path / "agent.sqlite", "now")
    say = Say(messages.LINK_UP, {"host": "DEV2"})
    changes = Changes()
    changes.put_message(say, 5)
    changes.put_message(Say(messages.LINK_LOST, {"host": "DEV2", "cause": "x"}), 6)
    numbers = store.commit(changes)
    assert [left.number for left in store.unwritten()] == numbers
    assert store.unwritten()[0].say == say
    changes = Changes()
    changes.written = numbers[:1]
    store.commit(changes)
    assert [left.say.message for left in store.unwritten()] == [messages.LINK_LOST]
    store.close()


def test_a_damaged_file_is_set_aside_and_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "agent.sqlite"
    path.write_bytes(b"this is no database" * 100)
    store, aside = open_store(path, "20261122T030000Z")
    assert aside == tmp_path / "agent.sqlite.damaged-20261122T030000Z"
    assert aside.read_bytes().startswith(b"this is no database")
    assert store.load().records == {}
    store.close()


def test_a_newer_schema_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "agent.sqlite"
    store, _ = open_store(path, "now")
    store.close()
    database = sqlite3.connect(path)
    with database:
        database.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
        database.execute("UPDATE meta SET value = '9.9.0-1' WHERE key = 'release'")
    database.close()
    before = path.read_bytes()
    with pytest.raises(StateError) as caught:
        open_store(path, "now")
    told = str(caught.value)
    assert f"{path} was written by release 9.9.0-1 in schema 99" in told
    assert f"{running_release()}, knows 2 at most: nothing was changed" in told
    assert "Install the later release again" in told
    assert f"move the directory {tmp_path} away" in told
    assert path.read_bytes() == before


@pytest.mark.parametrize("change", ["DELETE FROM meta", "UPDATE meta SET value = 'x'"])
def test_a_state_that_does_not_say_its_schema_is_refused_too(tmp_path: Path, change: str) -> None:
    path = tmp_path / "agent.sqlite"
    store, _ = open_store(path, "now")
    store.close()
    database = sqlite3.connect(path)
    with database:
        database.execute(f"{change} WHERE key = 'schema'")
    database.close()
    with pytest.raises(StateError, match=r"in schema (unknown|x)"):
        open_store(path, "now")


def test_a_state_says_which_release_opened_it_last(tmp_path: Path) -> None:
    path = tmp_path / "agent.sqlite"
    open_store(path, "now")[0].close()
    database = sqlite3.connect(path)
    with database:
        database.execute("UPDATE meta SET value = '0.1.9' WHERE key = 'release'")
    open_store(path, "now")[0].close()
    found = database.execute("SELECT value FROM meta WHERE key = 'release'").fetchone()
    database.close()
    assert found == (running_release(),)


def test_a_record_of_another_shape_is_refused_with_advice(tmp_path: Path) -> None:
    path = tmp_path / "agent.sqlite"
    store, _ = open_store(path, "now")
    changes = Changes()
    changes.records[str(TAPE)] = '{"tape": 1}'
    store.commit(changes)
    with pytest.raises(StateError, match="move the state away"):
        store.load()
    store.close()


def test_a_directory_that_is_missing_is_an_error_of_ours(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="cannot be opened"):
        open_store(tmp_path / "nowhere" / "agent.sqlite", "now")


def test_every_commit_survives_a_power_cut(tmp_path: Path) -> None:
    """Ask SQLite for its settings: WAL with synchronous=FULL (2) syncs at every commit."""
    store, _ = open_store(tmp_path / "agent.sqlite", "now")
    database = store._db
    assert database.execute("PRAGMA synchronous").fetchone() == (2,)
    assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    store.close()
    assert schema.SCHEMA == 2


def test_what_hosts_said_comes_back_and_only_the_newest_is_kept(tmp_path: Path) -> None:
    journal = Journal()
    printed = Printed("$ZSVR", "TANDEM.TAPE.G06", 659, "STATUS 1512 - X00001 TAPE DISMOUNTED")
    event = TapeDismounted("DEV2", "X00001", None, node="\\DEV2", printed=printed)
    for second in range(KEPT + 10):
        journal.add(event, [str(TAPE)], Moment(second, second))
    store, _ = open_store(tmp_path / "agent.sqlite", "now")
    changes = Changes()
    changes.put_heard(journal.news(0.0, along=True))
    assert not changes.empty
    store.commit(changes)
    store.close()
    store, _ = open_store(tmp_path / "agent.sqlite", "now")
    assert list(store.load().journal.entries) == list(journal.entries)
    store.close()
    with closing(sqlite3.connect(tmp_path / "agent.sqlite")) as database, database:
        assert database.execute("SELECT count(*) FROM heard").fetchone() == (KEPT,)


def test_a_state_from_before_the_journal_gets_one(tmp_path: Path) -> None:
    open_store(tmp_path / "agent.sqlite", "now")[0].close()
    with closing(sqlite3.connect(tmp_path / "agent.sqlite")) as database, database:
        database.execute("DROP TABLE heard")
    store, _ = open_store(tmp_path / "agent.sqlite", "now")
    assert store.load().journal.newest == 0
    store.close()


def test_what_overlays_reported_comes_back_without_its_extents(tmp_path: Path) -> None:
    reports = Reports()
    signal = Signal(
        Kind.CHANGED, "VAULT00", "BILL", "X00001", "boot", 5, 6, IDENTITY, extents=((0, 4096),)
    )
    for second in range(KEPT + 10):
        reports.add(signal, Moment(second, second))
    store, _ = open_store(tmp_path / "agent.sqlite", "now")
    changes = Changes()
    changes.put_reported(reports.news(0.0, along=True))
    assert not changes.empty
    store.commit(changes)
    store.close()
    store, _ = open_store(tmp_path / "agent.sqlite", "now")
    assert list(store.load().reports.entries) == list(reports.entries)
    assert reports.entries[-1].signal == replace(signal, extents=None)
    store.close()


def test_mounts_that_were_one_document_become_rows(tmp_path: Path) -> None:
    path = tmp_path / "agent.sqlite"
    mounts = HostMounts()
    mounts.handle(MountRequested("DEV2", 42, "X00001", Ring.NO_RING), 5)
    store, _ = open_store(path, "now")
    store.commit(Changes(knowledge={"mounts": encode(MOUNTS, mounts)}))
    store.close()
    for _ in range(2):
        store, _ = open_store(path, "now")
        known = store.load().mounts
        store.close()
        assert known == mounts
    with closing(sqlite3.connect(path)) as database, database:
        assert database.execute("SELECT * FROM knowledge").fetchall() == []
    database.close()
