"""The history of copies as rows, and reading them back a page at a time.

Reading has a connection of its own, so that an auditor who looks at a year keeps nobody waiting:
in a write-ahead log readers and the writer do not block each other.
"""

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from pydantic import TypeAdapter

from copyagent.core.history import KEPT_MOST, KEPT_S, Entry
from copyagent.state.encoding import decode, encode

#: The rows that belong to no present tape or target stay: evidence outlives both.
TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS history (number INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL,
       kind TEXT NOT NULL, tape TEXT NOT NULL, entry TEXT NOT NULL)""",
    "CREATE INDEX IF NOT EXISTS history_by_tape ON history (tape, number)",
    "CREATE INDEX IF NOT EXISTS history_by_time ON history (at_ns)",
)

ENTRY: TypeAdapter[Entry] = TypeAdapter(Entry)

Row = tuple[int, int, str, str, str]


@dataclass(frozen=True, slots=True)
class HistoryWanted:
    """Which entries are asked for, oldest first, *most* at once; all conditions together.

    *tape* is a tape's whole name, *pool* a pool's. *kinds* are those wanted, none: all. *after* is
    the number of the last entry known, *last* wants only the newest so many of what fits. Entries
    are at or after *since_ns* and, unless that is 0, before *until_ns*.
    """

    tape: str = ""
    pool: str = ""
    kinds: tuple[str, ...] = ()
    since_ns: int = 0
    after: int = 0
    last: int = 0
    most: int = 1000
    until_ns: int = 0


def row_of(entry: Entry) -> Row:
    """Return the row of *entry*."""
    return entry.number, entry.at_ns, entry.kind, entry.tape, encode(ENTRY, entry)


def put(database: sqlite3.Connection, rows: list[Row]) -> None:
    """Write *rows* and drop what is too old, in the transaction that is open."""
    if not rows:
        return
    database.executemany("INSERT OR REPLACE INTO history VALUES (?, ?, ?, ?, ?)", rows)
    number, at_ns = rows[-1][:2]
    database.execute(
        "DELETE FROM history WHERE at_ns < ? OR number <= ?",
        (at_ns - KEPT_S * 1_000_000_000, number - KEPT_MOST),
    )


def newest(database: sqlite3.Connection) -> int:
    """Return the number of the newest entry, 0 without any."""
    (number,) = database.execute("SELECT max(number) FROM history").fetchone()
    return number or 0


def find(database: sqlite3.Connection, wanted: HistoryWanted) -> list[Entry]:
    """Return a page of what is wanted; shorter than asked for only at the end."""
    conditions, values = _conditions(wanted)
    where = " AND ".join(conditions)
    if wanted.last:
        first = database.execute(
            f"SELECT number FROM history WHERE {where} "  # noqa: S608  # made of constants
            "ORDER BY number DESC LIMIT 1 OFFSET ?",
            (*values, wanted.last - 1),
        ).fetchone()
        if first is not None:
            where, values = f"{where} AND number >= ?", (*values, first[0])
    rows = database.execute(
        f"SELECT entry FROM history WHERE {where} "  # noqa: S608  # made of constants
        "ORDER BY number LIMIT ?",
        (*values, wanted.most),
    )
    return list(_decoded(rows))


def _conditions(wanted: HistoryWanted) -> tuple[list[str], tuple[object, ...]]:
    conditions, values = ["number > ?", "at_ns >= ?"], [wanted.after, wanted.since_ns]
    parameters: list[object] = list(values)
    if wanted.until_ns:
        conditions.append("at_ns < ?")
        parameters.append(wanted.until_ns)
    if wanted.tape:
        conditions.append("tape = ?")
        parameters.append(wanted.tape)
    if wanted.pool:
        # All names that begin with the pool and a slash: the next character is "0".
        conditions.append("tape > ? AND tape < ?")
        parameters += [f"{wanted.pool}/", f"{wanted.pool}0"]
    if wanted.kinds:
        conditions.append(f"kind IN ({', '.join('?' * len(wanted.kinds))})")
        parameters += wanted.kinds
    return conditions, tuple(parameters)


def _decoded(rows: Iterable[tuple[str]]) -> Iterable[Entry]:
    return (decode(ENTRY, text, "an entry of the history") for (text,) in rows)
