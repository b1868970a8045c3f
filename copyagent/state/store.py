"""The agent's state in SQLite: one file, one writer, every decision durable before it is acted on.

Tables (schema version 2, in ``meta``; `copyagent.state.schema`):

``tapes``      one row per tape: its name and its record as JSON (`copyagent.state.encoding`)
``mounts``     what hosts said, one row per request and mount (`copyagent.state.mount_rows`)
``shelf``      what is known of tapes at rest without reading their records (`copyagent.state.shelving`)
``knowledge``  what concerns no single tape, JSON by name: ``acks`` (how far each outbox was taken in), ``baselines`` (pools whose
               tapes were all seen once), ``behind`` (of which pools it was told that they have
               fallen behind), ``links`` (how far each host was heard, and what was told of its link),
               ``pauses`` (what operators have paused), ``floods`` (messages that are counted to be
               told together), ``uncovered`` (vaults of which it was told that they are not covered),
               ``calls`` (what the site's own command is still to be told), ``said`` (what was said lately)
``heard``      what the hosts said lately, JSON by number: the journal of ``copyagent events``
``reported``   what the overlays reported lately, JSON by number, with the time of its arrival
``history``    what became of copies, JSON by number, chained (`copyagent.state.history_rows`)
``settings``   those that came into force, redacted, by the digest of their file
``messages``   event-log messages that were decided and perhaps not written: `unwritten` hands them
               over after a crash, so a message can come twice, never not at all
``meta``       ``schema``: the version; ``agent``: a random name of this state; ``history``: number and
               chain value of its newest entry; ``shelf``: what its rows mean; ``release``: the one
               that opened it last

A state of schema 1, whose history was not chained, is taken over when it is opened. A state of a later
schema is refused (DESIGN.md, 19).

Write-ahead log with ``synchronous=FULL``: a committed transaction survives a power cut
(https://www.sqlite.org/pragma.html#pragma_synchronous). All methods block; the runner calls them in
a thread, one at a time.
"""

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter

from copyagent.core.book import Acknowledged
from copyagent.core.calls import Calls
from copyagent.core.chain import START
from copyagent.core.commands import Say
from copyagent.core.floods import Floods
from copyagent.core.gates import Pause
from copyagent.core.history import Cut, History, Kind
from copyagent.core.history import Entry as HistoryEntry
from copyagent.core.host_mounts import HostMounts
from copyagent.core.journal import KEPT, Entry, Journal, Report, Reports
from copyagent.core.licence import LicenceMemory
from copyagent.core.link import Link
from copyagent.core.owed import BehindAlarm, Way
from copyagent.core.quiet import Quiet, remembered
from copyagent.core.records import TapeRecord
from copyagent.core.shelf import Shelf
from copyagent.core.uncovered import CoverAlarm
from copyagent.state import encoding, history_rows, schema, shelving
from copyagent.state.encoding import decode, encode
from copyagent.state.history_rows import HistoryWanted
from copyagent.state.last_copies import last_copies
from copyagent.state.mount_rows import MountRows, Row, mounts_of
from copyagent.state.shelving import RecordDrawer
from copyagent.state.tape_rows import CopiesFound, find_copies
from vtsfs.contract.errors import StateError
from vtsfs.contract.messages import CATALOGUE
from vtsfs.contract.naming import PoolId, TapeId

_T = TypeVar("_T")


@dataclass(slots=True)
class Remembered:
    """Everything the state holds, as the agent finds it at its start."""

    records: Shelf = field(default_factory=Shelf)
    mounts: HostMounts = field(default_factory=HostMounts)
    acks: dict[str, Acknowledged] = field(default_factory=dict)
    baselines: set[str] = field(default_factory=set)
    links: dict[str, Link] = field(default_factory=dict)
    journal: Journal = field(default_factory=Journal)
    reports: Reports = field(default_factory=Reports)
    behind: dict[Way, BehindAlarm] = field(default_factory=dict)
    pauses: dict[str, Pause] = field(default_factory=dict)
    licence: LicenceMemory = field(default_factory=LicenceMemory)
    floods: Floods = field(default_factory=Floods)
    calls: Calls = field(default_factory=Calls)
    said: Quiet = field(default_factory=Quiet)
    uncovered: dict[str, CoverAlarm] = field(default_factory=dict)
    history_newest: int = 0
    history_chain: str = START


@dataclass(frozen=True, slots=True)
class Unwritten:
    """A message on its way to the event log: *number* is its row."""

    number: int
    say: Say
    at_ns: int


