from pathlib import Path

from tests.support.signal_sink import FixedClock, Sink
from vtsfs.contract.signals import Identity, Kind
from vtsfs.outbox.database import Mark
from vtsfs.overlay.reports import Reporter
from vtsfs.recovery import interrupted


def test_marks_become_interrupted_sessions(tmp_path: Path) -> None:
    (tmp_path / "BILL").mkdir()
    path = tmp_path / "BILL" / "X00001"
    path.write_bytes(b"half")
    found = path.stat()
    now = Identity(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    (tmp_path / "BILL" / "LINK").symlink_to("X00001")
    marks = [
        Mark("untouched", "BILL", "X00001", now.dev, now.ino, now),
        Mark("written", "BILL", "X00001", now.dev, now.ino, Identity(now.dev, now.ino, 0, 1, 1)),
        Mark("created", "BILL", "X00001", now.dev, now.ino, None),
        Mark("gone", "BILL", "X00002", 1, 2, now),
        Mark("replaced-by-a-link", "BILL", "LINK", 1, 2, now),
    ]
    signals = interrupted(marks, Reporter("VAULT00", Sink(), FixedClock()), tmp_path)
    assert all((s.kind, s.extents, s.cause) == (Kind.INTERRUPTED, None, "crash") for s in signals)
    assert [(s.session, s.wrote, s.identity) for s in signals] == [
        ("untouched", False, now),
        ("written", True, now),
        ("created", True, now),
        ("gone", True, None),
        ("replaced-by-a-link", True, None),
    ]
