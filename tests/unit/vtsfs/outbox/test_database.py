"""The outbox's file: what a commit leaves, also when the process dies in it."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.signal_sink import TAPE, a_signal, identity
from vtsfs.contract.errors import OutboxCorrupt, OutboxError, OutboxNewer
from vtsfs.contract.notes import CompanionClosed, CompanionOpened, TapeClosed, TapeReopened
from vtsfs.contract.signals import Kind, Signal
from vtsfs.outbox import database
from vtsfs.outbox.database import CompanionMark, Database, SessionMark, open_or_replace

MOUNTED = a_signal(Kind.MOUNTED, "s1", before=identity(1), after=identity(1))
DISMOUNTED = a_signal(
    Kind.DISMOUNTED, "s1", before=identity(1), after=identity(2), extents=((0, 3),)
)

OTHER_POOL = type(TAPE)("VAULT00", "PAY", "")


def kinds(outbox: Database) -> list[tuple[int, Kind]]:
    return [(seq, Signal.from_json(body).kind) for seq, body in outbox.after(0, 100)]


def test_numbers_go_on_over_a_reopen(tmp_path: Path) -> None:
    path = tmp_path / "o.sqlite"
    first = Database(path)
    first.commit([MOUNTED])
    made = first.meta()
    first.close()
    second = Database(path)
    second.commit([DISMOUNTED])
    assert kinds(second) == [(1, Kind.MOUNTED), (2, Kind.DISMOUNTED)]
    assert second.meta().outbox_id == made.outbox_id
    second.commit(acknowledged=2)
    second.commit([MOUNTED])
    assert kinds(second) == [(3, Kind.MOUNTED)]
    assert (second.meta().floor, second.meta().highest, second.depth) == (2, 3, 1)
    second.close()


def test_an_acknowledgement_beyond_what_was_given_out_drops_what_there_is(tmp_path: Path) -> None:
    outbox = Database(tmp_path / "o.sqlite")
    outbox.commit([MOUNTED])
    outbox.commit(acknowledged=99)
    assert (outbox.meta().floor, outbox.meta().highest) == (1, 1)
    outbox.close()


def test_a_mark_lasts_from_mounted_to_dismounted(tmp_path: Path) -> None:
    outbox = Database(tmp_path / "o.sqlite")
    outbox.commit([MOUNTED])
    (mark,) = outbox.marks()
    assert isinstance(mark, SessionMark)
    assert (mark.session, mark.pool, mark.label) == ("s1", "BILL", "X00001")
    assert mark.opened == identity(1)
    outbox.commit(acknowledged=1)
    assert outbox.marks() == [mark]
    outbox.commit([DISMOUNTED])
    assert outbox.marks() == []
    outbox.close()


def test_what_is_noted_of_a_closed_tape_goes_with_its_session(tmp_path: Path) -> None:
    outbox = Database(tmp_path / "o.sqlite")
    closed = TapeClosed("s1", identity(3), wrote=True, bytes_written=7)
    outbox.commit([MOUNTED, TapeClosed("s1", identity(2), wrote=False, bytes_written=0), closed])
    (mark,) = outbox.marks()
    assert isinstance(mark, SessionMark)
    assert mark.closed == closed
    assert outbox.meta().highest == 1, "a note has no number"
    outbox.commit([DISMOUNTED])
    outbox.commit([MOUNTED])
    (mark,) = outbox.marks()
    assert isinstance(mark, SessionMark)
    assert mark.closed is None
    outbox.commit([closed, TapeReopened("s1")])
    (mark,) = outbox.marks()
    assert isinstance(mark, SessionMark)
    assert mark.closed is None
    outbox.close()


def test_a_companion_is_marked_while_it_is_open(tmp_path: Path) -> None:
    outbox = Database(tmp_path / "o.sqlite")
    opened = [
        CompanionOpened("a", TAPE, "X00001.meta", identity(1)),
        CompanionOpened("b", TAPE, "X00001.idx", None),
    ]
    outbox.commit(opened)
    outbox.commit(
        [CompanionClosed("b"), a_signal(Kind.MOVED, tape=OTHER_POOL, origin="/VAULT00/BILL")]
    )
    assert outbox.marks() == [CompanionMark("a", "PAY", "X00001", "X00001.meta", identity(1))]
    outbox.close()


def test_a_mark_follows_renames(tmp_path: Path) -> None:
    outbox = Database(tmp_path / "o.sqlite")
    other = type(TAPE)("VAULT00", "BILL", "X00002")
    outbox.commit([MOUNTED, a_signal(Kind.MOVED, tape=other, after=identity(1), origin=str(TAPE))])
    assert outbox.marks()[0].label == "X00002"
    outbox.commit([a_signal(Kind.MOVED, tape=OTHER_POOL, origin="/VAULT00/BILL")])
    assert (outbox.marks()[0].pool, outbox.marks()[0].label) == ("PAY", "X00002")
    outbox.close()


def test_nothing_delivered_is_folded(tmp_path: Path) -> None:
    outbox = Database(tmp_path / "o.sqlite")
    for name, delivered in (("a", 0), ("b", 2), ("c", 2)):
        sessions = [replace(signal, session=name) for signal in (MOUNTED, DISMOUNTED)]
        outbox.commit(sessions, delivered=delivered)
    assert [seq for seq, _ in outbox.after(0, 100)] == [1, 2, 5, 6]
    assert outbox.depth == 4
    outbox.close()


def test_thousands_of_signals_about_one_name_cost_no_more_each(tmp_path: Path) -> None:
    """Nobody acknowledges anything; each signal must not look at all before it."""
    outbox = Database(tmp_path / "o.sqlite")
    signals = [
        signal
        for at in range(2500)
        for signal in (
            a_signal(Kind.MOVED, after=identity(at)),
            replace(MOUNTED, session=f"s{at}"),
            replace(DISMOUNTED, session=f"s{at}"),
            a_signal(Kind.REMOVED),
        )
    ]
    steps = 0

    def count() -> None:
        nonlocal steps
        steps += 1

    costs = []
    for at in range(0, len(signals), 1000):
        steps = 0
        # Instructions of SQLite's machine, in thousands: how fast this machine is does not matter.
        outbox._sql.set_progress_handler(count, 1000)
        outbox.commit(signals[at : at + 1000])
        costs.append(steps)
    assert outbox.depth == len(signals)
    assert costs[-1] < 1.5 * costs[1]
    outbox.close()


def test_an_outbox_of_an_earlier_release_is_taken_over(tmp_path: Path) -> None:
    path = tmp_path / "o.sqlite"
    Database(path).close()
    with closing(sqlite3.connect(path)) as earlier:
        earlier.execute("DROP INDEX signals_by_session")
        earlier.commit()
    outbox = Database(path)
    outbox.commit([MOUNTED, DISMOUNTED])
    assert outbox.depth == 2
    outbox.close()


def test_too_much_is_a_gap_and_a_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "MAX_SIGNALS", 50)
    outbox = Database(tmp_path / "o.sqlite")
    for number in range(60):
        outbox.commit([a_signal(Kind.REMOVED, tape=type(TAPE)("VAULT00", "BILL", f"X{number}"))])
    assert outbox.depth <= 51
    assert outbox.meta().floor > 0
    assert outbox.meta().sweep
    assert outbox.after(0, 100)[0][0] == outbox.meta().floor + 1
    outbox.close()


@pytest.mark.parametrize("data", [b"no database at all" * 300, b"SQLite format 3\0" + b"\0" * 5000])
def test_damage_is_told_apart_and_set_aside(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "o.sqlite"
    path.write_bytes(data)
    with pytest.raises(OutboxCorrupt):
        Database(path)
    outbox, aside = open_or_replace(path, "20260101T000000Z")
    assert aside is not None
    assert aside.path.read_bytes() == data
    assert aside.why == "it was damaged"
    outbox.commit([MOUNTED])
    outbox.close()


def test_one_of_a_later_release_is_set_aside_whole_and_nobody_waits_for_that_release(
    tmp_path: Path,
) -> None:
    path = tmp_path / "o.sqlite"
    outbox = Database(path)
    outbox.commit([MOUNTED])
    former = outbox.meta()
    outbox.close()
    with sqlite3.connect(path) as later:
        later.execute("UPDATE meta SET value = 2 WHERE key = 'version'")
    later.close()
    with pytest.raises(OutboxNewer, match=r"o\.sqlite is of version 2, this program knows 1"):
        Database(path)
    outbox, aside = open_or_replace(path, "20260101T000000Z")
    assert aside is not None
    assert aside.why == "it is of a later release"
    assert aside.path.name.startswith("o.sqlite.newer-20260101T000000Z")
    # Another history, so that the agent compares every tape.
    assert outbox.meta().outbox_id != former.outbox_id
    outbox.close()
    with sqlite3.connect(aside.path) as kept:
        assert kept.execute("SELECT count(*) FROM signals").fetchone() == (1,)
    kept.close()


def test_a_database_of_somebody_else_s_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "o.sqlite"
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE t (x)")
    other.commit()
    other.close()
    with pytest.raises(OutboxCorrupt):
        Database(path)


def test_a_missing_directory_is_the_environment_s_fault(tmp_path: Path) -> None:
    with pytest.raises(OutboxError) as caught:
        Database(tmp_path / "none" / "o.sqlite")
    assert not isinstance(caught.value, OutboxCorrupt)


def test_failing_transactions_leave_nothing(tmp_path: Path) -> None:
    outbox = Database(tmp_path / "o.sqlite")
    outbox.commit([MOUNTED])
    broken = a_signal(Kind.CHANGED, extents=((0, 1),))
    object.__setattr__(broken, "pool", object())
    with pytest.raises((OutboxError, TypeError)):
        outbox.commit([DISMOUNTED, broken])
    assert kinds(outbox) == [(1, Kind.MOUNTED)]
    assert (outbox.meta().highest, outbox.depth, len(outbox.marks())) == (1, 1, 1)
    outbox.commit([DISMOUNTED])
    assert outbox.marks() == []
    outbox.close()


_COMMITTER = """
import sys
from dataclasses import replace
from pathlib import Path
from tests.support.signal_sink import a_signal, identity
from vtsfs.contract.signals import Kind
from vtsfs.outbox.database import Database
outbox = Database(Path(sys.argv[1]))
for number in range(10_000):
    name = f"s{number}"
    outbox.commit([a_signal(Kind.MOUNTED, name, after=identity(1))], delivered=1 << 40)
    outbox.commit([a_signal(Kind.DISMOUNTED, name, after=identity(2))], delivered=1 << 40)
    print(number, flush=True)