@dataclass(slots=True)
class Changes:
    """One transaction: what a batch of events changed, already encoded.

    Encoding happens where the records live; the thread that writes gets texts only, so that no
    record can change under it.
    """

    records: dict[str, str | None] = field(default_factory=dict)
    resting: dict[str, shelving.Row] = field(default_factory=dict)
    mounts: list[Row] = field(default_factory=list)
    knowledge: dict[str, str] = field(default_factory=dict)
    heard: list[tuple[int, str]] = field(default_factory=list)
    reported: list[tuple[int, int, str]] = field(default_factory=list)
    history: list[history_rows.Row] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    messages: list[tuple[int, str, int]] = field(default_factory=list)
    written: list[int] = field(default_factory=list)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to commit."""
        lately = self.heard or self.reported or self.mounts or self.history
        return not (self.records or self.knowledge or lately or self.messages or self.written)

    def put_record(self, record: TapeRecord) -> None:
        """Save *record* as it is now."""
        name = str(record.tape)
        self.records[name] = encode(encoding.RECORD, record)
        self.resting.pop(name, None)
        if (row := shelving.row_of(record)) is not None:
            self.resting[name] = row

    def drop_record(self, tape: TapeId) -> None:
        """Forget *tape*."""
        self.records[str(tape)] = None
        self.resting.pop(str(tape), None)

    def put_mounts(self, mounts: HostMounts, saved: MountRows) -> None:
        """Save what the hosts said, as far as it is not *saved* yet."""
        self.mounts += saved.news(mounts)

    def put_links(self, links: Mapping[str, Link]) -> None:
        """Save how far each host was heard, and what was told of its link."""
        self.knowledge["links"] = encode(encoding.LINKS, dict(links))

    def put_acks(self, acks: Mapping[str, Acknowledged]) -> None:
        """Save how far the outboxes were taken in."""
        self.knowledge["acks"] = encode(encoding.ACKS, dict(acks))

    def put_baselines(self, pools: set[str]) -> None:
        """Save which pools were seen whole once."""
        self.knowledge["baselines"] = encode(encoding.NAMES, pools)

    def put_behind(self, alarms: Mapping[Way, BehindAlarm]) -> None:
        """Save of which pools it was told that they have fallen behind."""
        listed = [(pool, target, alarm) for (pool, target), alarm in alarms.items()]
        self.knowledge["behind"] = encode(encoding.BEHIND, listed)

    def put_pauses(self, pauses: Mapping[str, Pause]) -> None:
        """Save what operators have paused."""
        self.knowledge["pauses"] = encode(encoding.PAUSES, dict(pauses))

    def put_uncovered(self, alarms: Mapping[str, CoverAlarm]) -> None:
        """Save which vaults are not covered, and when that was told."""
        self.knowledge["uncovered"] = encode(encoding.UNCOVERED, dict(alarms))

    def put_said(self, said: list[tuple[int, str, int]]) -> None:
        """Save what was said lately, so that it is not said again too soon."""
        self.knowledge["said"] = encode(encoding.SAID, said)

    def put_calls(self, calls: Calls) -> None:
        """Save what the site's own command is still to be told."""
        self.knowledge["calls"] = encode(encoding.CALLS, calls)

    def put_floods(self, floods: Floods) -> None:
        """Save which messages are counted to be told together."""
        self.knowledge["floods"] = encode(encoding.FLOODS, list(floods.runs.items()))

    def put_licence(self, memory: LicenceMemory) -> None:
        """Save what was told of the licence, and the latest time that counts for it."""
        self.knowledge["licence"] = encode(encoding.LICENCE, memory)

    def put_heard(self, entries: list[Entry]) -> None:
        """Save what hosts said; the oldest are dropped for it."""
        self.heard += [(entry.number, encode(encoding.HEARD, entry)) for entry in entries]

    def put_reported(self, reports: list[Report]) -> None:
        """Save what overlays reported; the oldest are dropped for it."""
        self.reported += [(r.number, r.at_ns, r.text) for r in reports]

    def put_history(self, entries: list[HistoryEntry]) -> None:
        """Save entries of the history."""
        self.history += map(history_rows.row_of, entries)

    def put_settings(self, texts: Mapping[str, str]) -> None:
        """Save redacted settings by the digests of their files; an entry must come with them."""
        self.settings |= texts

    def put_message(self, say: Say, at_ns: int) -> None:
        """Save that *say* is to be written to the event log."""
        fields = encode(encoding.FIELDS, dict(say.fields))
        self.messages.append((say.message.id, fields, at_ns))


