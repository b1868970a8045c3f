"""The outbox's file: SQLite in WAL mode with synchronous=FULL, so that a commit is durable.

Everything here blocks and belongs to one thread at a time; `outbox` sees to that. What the tables
and their sentinels mean stands in `_SCHEMA`.
"""

import json
import os
import secrets
import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from vtsfs.contract.errors import FeedError, OutboxCorrupt, OutboxError, OutboxNewer
from vtsfs.contract.notes import (
    CompanionClosed,
    CompanionOpened,
    Entry,
    Note,
    TapeClosed,
    TapeReopened,
)
from vtsfs.contract.signals import Access, Identity, Kind, Signal
from vtsfs.outbox.folding import Earlier, fold

SCHEMA_VERSION = 1
#: More unacknowledged signals than this are not kept: the oldest go, and a sweep replaces them.
MAX_SIGNALS = 200_000

_SCHEMA = """
-- One row per key; values are text or integers:
--   version    of this schema
--   outbox_id  random, made with the file; another one means another history
--   floor      highest number dropped (acknowledged, or given up for room); 0: none ever was
--   highest    highest number ever given out; 0: none ever was
--   attached   1 from attach to clean detach: found set at a start, the last run did not end cleanly
--   sweep      1 while signals may have been missed and the agent has not swept since
--   boot_id    of the machine at the last attach; '' or missing: never attached
CREATE TABLE meta (key TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;

-- What was not acknowledged yet. label '' is a whole pool, session '' no session.
-- body is the signal as it goes over the feed, its number included.
CREATE TABLE signals (
    seq INTEGER PRIMARY KEY,
    kind TEXT NOT NULL, access TEXT NOT NULL,
    pool TEXT NOT NULL, label TEXT NOT NULL, session TEXT NOT NULL,
    body TEXT NOT NULL
);
CREATE INDEX signals_by_tape ON signals (pool, label, seq);

-- Tapes open for writing: a row comes with the session's 'mounted' and goes with its 'dismounted'.
-- Rows found at a start are sessions that a crash cut off. opened is the identity before the
-- session, as JSON; NULL: the session created the tape.
CREATE TABLE open_sessions (
    session TEXT PRIMARY KEY,
    pool TEXT NOT NULL, label TEXT NOT NULL,
    dev INTEGER NOT NULL, ino INTEGER NOT NULL,
    opened TEXT
) WITHOUT ROWID;
"""

#: What was added since; files of earlier releases get it when they are opened, and those releases
#: do not mind it.
_ADDED = """
CREATE INDEX IF NOT EXISTS signals_by_session ON signals (session, seq);

-- Of sessions in open_sessions: how the tape was left when it was closed and durable; identity is
-- JSON. Somebody may have opened it again since.
CREATE TABLE IF NOT EXISTS closed_sessions (
    session TEXT PRIMARY KEY,
    identity TEXT NOT NULL, wrote INTEGER NOT NULL, bytes_written INTEGER NOT NULL
) WITHOUT ROWID;

-- Companions open for writing, each opening under a random name. opened is the companion's identity
-- before, as JSON; NULL: it was created.
CREATE TABLE IF NOT EXISTS open_companions (
    opening TEXT PRIMARY KEY,
    pool TEXT NOT NULL, label TEXT NOT NULL, name TEXT NOT NULL,
    opened TEXT
) WITHOUT ROWID;
"""

#: Undelivered signals of one tape, and of one session of it. Of the latter there are few, so their
#: index is the one to use (a plus sign keeps the other from being used).
_OF_TAPE = "SELECT body FROM signals WHERE pool = ? AND label = ? AND seq > ? ORDER BY seq DESC"
_OF_SESSION = (
    "SELECT body FROM signals WHERE +pool = ? AND +label = ? AND seq > ? AND session = ? "
    "ORDER BY seq"
)


@dataclass(frozen=True, slots=True)
class SessionMark:
    """A write session whose end was not told when the overlay ended.

    *closed*: it only settled, unless somebody has opened the tape again since.
    """

    session: str
    pool: str
    label: str
    dev: int
    ino: int
    opened: Identity | None
    closed: TapeClosed | None = None
    #: The machine's boot ID then; '' if it is not known.
    boot_id: str = ""


@dataclass(frozen=True, slots=True)
class CompanionMark:
    """A companion that was open for writing when the overlay ended; see `CompanionOpened`."""

    opening: str
    pool: str
    label: str
    name: str
    opened: Identity | None


