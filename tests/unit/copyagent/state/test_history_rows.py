"""The history as rows: pages, conditions, bounds, and reading beside the writer."""

from pathlib import Path

import pytest

from copyagent.core.history import KEPT_MOST, KEPT_S, Entry, Kind
from copyagent.state.history_rows import HistoryWanted
from copyagent.state.store import Changes, Store, open_store
from vtsfs.contract.errors import StateError

DAY_NS = 86_400_000_000_000


def entry(
    number: int, tape: str = "/VAULT00/BILL/X00001", at_ns: int = 0, kind: str = "copied"
) -> Entry:
    return Entry(
        number, at_ns or number, kind, tape, "drsite", number, "", {"sent": 5, "cause": None}
    )


def saved(store: Store, *entries: Entry) -> None:
    changes = Changes()
    changes.put_history(list(entries))
    assert not changes.empty
    store.commit(changes)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agent.sqlite"


def numbers(store: Store, **wanted: object) -> list[int]:
    return [e.number for e in store.find_history(HistoryWanted(**wanted))]  # type: ignore[arg-type]  # shorter


def test_what_is_saved_is_there_again(path: Path) -> None:
    store, _ = open_store(path, "now")
    saved(store, entry(1), entry(2))
    store.close()
    store, _ = open_store(path, "now")
    assert store.load().history_newest == 2
    assert store.find_history(HistoryWanted()) == [entry(1), entry(2)]
    store.close()


def test_without_any_the_numbers_begin_at_one(path: Path) -> None:
    store, _ = open_store(path, "now")
    assert store.load().history_newest == 0
    assert numbers(store) == []
    store.close()


def test_every_condition_and_every_page(path: Path) -> None:
    store, _ = open_store(path, "now")
    saved(
        store,
        entry(1),
        entry(2, "/VAULT00/BILL/X00002", kind=Kind.FAILED),
        entry(3, "/VAULT00/BILL2/X00001"),
        entry(4, "/VAULT00/BIL/X00001"),
        entry(5),
        entry(6, "/VAULT00/BILL/X00002", kind=Kind.HELD),
    )
    assert numbers(store, tape="/VAULT00/BILL/X00001") == [1, 5]
    assert numbers(store, pool="/VAULT00/BILL") == [1, 2, 5, 6]
    assert numbers(store, kinds=("failed", "held")) == [2, 6]
    assert numbers(store, since_ns=4) == [4, 5, 6]
    assert numbers(store, pool="/VAULT00/BILL", last=2) == [5, 6]
    assert numbers(store, last=50) == [1, 2, 3, 4, 5, 6]
    assert numbers(store, last=5, most=2) == [2, 3]
    assert numbers(store, after=3, most=2) == [4, 5]
    assert numbers(store, after=5, most=2) == [6]
    store.close()


def test_what_is_too_old_or_too_much_is_dropped(path: Path) -> None:
    store, _ = open_store(path, "now")
    saved(store, entry(1, at_ns=DAY_NS), entry(2, at_ns=DAY_NS + 1))
    saved(store, entry(3, at_ns=DAY_NS + 1 + KEPT_S * 1_000_000_000))
    assert numbers(store) == [2, 3]
    saved(store, entry(3 + KEPT_MOST, at_ns=10 * KEPT_S * 1_000_000))
    assert numbers(store) == [3 + KEPT_MOST]
    store.close()


def test_who_reads_cannot_write(path: Path) -> None:
    store, _ = open_store(path, "now")
    saved(store, entry(1))

    def delete() -> None:
        with store._reader() as reader:
            reader.execute("DELETE FROM history")

    with pytest.raises(StateError, match="readonly"):
        delete()
    assert numbers(store) == [1]
    store.close()


def test_a_time_ends_before_its_end(path: Path) -> None:
    store, _ = open_store(path, "now")
    saved(store, *(entry(number, at_ns=10 * number) for number in range(1, 6)))
    assert numbers(store, since_ns=20, until_ns=40) == [2, 3]
    assert numbers(store, until_ns=10) == []
    assert numbers(store, until_ns=41, last=1) == [4]
    store.close()
