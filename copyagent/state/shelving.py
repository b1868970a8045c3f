"""Tapes at rest, as rows: what the agent reads at its start instead of very many records.

``shelf`` has a row for every row of ``tapes``; ``shape`` and ``packed`` are null where the record has
to be read: it is not at rest, or was written by a release that knows nothing of shelves. Triggers see
to it that a row of the shelf never outlives the record it was made of, whoever writes that.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter

from copyagent.core.records import TapeRecord
from copyagent.core.shelf import Shape, Shelf, at_rest
from copyagent.state import encoding
from copyagent.state.encoding import decode, encode
from vtsfs.contract.errors import StateError
from vtsfs.contract.naming import TapeId

#: What the rows mean; those of another meaning are made anew. Count up when `at_rest` changes.
MEANING: Final = "1"

#: How many records are decoded together: memory for so many is needed, not for all.
_PIECE: Final = 1000

_SHAPE: Final[TypeAdapter[Shape]] = TypeAdapter(Shape)

_TABLE: Final = (
    (
        "CREATE TABLE IF NOT EXISTS shelf (tape TEXT PRIMARY KEY, shape TEXT, packed BLOB) "
        "WITHOUT ROWID"
    ),
    (
        "CREATE TRIGGER IF NOT EXISTS tape_came AFTER INSERT ON tapes BEGIN "
        "INSERT OR REPLACE INTO shelf (tape) VALUES (NEW.tape); END"
    ),
    (
        "CREATE TRIGGER IF NOT EXISTS tape_changed AFTER UPDATE ON tapes BEGIN "
        "INSERT OR REPLACE INTO shelf (tape) VALUES (NEW.tape); END"
    ),
    (
        "CREATE TRIGGER IF NOT EXISTS tape_went AFTER DELETE ON tapes BEGIN "
        "DELETE FROM shelf WHERE tape = OLD.tape; END"
    ),
)

Row = tuple[str, bytes]
"""Shape and packed, of a tape at rest."""


def row_of(record: TapeRecord) -> Row | None:
    """Return the shelf's row for *record*, None if it is not at rest."""
    resting = at_rest(record)
    return None if resting is None else (encode(_SHAPE, resting.shape), resting.pack())


def put_rows(database: sqlite3.Connection, rows: Mapping[str, Row]) -> None:
    """Save *rows* by tape, within a transaction that has saved their records before."""
    database.executemany(
        "UPDATE shelf SET shape = ?, packed = ? WHERE tape = ?",
        [(shape, packed, tape) for tape, (shape, packed) in rows.items()],
    )


def prepare(database: sqlite3.Connection) -> None:
    """Make the shelf if it is missing, and empty it if its rows mean something else."""
    found = database.execute("SELECT value FROM meta WHERE key = 'shelf'").fetchone()
    if found == (MEANING,):
        return
    with database:
        database.execute("BEGIN IMMEDIATE")
        for statement in _TABLE:
            database.execute(statement)
        database.execute("DELETE FROM shelf")
        database.execute("INSERT INTO shelf (tape) SELECT tape FROM tapes")
        database.execute("INSERT OR REPLACE INTO meta VALUES ('shelf', ?)", (MEANING,))


def load(database: sqlite3.Connection, drawer: "RecordDrawer") -> Shelf:
    """Return all tapes: records that are not at rest, and of the others what is on the shelf.

    Raises `StateError` for a record that this release cannot read.
    """
    shelf = Shelf(drawer=drawer)
    shapes: dict[str, Shape] = {}
    rows = database.execute("SELECT tape, shape, packed FROM shelf WHERE shape IS NOT NULL")
    for tape, text, packed in rows:
        shape = shapes.get(text)
        if shape is None:
            shape = shapes[text] = decode(_SHAPE, text, tape)
        path, _, label = tape.rpartition("/")
        shelf.lay(path, label, shape, packed)
    for piece in _unread(database):
        found = {}
        for tape, text in piece:
            record = decode(encoding.RECORD, text, tape)
            if (row := row_of(record)) is None:
                shelf[record.tape] = record
            else:
                found[tape] = row
                shelf.lay(*_place(record.tape), decode(_SHAPE, row[0], tape), row[1])
        if found:
            with database:
                database.execute("BEGIN IMMEDIATE")
                put_rows(database, found)
    return shelf


def _unread(database: sqlite3.Connection) -> Iterator[list[tuple[str, str]]]:
    """Go through the records that have no row on the shelf, some at a time."""
    names = database.execute("SELECT tape FROM shelf WHERE shape IS NULL").fetchall()
    for start in range(0, len(names), _PIECE):
        piece = []
        for name in names[start : start + _PIECE]:
            (text,) = database.execute("SELECT record FROM tapes WHERE tape = ?", name).fetchone()
            piece.append((name[0], text))
        yield piece


def _place(tape: TapeId) -> tuple[str, str]:
    return str(tape.pool_id), tape.label


class RecordDrawer:
    """Reads single records, on a connection of its own: what is being written keeps nobody waiting."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
        self._db.execute("PRAGMA query_only = ON")

    def fetch(self, tape: TapeId) -> TapeRecord:
        """Return the record of *tape*; raise `StateError` if it cannot be read."""
        text = self._text(tape)
        if text is None:
            raise StateError(
                f"the agent's state has lost the record of {tape}; start the agent again, and it "
                "finds the tape by a sweep"
            )
        return decode(encoding.RECORD, text, str(tape))

    def holds(self, record: TapeRecord) -> bool:
        """Tell whether *record* is saved as it is."""
        return self._text(record.tape) == encode(encoding.RECORD, record)

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def _text(self, tape: TapeId) -> str | None:
        try:
            row = self._db.execute(
                "SELECT record FROM tapes WHERE tape = ?", (str(tape),)
            ).fetchone()
        except sqlite3.Error as error:
            raise StateError(
                f"the record of {tape} cannot be read: {error}; repair the state's directory"
            ) from error
        return None if row is None else str(row[0])
