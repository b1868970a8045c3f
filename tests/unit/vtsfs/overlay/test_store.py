import os
from pathlib import Path

import pytest

from vtsfs.overlay import store
from vtsfs.overlay.inodes import InodeTable


def test_which_opens_may_write() -> None:
    assert not store.wants_writing(os.O_RDONLY)
    assert store.wants_writing(os.O_WRONLY)
    assert store.wants_writing(os.O_RDWR)
    assert store.wants_writing(os.O_RDONLY | os.O_TRUNC)


def test_the_present_name_of_an_open_file(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x").write_bytes(b"")
    root = os.open(tmp_path, os.O_PATH)
    fd = os.open(tmp_path / "a" / "x", os.O_RDONLY)
    try:
        assert store.relative_path(fd, root) == b"a/x"
        (tmp_path / "a").rename(tmp_path / "b")
        assert store.relative_path(fd, root) == b"b/x"
        (tmp_path / "b" / "x").rename(tmp_path / "b" / "x (deleted)")
        assert store.relative_path(fd, root) == b"b/x (deleted)"
        (tmp_path / "b" / "x (deleted)").unlink()
        assert store.relative_path(fd, root) is None
    finally:
        os.close(fd)
        os.close(root)


def test_a_file_outside_the_root_has_no_name_there(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    (tmp_path / "rootless").write_bytes(b"")
    root = os.open(tmp_path / "root", os.O_PATH)
    fd = os.open(tmp_path / "rootless", os.O_RDONLY)
    try:
        assert store.relative_path(fd, root) is None
    finally:
        os.close(fd)
        os.close(root)


def test_renames_with_flags(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    (tmp_path / "b").write_bytes(b"b")
    table = InodeTable(tmp_path)
    old, new = (table.root, b"a"), (table.root, b"b")
    with pytest.raises(FileExistsError):
        store.rename(old, new, store.RENAME_NOREPLACE)
    store.rename(old, new, store.RENAME_EXCHANGE)
    assert (tmp_path / "a").read_bytes() == b"b"
    table.close()


def test_one_time_can_be_set_without_the_other(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"a")
    os.utime(tmp_path / "a", ns=(11, 22))
    table = InodeTable(tmp_path)
    inode, _ = table.lookup(table.root, b"a")
    store.apply(inode, store.Changes(mtime_ns=33))
    found = (tmp_path / "a").stat()
    assert (found.st_atime_ns, found.st_mtime_ns) == (11, 33)
    table.close()


def test_a_new_file_is_made_durable_with_or_without_its_name(tmp_path: Path) -> None:
    (tmp_path / "pool").mkdir()
    fd = os.open(tmp_path / "pool" / "x", os.O_WRONLY | os.O_CREAT)
    try:
        store.sync_with_name(fd)
        (tmp_path / "pool" / "x").unlink()
        (tmp_path / "pool").rmdir()
        store.sync_with_name(fd)
    finally:
        os.close(fd)


def test_a_file_that_has_a_name_elsewhere_needs_none_here(tmp_path: Path) -> None:
    (tmp_path / "pool").mkdir()
    fd = os.open(tmp_path / "pool" / "x", os.O_WRONLY | os.O_CREAT)
    try:
        os.link(tmp_path / "pool" / "x", tmp_path / "y")
        (tmp_path / "pool" / "x").unlink()
        (tmp_path / "pool").rmdir()
        store.sync_with_name(fd)
    finally:
        os.close(fd)
