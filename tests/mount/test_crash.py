"""kill -9 of the overlay: the mount point stays covered, and nothing acknowledged is lost."""

import errno
import os

from tests.support.attached_vault import POOL, VAULT, Vault
from tests.support.posix_case import close_dead, fails_with
from vtsfs.contract.signals import Kind
from vtsfs.fuse.mounting import is_ours, layers_at


def test_killed_with_a_tape_open(vault: Vault) -> None:
    path = vault.pool / "X00001"
    path.write_bytes(b"complete")
    with vault.follow() as feed:
        feed.until(Kind.DISMOUNTED, "X00001")
    fd = os.open(path, os.O_WRONLY)
    os.write(fd, b"half")
    vault.kill()
    with fails_with(errno.ENOTCONN):
        os.listdir(vault.mount)
    with fails_with(errno.ENOTCONN):
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


def test_every_acknowledged_byte_is_below(vault: Vault) -> None:
    written = 0
    fd = os.open(vault.pool / "X00001", os.O_WRONLY | os.O_CREAT)
    for _ in range(50):
        written += os.write(fd, os.urandom(28_672))
    vault.kill()
    close_dead(fd)
    assert (vault.backing / POOL / "X00001").stat().st_size == written
