"""After a kill one command recovers a vault; told to stop, it ends in order; no vault hurts another."""

import errno
import mmap
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import yaml

from tests.support.attached_vault import POOL, VAULT, Vault, attached_vault
from tests.support.mountpoint import mounts_under
from tests.support.posix_case import close_dead, fails_with, opened
from tests.support.processes import Program, identify, is_alive, send_signal
from tests.support.waiting import wait_until
from vtsfs.contract.signals import Kind, Signal
from vtsfs.fuse.mounting import guard_mountpoint, is_dead
from vtsfs.runtime.mount_table import layers_at

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount over it")
#: What a call on a dead mount says; right after the kill, the second.
DEAD = (errno.ENOTCONN, errno.ECONNABORTED)


def everything_told(vault: Vault) -> list[Signal]:
    """Return what has not been acknowledged, and acknowledge it."""
    told: list[Signal] = []
    with vault.follow() as feed:
        while not told or told[-1].seq < feed.hello.highest:
            told.append(feed.next())
        feed.send({"ack": feed.hello.highest})
        feed.send({"swept": True})
        wait_until(lambda: not vault.status()["unclean"], 10, "it is swept")
    return told


@contextmanager
def program(text: str, *arguments: str | Path, output: Path) -> Iterator[Program]:
    """Run a small Python program for the length of the block, once it has said `ready`."""
    with Program([sys.executable, "-u", "-c", text, *arguments], output) as running:
        running.wait_for_output("ready", 20)
        yield running


HOLDER = """
import mmap, os, sys, time
pool = sys.argv[1]
os.chdir(pool)
file = os.open("HELD01", os.O_RDWR)
mapped = mmap.mmap(file, 4096)
directory = os.open(".", os.O_RDONLY)
print("ready")
time.sleep(600)
"""


def test_one_command_recovers_again_and_again_while_dead_handles_are_held(vault: Vault) -> None:
    (vault.backing / POOL / "HELD01").write_bytes(bytes(4096))
    # Held once and for all, from before the first kill to the end.
    with program(HOLDER, vault.pool, output=vault.top / "first") as holder:
        dead: list[int] = []
        for number in range(3):
            label = f"X0000{number}"
            fd = os.open(vault.pool / label, os.O_RDWR | os.O_CREAT)
            dead.append(fd)
            os.write(fd, b"half")
            vault.kill()
            assert is_dead(vault.mount)
            with fails_with(*DEAD):
                os.mkdir(vault.mount / "beneath")
            vault.attach()
            told = {(signal.kind, signal.label): signal for signal in everything_told(vault)}
            interrupted = told[Kind.INTERRUPTED, label]
            assert (interrupted.wrote, interrupted.extents) == (True, None)
            if number == 0:
                # It was open for writing too, and nothing had been written.
                assert not told[Kind.INTERRUPTED, "HELD01"].wrote
            assert (vault.pool / label).read_bytes() == b"half"
            for handle in dead:
                with fails_with(*DEAD):
                    os.write(handle, b"lost")
        assert holder.is_running()
        for handle in dead:
            close_dead(handle)
    vault.detach()
    assert mounts_under(vault.mount) == []


def test_a_mapping_dies_with_its_overlay_and_what_it_held_is_below(vault: Vault) -> None:
    tape = vault.pool / "MAPPED"
    tape.write_bytes(bytes(8192))
    with opened(tape, os.O_RDWR) as fd, mmap.mmap(fd, 8192) as mapped:
        mapped[:5] = b"first"
        mapped.flush()
        vault.kill()
    assert (vault.backing / POOL / "MAPPED").read_bytes()[:5] == b"first"
    vault.attach()
    told = everything_told(vault)
    assert [s.label for s in told if s.kind is Kind.INTERRUPTED] == ["MAPPED"]
    assert tape.read_bytes()[:5] == b"first"


