"""What stands at the target already: ours, equal, allowed by an operator, or held."""

import os
from dataclasses import replace

import pytest

from copyagent.core.copying import (
    CopyDone,
    CopyHeld,
    HoldReason,
)
from tests.support.copy_rig import CopyRig

pytestmark = pytest.mark.ssh


async def test_an_unknown_file_at_the_target_is_held(rig: CopyRig) -> None:
    rig.write(b"ours")
    rig.published().parent.mkdir()
    rig.published().write_bytes(b"theirs")
    held = await rig.copy()
    assert isinstance(held, CopyHeld)
    assert held.reason is HoldReason.TARGET_UNKNOWN
    assert held.stamp is not None
    assert held.stamp.size == 6
    assert "6 bytes" in held.detail
    assert rig.published().read_bytes() == b"theirs"

    released = await rig.copy(replace(rig.job(), override=held.stamp))
    assert isinstance(released, CopyDone)
    assert rig.published().read_bytes() == b"ours"


async def test_an_override_is_for_the_state_the_operator_saw(rig: CopyRig) -> None:
    rig.write(b"ours")
    rig.published().parent.mkdir()
    rig.published().write_bytes(b"theirs")
    held = await rig.copy()
    assert isinstance(held, CopyHeld)
    rig.published().write_bytes(b"newer!")
    again = await rig.copy(replace(rig.job(), override=held.stamp))
    assert isinstance(again, CopyHeld)
    assert rig.published().read_bytes() == b"newer!"


@pytest.mark.parametrize("how", ["another size", "the same size and date"])
async def test_a_published_tape_that_somebody_changed_is_held(rig: CopyRig, how: str) -> None:
    rig.write(b"first")
    done = await rig.copy()
    assert isinstance(done, CopyDone)
    found = rig.published().stat()
    rig.published().write_bytes(b"edited" if how == "another size" else b"edits")
    os.utime(rig.published(), ns=(found.st_atime_ns, found.st_mtime_ns))
    rig.write(b"second")
    held = await rig.copy(replace(rig.job(generation=2), base=done.copy))
    assert isinstance(held, CopyHeld)
    assert held.reason is HoldReason.TARGET_CHANGED
    assert rig.published().read_bytes().startswith(b"edit")


async def test_a_published_tape_that_was_only_touched_is_still_ours(rig: CopyRig) -> None:
    rig.write(b"first")
    done = await rig.copy()
    assert isinstance(done, CopyDone)
    os.utime(rig.published())
    rig.write(b"second")
    again = await rig.copy(replace(rig.job(generation=2), base=done.copy))
    assert isinstance(again, CopyDone)
    assert rig.published().read_bytes() == b"second"


async def test_equal_content_is_adopted(rig: CopyRig) -> None:
    rig.write(b"the same")
    rig.published().parent.mkdir()
    rig.published().write_bytes(b"the same")
    inode = rig.published().stat().st_ino
    done = await rig.copy()
    assert isinstance(done, CopyDone)
    assert (done.sent, done.copy.verified) == (0, "adopted")
    assert rig.published().stat().st_ino == inode
    rig.write(b"another")
    again = await rig.copy(replace(rig.job(generation=2), base=done.copy))
    assert isinstance(again, CopyDone)
    assert again.sent == 7


async def test_a_lost_state_is_rebuilt_from_the_manifest(rig: CopyRig) -> None:
    rig.write(b"first")
    await rig.copy()
    rig.write(b"second")
    again = await rig.copy()
    assert isinstance(again, CopyDone), "the manifest's digest says that it is ours"
    assert rig.published().read_bytes() == b"second"


async def test_unchanged_content_is_not_sent_again(rig: CopyRig) -> None:
    rig.write(b"tape")
    done = await rig.copy()
    assert isinstance(done, CopyDone)
    again = await rig.copy(replace(rig.job(generation=2), base=done.copy))
    assert isinstance(again, CopyDone)
    assert (again.sent, again.copy.generation) == (0, 2)
    assert again.copy.stamp == done.copy.stamp


async def test_new_content_with_the_old_identity_is_sent(rig: CopyRig) -> None:
    rig.write(b"tape")
    done = await rig.copy()
    assert isinstance(done, CopyDone)
    found = rig.tape().stat()
    rig.write(b"gape")
    os.utime(rig.tape(), ns=(found.st_atime_ns, found.st_mtime_ns))
    again = await rig.copy(replace(rig.job(generation=2), base=done.copy))
    assert isinstance(again, CopyDone)
    assert rig.published().read_bytes() == b"gape"


@pytest.mark.parametrize("kind", ["symlink", "directory", "fifo"])
async def test_a_target_that_is_no_plain_file_is_held(rig: CopyRig, kind: str) -> None:
    rig.write(b"tape")
    rig.published().parent.mkdir()
    if kind == "symlink":
        rig.published().symlink_to("X00002")
    elif kind == "directory":
        rig.published().mkdir()
    else:
        os.mkfifo(rig.published())
    held = await rig.copy()
    assert isinstance(held, CopyHeld)
    assert held.reason is HoldReason.TARGET_UNKNOWN
