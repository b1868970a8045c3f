"""A power cut: what a signal tells of is on the disk, name included, before a copy can be made.

The vault lies on a file system of its own whose journal is committed by fsync alone. A copy of its
disk, mounted, is what the machine would find after the cut.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.attached_vault import POOL, VAULT, Follower, Vault, attached_vault
from tests.support.mountpoint import why_no_fuse
from tests.support.posix_case import opened
from tests.support.signal_sink import FixedClock, Sink
from tests.support.waiting import wait_until
from vtsfs import recovery
from vtsfs.contract.signals import Kind, Signal
from vtsfs.outbox.database import Database
from vtsfs.overlay.reports import Reporter

# No mark: a machine on which the other mounts work may yet have no loop devices.
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk"),
    pytest.mark.skipif(why_no_fuse() is not None, reason="no FUSE file system can be mounted"),
]

CONTENT = b"what must not be lost" * 10_000


def mount_disk(disk: Path, point: Path) -> None:
    point.mkdir(exist_ok=True)
    # The journal is committed by itself after five minutes, which is as good as never.
    command = ["mount", "-o", "loop,commit=300", str(disk), str(point)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")


@pytest.fixture
def disk(scratch: Path) -> Path:
    """Give the disk that is mounted as the backing directory."""
    disk = scratch / "disk"
    with disk.open("wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.ext4", "-q", disk], check=True, capture_output=True)
    mount_disk(disk, scratch / "backing")
    return disk


@pytest.fixture
def vault(scratch: Path, disk: Path) -> Iterator[Vault]:
    with attached_vault(scratch) as attached:
        (attached.mount / "incoming").write_bytes(CONTENT)
        # The file's name is durable, its new one as a tape is not; of its bytes nothing need be.
        subprocess.run(["sync", attached.backing], check=True)
        yield attached


@pytest.fixture
def feed(vault: Vault) -> Iterator[Follower]:
    with vault.follow() as follower:
        yield follower


@contextmanager
def mounted_cut(disk: Path) -> Iterator[Path]:
    """Give the backing directory that would be there if the power failed now."""
    copy, point = disk.with_name("cut"), disk.with_name("after")
    subprocess.run(["cp", "--sparse=always", disk, copy], check=True)
    mount_disk(copy, point)
    try:
        yield point
    finally:
        subprocess.run(["umount", point], check=True)


def after_a_cut(disk: Path, label: str) -> bytes | None:
    """Return the tape that would be there if the power failed now."""
    with mounted_cut(disk) as point:
        tape = point / POOL / label
        return tape.read_bytes() if tape.exists() else None


def test_a_new_tape_is_there_with_its_name(vault: Vault, feed: Follower, disk: Path) -> None:
    (vault.pool / "X00001").write_bytes(CONTENT)
    assert feed.until(Kind.DISMOUNTED, "X00001").synced
    assert after_a_cut(disk, "X00001") == CONTENT


def test_a_file_that_became_a_tape_is_there_soon(vault: Vault, feed: Follower, disk: Path) -> None:
    os.rename(vault.mount / "incoming", vault.pool / "X00001")
    feed.until(Kind.MOVED, "X00001")
    wait_until(lambda: after_a_cut(disk, "X00001") == CONTENT, 20, "the tape is on the disk")


def test_a_tape_that_was_replaced_is_so_soon(vault: Vault, feed: Follower, disk: Path) -> None:
    (vault.pool / "X00001").write_bytes(b"old")
    feed.until(Kind.DISMOUNTED, "X00001")
    os.rename(vault.mount / "incoming", vault.pool / "X00001")
    feed.until(Kind.CHANGED, "X00001")
    wait_until(lambda: after_a_cut(disk, "X00001") == CONTENT, 20, "the tape is on the disk")


def told_after_a_cut(vault: Vault, after: Path) -> list[tuple[Kind, bool]]:
    """Tell what the next start would say of the tapes in *after*, by the outbox as it is now."""
    outbox = vault.settings.outbox_path(VAULT)
    copy = vault.top / "outbox-copy"
    copy.mkdir(exist_ok=True)
    for path in outbox.parent.iterdir():
        shutil.copy(path, copy / path.name)
    database = Database(copy / outbox.name)
    try:
        found = recovery.interrupted(database.marks(), Reporter(VAULT, Sink(), FixedClock()), after)
    finally:
        database.close()
    return [(entry.kind, entry.wrote) for entry in found if isinstance(entry, Signal)]


def test_a_tape_that_is_written_again_while_it_settles_has_not_ended(
    scratch: Path, disk: Path
) -> None:
    """Of an overwrite in place fdatasync(2) makes the bytes durable, and no time stamp need be."""
    with attached_vault(scratch, settle="60s") as vault:
        tape = vault.pool / "X00001"
        tape.write_bytes(CONTENT)
        settled = [(Kind.DISMOUNTED, True)]
        wait_until(lambda: told_after_a_cut(vault, vault.backing) == settled, 20, "it is durable")
        with opened(tape, os.O_WRONLY) as fd:
            os.pwrite(fd, b"half of the next generation", 0)
            os.fdatasync(fd)
            with mounted_cut(disk) as after:
                assert (after / POOL / "X00001").read_bytes().startswith(b"half of")
                assert told_after_a_cut(vault, after) == [(Kind.INTERRUPTED, True)]
        wait_until(lambda: told_after_a_cut(vault, vault.backing) == settled, 20, "once more")


def test_an_overwrite_in_place_is_known_though_no_time_stamp_tells(
    vault: Vault, feed: Follower, disk: Path
) -> None:
    (vault.pool / "X00001").write_bytes(CONTENT)
    feed.until(Kind.DISMOUNTED, "X00001")
    before = (vault.backing / POOL / "X00001").stat().st_mtime_ns
    with opened(vault.pool / "X00001", os.O_WRONLY) as fd:
        os.pwrite(fd, b"half of the next generation", 0)
        os.fdatasync(fd)
        with mounted_cut(disk) as after:
            tape = after / POOL / "X00001"
            assert tape.read_bytes().startswith(b"half of")
            assert tape.stat().st_mtime_ns == before, "this disk keeps time stamps: show it there"
            assert told_after_a_cut(vault, after) == [(Kind.INTERRUPTED, True)]
