"""A state of the former schema becomes one of this one at once, whatever happens in between."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

from copyagent.state.history_check import check_file
from copyagent.state.schema import SCHEMA
from copyagent.state.store import open_store

GOLDEN = Path(__file__).parents[3] / "golden"
TOP = Path(__file__).parents[4]
#: Of schema 1, with a history that was not chained.
FORMER = GOLDEN / "agent-state-2.sqlite"


def said_by(path: Path) -> tuple[str, list[Any]]:
    """Return schema and history as they lie there; whoever died over the file is made up for."""
    with closing(sqlite3.connect(path)) as database:
        (schema,) = database.execute("SELECT value FROM meta WHERE key = 'schema'").fetchone()
        history = database.execute("SELECT * FROM history ORDER BY number").fetchall()
    return schema, history


def test_a_kill_at_any_statement_leaves_the_former_state_or_the_new_one(tmp_path: Path) -> None:
    former = said_by(FORMER)
    command = [sys.executable, "-m", "tests.support.killed_upgrade", str(FORMER), str(tmp_path)]
    done = subprocess.run(command, cwd=TOP, capture_output=True, text=True, check=True)
    last = int(done.stdout)
    seen = set()
    for number in range(1, last + 1):
        path = tmp_path / f"{number}.sqlite"
        schema, history = said_by(path)
        seen.add(schema)
        assert schema == str(SCHEMA) or (schema, history) == former
        store, aside = open_store(path, "now")
        known = store.load()
        store.close()
        assert aside is None
        assert said_by(path)[0] == str(SCHEMA)
        assert check_file(path).faults == []
        assert known.history_newest == former[1][-1][0] + 1
    assert seen == {"1", str(SCHEMA)}
    assert last > len(former[1])
