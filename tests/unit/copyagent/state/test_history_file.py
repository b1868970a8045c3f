"""A state file is read without an agent, and beside one, and never written."""

from pathlib import Path

import pytest

from copyagent.core.history import History, Kind
from copyagent.state.history_file import find_in_file, open_read_only, state_file
from copyagent.state.history_rows import HistoryWanted
from copyagent.state.store import Changes, open_store
from tests.support.example_settings import example_settings
from vtsfs.contract.errors import StateError


def fill(path: Path, count: int = 3) -> None:
    store, _ = open_store(path, "now")
    history, changes = History(), Changes()
    for number in range(count):
        history.add(Kind.ALARM, number + 1, message=1)
    changes.put_history(history.news())
    store.commit(changes)
    store.close()


def test_pages_of_it(tmp_path: Path) -> None:
    path = tmp_path / "agent #1%.sqlite"
    fill(path)
    found = find_in_file(path, HistoryWanted(after=1, most=1))
    assert [entry.number for entry in found] == [2]


def test_beside_an_agent_that_writes(tmp_path: Path) -> None:
    path = tmp_path / "agent.sqlite"
    fill(path)
    store, _ = open_store(path, "now")
    assert len(find_in_file(path, HistoryWanted())) == 3
    store.close()


def test_what_is_no_state_file_is_told(tmp_path: Path) -> None:
    missing = tmp_path / "none.sqlite"
    with pytest.raises(StateError, match="there is no state file"):
        find_in_file(missing, HistoryWanted())
    assert not missing.exists()
    missing.write_bytes(b"rubbish" * 1000)
    with pytest.raises(StateError, match="cannot be read"):
        find_in_file(missing, HistoryWanted())


def test_nothing_can_be_written_through_it(tmp_path: Path) -> None:
    path = tmp_path / "agent.sqlite"
    fill(path)
    with pytest.raises(StateError), open_read_only(path) as database:
        database.execute("DELETE FROM history")
    assert len(find_in_file(path, HistoryWanted())) == 3


def test_where_it_lies(tmp_path: Path) -> None:
    settings = example_settings(tmp_path)
    assert state_file(settings) == settings.agent_directory() / "agent.sqlite"
