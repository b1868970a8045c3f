"""The schema of the agent's state: made in an empty file, brought up to date, or refused.

A file of schema 1, whose history was not chained, becomes one of schema 2 in one transaction: after a
crash it is still the one, or already the other. One of a later schema is not touched. No copy of the
former file is kept: what is published after the upgrade would be foreign to an agent that went back to
it (DESIGN.md, 19).
"""

import secrets
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from copyagent.state import history_rows
from vtsfs.contract.errors import StateError
from vtsfs.runtime.clock import wall_ns
from vtsfs.runtime.releases import running_release

SCHEMA: Final = 2

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE tapes (tape TEXT PRIMARY KEY, record TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE knowledge (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id INTEGER NOT NULL,
    fields TEXT NOT NULL,
    at_ns INTEGER NOT NULL
);
"""

#: Younger than the other tables, and nothing is lost without it: no reason for another schema, which
#: the release before would refuse.
_LATELY = (
    "CREATE TABLE IF NOT EXISTS heard (number INTEGER PRIMARY KEY, entry TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS reported (number INTEGER PRIMARY KEY, at_ns INTEGER, signal TEXT)",
    "CREATE TABLE IF NOT EXISTS mounts (kind TEXT, key TEXT, value TEXT, PRIMARY KEY (kind, key))",
    *history_rows.TABLES,
)


def prepare(database: sqlite3.Connection, path: Path) -> None:
    """Create the tables in an empty file, or check whose they are in one that is not."""
    if database.execute("PRAGMA quick_check").fetchone() != ("ok",):
        raise sqlite3.DatabaseError("quick_check found damage")
    tables = database.execute("SELECT count(*) FROM sqlite_master WHERE name = 'meta'").fetchone()
    if tables == (0,):
        with database:
            database.execute("BEGIN IMMEDIATE")
            for statement in (*_TABLES.split(";"), *_LATELY):
                database.execute(statement)
            database.executemany(
                "INSERT INTO meta VALUES (?, ?)",
                [
                    ("schema", str(SCHEMA)),
                    ("agent", secrets.token_hex(16)),
                    ("release", running_release()),
                ],
            )
        return
    about = dict(database.execute("SELECT key, value FROM meta").fetchall())
    if about.get("schema") == "1":
        _take_over(database)
    elif about.get("schema") != str(SCHEMA):
        raise StateError(_refusal(path, about))
    for statement in _LATELY:
        database.execute(statement)
    if about.get("release") != running_release():
        database.execute("INSERT OR REPLACE INTO meta VALUES ('release', ?)", (running_release(),))


def _refusal(path: Path, about: Mapping[str, str]) -> str:
    """Say why a state of another schema is not touched, and both ways to go on."""
    by = f" by release {about['release']}" if about.get("release") else ""
    return (
        f"the agent's state {path} was written{by} in schema {about.get('schema', 'unknown')}, and this "
        f"release, {running_release()}, knows {SCHEMA} at most: nothing was changed. Install the later "
        f"release again; or, to stay with this one, move the directory {path.parent} away: its "
        "history, holds and pauses are then not known here, and every tape is compared anew"
    )


def _take_over(database: sqlite3.Connection) -> None:
    """Make a state of schema 1 one of the present schema, at once or not at all."""
    with database:
        database.execute("BEGIN IMMEDIATE")
        for statement in _LATELY:
            database.execute(statement)
        history_rows.chain_former(database, wall_ns())
        database.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (str(SCHEMA),))
