"""When a tape must not be copied: every guard on real parts, and what lets the copy go on."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.waiting import wait_until
from tests.support.world import COPIED, World, content, open_world

pytestmark = [pytest.mark.mount, pytest.mark.ssh]

TARGET_CHANGED, TARGET_UNKNOWN, KEPT = 624122, 624123, 224126
SOURCE_UNFIT, FENCED = 624127, 424134


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with open_world() as opened:
        yield opened


def overwrite(world: World, label: str, because: str) -> None:
    """Give the word that the target's file may be replaced."""
    word = ("release", world.name(label), "--overwrite-target", "--because", because)
    world.site.must("copyagent", *word)


def identity(path: Path) -> tuple[int, int]:
    """Tell whether it is the same file, untouched, when compared later."""
    found = path.stat()
    return found.st_ino, found.st_ctime_ns


def test_a_writer_behind_the_overlay_keeps_the_tape_from_being_copied(world: World) -> None:
    with world.backing("OPEN01").open("wb") as behind:
        world.tape("OPEN01").write_bytes(b"half a tape")
        world.wait_for("OPEN01", "waiting (open)")
        assert not world.copy("OPEN01").exists()
        behind.seek(0)
        behind.write(b"a whole tape, written beside the engine")
    world.wait_for("OPEN01", "copied")
    assert world.copy("OPEN01").read_bytes() == b"a whole tape, written beside the engine"
    assert world.events(COPIED, "OPEN01") != []


def test_a_copy_that_somebody_changed_is_held_until_it_is_released(world: World) -> None:
    world.protect("EDIT01", content())
    copy = world.copy("EDIT01")
    with copy.open("ab") as file:
        file.write(b"put into service elsewhere")
    edited, before = copy.read_bytes(), identity(copy)
    new = content()
    world.tape("EDIT01").write_bytes(new)
    world.wait_for("EDIT01", "held (target changed)")
    assert (copy.read_bytes(), identity(copy)) == (edited, before)
    assert len(world.events(TARGET_CHANGED, "EDIT01")) == 1
    refused = world.site.run("copyagent", "retry", world.name("EDIT01"))
    assert refused.returncode == 42
    assert "release" in refused.stderr
    plain = world.site.run("copyagent", "release", world.name("EDIT01"), "--because", "oops")
    assert plain.returncode == 42
    assert "--overwrite-target" in plain.stderr
    overwrite(world, "EDIT01", "it was a mistake")
    world.wait_for("EDIT01", "copied")
    assert copy.read_bytes() == new
    assert any("it was a mistake" in line for line in world.site.events(224170))


def test_an_edit_that_keeps_size_and_date_is_seen(world: World) -> None:
    world.protect("EDIT02", content())
    copy = world.copy("EDIT02")
    found = copy.stat()
    with copy.open("r+b") as file:
        file.write(b"X" * 100)
    os.utime(copy, ns=(found.st_atime_ns, found.st_mtime_ns))
    edited = copy.read_bytes()
    world.tape("EDIT02").write_bytes(content())
    world.wait_for("EDIT02", "held (target changed)")
    assert copy.read_bytes() == edited


def test_what_was_released_once_is_no_permission_for_the_next_stranger(world: World) -> None:
    copy = world.copy("EDIT03")
    copy.parent.mkdir(exist_ok=True)
    copy.write_bytes(b"first stranger")
    world.tape("EDIT03").write_bytes(content())
    world.wait_for("EDIT03", "held (unknown at target)")
    copy.write_bytes(b"second stranger, not the one the operator saw")
    overwrite(world, "EDIT03", "seen the first")
    world.site.wait(lambda: len(world.on_record("EDIT03", "held")) == 2, "it is held again")
    assert len(world.events(TARGET_UNKNOWN)) == 1, "of one cause one is told"
    assert copy.read_bytes() == b"second stranger, not the one the operator saw"


