"""Tapes are served whatever becomes of the outbox's disk; the vault is unclean, and mends itself."""

import errno
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.attached_vault import POOL, VAULT, Vault, attached_vault
from tests.support.disks import Disk, memory_image, mounted_disk
from tests.support.injection import delay, injected
from tests.support.posix_case import fails_with, opened
from tests.support.waiting import wait_until
from vtsfs.contract.signals import Kind, Signal
from vtsfs.inquiry import ask_daemon

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can break a disk")

#: Seconds within which operations count as not held up, which is less than the two seconds of one
#: commit that does not come. The first one may find out that the disk does not answer.
AT_ONCE_S = 1.5
FINDING_OUT_S = 2.0 + AT_ONCE_S


@dataclass(frozen=True)
class Trouble:
    """How the disk breaks, and how an operator mends it while tapes are served."""

    begin: Callable[[Disk], None]
    mend: Callable[[Disk], None]


def mount_again(disk: Disk) -> None:
    """The overlay must let go of the file, or nobody could."""
    command = ["umount", str(disk.point)]
    wait_until(lambda: subprocess.run(command, check=False).returncode == 0, 20, "it is unmounted")
    subprocess.run(["e2fsck", "-fy", disk.image], check=False, capture_output=True)
    disk.mount()


TROUBLES = {
    "full": Trouble(Disk.fill, Disk.empty),
    "read-only": Trouble(Disk.make_read_only, mount_again),
    "gone": Trouble(Disk.kill, mount_again),
    "frozen": Trouble(Disk.freeze, Disk.thaw),
}


@contextmanager
def vault_with_disk(top: Path, outbox_failure: str = "continue") -> Iterator[tuple[Vault, Disk]]:
    """Attach a vault whose outbox has a disk of its own."""
    with (
        memory_image() as image,
        mounted_disk(image, top / "state", "loop,errors=remount-ro") as disk,
        attached_vault(top, outbox_failure=outbox_failure) as vault,
    ):
        yield vault, disk


@contextmanager
def within(seconds: float) -> Iterator[None]:
    begun = time.monotonic()
    yield
    took = time.monotonic() - begun
    assert took < seconds, f"it took {took:.2f} s"


def told_by(vault: Vault) -> dict[str, Any]:
    """Ask the daemon itself, which is quicker than the command."""
    told = ask_daemon(vault.settings.feed_socket(VAULT))
    assert told is not None
    return told


def failures(vault: Vault) -> int:
    """Count the events that tell the operator."""
    return (vault.top / "log" / "event.log").read_text().count("|824141|")


def wait_until_well(vault: Vault) -> None:
    def is_well() -> bool:
        # A daemon whose disk is busy with being mounted may take longer than we ask for.
        told = ask_daemon(vault.settings.feed_socket(VAULT))
        return told is not None and not told["outbox"]["failure"]

    wait_until(is_well, 60, "the outbox is well again")


def told_up_to(vault: Vault, label: str) -> list[Signal]:
    """Take all signals up to the end of *label*'s session, and have the vault swept."""
    told: list[Signal] = []
    with vault.follow() as feed:
        assert feed.hello.unclean
        while not told or (told[-1].kind, told[-1].label) != (Kind.DISMOUNTED, label):
            told.append(feed.next())
        feed.send({"swept": True})
        wait_until(lambda: not told_by(vault)["unclean"], 10, "the vault is clean")
    return told


