"""The rows of tapes by name, a page at a time."""

import sqlite3
from dataclasses import dataclass

from copyagent.core.on_record import OnRecord, on_record
from copyagent.state import encoding
from copyagent.state.encoding import decode
from vtsfs.contract.naming import PoolId, TapeId


@dataclass(frozen=True, slots=True)
class CopiesFound:
    """What is on record of some tapes' copies; *next* is where to go on, None at the end."""

    copies: list[OnRecord]
    next: str | None


def find_copies(
    database: sqlite3.Connection, where: TapeId | PoolId, after: str, most: int
) -> CopiesFound:
    """Return what is on record of the copies of *most* tapes after *after*, by name."""
    rows = database.execute(*tapes_of(where, after, most)).fetchall()
    records = [decode(encoding.RECORD, text, tape) for tape, text in rows]
    copies = [copy for record in records for copy in on_record(record)]
    return CopiesFound(copies, rows[-1][0] if len(rows) == most else None)


def tapes_of(where: TapeId | PoolId, after: str, most: int) -> tuple[str, tuple[object, ...]]:
    """Return the query, and its parameters, for a tape, or for a pool's tapes after *after*."""
    if isinstance(where, TapeId):
        return (
            "SELECT tape, record FROM tapes WHERE tape = ? AND tape > ? LIMIT ?",
            (str(where), after, most),
        )
    # All names that begin with the pool and a slash: the next character is "0".
    pool = "tape > ? AND tape < ?"
    query = f"SELECT tape, record FROM tapes WHERE tape > ? AND {pool} ORDER BY tape LIMIT ?"  # noqa: S608  # constants
    return query, (after, f"{where}/", f"{where}0", most)
