"""Tapes that are renamed, replaced, moved between pools or deleted while they are open."""

from collections.abc import Iterator

import pytest

from tests.support.site import Site
from tests.support.sshd import Sshd
from tests.support.world import COPIED, World, content, open_world

pytestmark = [pytest.mark.mount, pytest.mark.ssh]


def make_another_pool(site: Site) -> None:
    site.make_pool("SCRATCH")


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with open_world(adjust=make_another_pool) as opened:
        yield opened


def arrives(world: World, label: str, wanted: bytes) -> None:
    """Wait until the target has *wanted* and everybody knows it."""
    copy = world.copy(label)
    world.site.wait(lambda: copy.exists() and copy.read_bytes() == wanted, f"{label} has arrived")
    world.wait_for(label, "copied")


def test_a_renamed_tape_is_copied_and_its_old_copy_kept(world: World) -> None:
    written = content()
    world.protect("NAME01", written)
    world.tape("NAME01").rename(world.tape("NAME02"))
    arrives(world, "NAME02", written)
    world.wait_for("NAME01", "kept (deleted at source)")
    assert world.copy("NAME01").read_bytes() == written


def test_a_tape_put_in_the_place_of_another_is_copied(world: World) -> None:
    world.protect("PLACE1", content())
    written = content()
    world.tape("PLACE2").write_bytes(written)
    world.wait_for("PLACE2", "copied")
    world.tape("PLACE2").replace(world.tape("PLACE1"))
    arrives(world, "PLACE1", written)
    world.wait_for("PLACE2", "kept (deleted at source)")


def test_a_tape_moved_in_from_an_unwatched_pool_is_copied(world: World) -> None:
    outside = world.site.mountpoint() / "SCRATCH" / "MOVED1"
    written = content()
    outside.write_bytes(written)
    outside.rename(world.tape("MOVED1"))
    arrives(world, "MOVED1", written)
    world.tape("MOVED1").rename(outside)
    world.wait_for("MOVED1", "kept (deleted at source)")
    assert world.copy("MOVED1").read_bytes() == written
    assert not (world.far / "SCRATCH").exists()


def test_a_tape_deleted_and_made_again_while_it_is_open(world: World) -> None:
    world.protect("AGAIN1", content())
    with world.tape("AGAIN1").open("r+b") as lost:
        world.tape("AGAIN1").unlink()
        lost.write(b"to nowhere")
        written = content()
        world.tape("AGAIN1").write_bytes(written)
        lost.write(b"to nowhere")
    arrives(world, "AGAIN1", written)


def test_a_tape_renamed_while_it_is_written(world: World) -> None:
    with world.tape("OPENED").open("wb") as engine:
        engine.write(b"first half ")
        engine.flush()
        world.tape("OPENED").rename(world.tape("RENAMD"))
        engine.write(b"second half")
    arrives(world, "RENAMD", b"first half second half")
    assert not world.copy("OPENED").exists()


def test_a_pool_renamed_away_and_back_with_a_tape_open(world: World) -> None:
    pool = world.site.mountpoint() / "BILL"
    away = pool.with_name("ELSE")
    kept, written = content(), content()
    world.protect("POOL01", kept)
    world.site.wait(lambda: world.pool_status()["unprotected"] == 0, "all is protected")
    copied = {event for event in world.events(COPIED) if "POOL02" not in event}
    with world.tape("POOL02").open("wb") as engine:
        engine.write(written[:1000])
        engine.flush()
        pool.rename(away)
        engine.write(written[1000:])
    assert (away / "POOL02").read_bytes() == written
    away.rename(pool)
    arrives(world, "POOL02", written)
    world.site.wait(lambda: world.pool_status()["unprotected"] == 0, "all is protected")
    assert world.copy("POOL01").read_bytes() == kept
    assert not (world.far / "ELSE").exists()
    assert len(world.events(COPIED, "POOL01")) == 1
    # On a busy machine POOL02 may be judged once on its way and once when it is back.
    assert {event for event in world.events(COPIED) if "POOL02" not in event} == copied


def test_a_target_that_runs_no_commands_is_enough() -> None:
    with open_world(serve=lambda directory: Sshd(directory, sftp_only=True)) as world:
        document = world.protect("PLAIN1", content())
        assert document["copies"][0]["published"]["verified"] == "readback"
        world.protect("PLAIN1", content())
        with world.copy("PLAIN1").open("ab") as file:
            file.write(b"edited")
        edited = world.copy("PLAIN1").read_bytes()
        world.tape("PLAIN1").write_bytes(content())
        world.wait_for("PLAIN1", "held (target changed)")
        assert world.copy("PLAIN1").read_bytes() == edited
