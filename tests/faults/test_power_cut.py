"""A power cut: what a signal tells of is on the disk, name included, before a copy can be made.

The vault lies on a file system of its own whose journal is committed by fsync alone. A copy of its
disk, mounted, is what the machine would find after the cut.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.attached_vault import POOL, Follower, Vault, attached_vault
from tests.support.mountpoint import why_no_fuse
from tests.support.waiting import wait_until
from vtsfs.contract.signals import Kind

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


def after_a_cut(disk: Path, label: str) -> bytes | None:
    """Return the tape that would be there if the power failed now."""
    copy, point = disk.with_name("cut"), disk.with_name("after")
    subprocess.run(["cp", "--sparse=always", disk, copy], check=True)
    mount_disk(copy, point)
    try:
        tape = point / POOL / label
        return tape.read_bytes() if tape.exists() else None
    finally:
        subprocess.run(["umount", point], check=True)


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
