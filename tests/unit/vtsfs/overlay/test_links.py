"""Which tapes a file with several names is, asked of real directories."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.overlay_rig import backing_directory
from vtsfs.contract.naming import NamePatterns, TapeId
from vtsfs.overlay.links import FileKey, Links, has_other_names


@pytest.fixture
def vault() -> Iterator[Path]:
    with backing_directory() as top:
        yield top


@pytest.fixture
def links(vault: Path) -> Iterator[Links]:
    root = os.open(vault, os.O_PATH)
    yield Links(root, "VAULT00", NamePatterns())
    os.close(root)


def tape(pool: str, label: str) -> TapeId:
    return TapeId("VAULT00", pool, label)


def key(path: Path) -> FileKey:
    found = path.stat()
    return found.st_dev, found.st_ino


async def test_every_tape_of_the_vault_is_found(vault: Path, links: Links) -> None:
    (vault / "OTHER").mkdir()
    (vault / ".trash").mkdir()
    (vault / "loose").write_bytes(b"above the pools")
    first = vault / "BILL" / "X00001"
    first.write_bytes(b"one file")
    (vault / "BILL" / "X00009").write_bytes(b"another")
    for name in ("OTHER/X00002", "BILL/a.tmp", ".trash/X00003", "X00004"):
        os.link(first, vault / name)
    found = await links.tapes_of(key(first))
    assert sorted(found) == [tape("BILL", "X00001"), tape("OTHER", "X00002")]
    assert links.is_at(tape("OTHER", "X00002"), key(first))
    assert not links.is_at(tape("BILL", "X00009"), key(first))
    assert links.identity(tape("BILL", "X00008")) is None


async def test_a_file_that_is_no_tape_has_none(vault: Path, links: Links) -> None:
    path = vault / "BILL" / "a.tmp"
    path.write_bytes(b"")
    assert await links.tapes_of(key(path)) == []


def test_whether_there_are_other_names(vault: Path) -> None:
    path = vault / "BILL" / "X00001"
    path.write_bytes(b"")
    by_name, moved_away = tape("BILL", "X00001"), None
    fd = os.open(path, os.O_RDONLY)
    try:
        assert not has_other_names(fd, by_name)
        assert not has_other_names(fd, moved_away)
        os.link(path, path.with_name("a.tmp"))
        assert has_other_names(fd, by_name)
        assert has_other_names(fd, moved_away)
        os.unlink(path)
        assert has_other_names(fd, None), "the other is its only one now"
        os.unlink(path.with_name("a.tmp"))
        assert not has_other_names(fd, None)
    finally:
        os.close(fd)
