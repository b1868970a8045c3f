"""The history as rows: pages, conditions, bounds, and reading beside the writer."""

from pathlib import Path

import pytest

from copyagent.core.history import Cut, Entry, History, Kind
from copyagent.state.history_check import check_file
from copyagent.state.history_rows import HistoryWanted
from copyagent.state.store import Changes, Store, open_store
from vtsfs.contract.errors import StateError


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


def chained(store: Store, *times_ns: int) -> History:
    history = History()
    for at_ns in times_ns:
        history.add(Kind.FAILED, at_ns)
    saved(store, *history.news())
    return history


def test_what_is_too_old_or_too_much_may_go_from_the_oldest_on(path: Path) -> None:
    store, _ = open_store(path, "now")
    assert store.prunable(2**62, 0, 10) is None
    history = chained(store, 10, 20, 5, 40, 15)
    values = [entry.chain for entry in store.find_history(HistoryWanted())]
    assert store.prunable(10, 0, 10) is None
    assert store.prunable(11, 0, 10) == Cut(1, 1, 10, values[0])
    assert store.prunable(40, 0, 10) == Cut(1, 3, 5, values[2]), "what is behind a young one stays"
    assert store.prunable(0, 4, 10) == Cut(1, 4, 40, values[3])
    assert store.prunable(2**62, 0, 2) == Cut(1, 2, 20, values[1])
    cut = store.prunable(40, 0, 10)
    assert cut is not None
    history.prune(cut, 50)
    saved(store, *history.news())
    assert numbers(store) == [4, 5, 6]
    (entry,) = store.find_history(HistoryWanted(kinds=(Kind.PRUNED,)))
    assert entry.facts == {
        "count": 3,
        "first": 1,
        "last": 3,
        "until": "1970-01-01T00:00:00Z",
        "value": values[2],
    }
    store.close()
    assert check_file(path).faults == []


def test_the_end_of_a_run_comes_behind_what_is_durable(path: Path) -> None:
    store, _ = open_store(path, "now")
    history = chained(store, 10)
    history.add(Kind.FAILED, 11)
    saved(store, *store.ending(history, 12, "by SIGTERM"))
    store.close()
    assert check_file(path).faults == []
    store, _ = open_store(path, "now")
    (_, ended) = store.find_history(HistoryWanted())
    assert (ended.number, ended.kind, ended.facts) == (2, Kind.STOPPED, {"how": "by SIGTERM"})
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
