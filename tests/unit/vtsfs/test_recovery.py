from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tests.support.signal_sink import FixedClock, Sink
from vtsfs.contract.naming import TapeId
from vtsfs.contract.notes import CompanionClosed, TapeClosed
from vtsfs.contract.signals import Identity, Kind, Signal
from vtsfs.outbox.database import CompanionMark, Mark, SessionMark
from vtsfs.overlay.reports import Reporter
from vtsfs.recovery import interrupted


def told(marks: Sequence[Mark], backing: Path) -> list[Signal]:
    """Return the signals, where nothing but signals is expected."""
    entries = interrupted(marks, Reporter("VAULT00", Sink(), FixedClock()), backing)
    signals = [entry for entry in entries if isinstance(entry, Signal)]
    assert len(signals) == len(entries)
    return signals


def look(path: Path) -> Identity:
    found = path.stat()
    return Identity(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def test_marks_become_interrupted_sessions(tmp_path: Path) -> None:
    (tmp_path / "BILL").mkdir()
    path = tmp_path / "BILL" / "X00001"
    path.write_bytes(b"half")
    now = look(path)
    (tmp_path / "BILL" / "LINK").symlink_to("X00001")
    marks = [
        SessionMark("untouched", "BILL", "X00001", now.dev, now.ino, now),
        SessionMark(
            "written", "BILL", "X00001", now.dev, now.ino, Identity(now.dev, now.ino, 0, 1, 1)
        ),
        SessionMark("created", "BILL", "X00001", now.dev, now.ino, None),
        SessionMark("gone", "BILL", "X00002", 1, 2, now),
        SessionMark("replaced-by-a-link", "BILL", "LINK", 1, 2, now),
    ]
    signals = told(marks, tmp_path)
    assert all((s.kind, s.extents, s.cause) == (Kind.INTERRUPTED, None, "crash") for s in signals)
    assert [(s.session, s.wrote, s.identity) for s in signals] == [
        ("untouched", False, now),
        ("written", True, now),
        ("created", True, now),
        ("gone", True, None),
        ("replaced-by-a-link", True, None),
    ]


def test_after_a_power_cut_time_stamps_prove_nothing(tmp_path: Path) -> None:
    (tmp_path / "BILL").mkdir()
    path = tmp_path / "BILL" / "X00001"
    path.write_bytes(b"half")
    now = look(path)
    same = SessionMark("s", "BILL", "X00001", now.dev, now.ino, now, boot_id=FixedClock.boot_id)
    marks = [same, replace(same, boot_id="another"), replace(same, boot_id="")]
    assert [signal.wrote for signal in told(marks, tmp_path)] == [False, True, False]


def test_a_tape_that_only_settled_and_is_as_it_was_left_has_been_dismounted(tmp_path: Path) -> None:
    (tmp_path / "BILL").mkdir()
    path = tmp_path / "BILL" / "X00001"
    path.write_bytes(b"whole")
    left = look(path)
    before = replace(left, size=0, mtime_ns=1)
    closed = TapeClosed("s", left, wrote=True, bytes_written=5)
    joined = replace(closed, identity=replace(left, ctime_ns=left.ctime_ns - 1))
    marks = [
        SessionMark("s", "BILL", "X00001", left.dev, left.ino, before, closed),
        SessionMark("s", "BILL", "X00001", left.dev, left.ino, before, joined),
        SessionMark("s", "BILL", "X00002", left.dev, left.ino, before, closed),
    ]
    ended, written_since, gone = told(marks, tmp_path)
    assert (ended.kind, ended.identity, ended.synced) == (Kind.DISMOUNTED, left, True)
    assert (ended.wrote, ended.bytes_written, ended.extents) == (True, 5, None)
    assert (written_since.kind, gone.kind) == (Kind.INTERRUPTED, Kind.INTERRUPTED)


def test_companions_that_were_being_written(tmp_path: Path) -> None:
    (tmp_path / "BILL").mkdir()
    tape, half, same = (tmp_path / "BILL" / n for n in ("X00001", "X00001.half", "X00001.same"))
    for path in (tape, half, same):
        path.write_bytes(b"some")
    before = replace(look(half), mtime_ns=1)
    marks = [
        CompanionMark("1", "BILL", "X00001", "X00001.half", before),
        CompanionMark("2", "BILL", "X00001", "X00001.same", look(same)),
        CompanionMark("3", "BILL", "X00001", "X00001.never", None),
        CompanionMark("4", "BILL", "X00001", "X00001.gone", before),
        CompanionMark("5", "BILL", "X00002", "X00002.half", before),
    ]
    entries = interrupted(marks, Reporter("VAULT00", Sink(), FixedClock()), tmp_path)
    signals = [entry for entry in entries if isinstance(entry, Signal)]
    assert [e for e in entries if not isinstance(e, Signal)] == [
        CompanionClosed(mark.opening) for mark in marks
    ]
    assert [signal.companions for signal in signals] == [("X00001.half",), ("X00001.gone",)]
    for signal in signals:
        assert (signal.kind, signal.cause) == (Kind.CHANGED, "companion-interrupted")
        assert signal.tape == TapeId("VAULT00", "BILL", "X00001")
        assert (signal.identity, signal.wrote, signal.extents) == (look(tape), False, ())