class Store:
    """An open state. Use `open_store`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._db = connection
        self._drawer: RecordDrawer | None = None
        (_, _, self._path) = connection.execute("PRAGMA database_list").fetchone()

    def load(self) -> Remembered:
        """Read everything; raise `StateError` for what this release cannot read."""
        with _translated("read"):
            if self._drawer is None:
                self._drawer = RecordDrawer(self._path)
            records = shelving.load(self._db, self._drawer)
            knowledge = dict(self._db.execute("SELECT name, value FROM knowledge").fetchall())
            heard = self._db.execute("SELECT entry FROM heard ORDER BY number")
            journal = Journal.of(decode(encoding.HEARD, text, "an event") for (text,) in heard)
            reported = self._db.execute("SELECT * FROM reported ORDER BY number")
            reports = Reports.of(Report(*row) for row in reported)
            mounts = self._mounts(knowledge)
            history_newest, history_chain = history_rows.newest(self._db)
        behind = _known(knowledge, "behind", encoding.BEHIND, [])
        floods = _known(knowledge, "floods", encoding.FLOODS, [])
        return Remembered(
            records=records,
            mounts=mounts,
            acks=_known(knowledge, "acks", encoding.ACKS, {}),
            baselines=_known(knowledge, "baselines", encoding.NAMES, set()),
            links=_known(knowledge, "links", encoding.LINKS, {}),
            journal=journal,
            reports=reports,
            behind={(pool, target): alarm for pool, target, alarm in behind},
            pauses=_known(knowledge, "pauses", encoding.PAUSES, {}),
            licence=_known(knowledge, "licence", encoding.LICENCE, LicenceMemory()),
            uncovered=_known(knowledge, "uncovered", encoding.UNCOVERED, {}),
            calls=_calls(_known(knowledge, "calls", encoding.CALLS, Calls())),
            said=remembered(_known(knowledge, "said", encoding.SAID, [])),
            floods=Floods({matter: run for matter, run in floods if matter.id in CATALOGUE}),
            history_newest=history_newest,
            history_chain=history_chain,
        )

    def _mounts(self, knowledge: Mapping[str, str]) -> HostMounts:
        """Read the mounts; what an earlier release wrote as one document becomes rows first."""
        if "mounts" in knowledge:
            rows = MountRows().news(decode(encoding.MOUNTS, knowledge["mounts"], "mounts"))
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                self._put_mounts(rows)
                self._db.execute("DELETE FROM knowledge WHERE name = 'mounts'")
        # What is replaced gets a new row ID: oldest first, as in the dictionaries.
        return mounts_of(self._db.execute("SELECT kind, key, value FROM mounts ORDER BY rowid"))

    def commit(self, changes: Changes) -> list[int]:
        """Make *changes* durable in one transaction; return the new messages' numbers."""
        numbers = []
        with _translated("written"), self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._put_records(changes.records)
            shelving.put_rows(self._db, changes.resting)
            self._put_mounts(changes.mounts)
            self._db.executemany(
                "INSERT OR REPLACE INTO knowledge VALUES (?, ?)", changes.knowledge.items()
            )
            self._put_lately(changes.heard, changes.reported)
            history_rows.put(self._db, changes.history)
            history_rows.put_settings(self._db, changes.settings)
            self._db.executemany(
                "DELETE FROM messages WHERE number = ?", [(n,) for n in changes.written]
            )
            for row in changes.messages:
                cursor = self._db.execute(
                    "INSERT INTO messages (id, fields, at_ns) VALUES (?, ?, ?)", row
                )
                numbers.append(cursor.lastrowid or 0)
        return numbers

    def _put_lately(
        self, heard: list[tuple[int, str]], reported: list[tuple[int, int, str]]
    ) -> None:
        if reported:
            self._db.executemany("INSERT OR REPLACE INTO reported VALUES (?, ?, ?)", reported)
            self._db.execute("DELETE FROM reported WHERE number <= ?", (reported[-1][0] - KEPT,))
        if heard:
            self._db.executemany("INSERT OR REPLACE INTO heard VALUES (?, ?)", heard)
            self._db.execute("DELETE FROM heard WHERE number <= ?", (heard[-1][0] - KEPT,))

    def _put_mounts(self, rows: list[Row]) -> None:
        kept = [row for row in rows if row[2] is not None]
        gone = [(kind, key) for kind, key, value in rows if value is None]
        self._db.executemany("DELETE FROM mounts WHERE kind = ? AND key = ?", gone)
        self._db.executemany("INSERT OR REPLACE INTO mounts VALUES (?, ?, ?)", kept)

    def _put_records(self, records: Mapping[str, str | None]) -> None:
        kept = [(tape, text) for tape, text in records.items() if text is not None]
        gone = [(tape,) for tape, text in records.items() if text is None]
        self._db.executemany("INSERT OR REPLACE INTO tapes VALUES (?, ?)", kept)
        self._db.executemany("DELETE FROM tapes WHERE tape = ?", gone)

    def unwritten(self) -> list[Unwritten]:
        """Return the messages that a crash may have kept from the event log, in order."""
        with _translated("read"):
            rows = self._db.execute(
                "SELECT number, id, fields, at_ns FROM messages ORDER BY number"
            ).fetchall()
        unwritten = []
        for number, id_, text, at_ns in rows:
            fields: dict[str, str] = decode(encoding.FIELDS, text, "a message")
            if id_ in CATALOGUE:
                unwritten.append(Unwritten(number, Say(CATALOGUE[id_], fields), at_ns))
        return unwritten

    def copies(self, where: TapeId | PoolId, after: str, most: int) -> CopiesFound:
        """Return what is on record of the copies of *most* tapes after *after*, by name."""
        with self._reader() as database:
            return find_copies(database, where, after, most)

    def ending(self, history: History, at_ns: int, how: str) -> list[HistoryEntry]:
        """Return the entry that the agent ends: behind what is durable of *history*, not behind all."""
        with _translated("read"):
            last = History(history.settings, *history_rows.newest(self._db))
        last.add(Kind.STOPPED, at_ns, how=how)
        return last.news()

    def prunable(self, before_ns: int, up_to: int, most: int) -> Cut | None:
        """Return which entries of the history may go; see `history_rows`."""
        with self._reader() as database:
            return history_rows.prunable(database, before_ns, up_to, most)

    def settings_text(self, digest: str) -> tuple[str, str] | None:
        """Return digest and redacted text of settings that were in force; see `history_rows`."""
        with self._reader() as database:
            return history_rows.settings_text(database, digest)

    def records_of(self, tapes: Collection[TapeId]) -> dict[TapeId, TapeRecord]:
        """Return the records of *tapes* as they are saved; may be called beside everything else."""
        with self._reader() as database:
            rows = [
                (tape, database.execute("SELECT record FROM tapes WHERE tape = ?", (str(tape),)))
                for tape in tapes
            ]
            texts = [(tape, row[0]) for tape, found in rows for row in found.fetchall()]
        return {tape: decode(encoding.RECORD, text, str(tape)) for tape, text in texts}

    def find_history(self, wanted: HistoryWanted) -> list[HistoryEntry]:
        """Return a page of the history; may be called beside everything else."""
        with self._reader() as database:
            return history_rows.find(database, wanted)

    def last_copies(self, ways: Iterable[Way]) -> dict[Way, int]:
        """Return when each of *ways* was last copied; may be called beside everything else."""
        with self._reader() as database:
            return last_copies(database, ways)

    @contextmanager
    def _reader(self) -> Iterator[sqlite3.Connection]:
        """Open a connection of its own for reading: whoever reads much keeps nobody waiting."""
        with _translated("read"):
            reader = sqlite3.connect(self._path, isolation_level=None, timeout=5.0)
            try:
                reader.execute("PRAGMA query_only = ON")
                yield reader
            finally:
                reader.close()

    def close(self) -> None:
        """Close the file; nothing uncommitted is pending at any time."""
        if self._drawer is not None:
            self._drawer.close()
        self._db.close()