def test_an_unknown_file_at_the_target_is_never_replaced_unasked(world: World) -> None:
    copy = world.copy("ALIEN1")
    copy.parent.mkdir(exist_ok=True)
    copy.write_bytes(b"somebody else's tape")
    new = content()
    world.tape("ALIEN1").write_bytes(new)
    world.wait_for("ALIEN1", "held (unknown at target)")
    assert copy.read_bytes() == b"somebody else's tape"
    assert len(world.on_record("ALIEN1", "held")) == 1
    overwrite(world, "ALIEN1", "replace it")
    world.wait_for("ALIEN1", "copied")
    assert copy.read_bytes() == new


def test_equal_content_at_the_target_is_adopted_without_sending(world: World) -> None:
    same = content()
    copy = world.copy("EQUAL1")
    copy.parent.mkdir(exist_ok=True)
    copy.write_bytes(same)
    inode = copy.stat().st_ino
    world.tape("EQUAL1").write_bytes(same)
    document = world.wait_for("EQUAL1", "copied")
    assert document["copies"][0]["published"]["verified"] == "adopted"
    assert copy.stat().st_ino == inode
    [line] = world.events(COPIED, "EQUAL1")
    assert "nothing to send" in line


def test_what_is_no_plain_file_at_the_target_is_left_alone(world: World) -> None:
    secret = world.root / "not to be touched"
    secret.write_bytes(b"untouched")
    world.copy("STRNG1").mkdir(parents=True)
    world.copy("STRNG2").symlink_to(secret)
    for label in ("STRNG1", "STRNG2"):
        world.tape(label).write_bytes(content())
        world.wait_for(label, "held (unknown at target)")
        word = ("release", world.name(label), "--overwrite-target", "--because", "try it")
        refused = world.site.run("copyagent", *word)
        assert refused.returncode == 42
        assert f"Mend that, then: copyagent retry {world.name(label)}" in refused.stderr
    assert world.copy("STRNG2").is_symlink()
    assert secret.read_bytes() == b"untouched"
    world.copy("STRNG1").rmdir()
    world.copy("STRNG2").unlink()
    for label in ("STRNG1", "STRNG2"):
        world.site.must("copyagent", "retry", world.name(label))
        world.wait_for(label, "copied")


def test_what_was_deleted_at_the_target_is_sent_again(world: World) -> None:
    world.protect("AWAY01", content())
    world.copy("AWAY01").unlink()
    world.protect("AWAY01", content())
    shutil.rmtree(world.far / ".vts-autocopy")
    world.protect("AWAY01", content())
    for record in (world.staging() / "records").iterdir():
        record.write_bytes(os.urandom(5000))
    world.protect("AWAY01", content())
    world.copy("AWAY01").rename(world.copy("ASIDE1"))
    world.protect("AWAY01", content())
    assert world.copy("ASIDE1").exists()


def test_a_fence_stops_every_publication_and_burns_no_attempt(world: World) -> None:
    old = content()
    world.protect("FENCE1", old)
    fence = world.far / ".vts-autocopy" / "IN-SERVICE"
    fence.touch()
    new = content()
    world.tape("FENCE1").write_bytes(new)
    document = world.wait_for("FENCE1", "waiting (fenced)")
    assert document["copies"][0]["attempts"] == 0
    assert "IN-SERVICE" in document["copies"][0]["why"]
    assert world.copy("FENCE1").read_bytes() == old
    assert len(world.events(FENCED)) == 1
    fence.unlink()
    world.wait_for("FENCE1", "copied")
    assert world.copy("FENCE1").read_bytes() == new


def test_a_zero_length_tape_is_not_copied_until_it_has_content(world: World) -> None:
    world.tape("ZERO01").touch()
    world.wait_for("ZERO01", "clean")
    assert not world.copy("ZERO01").exists()
    world.protect("ZERO01", content())


def test_a_tape_erased_at_the_source_is_kept_at_the_target(world: World) -> None:
    kept = content()
    world.protect("ERASE1", kept)
    os.truncate(world.tape("ERASE1"), 0)
    world.wait_for("ERASE1", "kept (erased at source)")
    assert world.copy("ERASE1").read_bytes() == kept
    assert len(world.events(KEPT)) == 1
    assert world.pool_status()["states"]["kept (erased at source)"] >= 1
    world.protect("ERASE1", content())


