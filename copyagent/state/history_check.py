"""Checking the history in a state file, the agent's own or a copy of it, without the agent.

Whoever checks an agent had better not ask it. Only ever read; all of it in one view of the file, so
that an agent may go on writing meanwhile.
"""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from copyagent.core.chain import Mark
from copyagent.core.chain_check import Checked, check
from copyagent.state import history_rows
from copyagent.state.history_file import open_read_only
from vtsfs.contract.errors import StateError


def check_file(path: Path, marks: Sequence[Mark] = ()) -> Checked:
    """Look at every entry of the history in *path*; raise `StateError` if that cannot be read.

    *marks* were noted down of it before.
    """
    if not path.exists():
        raise StateError(
            f"there is no state file {path}; name a copy with --file, or see paths.state"
        )
    with _opened(path) as database:
        try:
            return _check(database, marks)
        except sqlite3.DatabaseError as error:
            raise StateError(
                f"the history in {path} cannot be read: {error}. If the file is of a former release, "
                "an agent of this one brings it up to date when it starts; if it is a copy, copy it "
                "again together with the files whose names end in -wal and -shm"
            ) from error


def settings_in_file(path: Path, digest: str) -> tuple[str, str] | None:
    """Return digest and redacted text of settings that were in force, as `settings_text` does."""
    with open_read_only(path) as database:
        return history_rows.settings_text(database, digest)


def _check(database: sqlite3.Connection, marks: Sequence[Mark]) -> Checked:
    database.execute("BEGIN")
    rows = database.execute(
        "SELECT number, at_ns, kind, tape, entry, chain FROM history ORDER BY number"
    )
    head = database.execute("SELECT value FROM meta WHERE key = ?", (history_rows.HEAD,)).fetchone()
    settings = dict(database.execute("SELECT digest, text FROM settings"))
    return check(rows, head[0] if head is not None else None, settings, marks)


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a copy on a medium that cannot be written, too: SQLite wants to write beside the file."""
    beside = path.with_name(f"{path.name}-wal")
    if beside.exists() or _writable(path.parent):
        with open_read_only(path) as database:
            yield database
        return
    place = f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1"
    try:
        database = sqlite3.connect(place, uri=True, isolation_level=None)
    except sqlite3.Error as error:
        raise StateError(f"the state file {path} cannot be read: {error}") from error
    try:
        yield database
    finally:
        database.close()


def _writable(directory: Path) -> bool:
    return os.access(directory, os.W_OK)
