"""When each pool was last copied to each of its targets, from the history: it outlives the agent."""

import sqlite3
from collections.abc import Iterable

from copyagent.core.history import Kind
from copyagent.core.owed import Way

#: The newest first, so of a pool that is copied at all little is looked at.
_NEWEST = """SELECT at_ns FROM history WHERE kind = ? AND tape > ? AND tape < ?
             AND json_extract(entry, '$.target') = ? ORDER BY number DESC LIMIT 1"""


def last_copies(database: sqlite3.Connection, ways: Iterable[Way]) -> dict[Way, int]:
    """Return when a tape was last recorded as copied (ns since the epoch), of *ways* with any."""
    found = {}
    for way in ways:
        pool, target = str(way[0]), way[1]
        # All names that begin with the pool and a slash: the next character is "0".
        row = database.execute(_NEWEST, (Kind.COPIED, f"{pool}/", f"{pool}0", target)).fetchone()
        if row is not None:
            found[way] = row[0]
    return found
