"""``copyagent history --verify`` and ``--settings``: by a state file alone, no agent runs here."""

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from copyagent.cli.commands import copyagent
from copyagent.core.history import History, Kind
from copyagent.state.store import Changes, open_store
from tests.support.example_settings import EXAMPLE
from vtsfs.contract import messages
from vtsfs.contract.settings import System, parse_settings
from vtsfs.runtime.eventlog import EventLog
from vtsfs.runtime.exits import run_cli

AT = 1_767_225_600_000_000_000
SETTINGS = "notify: {run: [/bin/page, s3cret]}  # hunter2\n"


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("COLUMNS", raising=False)
    path = tmp_path / "vts-autocopy.yaml"
    path.write_text(EXAMPLE.replace("ROOT", str(tmp_path)))
    return path


@pytest.fixture
def history(config: Path, tmp_path: Path) -> History:
    """A history of three entries in the state file, of which the event log has the second's mark."""
    settings = parse_settings(config.read_text(), "example")
    settings.agent_directory().mkdir(parents=True)
    made, changes = History(), Changes()
    made.loaded("ab" * 32, SETTINGS, how="start", user="vts", at_ns=AT)
    made.add(Kind.STOPPED, AT + 10**9, how="by SIGTERM")
    event_log = EventLog(settings.paths.event_log, System(name="TAPESRV1"), program="copyagent")
    event_log.write(messages.HISTORY_NOTED, now_ns=AT, number=2, mark=made.mark.short)
    event_log.write(
        messages.COPIED,
        now_ns=AT,
        tape="x",
        target="y",
        size="1",
        took="history 1:0123456789abcdef]",
    )
    event_log.close()
    made.add(Kind.STOPPED, AT + 2 * 10**9, how="by SIGTERM")
    changes.put_history(made.news())
    changes.put_settings(made.news_of_settings())
    store, _ = open_store(settings.agent_directory() / "agent.sqlite", "now")
    store.commit(changes)
    store.close()
    return made


def state(tmp_path: Path) -> Path:
    (path,) = tmp_path.rglob("agent.sqlite")
    return path


def run(config: Path, *args: str) -> int:
    words = ["--config", str(config), "history", *args]
    return run_cli(copyagent, program="copyagent", args=words)


def test_an_intact_history_and_what_to_note_down(
    config: Path, history: History, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(config, "--verify") == 0
    span = "from 2026-01-01T00:00:00Z to 2026-01-01T00:00:02Z"
    assert capsys.readouterr().out.splitlines() == [
        f"{state(tmp_path)}: intact: 3 entries, 1 to 3, {span}",
        f"Values noted down before, those of {tmp_path}/event.log among them, agree: 1.",
        f"To note down: {history.mark}. Later: copyagent history --verify --known {history.mark}",
    ]
    assert run(config, "--verify", "--known", str(history.mark)) == 0
    assert "agree: 2." in capsys.readouterr().out


def test_a_copy_is_checked_without_any_settings(
    history: History, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "elsewhere" / "copy.sqlite"
    copy.parent.mkdir()
    shutil.copy(state(tmp_path), copy)
    nowhere = tmp_path / "none.yaml"
    log = str(tmp_path / "event.log")
    assert run(nowhere, "--verify", "--file", str(copy), "--event-log", log, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {
        "schema": 1,
        "file": str(copy),
        "intact": True,
        "count": 3,
        "first": 1,
        "last": 3,
        "first_at": "2026-01-01T00:00:00Z",
        "last_at": "2026-01-01T00:00:02Z",
        "newest": str(history.mark),
        "chained_later": 0,
        "pruned": 0,
        "marks": 1,
        "marks_pruned": 0,
        "fault_count": 0,
        "faults": [],
    }


@pytest.mark.usefixtures("history")
def test_what_was_changed_is_told_and_the_exit_status_says_so(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(state(tmp_path))) as database, database:
        database.execute("UPDATE history SET entry = replace(entry, 'TERM', 'KILL')")
    assert run(config, "--verify") == 50
    told = capsys.readouterr()
    assert "NOT intact" in told.out
    assert "entry 2: was changed, or does not belong behind entry 1" in told.out
    assert "To note down" not in told.out
    assert "Keep a copy of the file and of the event log" in told.err
    assert run(config, "--verify", "--json") == 50
    assert json.loads(capsys.readouterr().out)["fault_count"] == 2


@pytest.mark.usefixtures("history")
def test_a_cut_off_end_shows_by_the_event_log(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with closing(sqlite3.connect(state(tmp_path))) as database, database:
        value = database.execute("SELECT chain FROM history WHERE number = 1").fetchone()[0]
        database.execute("DELETE FROM history WHERE number > 1")
        database.execute("UPDATE meta SET value = ? WHERE key = 'history'", (f"1:{value}",))
    assert run(config, "--verify", "--file", str(state(tmp_path))) == 0, "nothing to compare with"
    capsys.readouterr()
    assert run(config, "--verify") == 50
    assert "entry 2: was noted down as" in capsys.readouterr().out


@pytest.mark.usefixtures("history")
def test_settings_by_the_beginning_of_their_digest(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(config, "--settings", "ABAB") == 0
    told = capsys.readouterr()
    assert told.out == "notify:\n  run:\n  - /bin/page\n  - (left out)\n"
    assert "ab" * 32 in told.err
    assert run(config, "--settings", "00") == 2
    assert "no settings, or more than one" in capsys.readouterr().err


@pytest.mark.parametrize(
    "args",
    [
        ("--verify", "--known", "5"),
        ("--verify", "--known", "5:abc"),
        ("--known", "5:0123456789abcdef"),
        ("--file", "x"),
    ],
)
def test_what_makes_no_sense_is_refused(args: tuple[str, ...], config: Path) -> None:
    assert run(config, *args) == 2


def test_without_a_state_that_is_said(config: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(config, "--verify") == 44
    assert "there is no state file" in capsys.readouterr().err
