"""What is on record in a state file that no agent has open, or of which somebody has a copy.

Only ever read. The file may be in use all the same: in a write-ahead log readers and a writer do
not block each other.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from copyagent.core.history import Entry
from copyagent.core.on_record import OnRecord
from copyagent.state import history_rows
from copyagent.state.history_rows import HistoryWanted
from copyagent.state.tape_rows import find_copies
from vtsfs.contract.errors import StateError
from vtsfs.contract.naming import PoolId, TapeId
from vtsfs.contract.settings import Settings

#: How long somebody else who is writing is waited for, in seconds.
_PATIENCE_S = 5.0

#: So many tapes' records are read at once.
_PAGE = 1000


def state_file(settings: Settings) -> Path:
    """Return where the agent's state lies."""
    return settings.agent_directory() / "agent.sqlite"


def _is_absent(path: Path) -> bool:
    try:
        path.lstat()
    except OSError as error:
        return isinstance(error, FileNotFoundError | NotADirectoryError)
    return False


@contextmanager
def open_read_only(path: Path) -> Iterator[sqlite3.Connection]:
    """Open the state file *path* for reading; what SQLite says to that is raised as `StateError`."""
    try:
        # Without a file a connection would be one to a new, empty database: mode=ro makes none.
        place = f"file:{quote(str(path.absolute()))}?mode=ro"
        database = sqlite3.connect(place, uri=True, isolation_level=None, timeout=_PATIENCE_S)
        try:
            database.execute("PRAGMA query_only = ON")
            yield database
        finally:
            database.close()
    except sqlite3.Error as error:
        if _is_absent(path):
            raise StateError(
                f"there is no state file {path}: no agent has run with these settings yet, or "
                "paths.state names another directory than it had"
            ) from error
        raise StateError(
            f"the state file {path} cannot be read: {error}; it is for the agent's owner and root, "
            "and is brought up to date when an agent of this release starts"
        ) from error


def find_in_file(path: Path, wanted: HistoryWanted) -> list[Entry]:
    """Return a page of the history in *path*; raises `StateError`."""
    with open_read_only(path) as database:
        return history_rows.find(database, wanted)


def copies_in_file(path: Path, where: TapeId | PoolId) -> Iterator[OnRecord]:
    """Go through what is on record of the copies of *where* in *path*, by name."""
    following: str | None = ""
    while following is not None:
        # Opened for each page: whoever goes through them may do so in one thread after the other.
        with open_read_only(path) as database:
            page = find_copies(database, where, following, _PAGE)
        yield from page.copies
        following = page.next


def sqlite_version() -> str:
    """Return the release of the database that the state is kept in."""
    return sqlite3.sqlite_version