@pytest.mark.parametrize("how", ["full", "read-only", "frozen"])
def test_the_outbox_s_disk_fails_and_is_mended(scratch: Path, how: str) -> None:
    with vault_with_disk(scratch) as (vault, disk):
        with opened(vault.pool / "X00000", os.O_RDWR | os.O_CREAT) as fd:
            TROUBLES[how].begin(disk)
            with within(FINDING_OUT_S):
                (vault.pool / "X00001").write_bytes(b"served all the same")
            with within(AT_ONCE_S):
                for number in range(2, 30):
                    (vault.pool / f"X{number:05}").write_bytes(b"served all the same")
                assert (vault.pool / "X00001").read_bytes() == b"served all the same"
                os.rename(vault.pool / "X00002", vault.pool / "X00099")
                os.truncate(vault.pool / "X00003", 0)
                os.unlink(vault.pool / "X00004")
                os.pwrite(fd, b"as long as it lasts", 0)
            assert told_by(vault)["unclean"]
            assert told_by(vault)["outbox"]["failure"]
            TROUBLES[how].mend(disk)
            wait_until_well(vault)
            os.pwrite(fd, b"and longer", 1000)
        told = told_up_to(vault, "X00000")
        ended = {signal.label for signal in told if signal.kind is Kind.DISMOUNTED}
        assert {f"X{number:05}" for number in range(5, 30)} <= ended
        # A session that is open all the time is not cut off by it.
        assert not [signal for signal in told if signal.kind is Kind.INTERRUPTED]
        assert failures(vault) == 1
        vault.detach()
        assert failures(vault) == 1


@pytest.mark.parametrize("how", ["gone"])
def test_where_the_site_wants_it_so_opens_for_writing_are_refused_and_nothing_else(
    scratch: Path, how: str
) -> None:
    with vault_with_disk(scratch, outbox_failure="refuse") as (vault, disk):
        old = vault.pool / "OLD001"
        old.write_bytes(b"old")
        # Opened again before it has settled, it would still be of the session that is told already.
        wait_until(lambda: not told_by(vault)["open_tapes"], 10, "its session is over")
        with opened(vault.pool / "X00000", os.O_RDWR | os.O_CREAT) as fd:
            TROUBLES[how].begin(disk)
            for flags in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC):
                with within(FINDING_OUT_S), fails_with(errno.EIO):
                    os.open(old, flags)
            with within(AT_ONCE_S):
                with fails_with(errno.EIO):
                    os.open(vault.pool / "X00001", os.O_WRONLY | os.O_CREAT)
                # What is refused has not happened: no file, no cut.
                assert not (vault.backing / POOL / "X00001").exists()
                assert old.read_bytes() == b"old"
                assert os.pwrite(fd, b"opened before", 0) == 13
                assert os.pread(fd, 13, 0) == b"opened before"
                os.fsync(fd)
                (vault.pool / ".no-tape").write_bytes(b"0")
                os.rename(old, vault.pool / "NEW001")
                os.link(vault.pool / "NEW001", vault.pool / "NEW002")
                os.unlink(vault.pool / "NEW002")
            assert [tape["tape"] for tape in told_by(vault)["open_tapes"]] == [
                f"/{VAULT}/{POOL}/X00000"
            ]
            TROUBLES[how].mend(disk)
            wait_until_well(vault)
            (vault.pool / "NEW001").write_bytes(b"new")
        told_up_to(vault, "X00000")
        assert failures(vault) == 1
        vault.detach()


def test_a_slow_disk_is_waited_for_once(scratch: Path) -> None:
    with attached_vault(scratch) as vault:
        (vault.pool / "X00000").write_bytes(b"0")
        outbox = vault.settings.outbox_path(VAULT)
        journal = outbox.with_name(f"{outbox.name}-wal")
        with injected(vault.daemon(), journal, delay("fdatasync", "fsync", seconds=2.2)):
            with within(FINDING_OUT_S):
                (vault.pool / "X00001").write_bytes(b"1")
            written = told_by(vault)["outbox"]["highest"]
            wait_until(lambda: told_by(vault)["outbox"]["highest"] > written, 20, "a commit")
            # That it succeeded at last does not make it quick.
            with within(AT_ONCE_S):
                (vault.pool / "X00002").write_bytes(b"1")
            assert told_by(vault)["outbox"]["failure"]
        wait_until_well(vault)
        assert len({signal.label for signal in told_up_to(vault, "X00002")}) == 3
        assert failures(vault) == 1
