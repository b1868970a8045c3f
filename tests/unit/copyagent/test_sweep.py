"""The sweep: a look at every watched tape, which opens nothing and follows nothing."""

import os
from dataclasses import replace
from pathlib import Path

from copyagent.core.events import TapesFound
from copyagent.core.shelf import Resting, Shape
from copyagent.sweep import PIECE, sweep_vault
from vtsfs.contract.naming import NamePatterns, TapeId
from vtsfs.contract.signals import Identity


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


def test_a_companion_travels_with_its_tape_and_is_not_counted(tmp_path: Path) -> None:
    for pool in ("BILL", "PAY"):
        (tmp_path / pool).mkdir()
        (tmp_path / pool / "X1.meta").write_bytes(b"")
    patterns = NamePatterns(companions={"BILL": ("{label}.meta",)})
    swept = sweep_vault("VAULT00", tmp_path, ["BILL", "PAY"], patterns, 0.0)
    assert (swept.ignored, swept.examples) == (1, ("/VAULT00/PAY/X1.meta",))


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


def test_a_tape_that_is_as_it_is_known_is_only_named(tmp_path: Path) -> None:
    (tmp_path / "BILL").mkdir()
    for label in ("X00001", "X00002", "X00003"):
        (tmp_path / "BILL" / label).write_bytes(b"abc")
    seen = (tmp_path / "BILL" / "X00001").stat()
    file = Identity(1, seen.st_ino, seen.st_size, seen.st_mtime_ns, 5)
    same = Resting(Shape(()), file).pack()
    other = Resting(Shape(()), replace(file, mtime_ns=file.mtime_ns + 1)).pack()
    none = Resting(Shape(()), None).pack()
    known = {"BILL": {"X00001": same, "X00002": other, "X00003": none, "GONE01": same}}
    swept = sweep_vault("VAULT00", tmp_path, ["BILL"], NamePatterns(), 0.0, known=known)
    assert swept.same == {"BILL": {"X00001"}}
    assert set(swept.found) == {tape("X00002"), tape("X00003")}
    assert swept.tapes == 3
    assert swept.has(tape("X00001"))
    assert swept.has(tape("X00002"))
    assert not swept.has(tape("GONE01"))


def test_many_tapes_are_told_of_in_parts(tmp_path: Path) -> None:
    (tmp_path / "BILL").mkdir()
    for number in range(PIECE + 5):
        (tmp_path / "BILL" / f"X{number:05}").touch()
    os.mkfifo(tmp_path / "BILL" / "PIPE01")
    parts: list[TapesFound] = []
    swept = sweep_vault("VAULT00", tmp_path, ["BILL"], NamePatterns(), 7.0, tell=parts.append)
    (part,) = parts
    assert (part.vault, part.started) == ("VAULT00", 7.0)
    assert len(part.found) + len(part.unfit) == PIECE
    assert len(swept.found) + len(swept.unfit) == 6
    assert swept.tapes + len(swept.unfit) == PIECE + 6
    assert all(swept.has(found) for found in part.found)
    assert not any(swept.tells(found) for found in part.found)
