import errno
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from vtsfs.overlay import store
from vtsfs.overlay.descriptors import RESERVE
from vtsfs.overlay.inodes import ROOT, Inode, InodeTable


@pytest.fixture
def table(tmp_path: Path) -> Iterator[InodeTable]:
    made = InodeTable(tmp_path)
    yield made
    made.close()


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def is_stale(inode: Inode, table: InodeTable) -> bool:
    """Tell whether both ways to the file say ESTALE, which makes the kernel look it up again."""
    for way in (lambda: inode.fd, lambda: table.stat(inode)):
        with pytest.raises(OSError, match="Stale") as caught:
            way()
        assert caught.value.errno == errno.ESTALE
    return True


def test_a_file_keeps_its_number_while_it_is_known(table: InodeTable, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    inode, found = table.lookup(table.root, b"a")
    assert inode.number == found.st_ino == (tmp_path / "a").stat().st_ino
    again, _ = table.lookup(table.root, b"a")
    assert again is inode
    assert inode.lookups == 2
    assert table[inode.number] is inode
    assert inode.generation == 0
    for known in (inode, table.root):
        below = os.stat(known.fd)
        assert (known.dev, known.ino) == (below.st_dev, below.st_ino)


def test_the_last_forget_closes(table: InodeTable, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    before = open_descriptors()
    inode, _ = table.lookup(table.root, b"a")
    table.lookup(table.root, b"a")
    assert os.stat(inode.fd).st_ino == inode.number
    table.forget(inode.number, 1)
    assert len(table) == 2
    table.forget(inode.number, 1)
    assert open_descriptors() == before
    assert len(table.descriptors) == 0
    with pytest.raises(KeyError):
        table[inode.number]


def test_the_root_is_never_forgotten(table: InodeTable) -> None:
    table.forget(ROOT, 100)
    assert table[ROOT] is table.root
    assert table.stat(table.root).st_ino == os.stat(table.root.fd).st_ino


def test_a_missing_name_costs_no_descriptor(table: InodeTable) -> None:
    before = open_descriptors()
    with pytest.raises(FileNotFoundError):
        table.lookup(table.root, b"none")
    assert open_descriptors() == before


def test_a_known_file_costs_no_descriptor(table: InodeTable, tmp_path: Path) -> None:
    before = open_descriptors()
    for number in range(100):
        (tmp_path / f"T{number}").touch()
        inode, _ = table.lookup(table.root, b"T%d" % number)
        assert table.stat(inode).st_ino == inode.number
    assert open_descriptors() == before


def test_the_descriptor_follows_renames(table: InodeTable, tmp_path: Path) -> None:
    (tmp_path / "pool").mkdir()
    (tmp_path / "pool" / "a").write_bytes(b"content")
    pool, _ = table.lookup(table.root, b"pool")
    inode, _ = table.lookup(pool, b"a")
    (tmp_path / "pool").rename(tmp_path / "other")
    assert os.readlink(inode.path) == str(tmp_path / "other" / "a")
    assert Path(inode.path).read_bytes() == b"content"
    (tmp_path / "other" / "a").rename(tmp_path / "b")
    assert os.readlink(inode.path) == str(tmp_path / "b")


def test_a_symbolic_link_is_itself(table: InodeTable, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("elsewhere")
    inode, found = table.lookup(table.root, b"link")
    assert found.st_size == len("elsewhere")
    assert os.readlink(b"", dir_fd=inode.fd) == b"elsewhere"


def test_of_several_hard_links_the_last_used_counts(table: InodeTable, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    inode, _ = table.lookup(table.root, b"a")
    for name in ("b", "a", "b"):
        assert table.lookup(table.root, os.fsencode(name))[0] is inode
        assert os.readlink(inode.path) == str(tmp_path / name)
    assert inode.generation == 0


def test_a_name_that_matters_is_not_given_up(tmp_path: Path) -> None:
    table = InodeTable(tmp_path, lambda fd: os.readlink(f"/proc/self/fd/{fd}").endswith("tape"))
    (tmp_path / "tape").write_bytes(b"")
    (tmp_path / "other").hardlink_to(tmp_path / "tape")
    inode, _ = table.lookup(table.root, b"other")
    table.lookup(table.root, b"tape")
    table.lookup(table.root, b"other")
    assert os.readlink(inode.path) == str(tmp_path / "tape")
    table.close()


def test_a_foreign_device_gets_made_up_numbers(table: InodeTable, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    table.device += 1
    inode, found = table.lookup(table.root, b"a")
    assert inode.number >= 1 << 62
    assert table.number_of(found) == inode.number
    assert (inode.dev, inode.ino) == (found.st_dev, found.st_ino)
    assert table.stat(inode).st_ino == os.stat(inode.fd).st_ino == found.st_ino
    table.forget(inode.number, 1)
    assert table.number_of(found) == found.st_ino


def test_a_directory_is_known_as_long_as_files_in_it(table: InodeTable, tmp_path: Path) -> None:
    (tmp_path / "pool" / "deeper").mkdir(parents=True)
    (tmp_path / "pool" / "deeper" / "a").write_bytes(b"")
    pool, _ = table.lookup(table.root, b"pool")
    deeper, _ = table.lookup(pool, b"deeper")
    inode, _ = table.lookup(deeper, b"a")
    table.forget(pool.number, 1)
    table.forget(deeper.number, 1)
    assert table.stat(inode).st_ino == inode.number
    assert table.lookup(table.root, b"pool")[0] is pool
    table.forget(pool.number, 1)
    table.forget(inode.number, 1)
    assert len(table) == 1
    assert len(table.descriptors) == 0


# ------------------------------------------------------------- what happens behind our back


def test_a_file_renamed_behind_our_back_is_looked_up_again(
    table: InodeTable, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"")
    inode, _ = table.lookup(table.root, b"a")
    (tmp_path / "a").rename(tmp_path / "b")
    assert is_stale(inode, table)
    assert table.lookup(table.root, b"b")[0] is inode
    assert os.readlink(inode.path) == str(tmp_path / "b")


def test_another_file_under_the_name_is_not_taken_for_the_known_one(
    table: InodeTable, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"")
    (tmp_path / "b").write_bytes(b"")
    inode, _ = table.lookup(table.root, b"a")
    (tmp_path / "b").rename(tmp_path / "a")
    assert is_stale(inode, table)


def test_a_directory_that_became_a_file_is_stale(table: InodeTable, tmp_path: Path) -> None:
    (tmp_path / "pool").mkdir()
    (tmp_path / "pool" / "a").write_bytes(b"")
    pool, _ = table.lookup(table.root, b"pool")
    inode, _ = table.lookup(pool, b"a")
    table.trim(0)
    assert not pool.held
    (tmp_path / "pool").rename(tmp_path / "gone")
    (tmp_path / "pool").write_bytes(b"")
    assert is_stale(inode, table)


def test_a_number_that_another_file_got_has_a_new_generation(
    table: InodeTable, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"")
    inode, _ = table.lookup(table.root, b"a")
    # To the table this is what it looks like when a was removed and b got its number.
    (tmp_path / "a").rename(tmp_path / "b")
    again, _ = table.lookup(table.root, b"b")
    assert again is inode
    assert again.generation == 1
    table.lookup(table.root, b"b")
    assert again.generation == 1


def test_a_held_file_that_was_renamed_is_the_same_file(table: InodeTable, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    inode, _ = table.lookup(table.root, b"a")
    assert os.stat(inode.fd).st_ino == inode.number
    (tmp_path / "a").rename(tmp_path / "b")
    table.lookup(table.root, b"b")
    assert inode.generation == 0
    assert inode.name == b"b"


# ------------------------------------------------------------ what goes through us: held


def test_a_removed_file_is_held_until_it_is_forgotten(table: InodeTable, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    inode, _ = table.lookup(table.root, b"a")
    gone = table.leaving(table.root, b"a")
    (tmp_path / "a").unlink()
    table.left(gone)
    table.trim(0)
    assert table.stat(inode).st_nlink == 0
    assert len(table.descriptors) == 1
    table.forget(inode.number, 1)
    assert len(table.descriptors) == 0


def test_what_the_kernel_does_not_know_is_not_held(table: InodeTable, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    assert table.leaving(table.root, b"a") is None
    assert table.leaving(table.root, b"none") is None
    table.left(None)
    table.renamed(None, table.root, b"b")
    assert len(table.descriptors) == 0


def test_a_removed_link_gives_way_to_the_other(table: InodeTable, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    inode, _ = table.lookup(table.root, b"a")
    table.lookup(table.root, b"b")
    gone = table.leaving(table.root, b"b")
    (tmp_path / "b").unlink()
    table.left(gone)
    assert table.stat(inode).st_nlink == 1
    with pytest.raises(OSError, match="Stale"):
        store.open_again(inode, os.O_RDONLY)
    table.lookup(table.root, b"a")
    assert os.readlink(inode.path) == str(tmp_path / "a")
    assert inode.generation == 0
    os.close(store.open_again(inode, os.O_RDONLY))


def test_of_many_removed_links_not_all_are_held(table: InodeTable, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    inode, _ = table.lookup(table.root, b"a")
    table.lookup(table.root, b"b")
    gone = table.leaving(table.root, b"b")
    (tmp_path / "b").unlink()
    table.left(gone)
    table.trim(0)
    assert is_stale(inode, table)
    # It cannot be told from another file that has got the number.
    table.lookup(table.root, b"a")
    assert inode.generation == 1
    assert os.readlink(inode.path) == str(tmp_path / "a")


@pytest.mark.parametrize("most_held", [0, 100])
def test_a_number_is_not_given_to_another_when_the_last_of_several_names_goes(
    table: InodeTable, tmp_path: Path, most_held: int
) -> None:
    (tmp_path / "a").write_bytes(b"")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    inode, _ = table.lookup(table.root, b"a")
    table.lookup(table.root, b"b")
    for name in (b"b", b"a"):
        gone = table.leaving(table.root, name)
        (tmp_path / os.fsdecode(name)).unlink()
        table.left(gone)
        table.trim(most_held)
    assert table.stat(inode).st_nlink == 0
    (tmp_path / "b").write_bytes(b"")
    assert table.lookup(table.root, b"b")[0] is not inode


def test_a_rename_through_us_is_followed(table: InodeTable, tmp_path: Path) -> None:
    (tmp_path / "pool").mkdir()
    (tmp_path / "a").write_bytes(b"")
    pool, _ = table.lookup(table.root, b"pool")
    inode, _ = table.lookup(table.root, b"a")
    moved = table.leaving(table.root, b"a")
    assert moved is inode
    (tmp_path / "a").rename(tmp_path / "pool" / "b")
    table.renamed(moved, pool, b"b")
    table.trim(0)
    assert not inode.held
    assert os.readlink(inode.path) == str(tmp_path / "pool" / "b")
    assert inode.generation == 0


def test_an_open_file_is_held_whatever_becomes_of_its_name(
    table: InodeTable, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"")
    inode, _ = table.lookup(table.root, b"a")
    fd = os.open(tmp_path / "a", os.O_RDONLY)
    table.opened(inode, fd)
    table.opened(inode, fd)
    os.close(fd)
    (tmp_path / "a").unlink()
    table.trim(0)
    assert len(table.descriptors) == 0
    assert table.stat(inode).st_nlink == 0
    table.released(inode)
    assert os.stat(inode.fd).st_nlink == 0
    table.forget(inode.number, 1)
    assert table[inode.number] is inode
    table.released(inode)
    assert not inode.held
    assert len(table) == 1


# --------------------------------------------------------------------- letting go again


def test_files_held_beyond_the_limit_are_let_go(tmp_path: Path) -> None:
    table = InodeTable(tmp_path, most_held=10)
    (tmp_path / "pool").mkdir()
    pool, _ = table.lookup(table.root, b"pool")
    inodes = []
    for number in range(200):
        (tmp_path / "pool" / f"T{number}").touch()
        inode, _ = table.lookup(pool, b"T%d" % number)
        assert os.stat(table[inode.number].fd).st_ino == inode.number
        inodes.append(inode)
        assert len(table.descriptors) <= 11
    assert pool.held, "directories are let go last"
    assert inodes[-1].held
    assert not inodes[0].held
    assert os.stat(inodes[0].fd).st_ino == inodes[0].number
    table.close()


def test_more_directories_than_may_be_held(tmp_path: Path) -> None:
    table = InodeTable(tmp_path, most_held=10)
    inode = table.root
    path = tmp_path
    chain = []
    for number in range(100):
        path = path / f"d{number}"
        path.mkdir()
        inode, _ = table.lookup(table[inode.number], b"d%d" % number)
        chain.append(inode)
        assert len(table.descriptors) <= 11
    table.trim(0)
    assert len(table.descriptors) == 0
    assert os.readlink(chain[-1].path) == str(path)
    assert len(table.descriptors) == 1, "directories on the way are passed through"
    table.close()
    assert len(table) == 0


def test_a_file_without_its_name_is_not_let_go(tmp_path: Path) -> None:
    table = InodeTable(tmp_path, most_held=1)
    for name in ("a", "b", "c"):
        (tmp_path / name).touch()
        assert os.stat(table.lookup(table.root, os.fsencode(name))[0].fd)
        (tmp_path / name).unlink()
    for _ in range(5):
        table.trim()
    assert len(table.descriptors) == 3
    table.close()


def test_scarce_descriptors_are_given_back(tmp_path: Path) -> None:
    table = InodeTable(tmp_path, most_held=1000)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_descriptors() + 2 * RESERVE + 50, before[1]))
    try:
        for number in range(500):
            (tmp_path / f"T{number}").touch()
            inode, _ = table.lookup(table.root, b"T%d" % number)
            assert os.stat(table[inode.number].fd).st_ino == inode.number
            assert len(table.descriptors) <= 60
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        table.close()


def test_without_any_descriptor_the_next_request_has_some(tmp_path: Path) -> None:
    table = InodeTable(tmp_path, most_held=1000)
    inodes = []
    for number in range(100):
        (tmp_path / f"T{number}").touch()
        inodes.append(table.lookup(table.root, b"T%d" % number)[0])
        if number < 50:
            os.stat(inodes[-1].fd)
    assert len(table.descriptors) == 50
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (10, before[1]))
    try:
        with pytest.raises(OSError, match="Too many"):
            inodes[60].fd  # noqa: B018  # looking is what opens
        with pytest.raises(OSError, match="Too many"):
            table[inodes[60].number].fd  # noqa: B018  # looking is what opens
        assert len(table.descriptors) < 50
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
    assert os.stat(table[inodes[60].number].fd).st_ino == inodes[60].number
    table.close()


def test_directories_turned_about_behind_our_back(table: InodeTable, tmp_path: Path) -> None:
    (tmp_path / "b" / "a").mkdir(parents=True)
    b, _ = table.lookup(table.root, b"b")
    a, _ = table.lookup(b, b"a")
    (tmp_path / "b" / "a").rename(tmp_path / "a")
    (tmp_path / "b").rename(tmp_path / "a" / "b")
    # The kernel goes by what it knows: /b/a, and in there is a b. It must start anew.
    with pytest.raises(OSError, match="Stale"):
        table.lookup(a, b"b")
    assert table.lookup(table.root, b"a")[0] is a
    assert table.lookup(a, b"b")[0] is b
    table.trim(0)
    assert os.readlink(b.path) == str(tmp_path / "a" / "b")


def test_a_name_that_would_be_its_own_parent_is_not_believed(
    table: InodeTable, tmp_path: Path
) -> None:
    (tmp_path / "b" / "a").mkdir(parents=True)
    b, _ = table.lookup(table.root, b"b")
    a, _ = table.lookup(b, b"a")
    table.renamed(b, a, b"b")
    assert b.parent is table.root
