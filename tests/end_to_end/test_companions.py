"""Companions on their whole way: written through the overlay, and at the target before their tape."""

from collections.abc import Iterator

import pytest

from tests.support.site import Site
from tests.support.world import World, open_world

pytestmark = [pytest.mark.mount, pytest.mark.ssh]

TAPE, META = "X00001", "X00001.meta"


def with_companions(site: Site) -> None:
    site.settings["autocopy"][0]["companions"] = ["{label}.*"]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with open_world(with_host=True, adjust=with_companions) as opened:
        yield opened


def write_both(world: World, content: bytes) -> None:
    world.host.begin_mount(TAPE, ring=True)
    world.tape(META).write_bytes(b"about " + content)
    world.tape(TAPE).write_bytes(content)
    world.host.end_mount(TAPE)
    world.site.wait(
        lambda: world.copy(TAPE).exists() and world.copy(TAPE).read_bytes() == content,
        "the tape is there",
    )
    assert world.copy(META).read_bytes() == b"about " + content, "before its tape"
    world.wait_for(TAPE, "copied")


def test_they_travel_with_their_tape_and_alone(world: World) -> None:
    write_both(world, b"first")
    write_both(world, b"second" * 1000)
    before = world.copy(TAPE).stat()
    # Nobody has the tape mounted: the companion is sent by itself, and that is no alarm.
    world.tape(META).write_bytes(b"catalogued elsewhere")
    world.site.wait(
        lambda: world.copy(META).read_bytes() == b"catalogued elsewhere", "the companion is there"
    )
    world.wait_for(TAPE, "copied")
    after = world.copy(TAPE).stat()
    assert (before.st_ino, before.st_ctime_ns) == (after.st_ino, after.st_ctime_ns)
    assert world.events(424131) == []
    world.tape(META).unlink()
    write_without_companion(world)
    assert world.copy(META).read_bytes() == b"catalogued elsewhere", "nothing there is deleted"
    assert sorted(path.name for path in world.copy(TAPE).parent.iterdir()) == [TAPE, META]


def write_without_companion(world: World) -> None:
    world.mount(TAPE, b"third")
    world.site.wait(lambda: world.copy(TAPE).read_bytes() == b"third", "the tape is there")


def test_a_foreign_companion_at_the_target_holds_its_tape(world: World) -> None:
    label = "X00002"
    theirs = world.copy(f"{label}.meta")
    theirs.parent.mkdir(exist_ok=True)
    theirs.write_bytes(b"theirs")
    world.host.begin_mount(label, ring=True)
    world.tape(f"{label}.meta").write_bytes(b"ours")
    world.tape(label).write_bytes(b"tape")
    world.host.end_mount(label)
    world.wait_for(label, "held")
    assert f"{label}.meta" in world.why(label)
    assert theirs.read_bytes() == b"theirs"
    assert not world.copy(label).exists()
    said = ["--overwrite-target", "--because", "ours is right"]
    world.site.must("copyagent", "release", *said, world.name(label))
    world.wait_for(label, "copied")
    assert (theirs.read_bytes(), world.copy(label).read_bytes()) == (b"ours", b"tape")
