"""kill -9 of the overlay: the mount point stays covered, and nothing acknowledged is lost."""

import errno
import os
import random
import sqlite3
import subprocess
import threading
import time
from pathlib import Path

import pytest

from tests.support.attached_vault import POOL, VAULT, Vault
from tests.support.posix_case import close_dead, fails_with
from tests.support.processes import is_alive
from tests.support.waiting import wait_until
from vtsfs.contract.signals import Kind, Signal
from vtsfs.runtime.mount_table import is_ours, layers_at


def test_killed_with_a_tape_open(vault: Vault) -> None:
    path = vault.pool / "X00001"
    path.write_bytes(b"complete")
    with vault.follow() as feed:
        feed.until(Kind.DISMOUNTED, "X00001")
    fd = os.open(path, os.O_WRONLY)
    os.write(fd, b"half")
    vault.kill()
    # Who asks while the kernel is still taking the connection down gets the other number.
    with fails_with(errno.ENOTCONN, errno.ECONNABORTED):
        os.listdir(vault.mount)
    with fails_with(errno.ENOTCONN, errno.ECONNABORTED):
        os.write(fd, b"lost")
    assert (vault.backing / POOL / "X00001").read_bytes() == b"halflete"
    assert vault.status()["dead"]
    # The dead handle is still held: attaching again is one command all the same.
    vault.attach()
    with vault.follow() as feed:
        assert feed.hello.unclean
        interrupted = feed.until(Kind.INTERRUPTED, "X00001")
        assert interrupted.extents is None
        assert interrupted.opened is not None
        assert interrupted.wrote
        assert not interrupted.opened.same_bytes(interrupted.identity)
        feed.send({"swept": True})
    assert path.read_bytes() == b"halflete"
    with fails_with(errno.ENOTCONN):
        os.fsync(fd)
    close_dead(fd)
    vault.detach()
    assert not [layer for layer in layers_at(vault.mount) if is_ours(layer, VAULT)]


def test_a_sweep_makes_the_vault_clean_again(vault: Vault) -> None:
    vault.kill()
    vault.attach()
    assert vault.status()["unclean"]
    with vault.follow() as feed:
        feed.send({"swept": True})
        (vault.pool / "X00001").write_bytes(b"0")
        feed.until(Kind.DISMOUNTED, "X00001")
    vault.detach()
    vault.attach()
    assert not vault.status()["unclean"]


def test_a_clean_detach_leaves_nothing_to_sweep(vault: Vault) -> None:
    (vault.pool / "X00001").write_bytes(b"0")
    vault.detach()
    vault.attach()
    with vault.follow() as feed:
        assert not feed.hello.unclean
        assert feed.until(Kind.DISMOUNTED, "X00001").synced


def test_a_deleted_outbox_is_begun_anew(vault: Vault) -> None:
    with vault.follow() as feed:
        first = feed.hello.outbox_id
    vault.detach()
    for path in vault.settings.outbox_path(VAULT).parent.iterdir():
        path.unlink()
    vault.attach()
    with vault.follow() as feed:
        assert feed.hello.outbox_id != first


def test_a_damaged_outbox_is_set_aside(vault: Vault) -> None:
    vault.detach()
    path = vault.settings.outbox_path(VAULT)
    path.write_bytes(b"this is no database" * 1000)
    vault.attach()
    (vault.pool / "X00001").write_bytes(b"0")
    with vault.follow() as feed:
        feed.until(Kind.DISMOUNTED, "X00001")
    assert list(path.parent.glob("*.corrupt-*"))
    assert "824141" in (vault.top / "log" / "event.log").read_text(encoding="utf-8")


