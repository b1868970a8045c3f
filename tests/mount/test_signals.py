"""What the feed tells, for every way to change a tape or its name."""

import mmap
import os
from pathlib import Path

from tests.support.attached_vault import POOL, VAULT, Follower, Vault
from tests.support.posix_case import opened
from tests.support.waiting import wait_until
from vtsfs.contract.signals import Access, Identity, Kind, Signal


def identity(path: Path) -> Identity:
    found = os.stat(path)
    return Identity(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def quiet_tape(vault: Vault, label: str, data: bytes) -> Path:
    """Lay a tape into the backing directory, which nobody hears of."""
    path = vault.backing / POOL / label
    path.write_bytes(data)
    return path


def next_writing(feed: Follower) -> Signal:
    """Return the next signal that is not a reader's."""
    while True:
        found = feed.next()
        if not (found.session and found.access is Access.READ):
            return found


def test_a_tape_written_anew(vault: Vault, feed: Follower) -> None:
    with opened(vault.pool / "X00001", os.O_WRONLY | os.O_CREAT) as fd:
        mounted = feed.next()
        assert (mounted.kind, str(mounted.tape)) == (Kind.MOUNTED, f"/{VAULT}/{POOL}/X00001")
        assert mounted.opened is None
        assert mounted.identity is not None
        for _ in range(10):
            os.write(fd, bytes(57_344))
    dismounted = feed.next()
    assert dismounted.kind is Kind.DISMOUNTED
    assert dismounted.session == mounted.session
    assert dismounted.identity == identity(vault.backing / POOL / "X00001")
    assert (dismounted.wrote, dismounted.bytes_written) == (True, 573_440)
    assert dismounted.synced
    assert dismounted.extents is None, "nothing to compare with: the tape is new"


def test_a_part_rewritten(vault: Vault, feed: Follower) -> None:
    path = quiet_tape(vault, "X00001", b"0" * 100_000)
    before = identity(path)
    with opened(vault.pool / "X00001", os.O_RDWR) as fd:
        assert os.pread(fd, 10, 0) == b"0" * 10
        os.pwrite(fd, b"abc", 50_000)
        os.pwrite(fd, b"def", 50_003)
        os.pwrite(fd, b"x", 10)
    mounted, dismounted = feed.next(), feed.next()
    assert mounted.opened == before == mounted.identity == dismounted.opened
    assert dismounted.extents == ((10, 11), (50_000, 50_006))


def test_truncations_are_extents(vault: Vault, feed: Follower) -> None:
    quiet_tape(vault, "X00001", b"0" * 1000)
    with opened(vault.pool / "X00001", os.O_RDWR) as fd:
        os.ftruncate(fd, 400)
        os.ftruncate(fd, 500)
        os.truncate(vault.pool / "X00001", 450)
    feed.next()
    dismounted = feed.next()
    assert dismounted.kind is Kind.DISMOUNTED
    assert dismounted.extents == ((400, 1000),)
    assert dismounted.wrote


def test_the_mount_is_known_before_o_trunc_cuts(vault: Vault, feed: Follower) -> None:
    path = quiet_tape(vault, "X00001", b"0" * 1000)
    before = identity(path)
    with opened(vault.pool / "X00001", os.O_WRONLY | os.O_TRUNC):
        mounted = feed.next()
        assert mounted.identity == before
    dismounted = feed.next()
    assert dismounted.extents == ((0, 1000),)
    assert dismounted.wrote
    assert dismounted.identity is not None
    assert dismounted.identity.size == 0


def test_a_mapped_write_counts(vault: Vault, feed: Follower) -> None:
    quiet_tape(vault, "X00001", bytes(20_000))
    with opened(vault.pool / "X00001", os.O_RDWR) as fd, mmap.mmap(fd, 20_000) as mapped:
        mapped[9000] = 7
    dismounted = feed.until(Kind.DISMOUNTED, "X00001")
    assert dismounted.wrote
    assert dismounted.extents is not None
    assert any(start <= 9000 < end for start, end in dismounted.extents)
    assert (vault.backing / POOL / "X00001").read_bytes()[9000] == 7


def test_several_opens_are_one_session(vault: Vault, feed: Follower) -> None:
    path = vault.pool / "X00001"
    with opened(path, os.O_WRONLY | os.O_CREAT) as first:
        with opened(path, os.O_RDWR) as second:
            twin = os.dup(second)
            os.write(second, b"second")
        os.write(first, b"first")
        os.close(twin)
    assert [next_writing(feed).kind for _ in range(2)] == [Kind.MOUNTED, Kind.DISMOUNTED]
    with opened(path, os.O_WRONLY):
        assert next_writing(feed).kind is Kind.MOUNTED
    assert vault.status()["outbox"]["highest"] <= 5


def test_a_reader_is_a_session_of_its_own(vault: Vault, feed: Follower) -> None:
    quiet_tape(vault, "X00001", b"data")
    for _ in range(3):
        assert (vault.pool / "X00001").read_bytes() == b"data"
    dismounted = feed.until(Kind.DISMOUNTED, "X00001")
    assert dismounted.access is Access.READ
    assert not dismounted.wrote
    assert dismounted.merged == 2


def test_looking_is_no_session(vault: Vault, feed: Follower) -> None:
    quiet_tape(vault, "X00001", b"data")
    os.stat(vault.pool / "X00001")
    os.listdir(vault.pool)
    os.chmod(vault.pool / "X00001", 0o600)
    with opened(vault.pool / "X00001", os.O_PATH):
        pass
    (vault.pool / "X00002").write_bytes(b"")
    assert feed.next().label == "X00002"


def test_what_is_no_tape_passes_unreported(vault: Vault, feed: Follower) -> None:
    (vault.pool / "X00001.meta").write_bytes(b"companion")
    (vault.mount / "loose").write_bytes(b"above the pools")
    os.makedirs(vault.pool / "deeper")
    (vault.pool / "deeper" / "X00001").write_bytes(b"too deep")
    os.mkdir(vault.mount / ".vts-autocopy")
    (vault.mount / ".vts-autocopy" / "X00001").write_bytes(b"staged")
    (vault.pool / "X00009").write_bytes(b"a tape")
    assert feed.next().label == "X00009"


def test_truncate_by_path(vault: Vault, feed: Follower) -> None:
    quiet_tape(vault, "X00001", b"0" * 100)
    before = identity(vault.backing / POOL / "X00001")
    os.truncate(vault.pool / "X00001", 40)
    changed = feed.next()
    assert changed.opened == before
    assert (changed.kind, changed.cause) == (Kind.CHANGED, "truncate")
    assert changed.extents == ((40, 100),)
    assert changed.identity == identity(vault.backing / POOL / "X00001")


def test_a_new_modification_time(vault: Vault, feed: Follower) -> None:
    quiet_tape(vault, "X00001", b"0" * 100)
    os.utime(vault.pool / "X00001", ns=(5, 7))
    changed = feed.next()
    assert (changed.kind, changed.cause, changed.extents) == (Kind.CHANGED, "times", ())
    assert not changed.wrote


def test_unlink(vault: Vault, feed: Follower) -> None:
    quiet_tape(vault, "X00001", b"0")
    os.unlink(vault.pool / "X00001")
    removed = feed.next()
    assert (removed.kind, removed.label, removed.identity) == (Kind.REMOVED, "X00001", None)


def test_unlink_while_open(vault: Vault, feed: Follower) -> None:
    with opened(vault.pool / "X00001", os.O_WRONLY | os.O_CREAT) as fd:
        os.unlink(vault.pool / "X00001")
        os.write(fd, b"into nothing")
    kinds = [feed.next() for _ in range(3)]
    assert [s.kind for s in kinds] == [Kind.MOUNTED, Kind.REMOVED, Kind.DISMOUNTED]
    assert kinds[2].identity is None
    assert kinds[2].cause == "removed"


def test_rename_of_a_tape(vault: Vault, feed: Follower) -> None:
    path = quiet_tape(vault, "X00001", b"0")
    os.rename(vault.pool / "X00001", vault.pool / "X00002")
    moved = feed.next()
    assert (moved.kind, moved.label) == (Kind.MOVED, "X00002")
    assert moved.origin == f"/{VAULT}/{POOL}/X00001"
    assert moved.identity == identity(path.with_name("X00002"))


def test_rename_into_and_out_of_a_tape_name(vault: Vault, feed: Follower) -> None:
    quiet_tape(vault, "new.tmp", b"0")
    os.rename(vault.pool / "new.tmp", vault.pool / "X00001")
    moved = feed.next()
    assert (moved.kind, moved.label, moved.origin) == (Kind.MOVED, "X00001", "")
    quiet_tape(vault, "newer.tmp", b"1")
    os.rename(vault.pool / "newer.tmp", vault.pool / "X00001")
    changed = feed.next()
    assert (changed.kind, changed.cause, changed.extents) == (Kind.CHANGED, "rename-over", None)
    os.rename(vault.pool / "X00001", vault.pool / "X00001.old")
    removed = feed.next()
    assert (removed.kind, removed.label) == (Kind.REMOVED, "X00001")


def test_a_tape_renamed_while_open_dismounts_under_its_new_name(
    vault: Vault, feed: Follower
) -> None:
    with opened(vault.pool / "X00001", os.O_WRONLY | os.O_CREAT) as fd:
        os.write(fd, b"one")
        os.rename(vault.pool / "X00001", vault.pool / "X00002")
        os.write(fd, b"two")
    mounted, moved, dismounted = feed.next(), feed.next(), feed.next()
    assert (mounted.label, moved.label, dismounted.label) == ("X00001", "X00002", "X00002")
    assert dismounted.session == mounted.session
    assert dismounted.bytes_written == 6


def test_a_pool_renamed_while_a_tape_is_open(vault: Vault, feed: Follower) -> None:
    with opened(vault.pool / "X00001", os.O_WRONLY | os.O_CREAT) as fd:
        os.rename(vault.pool, vault.mount / "OTHER")
        os.write(fd, b"on it goes")
    feed.next()
    moved, dismounted = feed.next(), feed.next()
    assert (moved.kind, moved.pool, moved.label) == (Kind.MOVED, "OTHER", "")
    assert moved.origin == f"/{VAULT}/{POOL}"
    assert (dismounted.pool, dismounted.label) == ("OTHER", "X00001")
    assert dismounted.identity == identity(vault.backing / "OTHER" / "X00001")


def test_a_publication_is_received_and_no_session(vault: Vault, feed: Follower) -> None:
    stage = vault.mount / ".vts-autocopy" / "TAPESRV1"
    os.makedirs(stage)
    for data in (b"first", b"second"):
        (stage / "X00001.stage").write_bytes(data)
        os.rename(stage / "X00001.stage", vault.pool / "X00001")
        received = feed.next()
        assert (received.kind, received.label) == (Kind.RECEIVED, "X00001")
        assert received.identity == identity(vault.backing / POOL / "X00001")
        assert received.session == ""


def test_a_tape_that_comes_back_from_another_dot_directory_is_no_publication(
    vault: Vault, feed: Follower
) -> None:
    quiet_tape(vault, "X00001", b"thrown away")
    trash = vault.mount / ".trash"
    os.mkdir(trash)
    os.rename(vault.pool / "X00001", trash / "X00001")
    assert feed.next().kind is Kind.REMOVED
    os.rename(trash / "X00001", vault.pool / "X00001")
    moved = feed.next()
    assert (moved.kind, moved.label, moved.origin) == (Kind.MOVED, "X00001", "")
    (trash / "X00001.new").write_bytes(b"another")
    os.rename(trash / "X00001.new", vault.pool / "X00001")
    changed = feed.next()
    assert (changed.kind, changed.cause) == (Kind.CHANGED, "rename-over")


def test_writes_by_a_handle_from_before_a_publication_are_told(
    vault: Vault, feed: Follower
) -> None:
    stage = vault.mount / ".vts-autocopy" / "TAPESRV1" / "a.stage"
    os.makedirs(stage.parent)
    with opened(stage, os.O_WRONLY | os.O_CREAT) as fd:
        os.rename(stage, vault.pool / "X00001")
        assert feed.next().kind is Kind.RECEIVED
        mounted = feed.next()
        assert (mounted.kind, mounted.cause) == (Kind.MOUNTED, "rename")
        os.write(fd, b"late")
    dismounted = feed.next()
    assert (dismounted.kind, dismounted.session) == (Kind.DISMOUNTED, mounted.session)
    assert (dismounted.wrote, dismounted.extents) == (True, None)


def test_a_hard_link_makes_a_tape(vault: Vault, feed: Follower) -> None:
    quiet_tape(vault, "a.tmp", b"0")
    os.link(vault.pool / "a.tmp", vault.pool / "X00001")
    moved = feed.next()
    assert (moved.kind, moved.label, moved.cause) == (Kind.MOVED, "X00001", "link")


def test_acknowledged_signals_do_not_come_again(vault: Vault, feed: Follower) -> None:
    (vault.pool / "X00001").write_bytes(b"0")
    feed.next()
    last = feed.next()
    feed.send({"ack": last.seq})
    feed.send({"status": True})
    (vault.pool / "X00002").write_bytes(b"0")
    with vault.follow() as second:
        assert second.hello.floor in {0, last.seq}
        assert second.until(Kind.DISMOUNTED, "X00002").seq > last.seq


def test_no_agent_for_long_leaves_one_report_a_tape(vault: Vault) -> None:
    for _ in range(20):
        with opened(vault.pool / "X00001", os.O_WRONLY | os.O_CREAT) as fd:
            os.write(fd, b"again")
    wait_until(lambda: not vault.status()["open_tapes"], 20, "the end of the last session is told")
    with vault.follow() as feed:
        mounted = feed.next()
        dismounted = feed.until(Kind.DISMOUNTED, "X00001")
        assert mounted.kind is Kind.MOUNTED
        # A re-open that comes before the end is told joins its session, so the number varies.
        assert dismounted.bytes_written == 100
    assert vault.status()["outbox"]["depth"] <= 3
