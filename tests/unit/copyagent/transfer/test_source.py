import os
import socket
from pathlib import Path

import pytest

from copyagent.transfer.source import (
    SourceDiffers,
    SourceMissing,
    SourceOpen,
    SourceUnfit,
    identity_of,
    open_tape,
)
from vtsfs.contract.extents import ExtentSet
from vtsfs.contract.naming import TapeId

TAPE = TapeId("VAULT00", "BILL", "X00001")


@pytest.fixture
def backing(scratch: Path) -> Path:
    (scratch / "BILL").mkdir(mode=0o750)
    (scratch / "BILL" / "X00001").write_bytes(b"0123456789")
    return scratch


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_tape_is_opened_with_what_a_copy_needs(backing: Path) -> None:
    path = backing / "BILL" / "X00001"
    path.chmod(0o604)
    os.utime(path, (11, 22))
    before = descriptors()
    with open_tape(backing, TAPE) as tape:
        assert tape.identity == identity_of(path.stat())
        assert (tape.mode, tape.pool_mode, tape.atime, tape.mtime) == (0o604, 0o750, 11, 22)
        assert tape.read(3, 4) == b"3456"
        tape.check()
    tape.close()
    assert descriptors() == before


def test_what_is_missing(backing: Path) -> None:
    before = descriptors()
    for label in ("NONE", "\ud800"):
        with pytest.raises(SourceMissing):
            open_tape(backing, TapeId("VAULT00", "BILL", label))
    # Without its storage a vault has no pools: that says nothing of the tapes.
    with pytest.raises(FileNotFoundError):
        open_tape(backing, TapeId("VAULT00", "NONE", "X00001"))
    with pytest.raises(FileNotFoundError):
        open_tape(backing / "unmounted", TAPE)
    assert descriptors() == before


@pytest.mark.parametrize("kind", ["symlink", "socket", "directory", "fifo", "device", "two names"])
def test_what_is_unfit(backing: Path, kind: str) -> None:
    path = backing / "BILL" / "X00001"
    other = path.rename(backing / "other")
    match kind:
        case "symlink":
            path.symlink_to(other)
        case "socket":
            with socket.socket(socket.AF_UNIX) as bound:
                bound.bind(str(path))
        case "directory":
            path.mkdir()
        case "fifo":
            os.mkfifo(path)
        case "device":
            if os.geteuid() != 0:
                pytest.skip("making a device takes root")
            os.mknod(path, 0o020600, os.makedev(1, 3))
        case _:
            path.hardlink_to(other)
    before = descriptors()
    with pytest.raises(SourceUnfit):
        open_tape(backing, TAPE)
    assert descriptors() == before


def test_a_pool_that_is_a_file_or_a_link(backing: Path) -> None:
    (backing / "FILE").write_bytes(b"")
    (backing / "LINK").symlink_to("BILL")
    for pool in ("FILE", "LINK"):
        with pytest.raises(SourceUnfit):
            open_tape(backing, TapeId("VAULT00", pool, "X00001"))


def test_a_writer_is_noticed(backing: Path) -> None:
    with open_tape(backing, TAPE) as tape, (backing / "BILL" / "X00001").open("ab"):
        with pytest.raises(SourceOpen):
            tape.check()


def test_a_change_is_noticed_and_what_is_there_now_is_told(backing: Path) -> None:
    path = backing / "BILL" / "X00001"
    with open_tape(backing, TAPE) as tape:
        path.write_bytes(b"01234")
        with pytest.raises(SourceDiffers) as differs:
            tape.check()
        assert differs.value.identity == identity_of(path.stat())
        with pytest.raises(SourceDiffers):
            tape.read(0, 10)
        path.unlink()
        with pytest.raises(SourceDiffers) as differs:
            tape.check()
        assert differs.value.identity is None


def test_another_file_of_the_same_size_and_date_is_noticed(backing: Path) -> None:
    path = backing / "BILL" / "X00001"
    found = path.stat()
    with open_tape(backing, TAPE) as tape:
        other = path.with_name("other")
        other.write_bytes(b"9876543210")
        os.utime(other, ns=(found.st_atime_ns, found.st_mtime_ns))
        other.rename(path)
        with pytest.raises(SourceDiffers):
            tape.check()


def test_a_touch_that_leaves_the_date_alone_counts(backing: Path) -> None:
    """A chmod looks like a write whose date was set back."""
    with open_tape(backing, TAPE) as tape:
        (backing / "BILL" / "X00001").chmod(0o600)
        with pytest.raises(SourceDiffers):
            tape.check()


def test_holes_are_told_from_data(backing: Path) -> None:
    path = backing / "BILL" / "X00001"
    with path.open("wb") as file:
        file.truncate(64 << 20)
        file.seek(32 << 20)
        file.write(bytes(4096))
    with open_tape(backing, TAPE) as source:
        data = source.data_ranges()
    assert data is not None
    assert data.covers(32 << 20, (32 << 20) + 4096)
    assert data.total() < 1 << 20
    path.write_bytes(b"no hole at all")
    with open_tape(backing, TAPE) as source:
        assert source.data_ranges() == ExtentSet([(0, 14)])
