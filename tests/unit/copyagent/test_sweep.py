"""The sweep: a look at every watched tape, which opens nothing and follows nothing."""

import os
from pathlib import Path

from copyagent.sweep import sweep_vault
from vtsfs.contract.naming import NamePatterns, TapeId


def tape(label: str, pool: str = "BILL") -> TapeId:
    return TapeId("VAULT00", pool, label)


def test_regular_files_with_tape_names_are_found_with_their_identity(tmp_path: Path) -> None:
    (tmp_path / "BILL").mkdir()
    (tmp_path / "BILL" / "X00001").write_bytes(b"abc")
    swept = sweep_vault("VAULT00", tmp_path, ["BILL"], NamePatterns(), 5.0)
    seen = (tmp_path / "BILL" / "X00001").stat()
    assert swept.started == 5.0
    identity = swept.found[tape("X00001")]
    assert (identity.size, identity.ino, identity.mtime_ns) == (3, seen.st_ino, seen.st_mtime_ns)


def test_what_is_not_a_tape_by_name_is_counted_and_named(tmp_path: Path) -> None:
    pool = tmp_path / "BILL"
    pool.mkdir()
    for name in ("X 1", "X1.meta", ".hidden", "a\nb"):
        (pool / name).write_bytes(b"")
    (pool / os.fsdecode(b"\xff\xfe")).write_bytes(b"")
    swept = sweep_vault("VAULT00", tmp_path, ["BILL"], NamePatterns(), 0.0)
    assert swept.found == {}
    assert swept.ignored == 4
    assert "/VAULT00/BILL/X 1" in swept.examples
    for example in swept.examples:
        example.encode()


def test_what_has_a_tapes_name_and_is_no_file_is_unfit(tmp_path: Path) -> None:
    pool = tmp_path / "BILL"
    pool.mkdir()
    (pool / "LINK01").symlink_to("/etc/passwd")
    (pool / "DIR001").mkdir()
    os.mkfifo(pool / "PIPE01")
    swept = sweep_vault("VAULT00", tmp_path, ["BILL"], NamePatterns(), 0.0)
    assert swept.unfit == {
        tape("LINK01"): "is a symbolic link",
        tape("PIPE01"): "is a pipe",
    }
    assert swept.found == {}


def test_a_pool_that_cannot_be_read_says_nothing_about_its_tapes(tmp_path: Path) -> None:
    (tmp_path / "BILL").mkdir()
    swept = sweep_vault("VAULT00", tmp_path, ["BILL", "GONE"], NamePatterns(), 0.0)
    assert swept.unread == ("GONE",)