def test_a_tape_deleted_at_the_source_is_kept_at_the_target(world: World) -> None:
    kept = content()
    world.protect("DELETE", kept)
    world.tape("DELETE").unlink()
    world.wait_for("DELETE", "kept (deleted at source)")
    assert world.copy("DELETE").read_bytes() == kept
    # One summary for the pool, no alarm for each tape: the log may have told of another one.
    assert len(world.events(KEPT)) == 1
    world.protect("DELETE", content())


def test_links_in_a_pool_are_held_and_never_followed(world: World) -> None:
    secret = world.root / "secret"
    secret.write_bytes(b"not a tape at all")
    world.tape("LINK01").symlink_to(secret)
    world.protect("LINK02", content())
    before = identity(world.copy("LINK02"))
    world.tape("LINK02").unlink()
    world.tape("LINK02").symlink_to(secret)
    world.tape("LINK03").write_bytes(content())
    os.link(world.backing("LINK03"), world.root / "second name")
    world.wait_for("LINK03", "held (source not a plain tape)")
    world.restart_agent()
    for label in ("LINK01", "LINK02"):
        world.wait_for(label, "held (source not a plain tape)")
        assert "symbolic link" in world.why(label)
        assert len(world.on_record(label, "held")) == 1
    assert len(world.events(SOURCE_UNFIT)) == 1
    assert not world.copy("LINK01").exists()
    assert identity(world.copy("LINK02")) == before
    assert "2 names" in world.why("LINK03")
    (world.root / "second name").unlink()
    world.site.must("copyagent", "retry", world.name("LINK03"))
    world.wait_for("LINK03", "copied")


def test_names_that_are_no_tapes_pass_through_and_are_counted(world: World) -> None:
    odd = ["X00001.meta", "with blank", "semi;colon", "$(touch pwned)", "-rf", "Ünïcode", "a|b"]
    for name in odd:
        world.tape(name).write_bytes(b"a companion")
    raw = os.fsencode(world.tape("x")) + b"\xff\n"
    with open(raw, "wb") as file:
        file.write(b"not even text")
    world.restart_agent()
    [vault] = world.site.status()["vaults"]
    assert vault["not_tapes"] == len(odd) + 1
    assert "/VAULT00/BILL/with blank" in vault["not_tapes_examples"]
    assert all(not world.copy(name).exists() for name in odd)
    for path in (world.site.backing() / "BILL").iterdir():
        if path.name in odd or not path.name.isascii() or "\n" in path.name:
            path.unlink()


def test_a_pool_that_is_made_later_is_copied_from_then_on(world: World) -> None:
    world.site.watch("/VAULT00/LATER", "drsite")
    world.restart_agent()
    checked = world.site.run("copyagent", "check")
    assert checked.returncode == 10
    assert "there is no pool /VAULT00/LATER" in checked.stderr
    pool = world.site.mountpoint() / "LATER"
    pool.mkdir()
    new = content()
    (pool / "X00001").write_bytes(new)
    world.site.wait_for_state("/VAULT00/LATER/X00001", "copied")
    assert (world.far / "LATER" / "X00001").read_bytes() == new
    assert world.site.run("copyagent", "check").returncode == 0


def test_a_pool_that_vanishes_loses_nothing_at_the_target(world: World) -> None:
    kept = content()
    world.protect("GONE01", kept)
    away = world.site.backing() / "AWAY"
    (world.site.backing() / "BILL").rename(away)
    world.restart_agent()
    assert world.copy("GONE01").read_bytes() == kept
    away.rename(world.site.backing() / "BILL")
    world.restart_agent()
    assert world.state("GONE01") == "copied"
    assert len(world.events(COPIED, "GONE01")) == 1


def test_only_tapes_lie_in_the_target_pool_and_no_stage_is_left(world: World) -> None:
    world.protect("LAST01", content())
    wait_until(lambda: not world.stages(), 10, "no stage is left")
    assert all(path.is_file() for path in (world.far / "BILL").iterdir())
    assert {path.name for path in world.far.iterdir()} <= {"BILL", "LATER", ".vts-autocopy"}