def test_a_backing_that_is_away_leaves_the_vault_covered_until_it_is_back(vault: Vault) -> None:
    fd = os.open(vault.pool / "X00001", os.O_WRONLY | os.O_CREAT)
    vault.kill()
    close_dead(fd)
    away = vault.backing.rename(vault.backing.with_name("away"))
    ended = vault.run("attach", VAULT)
    assert ended.returncode == 20
    assert str(vault.backing) in ended.stderr
    with fails_with(*DEAD):
        (vault.pool / "X00002").write_bytes(b"into the void")
    away.rename(vault.backing)
    vault.attach()
    assert [s.label for s in everything_told(vault) if s.kind is Kind.INTERRUPTED] == ["X00001"]


def test_an_outbox_that_is_away_at_the_start_is_taken_up_when_it_is_back(vault: Vault) -> None:
    fd = os.open(vault.pool / "X00001", os.O_WRONLY | os.O_CREAT)
    os.write(fd, b"half")
    vault.kill()
    close_dead(fd)
    state = vault.top / "state"
    away = state.rename(vault.top / "away")
    state.write_text("where a directory should be")
    vault.attach()
    assert vault.status()["outbox"]["failure"]
    (vault.pool / "X00002").write_bytes(b"served all the same")
    with opened(vault.pool / "X00003", os.O_WRONLY | os.O_CREAT) as fd:
        state.unlink()
        away.rename(state)
        wait_until(lambda: not vault.status()["outbox"]["failure"], 20, "it is taken up")
        os.write(fd, b"open all the time")
    (vault.pool / "X00004").write_bytes(b"the last")
    with vault.follow() as feed:
        assert feed.hello.unclean
        told = feed.up_to(Kind.DISMOUNTED, "X00004")
    assert [s.label for s in told if s.kind is Kind.INTERRUPTED] == ["X00001"]
    assert {"X00002", "X00003"} <= {s.label for s in told if s.kind is Kind.DISMOUNTED}


# ---- an orderly stop -----------------------------------------------------------------------------


@pytest.fixture
def impatient(scratch: Path) -> Iterator[tuple[Vault, Program]]:
    """Give a vault whose overlay waits for open tapes for a second only."""
    vault = Vault(scratch)
    (vault.backing / POOL / "OLD001").write_bytes(b"old")
    command: list[str | Path] = [sys.executable, "-m", "tests.mount.faulty_overlay"]
    with Program([*command, vault.config, VAULT], scratch / "output", cwd=Path.cwd()) as served:
        served.wait_for_output("224173", 20)
        try:
            yield vault, served
        finally:
            vault.end()


def test_a_stop_waits_up_to_its_limit_and_then_leaves_the_vault_covered(
    impatient: tuple[Vault, Program],
) -> None:
    vault, served = impatient
    fd = os.open(vault.pool / "X00001", os.O_RDWR | os.O_CREAT)
    begun = time.monotonic()
    os.kill(served.pid, signal.SIGTERM)
    wait_until(lambda: _refused(vault.pool / "OLD001"), 10, "tapes are not opened any more")
    # Nothing is made that is then refused.
    with fails_with(errno.EBUSY, *DEAD):
        os.open(vault.pool / "NEW001", os.O_WRONLY | os.O_CREAT)
    assert not (vault.backing / POOL / "NEW001").exists()
    os.write(fd, b"until the end")
    assert served.wait(20) == 21
    assert time.monotonic() - begun >= 1
    # Not lazily: what is open does not go on into a file system that nobody sees.
    assert is_dead(vault.mount)
    with fails_with(*DEAD):
        os.write(fd, b"lost")
    close_dead(fd)
    assert (vault.backing / POOL / "X00001").read_bytes() == b"until the end"
    assert f"/{VAULT}/{POOL}/X00001" in served.output()
    vault.attach()
    assert [s.label for s in everything_told(vault) if s.kind is Kind.INTERRUPTED] == ["X00001"]


def _refused(path: Path) -> bool:
    try:
        with opened(path, os.O_RDONLY):
            return False
    except OSError as error:
        return error.errno == errno.EBUSY


