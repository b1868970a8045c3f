"""Tapes that were there before AutoCopy: shown, counted, and copied when the operator says so."""

import os
from collections.abc import Iterator

import pytest

from tests.support.site import Site
from tests.support.world import COPIED, POOL, World, content, open_world

pytestmark = [pytest.mark.mount, pytest.mark.ssh]

UNSYNCED = 424176
BEFORE = {f"OLD{number:03}": content() for number in range(5)}


def put_tapes(site: Site) -> None:
    for label, written in BEFORE.items():
        path = site.backing() / "BILL" / label
        path.write_bytes(written)
        os.utime(path, (1_200_000_000, 1_200_000_000))
    (site.backing() / "BILL" / "EMPTY1").touch()


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with open_world(adjust=put_tapes) as opened:
        yield opened


def test_what_was_there_before_is_unsynced_and_not_copied(world: World) -> None:
    pool = world.pool_status()
    assert pool["states"] == {"unsynced": len(BEFORE), "kept (erased at source)": 1}
    assert pool["unprotected"] == len(BEFORE)
    [line] = world.events(UNSYNCED)
    assert f"{POOL}: {len(BEFORE)} tapes" in line
    [listed] = [a for a in world.site.status()["attention"] if a["tape"] == world.name("OLD000")]
    assert "copyagent sync" in listed["next"]
    assert not (world.far / "BILL").exists()


def test_reading_a_tape_that_was_there_before_changes_nothing(world: World) -> None:
    assert world.tape("OLD001").read_bytes() == BEFORE["OLD001"]
    with world.tape("OLD001").open("r+b"):
        pass
    world.tape("WATCH1").write_bytes(b"shows that the agent has seen all before it")
    world.wait_for("WATCH1", "copied")
    assert world.state("OLD001") == "unsynced"
    assert world.events(COPIED, "OLD001") == []


def test_one_tape_is_copied_when_asked_for(world: World) -> None:
    answer = world.site.must("copyagent", "sync", world.name("OLD000"))
    assert "queued" in answer
    world.wait_for("OLD000", "copied")
    assert world.copy("OLD000").read_bytes() == BEFORE["OLD000"]
    assert int(world.copy("OLD000").stat().st_mtime) == 1_200_000_000
    assert world.state("OLD002") == "unsynced"


def test_a_tape_that_is_written_is_copied_without_being_asked_for(world: World) -> None:
    world.protect("OLD002", content())


def test_the_whole_pool_is_copied_when_asked_for_and_nothing_twice(world: World) -> None:
    copy = world.copy("OLD003")
    copy.write_bytes(BEFORE["OLD003"])  # somebody has carried it over already
    inode = copy.stat().st_ino
    world.site.must("copyagent", "sync", POOL)
    for label in BEFORE:
        world.wait_for(label, "copied")
    assert copy.stat().st_ino == inode
    assert "nothing to send" in world.events(COPIED, "OLD003")[0]
    for label in ("OLD001", "OLD004"):
        assert world.copy(label).read_bytes() == BEFORE[label]
    assert all(len(world.events(COPIED, label)) == 1 for label in BEFORE)
    assert "nothing to copy" in world.site.must("copyagent", "sync", POOL)


def test_an_empty_tape_is_nothing_to_protect(world: World) -> None:
    assert not world.copy("EMPTY1").exists()
    assert world.pool_status()["unprotected"] == 0


@pytest.mark.parametrize(
    ("where", "told"),
    [
        ("/VAULT00/BILL/NOSUCH", "no tape /VAULT00/BILL/NOSUCH is known"),
        ("/VAULT00/PAY", "not under autocopy"),
        ("BILL", "BILL"),
    ],
)
def test_what_cannot_be_synced_is_said(world: World, where: str, told: str) -> None:
    answer = world.site.run("copyagent", "sync", where)
    assert answer.returncode == 2
    assert told in answer.stderr
