"""The history of copies as rows, and reading them back a page at a time.

Reading has a connection of its own, so that an auditor who looks at a year keeps nobody waiting:
in a write-ahead log readers and the writer do not block each other.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from pydantic import TypeAdapter

from copyagent.core.chain import START, link
from copyagent.core.history import Cut, Entry, History, Kind, text_of
from copyagent.state.encoding import decode

#: The rows that belong to no present tape or target stay: evidence outlives both. ``chain`` is the
#: value of the entry (`copyagent.core.chain`); that of the newest stands in ``meta`` as well.
TABLES: Final = (
    """CREATE TABLE IF NOT EXISTS history (number INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL,
       kind TEXT NOT NULL, tape TEXT NOT NULL, entry TEXT NOT NULL,
       chain TEXT NOT NULL DEFAULT '')""",
    "CREATE TABLE IF NOT EXISTS settings (digest TEXT PRIMARY KEY, text TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS history_by_tape ON history (tape, number)",
    "CREATE INDEX IF NOT EXISTS history_by_time ON history (at_ns)",
)

ENTRY: TypeAdapter[Entry] = TypeAdapter(Entry)

#: The name in ``meta`` of the newest entry's number and value.
HEAD: Final = "history"

Row = tuple[int, int, str, str, str, str]


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
    text = text_of(entry)
    return entry.number, entry.at_ns, entry.kind, entry.tape, text, entry.chain


def put(database: sqlite3.Connection, rows: list[Row]) -> None:
    """Write *rows* in the transaction that is open; the last of them is the head from now on.

    What one of them says was pruned goes with it: neither is there without the other.
    """
    if not rows:
        return
    database.executemany("INSERT OR REPLACE INTO history VALUES (?, ?, ?, ?, ?, ?)", rows)
    _put_head(database, rows[-1][0], rows[-1][5])
    for row in rows:
        if row[2] == Kind.PRUNED:
            last = decode(ENTRY, row[4], "an entry of the history").facts["last"]
            database.execute("DELETE FROM history WHERE number <= ?", (last,))


def prunable(database: sqlite3.Connection, before_ns: int, up_to: int, most: int) -> Cut | None:
    """Return the oldest entries that are of before *before_ns*, or numbered up to *up_to*.

    At most *most*, so that the commit in which they go is a short one; None if there are none.
    """
    rows = database.execute(
        "SELECT number, at_ns, chain FROM history ORDER BY number LIMIT ?", (most,)
    )
    first, last = None, None
    for number, at_ns, chain in rows:
        if at_ns >= before_ns and number > up_to:
            break
        first, last = first or number, (number, at_ns, chain)
    return None if first is None or last is None else Cut(first, *last)


def put_settings(database: sqlite3.Connection, texts: Mapping[str, str]) -> None:
    """Keep settings that came into force; the entry of kind `LOADED` has the digest of each text."""
    database.executemany("INSERT OR REPLACE INTO settings VALUES (?, ?)", texts.items())


def settings_text(database: sqlite3.Connection, digest: str) -> tuple[str, str] | None:
    """Return whole digest and text of the settings whose digest begins so; None if none, or many."""
    if not digest or not set(digest) <= set("0123456789abcdef"):
        return None
    found = database.execute(
        "SELECT digest, text FROM settings WHERE substr(digest, 1, ?) = ? LIMIT 2",
        (len(digest), digest),
    ).fetchall()
    return found[0] if len(found) == 1 else None


def newest(database: sqlite3.Connection) -> tuple[int, str]:
    """Return number and value of the newest entry, 0 and `START` without any.

    It is the head that says so: entries that were cut off have to leave a gap.
    """
    number, chain = _head(database)
    found = database.execute("SELECT number, chain FROM history ORDER BY number DESC LIMIT 1")
    last, its_chain = found.fetchone() or (0, START)
    return (last, its_chain) if last >= number else (number, chain)


def chain_former(database: sqlite3.Connection, at_ns: int) -> None:
    """Chain the entries of a release that did not, in the transaction that is open, and say so.

    Their texts stay as they are. What was changed in them before cannot show: the entry that tells
    of it, the first of the new, says which these are.
    """
    columns = [name for _, name, *_ in database.execute("PRAGMA table_info(history)")]
    if "chain" not in columns:
        database.execute("ALTER TABLE history ADD COLUMN chain TEXT NOT NULL DEFAULT ''")
    first, number, chain = 0, 0, START
    rows = database.execute("SELECT number, entry FROM history ORDER BY number").fetchall()
    for number, text in rows:
        first, chain = first or number, link(chain, text)
        database.execute("UPDATE history SET chain = ? WHERE number = ?", (chain, number))
    if rows:
        history = History("", number, chain)
        history.add(Kind.CHAINED, at_ns, first=first, last=number, count=len(rows))
        put(database, [row_of(entry) for entry in history.news()])


def _put_head(database: sqlite3.Connection, number: int, chain: str) -> None:
    database.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (HEAD, f"{number}:{chain}"))


def _head(database: sqlite3.Connection) -> tuple[int, str]:
    row = database.execute("SELECT value FROM meta WHERE key = ?", (HEAD,)).fetchone()
    number, _, chain = row[0].partition(":") if row else ("0", "", START)
    return int(number), chain


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
        f"SELECT entry, chain FROM history WHERE {where} "  # noqa: S608  # made of constants
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


def _decoded(rows: Iterable[tuple[str, str]]) -> Iterable[Entry]:
    for text, chain in rows:
        yield replace(decode(ENTRY, text, "an entry of the history"), chain=chain)
