"""Our directory at the target: made, fenced, tidied."""

import stat

import pytest

from copyagent.core.copying import (
    CopyDone,
    CopyFailed,
    CopyHeld,
    CopyWaits,
    HoldReason,
    WaitReason,
)
from copyagent.transfer.progress import Phase
from tests.support.copy_rig import CopyRig
from tests.support.sshd import Sshd

pytestmark = pytest.mark.ssh


async def test_the_pool_is_made_like_the_source_s(rig: CopyRig) -> None:
    (rig.backing / "BILL").chmod(0o2750)
    rig.write(b"tape")
    assert isinstance(await rig.copy(), CopyDone)
    assert stat.S_IMODE((rig.vault / "BILL").stat().st_mode) == 0o2750
    assert stat.S_IMODE((rig.vault / ".vts-autocopy").stat().st_mode) == 0o700
    assert stat.S_IMODE(rig.at(rig.layout().directory).stat().st_mode) == 0o700


async def test_a_vault_that_is_not_there_is_not_made(rig: CopyRig) -> None:
    rig.write(b"tape")
    rig.vault.rmdir()
    failed = await rig.copy()
    assert isinstance(failed, CopyFailed)
    assert "there is no such directory" in failed.cause
    assert not rig.vault.exists()


async def test_tapes_with_like_names_do_not_share_anything(rig: CopyRig) -> None:
    for label in ("A B", "A_B"):
        rig.write(label.encode(), label)
        assert isinstance(await rig.copy(rig.job(label)), CopyDone)
    for suffix in ("manifest", "map"):
        assert len(list(rig.at(rig.layout().records).glob(f"*.{suffix}"))) == 2


async def test_an_old_stage_is_gone_before_the_tape_is_judged(rig: CopyRig) -> None:
    """Else a server process that wakes up late could still publish it, after the look."""
    rig.write(b"tape")
    old = rig.at(rig.layout().stage(0, "old"))
    old.parent.mkdir(parents=True)
    old.write_bytes(b"half")
    rig.published().parent.mkdir()
    rig.published().write_bytes(b"theirs")
    assert isinstance(await rig.copy(), CopyHeld)
    assert rig.staged() == []


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff", b"[]", b"x" * 100_000])
async def test_a_damaged_manifest_proves_nothing(rig: CopyRig, damage: bytes) -> None:
    rig.write(b"first")
    await rig.copy()
    rig.at(rig.layout().manifest).write_bytes(damage)
    rig.write(b"other")
    held = await rig.copy()
    assert isinstance(held, CopyHeld)
    assert held.reason is HoldReason.TARGET_UNKNOWN


@pytest.mark.parametrize("own", [False, True])
async def test_a_fence_stops_every_publication(rig: CopyRig, own: bool) -> None:
    rig.write(b"tape")
    fence = rig.at(rig.layout().fences[own])
    fence.parent.mkdir(parents=True)
    fence.touch()
    waits = await rig.copy()
    assert isinstance(waits, CopyWaits)
    assert waits.reason is WaitReason.FENCED
    assert str(fence) in waits.detail
    fence.unlink()
    rig.at_phase(Phase.SENDING, fence.touch)
    waits = await rig.copy()
    assert isinstance(waits, CopyWaits), "raised during the copy"
    assert not rig.published().exists()
    assert rig.staged() == []


async def test_old_stages_of_the_tape_are_removed_and_no_others(rig: CopyRig) -> None:
    rig.write(b"tape")
    mine = rig.at(rig.layout().stage(0, "old"))
    other = rig.at(rig.layout("X00002").stage(0, "old"))
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"half")
    other.write_bytes(b"half")
    assert isinstance(await rig.copy(), CopyDone)
    assert rig.staged() == [other.name]


@pytest.mark.parametrize("missing", ["posix-rename", "fsync"])
async def test_a_server_that_cannot_publish_safely_is_told_apart(
    rig: CopyRig, missing: str
) -> None:
    rig.write(b"tape")
    options = [f"ForceCommand internal-sftp -P {missing}"]
    with Sshd(rig.sshd.directory / "poor", options=options) as poor:
        rig.sshd = poor
        failed = await rig.copy()
    assert isinstance(failed, CopyFailed)
    assert "OpenSSH" in failed.next_step
    assert not failed.unreachable
    assert not rig.published().exists()
    assert Phase.SENDING not in {step.phase for step in rig.seen}