def open_store(path: Path, stamp: str) -> tuple[Store, Path | None]:
    """Open or create the state at *path*.

    A file that is no database any more is set aside under a name that ends in *stamp*, and its new
    name returned as well: what it knew is found again by comparing every tape. Raises `StateError`
    when the state is of a newer release, or cannot be opened at all.
    """
    try:
        return Store(_open(path)), None
    except sqlite3.DatabaseError as error:
        if isinstance(error, sqlite3.OperationalError):
            raise StateError(f"the agent's state {path} cannot be opened: {error}") from error
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    path.rename(aside)
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    with _translated("opened"):
        return Store(_open(path)), aside


def _open(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    try:
        path.chmod(0o600)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        schema.prepare(database, path)
        shelving.prepare(database)
    except BaseException:
        database.close()
        raise
    return database


def _known(knowledge: Mapping[str, str], name: str, adapter: TypeAdapter[_T], empty: _T) -> _T:
    return decode(adapter, knowledge[name], name) if name in knowledge else empty


def _calls(calls: Calls) -> Calls:
    """Leave out messages that only a later release knows, as after going back to this one."""
    known = [call for call in calls.waiting if call.id in CATALOGUE]
    calls.left_out += len(calls.waiting) - len(known)
    calls.waiting = known
    return calls


@contextmanager
def _translated(done: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise StateError(
            f"the agent's state cannot be {done}: {error}; make room in, or repair, its directory"
        ) from error
