"""Targets that cannot be trusted, reached or written: said plainly, and nothing is lost."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import blake3
import pytest

from tests.support.site import Site
from tests.support.sshd import make_key
from tests.support.watcher import NameWatcher
from tests.support.world import ATTEMPT_FAILED, COPIED, GAVE_UP, World, content, open_world

pytestmark = [pytest.mark.mount, pytest.mark.ssh]

HOST_KEY = 624135
MIB = 1 << 20
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a tmpfs")


def patiently(site: Site) -> None:
    site.settings["retry"] = {"attempts": 100, "interval": "300ms"}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with open_world(adjust=patiently) as opened:
        yield opened


def test_a_wrong_host_key_holds_copies_off_and_burns_no_attempt(world: World) -> None:
    written = content()
    with replaced(world.sshd.known_hosts, world.sshd.wrong_known_hosts().read_bytes()):
        world.tape("KEY001").write_bytes(written)
        # Asked once: what follows may be the next attempt, which is on its way.
        copy = world.wait_for("KEY001", "waiting (host key)")["copies"][0]
        assert copy["attempts"] == 0
        assert "host key" in copy["why"]
        assert "known_hosts" in copy["next"]
        world.tape("KEY002").write_bytes(written)
        world.wait_for("KEY002", "waiting (host key)")
        assert "Accepted" not in world.sshd.log()
        assert len(world.events(HOST_KEY)) == 1
        assert world.events(ATTEMPT_FAILED) == []
    for label in ("KEY001", "KEY002"):
        world.wait_for(label, "copied")
        assert world.copy(label).read_bytes() == written


def test_an_empty_known_hosts_trusts_nobody(world: World) -> None:
    with replaced(world.sshd.known_hosts, b""):
        world.tape("KEY003").write_bytes(content())
        world.wait_for("KEY003", "waiting (host key)")
        assert not world.copy("KEY003").exists()
    world.wait_for("KEY003", "copied")


def test_a_missing_key_is_named(world: World) -> None:
    with replaced(world.sshd.key, None):
        world.tape("USER01").write_bytes(content())
        assert str(world.sshd.key) in world.why_when("USER01", "retry")
        checked = world.site.run("copyagent", "check")
        assert checked.returncode == 10
        assert f"targets.drsite.key: {world.sshd.key} cannot be read" in checked.stderr
    world.wait_for("USER01", "copied")


def test_a_damaged_key_is_named(world: World) -> None:
    with replaced(world.sshd.key, b"-----BEGIN OPENSSH PRIVATE KEY-----\nno\n"):
        world.tape("USER02").write_bytes(content())
        assert str(world.sshd.key) in world.why_when("USER02", "retry")
    world.wait_for("USER02", "copied")


def test_a_key_that_the_target_does_not_know_is_said_to_be_refused(world: World) -> None:
    with replaced(world.sshd.key, make_key(world.root / "another").read_bytes()):
        world.tape("USER03").write_bytes(content())
        assert "denied" in world.why_when("USER03", "retry").lower()
    world.wait_for("USER03", "copied")


@needs_root
def test_a_full_target_keeps_its_old_copy_and_gets_the_new_one_later(world: World) -> None:
    with small_disk(world, "8m"):
        old = content(4 * MIB)
        world.protect("FULL01", old)
        new = content(6 * MIB)
        world.tape("FULL01").write_bytes(new)
        with NameWatcher(world.copy("FULL01"), {blake(old), blake(new)}):
            assert "no room" in world.why_when("FULL01", "retry").lower()
            assert world.copy("FULL01").read_bytes() == old
            remount(world, "size=64m")
            world.wait_for("FULL01", "copied")
        assert world.copy("FULL01").read_bytes() == new
        assert world.stages() == []


@needs_root
def test_a_target_that_is_read_only_says_so(world: World) -> None:
    with small_disk(world, "64m"):
        old = content(MIB)
        world.protect("READ01", old)
        remount(world, "ro")
        new = content(MIB)
        world.tape("READ01").write_bytes(new)
        why = world.why_when("READ01", "retry").lower()
        assert "read-only" in why or "read only" in why
        remount(world, "rw")
        world.wait_for("READ01", "copied")
        assert world.copy("READ01").read_bytes() == new


def test_a_vault_that_is_not_there_is_not_made_up(world: World) -> None:
    away = world.far.with_name("AWAY")
    world.far.rename(away)
    world.tape("NOVLT1").write_bytes(content())
    assert "there is no such directory" in world.why_when("NOVLT1", "retry")
    assert not world.far.exists()
    away.rename(world.far)
    world.wait_for("NOVLT1", "copied")


def test_nothing_was_given_up(world: World) -> None:
    assert world.events(GAVE_UP) == []
    assert world.pool_status()["unprotected"] == 0
    assert len(world.events(COPIED)) >= 5


@contextmanager
def replaced(path: Path, content: bytes | None) -> Iterator[None]:
    """Have another content in a private file, or no file, for as long as the block lasts."""
    right = path.read_bytes()
    path.unlink()
    if content is not None:
        write_private(path, content)
    try:
        yield
    finally:
        write_private(path, right)


def write_private(path: Path, content: bytes) -> None:
    path.touch(0o600)
    path.write_bytes(content)


@contextmanager
def small_disk(world: World, size: str) -> Iterator[None]:
    """Put a small disk in the place of the target's vault for as long as the block lasts."""
    run_mount("-t", "tmpfs", "-o", f"size={size},mode=755", "vts-test", str(world.far))
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(world.far)], check=True)


def remount(world: World, options: str) -> None:
    run_mount("-o", f"remount,{options}", str(world.far))


def run_mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True, capture_output=True)


def blake(data: bytes) -> str:
    return blake3.blake3(data).hexdigest()