Mark = SessionMark | CompanionMark


@dataclass(frozen=True, slots=True)
class Meta:
    """The outbox's own facts; see `_SCHEMA`."""

    outbox_id: str
    floor: int
    highest: int
    attached: bool
    sweep: bool


class Database:
    """One open outbox file."""

    def __init__(self, path: Path) -> None:
        """Open or create the file at *path*.

        Raises `OutboxCorrupt` when it is not an outbox of ours (set it aside then), `OutboxError`
        when the disk or its permissions do not allow to work with it.
        """
        self.path = path
        with _translated(path):
            existed = path.exists() and path.stat().st_size > 0
            self._sql = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            try:
                self._sql.execute("PRAGMA journal_mode=WAL")
                self._sql.execute("PRAGMA synchronous=FULL")
                if existed:
                    self._check()
                else:
                    self._create()
                self._sql.executescript(_ADDED)
            except BaseException:
                self._sql.close()
                raise
        self.depth = self._sql.execute("SELECT count(*) FROM signals").fetchone()[0]

    def meta(self) -> Meta:
        """Read the outbox's own facts."""
        with _translated(self.path):
            rows = dict(self._sql.execute("SELECT key, value FROM meta"))
        try:
            return Meta(
                outbox_id=str(rows["outbox_id"]),
                floor=int(rows["floor"]),
                highest=int(rows["highest"]),
                attached=bool(rows["attached"]),
                sweep=bool(rows["sweep"]),
            )
        except (KeyError, ValueError, TypeError) as error:
            raise OutboxCorrupt(
                f"outbox {self.path}: its facts are incomplete: {error!r}"
            ) from error

    def commit(
        self,
        entries: Sequence[Entry] = (),
        *,
        delivered: int = 0,
        acknowledged: int = 0,
        attached: bool | None = None,
        sweep: bool | None = None,
        boot_id: str | None = None,
    ) -> None:
        """Do all of it in one durable transaction, or nothing of it.

        *delivered* is the highest number that a subscriber may have been sent: only later signals
        are folded. Signals up to *acknowledged* are dropped.
        """
        depth = self.depth
        with _translated(self.path):
            self._sql.execute("BEGIN IMMEDIATE")
            try:
                highest = self._get("highest")
                for entry in entries:
                    if isinstance(entry, Signal):
                        highest += 1
                        self._insert(entry.with_seq(highest), delivered)
                    else:
                        self._note(entry)
                self._set("highest", highest)
                if acknowledged:
                    self._drop(min(acknowledged, highest))
                if self.depth > MAX_SIGNALS:
                    self._make_room()
                for key, value in (("attached", attached), ("sweep", sweep)):
                    if value is not None:
                        self._set(key, int(value))
                if boot_id is not None:
                    self._sql.execute("REPLACE INTO meta VALUES ('boot_id', ?)", (boot_id,))
                self._sql.execute("COMMIT")
            except BaseException:
                self.depth = depth
                if self._sql.in_transaction:
                    self._sql.execute("ROLLBACK")
                raise

    def after(self, seq: int, limit: int, most_chars: int | None = None) -> list[tuple[int, str]]:
        """Return up to *limit* signals with numbers above *seq*, as number and JSON.

        Once they have *most_chars* together, no more: one with many extents may have a million.
        """
        found: list[tuple[int, str]] = []
        size = 0
        query = "SELECT seq, body FROM signals WHERE seq > ? ORDER BY seq LIMIT ?"
        with _translated(self.path), closing(self._sql.execute(query, (seq, limit))) as rows:
            for number, body in rows:
                found.append((number, body))
                size += len(body)
                if most_chars is not None and size >= most_chars:
                    break
        return found

    def marks(self) -> list[Mark]:
        """Return the sessions whose end was never told, and the companions that were open."""
        with _translated(self.path):
            boot = self._sql.execute("SELECT value FROM meta WHERE key = 'boot_id'").fetchone()
            closed = {
                row[0]: _tape_closed(*row)
                for row in self._sql.execute(
                    "SELECT session, identity, wrote, bytes_written FROM closed_sessions"
                )
            }
            sessions = self._sql.execute(
                "SELECT session, pool, label, dev, ino, opened FROM open_sessions ORDER BY session"
            ).fetchall()
            companions = self._sql.execute(
                "SELECT opening, pool, label, name, opened FROM open_companions ORDER BY opening"
            ).fetchall()
        return [
            *(
                SessionMark(
                    *(session, pool, label, dev, ino, _identity(opened), closed.get(session)),
                    boot_id="" if boot is None else str(boot[0]),
                )
                for session, pool, label, dev, ino, opened in sessions
            ),
            *(
                CompanionMark(opening, pool, label, name, _identity(opened))
                for opening, pool, label, name, opened in companions
            ),
        ]

    def close(self) -> None:
        """Close the file; what was committed stays."""
        self._sql.close()

    def _create(self) -> None:
        facts = {
            "version": SCHEMA_VERSION,
            "outbox_id": secrets.token_hex(16),
            "floor": 0,
            "highest": 0,
            "attached": 0,
            "sweep": 0,
        }
        self._sql.executescript(f"BEGIN;{_SCHEMA}")
        self._sql.executemany("INSERT INTO meta VALUES (?, ?)", facts.items())
        self._sql.execute("COMMIT")

    def _check(self) -> None:
        found = self._sql.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise OutboxCorrupt(f"outbox {self.path} is damaged: {found}")
        version = self._get("version")
        if version != SCHEMA_VERSION:
            kind = OutboxNewer if version > SCHEMA_VERSION else OutboxCorrupt
            raise kind(
                f"outbox {self.path} is of version {version}, this program knows {SCHEMA_VERSION}"
            )

    def _get(self, key: str) -> int:
        row = self._sql.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        if row is None or not isinstance(row[0], int):
            raise OutboxCorrupt(f"outbox {self.path}: meta {key!r} is missing or no number")
        return row[0]

    def _set(self, key: str, value: int) -> None:
        self._sql.execute("UPDATE meta SET value = ? WHERE key = ?", (value, key))

    def _insert(self, signal: Signal, delivered: int) -> None:
        where = (signal.pool, signal.label, delivered)
        newest_first = self._read(_OF_TAPE, *where)
        with closing(newest_first):
            earlier = Earlier(
                newest_first, lambda name: list(self._read(_OF_SESSION, *where, name))
            )
            folded = fold(earlier, signal)
        for seq in folded.replaced:
            self._sql.execute("DELETE FROM signals WHERE seq = ?", (seq,))
        made = folded.signal
        self._sql.execute(
            "INSERT INTO signals VALUES (?, ?, ?, ?, ?, ?, ?)",
            (made.seq, made.kind, made.access, made.pool, made.label, made.session, made.to_json()),
        )
        self.depth += 1 - len(folded.replaced)
        self._keep_marks(signal)

    def _read(self, query: str, *values: str | int) -> Generator[Signal, None, None]:
        """Read signals one by one, and only as far as they are asked for."""
        for (body,) in self._sql.execute(query, values):
            yield Signal.from_json(body)

    def _note(self, note: Note) -> None:
        match note:
            case TapeClosed():
                self._sql.execute(
                    "INSERT OR REPLACE INTO closed_sessions VALUES (?, ?, ?, ?)",
                    (note.session, _text(note.identity), note.wrote, note.bytes_written),
                )
            case TapeReopened():
                self._sql.execute("DELETE FROM closed_sessions WHERE session = ?", (note.session,))
            case CompanionOpened():
                tape = note.tape
                opened = None if note.identity is None else _text(note.identity)
                self._sql.execute(
                    "INSERT OR REPLACE INTO open_companions VALUES (?, ?, ?, ?, ?)",
                    (note.opening, tape.pool, tape.label, note.name, opened),
                )
            case CompanionClosed():
                self._sql.execute("DELETE FROM open_companions WHERE opening = ?", (note.opening,))

    def _keep_marks(self, signal: Signal) -> None:
        """An open-for-write mark follows its session's signals, and its tape's renames."""
        identity = signal.identity
        if signal.kind is Kind.MOUNTED and signal.access is Access.WRITE and identity is not None:
            opened = None if signal.opened is None else _text(signal.opened)
            self._sql.execute(
                "INSERT OR REPLACE INTO open_sessions VALUES (?, ?, ?, ?, ?, ?)",
                (signal.session, signal.pool, signal.label, identity.dev, identity.ino, opened),
            )
        elif signal.kind in {Kind.DISMOUNTED, Kind.INTERRUPTED}:
            for table in ("open_sessions", "closed_sessions"):
                self._sql.execute(f"DELETE FROM {table} WHERE session = ?", (signal.session,))  # noqa: S608  # a name of ours
        elif signal.kind is Kind.MOVED and identity is not None:
            self._sql.execute(
                "UPDATE open_sessions SET pool = ?, label = ? WHERE dev = ? AND ino = ?",
                (signal.pool, signal.label, identity.dev, identity.ino),
            )
        elif signal.kind is Kind.MOVED and signal.origin.count("/") == 2:
            for table in ("open_sessions", "open_companions"):
                self._sql.execute(
                    f"UPDATE {table} SET pool = ? WHERE pool = ?",  # noqa: S608  # a name of ours
                    (signal.pool, signal.origin.rpartition("/")[2]),
                )

    def _drop(self, upto: int) -> None:
        gone = self._sql.execute("DELETE FROM signals WHERE seq <= ?", (upto,)).rowcount
        self.depth -= gone
        if upto > self._get("floor"):
            self._set("floor", upto)

    def _make_room(self) -> None:
        """Readers' signals go first: they protect nothing. Then the oldest, which is a gap."""
        gone = self._sql.execute("DELETE FROM signals WHERE access = ?", (Access.READ,)).rowcount
        self.depth -= gone
        if self.depth > MAX_SIGNALS:
            row = self._sql.execute(
                "SELECT seq FROM signals ORDER BY seq LIMIT 1 OFFSET ?", (MAX_SIGNALS // 10,)
            ).fetchone()
            self._drop(row[0])
            self._set("sweep", 1)


@dataclass(frozen=True, slots=True)
class Aside:
    """Where an outbox lies now that could not be used, and *why* not, as the end of a sentence."""

    path: Path
    why: str = "it was damaged"


def open_or_replace(path: Path, stamp: str) -> tuple[Database, Aside | None]:
    """Open the outbox; one that cannot be used is set aside under a name with *stamp*, and a new begun.

    So is one of a later release: what it tells is lost to this one, as with a damaged one, and found
    by a sweep; tapes cannot wait for the right release. Returns the outbox and what became of the
    other, if there was one. Raises `OutboxError`.
    """
    try:
        return Database(path), None
    except OutboxNewer:
        aside = Aside(set_aside(path, stamp, "newer"), "it is of a later release")
    except OutboxCorrupt:
        aside = Aside(set_aside(path, stamp))
    return Database(path), aside


def set_aside(path: Path, stamp: str, what: str = "corrupt") -> Path:
    """Give an outbox that cannot be used, and nobody has open, another name with *what*; return that.

    Raises `OutboxError`.
    """
    aside = path.with_name(f"{path.name}.{what}-{stamp}-{secrets.token_hex(2)}")
    try:
        for suffix in ("", "-wal", "-shm"):
            if path.with_name(path.name + suffix).exists():
                os.rename(path.with_name(path.name + suffix), Path(f"{aside}{suffix}"))
    except OSError as error:
        raise OutboxError(
            f"outbox {path} cannot be used and not be set aside: {error.strerror}"
        ) from error
    return aside


def _identity(text: str | None) -> Identity | None:
    try:
        return None if text is None else Identity(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise OutboxCorrupt(f"an identity in the outbox is damaged: {error!r}") from error


def _tape_closed(session: str, identity: str, wrote: int, written: int) -> TapeClosed:
    left = _identity(identity)
    if left is None:
        raise OutboxCorrupt(f"the outbox does not say how the tape of {session} was left")
    return TapeClosed(session, left, bool(wrote), written)


def _text(identity: Identity) -> str:
    return json.dumps(asdict(identity))


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """SQLite's errors as ours: damage apart from what the disk or its permissions refuse."""
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        # Rows that contradict each other are damage, too.
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB", "SQLITE_CONSTRAINT")):
            raise OutboxCorrupt(f"outbox {path} is damaged: {error}") from error
        if "no such table" in str(error):
            raise OutboxCorrupt(f"outbox {path} is not an outbox: {error}") from error
        raise OutboxError(f"outbox {path}: {error} {name}".rstrip()) from error
    except FeedError as error:
        # SQLite keeps no sums of what is in its rows: a damaged one is found when it is read.
        raise OutboxCorrupt(f"outbox {path} is damaged: {error}") from error
    except OSError as error:
        raise OutboxError(f"outbox {path}: {error.strerror}") from error
