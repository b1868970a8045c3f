"""The shelf's rows: always of the records as they are, whoever wrote them, and made anew when they are not."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from copyagent.core.records import TapeRecord
from copyagent.core.tape import Queued
from copyagent.state.encoding import RECORD, encode
from copyagent.state.store import Changes, Store, open_store
from tests.support.histories import SECOND, TAPE
from tests.support.many_tapes import lived_in
from vtsfs.contract.errors import StateError
from vtsfs.contract.naming import TapeId

FORMER = Path(__file__).parents[3] / "golden" / "agent-state-1.sqlite"
"""The state of an agent that knew no shelf: a copied tape, one that was never synced, a queued one."""


@contextmanager
def opened(directory: Path) -> Iterator[Store]:
    store, aside = open_store(directory / "agent.sqlite", "never")
    assert aside is None
    try:
        yield store
    finally:
        store.close()


def save(store: Store, *saved: TapeRecord) -> None:
    changes = Changes()
    for record in saved:
        changes.put_record(record)
    store.commit(changes)


def queued() -> TapeRecord:
    record = lived_in()
    record.tape = SECOND
    record.behind_ns = 5
    for copy in record.copies.values():
        copy.state, copy.owed_ns = Queued(2), 5
    return record


def rows(directory: Path) -> dict[str, bool]:
    """Return, by tape, whether it can be known without its record."""
    with closing(sqlite3.connect(directory / "agent.sqlite")) as database:
        return {t: p is not None for t, p in database.execute("SELECT tape, packed FROM shelf")}


def test_only_what_is_not_at_rest_is_read_at_the_start(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        save(store, lived_in(), queued())
    assert rows(tmp_path) == {str(TAPE): True, str(SECOND): False}
    with opened(tmp_path) as store:
        shelf = store.load().records
        assert [record.tape for record in shelf.active()] == [SECOND]
        assert shelf[TAPE] == lived_in()
        assert dict(shelf) == {TAPE: lived_in(), SECOND: queued()}


def test_a_tape_that_is_not_at_rest_any_more_is_read_again(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        save(store, lived_in())
        save(store, replace(queued(), tape=TAPE))
    assert rows(tmp_path) == {str(TAPE): False}


def test_what_changes_within_one_transaction_is_kept_as_it_was_last(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        changes = Changes()
        changes.put_record(lived_in())
        changes.put_record(replace(queued(), tape=TAPE))
        changes.put_record(replace(lived_in(), tape=SECOND))
        changes.drop_record(SECOND)
        store.commit(changes)
    assert rows(tmp_path) == {str(TAPE): False}


def test_a_dropped_tape_leaves_the_shelf(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        save(store, lived_in())
        changes = Changes()
        changes.drop_record(TAPE)
        store.commit(changes)
        assert not store.load().records
    assert rows(tmp_path) == {}


def test_a_release_that_knows_no_shelf_may_write_meanwhile(tmp_path: Path) -> None:
    """A step back and forth again must not bring back what a tape was before it."""
    with opened(tmp_path) as store:
        save(store, lived_in())
    newer = replace(lived_in(), generation=7)
    with closing(sqlite3.connect(tmp_path / "agent.sqlite", isolation_level=None)) as database:
        row = (str(TAPE), encode(RECORD, newer))
        database.execute("INSERT OR REPLACE INTO tapes VALUES (?, ?)", row)
        assert rows(tmp_path) == {str(TAPE): False}
        database.execute("UPDATE shelf SET shape = '{}', packed = x'00'")
        database.execute("UPDATE tapes SET record = ?", row[1:])
    assert rows(tmp_path) == {str(TAPE): False}
    with opened(tmp_path) as store:
        assert store.load().records[TAPE].generation == 7
    assert rows(tmp_path) == {str(TAPE): True}


def test_rows_of_another_meaning_are_made_anew(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        save(store, lived_in(), queued())
    with closing(sqlite3.connect(tmp_path / "agent.sqlite", isolation_level=None)) as database:
        database.execute("UPDATE meta SET value = '0' WHERE key = 'shelf'")
        database.execute("UPDATE shelf SET shape = 'what?' WHERE shape IS NOT NULL")
    with opened(tmp_path) as store:
        assert dict(store.load().records) == {TAPE: lived_in(), SECOND: queued()}
    assert rows(tmp_path) == {str(TAPE): True, str(SECOND): False}


def test_a_crash_before_a_commit_leaves_the_shelf_as_the_records_are(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        save(store, lived_in())
        changes = Changes()
        changes.put_record(replace(queued(), tape=TAPE))
        changes.knowledge["not to be had"] = None  # type: ignore[assignment]  # the commit fails
        with pytest.raises(StateError):
            store.commit(changes)
    assert rows(tmp_path) == {str(TAPE): True}
    with opened(tmp_path) as store:
        assert store.load().records[TAPE] == lived_in()


def test_a_record_that_was_lost_is_named(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        save(store, lived_in())
        shelf = store.load().records
        with closing(sqlite3.connect(tmp_path / "agent.sqlite", isolation_level=None)) as database:
            database.execute("DELETE FROM tapes")
        with pytest.raises(StateError, match=str(TAPE)):
            shelf[TAPE]


def test_the_state_of_the_former_release_is_taken_over(tmp_path: Path) -> None:
    shutil.copy(FORMER, tmp_path / "agent.sqlite")
    with opened(tmp_path) as store:
        shelf = store.load().records
        states = {str(t): [c.state.kind for c in r.copies.values()] for t, r in shelf.items()}
        assert states == {
            "/VAULT00/BILL/X00001": ["copied"],
            "/VAULT00/BILL/X00002": ["unsynced"],
            "/VAULT00/PAY/X00003": ["queued"],
        }
        base = shelf[TAPE].copies["drsite"].base
        assert base is not None
        assert base.generation == 1
    known = rows(tmp_path)
    assert known == {
        "/VAULT00/BILL/X00001": True,
        "/VAULT00/BILL/X00002": True,
        "/VAULT00/PAY/X00003": False,
    }
    with opened(tmp_path) as store:
        assert [r.tape for r in store.load().records.active()] == [
            TapeId.parse("/VAULT00/PAY/X00003")
        ]
