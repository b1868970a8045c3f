"""State that is full, damaged, or older than it should be: nothing is lost, nothing goes wrong."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.world import World, content, open_world

pytestmark = [pytest.mark.mount, pytest.mark.ssh, pytest.mark.slow]

OUTBOX_FAILURE = 824141
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a tmpfs")


@pytest.fixture
def world() -> Iterator[World]:
    with open_world() as opened:
        yield opened


@pytest.fixture(scope="module")
def shared() -> Iterator[World]:
    with open_world() as opened:
        yield opened


def test_damaged_state_of_the_agent_is_set_aside_and_every_tape_compared(shared: World) -> None:
    world, kept, newer = shared, content(), content()
    world.protect("DAMAG1", kept)
    world.protect("DAMAG2", content())
    inode = world.copy("DAMAG1").stat().st_ino
    world.site.stop()
    world.tape("DAMAG2").write_bytes(newer)
    [database] = (world.site.root / "state" / "agent").glob("agent.sqlite")
    database.write_bytes(os.urandom(50_000))
    world.start_agent()
    for label, wanted in (("DAMAG1", kept), ("DAMAG2", newer)):
        world.wait_for(label, "copied")
        assert world.copy(label).read_bytes() == wanted
    assert world.copy("DAMAG1").stat().st_ino == inode
    aside = [path for path in database.parent.iterdir() if path.name.startswith("agent.sqlite.")]
    assert aside
    assert "set aside" in world.site.agent_log() or "kept as" in world.site.agent_log()


def test_a_damaged_outbox_is_set_aside_and_every_tape_compared(shared: World) -> None:
    world, newer = shared, content()
    world.protect("OUTBX1", content())
    world.site.stop()
    world.tape("OUTBX1").write_bytes(newer)
    world.site.kill_overlay()
    [outbox] = (world.site.root / "state" / "outbox").glob("*.sqlite")
    for path in outbox.parent.glob(outbox.name + "-*"):
        path.unlink()
    outbox.write_bytes(os.urandom(50_000))
    world.site.attach()
    world.start_agent()
    world.wait_for("OUTBX1", "copied")
    assert world.copy("OUTBX1").read_bytes() == newer
    assert len(world.events(OUTBOX_FAILURE)) == 1


def test_state_from_a_backup_neither_sends_back_nor_forgets(shared: World) -> None:
    world = shared
    world.protect("BACK01", content())
    world.site.stop()
    state = world.site.root / "state" / "agent"
    backup = world.root / "backup"
    shutil.copytree(state, backup)
    world.start_agent()
    newest = content()
    world.protect("BACK01", content())
    world.protect("BACK01", newest)
    world.protect("BACK02", newest)
    inodes = [world.copy(label).stat().st_ino for label in ("BACK01", "BACK02")]
    world.site.stop()
    shutil.rmtree(state)
    shutil.copytree(backup, state)
    world.start_agent()
    for label in ("BACK01", "BACK02"):
        world.wait_for(label, "copied")
        assert world.copy(label).read_bytes() == newest
    assert [world.copy(label).stat().st_ino for label in ("BACK01", "BACK02")] == inodes
    world.protect("BACK01", content())
    world.protect("BACK02", content())


def test_an_outbox_from_a_backup_loses_nothing(shared: World) -> None:
    world = shared
    world.protect("OLDBX1", content())
    world.site.detach()
    outbox = world.site.root / "state" / "outbox"
    backup = world.root / "outbox-backup"
    shutil.copytree(outbox, backup)
    world.site.attach()
    world.protect("OLDBX1", content())
    world.protect("OLDBX2", content())
    world.site.stop()
    last = content()
    world.tape("OLDBX1").write_bytes(last)
    world.site.kill_overlay()
    shutil.rmtree(outbox)
    shutil.copytree(backup, outbox)
    world.site.attach()
    world.start_agent()
    world.wait_for("OLDBX1", "copied")
    world.site.wait(lambda: world.copy("OLDBX1").read_bytes() == last, "the last generation")
    world.protect("OLDBX1", content())
    world.protect("OLDBX3", content())


@needs_root
def test_a_full_state_disk_stops_no_tape_and_forgets_none(world: World) -> None:
    world.protect("ROOM01", content())
    world.site.stop()
    world.site.detach()
    with on_a_small_disk(world.site.root / "state"):
        world.site.attach()
        world.start_agent()
        fill(world.site.root / "state")
        written = {f"ROOM{number:02}": content() for number in range(1, 4)}
        for label, data in written.items():
            world.tape(label).write_bytes(data)
            assert world.tape(label).read_bytes() == data
        world.site.wait(lambda: world.events(OUTBOX_FAILURE), "the outbox's failure is told")
        (world.site.root / "state" / "filler").unlink()
        world.site.wait(lambda: all_arrived(world, written), "what was not noted is found", 30)
        world.protect("ROOM04", content())
        world.site.stop()
        world.site.detach()


def all_arrived(world: World, written: dict[str, bytes]) -> bool:
    return all(
        world.copy(label).exists() and world.copy(label).read_bytes() == data
        for label, data in written.items()
    )


@contextmanager
def on_a_small_disk(directory: Path) -> Iterator[None]:
    """Put what is in *directory* on a disk of its own with little room."""
    away = directory.with_name("away")
    shutil.copytree(directory, away)
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m,mode=755", "vts-test", directory], check=True
    )
    shutil.copytree(away, directory, dirs_exist_ok=True)
    yield


def fill(directory: Path) -> None:
    """Leave no room on the disk of *directory*."""
    with (directory / "filler").open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(b"\0" * size)
            except OSError:
                continue