def test_a_stop_takes_its_own_mount_off_and_no_other(impatient: tuple[Vault, Program]) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can mount over it")
    vault, served = impatient
    subprocess.run(["mount", "-t", "tmpfs", "above", vault.mount], check=True)
    (vault.mount / "theirs").write_bytes(b"theirs")
    os.kill(served.pid, signal.SIGTERM)
    assert served.wait(20) == 21
    assert [layer.source for layer in layers_at(vault.mount)][-1] == "above"
    assert (vault.mount / "theirs").read_bytes() == b"theirs"
    assert "something else is mounted over" in served.output()
    subprocess.run(["umount", vault.mount], check=True)
    assert is_dead(vault.mount)
    vault.attach()
    assert (vault.pool / "OLD001").read_bytes() == b"old"


# ---- several vaults ------------------------------------------------------------------------------


def test_several_vaults_have_a_process_each_and_one_death_is_one_death(scratch: Path) -> None:
    with attached_vault(scratch) as first:
        names = [VAULT, "VAULT01", "VAULT02"]
        settings = yaml.safe_load(first.config.read_text())
        for name in names[1:]:
            for kind in ("backing", "mountpoint"):
                (scratch / name / kind / POOL).mkdir(parents=True)
            shutil.rmtree(scratch / name / "mountpoint" / POOL)
            settings["vaults"][name] = {
                kind: str(scratch / name / kind) for kind in ("backing", "mountpoint")
            }
        first.config.write_text(yaml.safe_dump(settings))
        pools = {name: first.settings.vaults[name].mountpoint / POOL for name in names}
        with ExitStack() as stack:
            for name in names[1:]:
                ended = first.run("attach", name)
                assert ended.returncode == 0, ended.stderr
                stack.callback(_kill, first, name)
            pids = {_pid(first, name) for name in names}
            assert len(pids) == 3
            handles = {
                name: stack.enter_context(opened(pools[name] / "X00001", os.O_RDWR | os.O_CREAT))
                for name in (VAULT, "VAULT02")
            }
            doomed = os.open(pools["VAULT01"] / "X00001", os.O_RDWR | os.O_CREAT)
            _kill(first, "VAULT01")
            with fails_with(*DEAD):
                os.write(doomed, b"lost")
            close_dead(doomed)
            for name, fd in handles.items():
                os.write(fd, b"as if nothing had happened")
                (pools[name] / "X00002").write_bytes(b"as if nothing had happened")
            assert {_pid(first, name) for name in handles} < pids
            assert first.run("attach", "VAULT01").returncode == 0
            (pools["VAULT01"] / "X00001").write_bytes(b"again")
            assert (scratch / "VAULT01" / "backing" / POOL / "X00001").read_bytes() == b"again"
        assert first.run("detach", VAULT).returncode == 0


def _pid(vault: Vault, name: str) -> int:
    lock = vault.settings.overlay_lock(name)
    return int(lock.read_text())


def _kill(vault: Vault, name: str) -> None:
    process = identify(_pid(vault, name))
    if process is not None:
        send_signal(process, signal.SIGKILL)
        wait_until(lambda: not is_alive(process), 10, "it is dead")


# ---- the bare mount point ------------------------------------------------------------------------


@needs_root
def test_beneath_a_missing_overlay_root_cannot_write_either(vault: Vault) -> None:
    probe = vault.top / "probe"
    probe.mkdir()
    if not guard_mountpoint(probe):
        pytest.skip("this file system knows no immutable directories")
    (vault.pool / "X00001").write_bytes(b"above")
    vault.detach()
    for attempt in (
        lambda: os.mkdir(vault.mount / POOL),
        lambda: (vault.mount / "X00001").write_bytes(b"beneath"),
        lambda: os.rename(vault.backing / POOL / "X00001", vault.mount / "X00001"),
        lambda: os.rmdir(vault.mount),
    ):
        with fails_with(errno.EPERM):
            attempt()
    assert os.listdir(vault.mount) == []
    vault.attach()
    assert (vault.pool / "X00001").read_bytes() == b"above"