def test_an_outbox_of_a_later_release_keeps_no_tape_waiting(vault: Vault) -> None:
    vault.detach()
    path = vault.settings.outbox_path(VAULT)
    with sqlite3.connect(path) as later:
        later.execute("UPDATE meta SET value = 99 WHERE key = 'version'")
    later.close()
    vault.attach()
    (vault.pool / "X00001").write_bytes(b"0")
    with vault.follow() as feed:
        feed.until(Kind.DISMOUNTED, "X00001")
    (kept,) = path.parent.glob("*.newer-*")
    told = (vault.top / "log" / "event.log").read_text(encoding="utf-8")
    assert "824141" in told
    assert "it is of a later release and set aside as" in told
    with sqlite3.connect(kept) as file:
        assert file.execute("SELECT value FROM meta WHERE key = 'version'").fetchone() == (99,)
    file.close()


def test_every_acknowledged_byte_is_below(vault: Vault) -> None:
    written = 0
    fd = os.open(vault.pool / "X00001", os.O_WRONLY | os.O_CREAT)
    for _ in range(50):
        written += os.write(fd, os.urandom(28_672))
    vault.kill()
    close_dead(fd)
    assert (vault.backing / POOL / "X00001").stat().st_size == written


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can abort a connection")
def test_an_aborted_connection_leaves_the_mount_point_covered(vault: Vault) -> None:
    # A machine without systemd may not have it at /sys/fs/fuse/connections.
    control = vault.top / "fusectl"
    control.mkdir()
    subprocess.run(["mount", "-t", "fusectl", "none", control], check=True)
    abort = control / str(os.minor(os.stat(vault.mount).st_dev)) / "abort"
    fd = os.open(vault.pool / "X00001", os.O_WRONLY | os.O_CREAT)
    daemon = vault.daemon()
    abort.write_text("1")
    wait_until(lambda: not is_alive(daemon), 20, "the daemon has ended")
    assert vault.status()["dead"]
    close_dead(fd)
    vault.attach()
    with vault.follow() as feed:
        assert feed.hello.unclean
        feed.until(Kind.INTERRUPTED, "X00001")


def test_kills_at_random_moments_under_load(vault: Vault) -> None:
    chance = random.Random(20_261_122)
    for _ in range(4):
        writers = [Writer(vault, f"T{number:05}", chance.random()) for number in range(6)]
        for writer in writers:
            writer.start()
        time.sleep(chance.uniform(0.05, 0.4))  # noqa: TID251 - any moment is a good one to die
        vault.kill()
        for writer in writers:
            writer.join()
        vault.attach()
        with vault.follow() as feed:
            assert feed.hello.unclean
            told: list[Signal] = []
            while not told or told[-1].seq < feed.hello.highest:
                told.append(feed.next())
            feed.send({"ack": feed.hello.highest})
        interrupted = {signal.label for signal in told if signal.kind is Kind.INTERRUPTED}
        for writer in writers:
            if writer.acknowledged is not None:
                assert writer.below().stat().st_size >= writer.acknowledged
                assert writer.label in interrupted


class Writer(threading.Thread):
    """Opens, writes, closes and sometimes renames one tape until the overlay is gone."""

    def __init__(self, vault: Vault, label: str, seed: float) -> None:
        super().__init__()
        self.label = label
        #: Bytes acknowledged in the session that is open, None if none is.
        self.acknowledged: int | None = None
        self._vault = vault
        self._chance = random.Random(seed)

    def below(self) -> Path:
        return self._vault.backing / POOL / self.label

    def run(self) -> None:
        fd = -1
        path = self._vault.pool / self.label
        try:
            while True:
                fd = os.open(path, os.O_WRONLY | os.O_CREAT)
                size = self.acknowledged = 0
                for _ in range(self._chance.randint(1, 20)):
                    size += os.pwrite(fd, bytes(28_672), size)
                    self.acknowledged = size
                self.acknowledged = None
                # Whatever close says, the number is free, and soon another thread's.
                closing, fd = fd, -1
                os.close(closing)
                if self._chance.random() < 0.2:
                    os.rename(path, self._vault.pool / f"{self.label}R")
        except OSError:
            close_dead(fd)