"""


def test_what_was_committed_survives_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "o.sqlite"
    for rounds in (3, 8):
        with subprocess.Popen(
            [sys.executable, "-c", _COMMITTER, str(path)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).parents[4],
        ) as process:
            assert process.stdout is not None
            told = [process.stdout.readline() for _ in range(rounds)]
            os.kill(process.pid, signal.SIGKILL)
        last = int(told[-1])
        outbox = Database(path)
        seqs = [seq for seq, _ in outbox.after(0, 100_000)]
        assert len(seqs) >= 2 * (last + 1)
        assert seqs == list(range(1, len(seqs) + 1))
        assert outbox.meta().highest == len(seqs)
        assert len(outbox.marks()) == len(seqs) % 2
        outbox.close()
        path.unlink()


def test_signals_are_read_in_bites(tmp_path: Path) -> None:
    outbox = Database(tmp_path / "o.sqlite")
    large = tuple((n * 10, n * 10 + 1) for n in range(1000))
    outbox.commit([replace(DISMOUNTED, session=f"s{n}", extents=large) for n in range(5)])
    [first, *others] = outbox.after(0, 100)
    assert len(others) == 4
    assert outbox.after(0, 100, 1) == [first]
    assert outbox.after(0, 100, 2 * len(first[1])) == [first, others[0]]
    outbox.commit([MOUNTED])
    outbox.close()
