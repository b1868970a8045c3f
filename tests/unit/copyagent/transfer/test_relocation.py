"""A file with the tape's label in another place is moved on the operator's word, and not otherwise."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from copyagent.core.copying import (
    CopyDone,
    CopyHeld,
    CopyJob,
    CopyWaits,
    Errand,
    HoldReason,
    Wish,
)
from copyagent.transfer.premises import Surroundings
from tests.support.copy_rig import CopyRig

pytestmark = pytest.mark.ssh


@pytest.fixture
def place(rig: CopyRig) -> Path:
    """Put a copy of the tape where it does not belong: in another vault of the target."""
    second = rig.vault.parent / "VAULT01"
    (second / "PAY").mkdir(parents=True)
    rig.surroundings = Surroundings(vaults={"VAULT00": str(rig.vault), "VAULT01": str(second)})
    rig.write(b"the tape")
    found = second / "PAY" / "X00001"
    found.write_bytes(b"the tape")
    return found


def ordered(rig: CopyRig, place: Path | str) -> CopyJob:
    return replace(rig.job(), wish=Wish(Errand.RELOCATE, place=str(place)))


async def test_it_is_moved_and_is_the_copy_if_it_is_equal(rig: CopyRig, place: Path) -> None:
    inode = place.stat().st_ino
    done = await rig.copy(ordered(rig, place))
    assert isinstance(done, CopyDone)
    assert done.sent == 0
    assert rig.published().stat().st_ino == inode
    assert not place.exists()


async def test_it_is_moved_and_held_if_it_is_somebody_s(rig: CopyRig, place: Path) -> None:
    place.write_bytes(b"not ours")
    held = await rig.copy(ordered(rig, place))
    assert isinstance(held, CopyHeld)
    assert held.reason is HoldReason.TARGET_UNKNOWN
    assert rig.published().read_bytes() == b"not ours"


async def test_what_was_published_from_here_is_ours_in_its_new_place_too(rig: CopyRig) -> None:
    """A tape was moved to another pool here, and written, before anybody saw to its copy."""
    rig.surroundings = Surroundings(vaults={"VAULT00": str(rig.vault)})
    (rig.backing / "PAY").mkdir()
    rig.tape(pool="PAY").write_bytes(b"the tape")
    assert isinstance(await rig.copy(rig.job(pool="PAY", generation=7)), CopyDone)
    former = rig.published(pool="PAY")
    os.rename(rig.tape(pool="PAY"), rig.tape())
    rig.write(b"the tape, written since")
    rig.premises.forget()
    held = await rig.copy()
    assert isinstance(held, CopyHeld)
    assert held.place == str(former)
    done = await rig.copy(ordered(rig, former))
    assert isinstance(done, CopyDone)
    assert rig.published().read_bytes() == b"the tape, written since"
    assert not former.exists()
    # A stranger's file of that place is not made ours by the record of what was there.
    former.write_bytes(b"somebody else's")
    rig.published().unlink()
    held = await rig.copy(ordered(rig, former))
    assert isinstance(held, CopyHeld)
    assert held.reason is HoldReason.TARGET_UNKNOWN or held.reason is HoldReason.TARGET_CHANGED
    assert rig.published().read_bytes() == b"somebody else's"


async def test_nothing_is_moved_over_a_file(rig: CopyRig, place: Path) -> None:
    rig.published().parent.mkdir()
    rig.published().write_bytes(b"here already")
    held = await rig.copy(ordered(rig, place))
    assert isinstance(held, CopyHeld)
    assert held.reason is HoldReason.LABEL_ELSEWHERE
    assert "are both at the target" in held.detail
    assert rig.published().read_bytes() == b"here already"
    assert place.read_bytes() == b"the tape"


async def test_only_the_place_that_was_seen_is_moved_from(rig: CopyRig, place: Path) -> None:
    second = place.parent.parent / "OLD"
    second.mkdir()
    place.rename(second / "X00001")
    held = await rig.copy(ordered(rig, place))
    assert isinstance(held, CopyHeld)
    assert held.reason is HoldReason.LABEL_ELSEWHERE
    assert held.place == str(second / "X00001")
    assert (second / "X00001").exists()


async def test_what_is_no_file_is_not_moved(rig: CopyRig, place: Path) -> None:
    place.unlink()
    place.symlink_to("/etc/passwd")
    held = await rig.copy(ordered(rig, place))
    assert isinstance(held, CopyHeld)
    assert "no plain file" in held.detail
    assert place.is_symlink()
    assert not held.place, "asking for the same again cannot help"


async def test_a_fence_and_an_open_tape_forbid_the_move_too(rig: CopyRig, place: Path) -> None:
    with rig.tape().open("r+b"):
        assert isinstance(await rig.copy(ordered(rig, place)), CopyWaits)
    fence = rig.at(rig.layout().fences[0])
    fence.parent.mkdir(exist_ok=True)
    fence.touch()
    assert isinstance(await rig.copy(ordered(rig, place)), CopyWaits)
    assert place.exists()


async def test_a_move_that_was_done_by_hand_meanwhile_is_done(rig: CopyRig, place: Path) -> None:
    rig.published().parent.mkdir()
    os.rename(place, rig.published())
    done = await rig.copy(ordered(rig, place))
    assert isinstance(done, CopyDone)
    assert done.sent == 0
