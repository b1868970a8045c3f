import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from vtsfs.overlay.inodes import ROOT, InodeTable


@pytest.fixture
def table(tmp_path: Path) -> Iterator[InodeTable]:
    made = InodeTable(tmp_path)
    yield made
    made.close()


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_file_keeps_its_number_while_it_is_known(table: InodeTable, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    inode, found = table.lookup(table.root, b"a")
    assert inode.number == found.st_ino == (tmp_path / "a").stat().st_ino
    again, _ = table.lookup(table.root, b"a")
    assert again is inode
    assert inode.lookups == 2
    assert table[inode.number] is inode


def test_the_last_forget_closes(table: InodeTable, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    before = open_descriptors()
    inode, _ = table.lookup(table.root, b"a")
    table.lookup(table.root, b"a")
    table.forget(inode.number, 1)
    assert len(table) == 2
    table.forget(inode.number, 1)
    assert open_descriptors() == before
    with pytest.raises(KeyError):
        table[inode.number]


def test_the_root_is_never_forgotten(table: InodeTable) -> None:
    table.forget(ROOT, 100)
    assert table[ROOT] is table.root


def test_a_missing_name_costs_no_descriptor(table: InodeTable) -> None:
    before = open_descriptors()
    with pytest.raises(FileNotFoundError):
        table.lookup(table.root, b"none")
    assert open_descriptors() == before


def test_the_descriptor_follows_renames(table: InodeTable, tmp_path: Path) -> None:
    (tmp_path / "pool").mkdir()
    (tmp_path / "pool" / "a").write_bytes(b"content")
    pool, _ = table.lookup(table.root, b"pool")
    inode, _ = table.lookup(pool, b"a")
    (tmp_path / "pool").rename(tmp_path / "other")
    assert os.readlink(inode.path) == str(tmp_path / "other" / "a")
    assert Path(inode.path).read_bytes() == b"content"


def test_a_symbolic_link_is_itself(table: InodeTable, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("elsewhere")
    inode, found = table.lookup(table.root, b"link")
    assert found.st_size == len("elsewhere")
    assert os.readlink(b"", dir_fd=inode.fd) == b"elsewhere"


def test_of_several_hard_links_the_last_used_counts(table: InodeTable, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    inode, _ = table.lookup(table.root, b"a")
    table.lookup(table.root, b"b")
    assert os.readlink(inode.path) == str(tmp_path / "b")


def test_a_foreign_device_gets_made_up_numbers(table: InodeTable, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    table.root.dev += 1
    inode, found = table.lookup(table.root, b"a")
    assert inode.number >= 1 << 62
    assert table.number_of(found) == inode.number
