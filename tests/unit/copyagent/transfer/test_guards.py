"""What at the target forbids a copy: each guard against a real server, and what lets the copy go on."""

from dataclasses import replace
from pathlib import Path

import pytest

from copyagent.core.copying import (
    CopyDone,
    CopyFailed,
    CopyHeld,
    CopyWaits,
    HoldReason,
    WaitReason,
)
from copyagent.transfer.agent_mark import AgentMark
from copyagent.transfer.premises import Surroundings
from copyagent.transfer.progress import Phase
from tests.support.copy_rig import CopyRig
from tests.support.sshd import Sshd
from vtsfs.contract.naming import PoolId

pytestmark = pytest.mark.ssh

MINE = AgentMark("a" * 32, "TAPESRV1", "here")
OTHER = AgentMark("b" * 32, "TAPESRV1", "there")


@pytest.fixture
def vault01(rig: CopyRig) -> Path:
    """Give the target a second vault, and let the rig know all that the settings would say."""
    second = rig.vault.parent / "VAULT01"
    second.mkdir()
    rig.surroundings = Surroundings(
        mark=MINE,
        vaults={"VAULT00": str(rig.vault), "VAULT01": str(second)},
        storages=(rig.backing, *rig.backing.parents),
    )
    return second


def nothing_was_sent(rig: CopyRig) -> bool:
    return Phase.SENDING not in {step.phase for step in rig.seen} and rig.staged() == []


# ---- the label elsewhere -------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["VAULT00/PAY", "VAULT01/BILL", "VAULT01/PAY"])
async def test_a_label_in_another_pool_or_vault_is_held(
    rig: CopyRig, vault01: Path, place: str
) -> None:
    rig.write(b"tape")
    other = rig.vault.parent / place / "X00001"
    other.parent.mkdir()
    other.write_bytes(b"somebody's")
    held = await rig.copy()
    assert isinstance(held, CopyHeld)
    assert held.reason is HoldReason.LABEL_ELSEWHERE
    assert held.place == str(other)
    assert str(other) in held.detail
    assert nothing_was_sent(rig)
    assert not rig.published().exists()
    other.unlink()
    assert isinstance(await rig.copy(), CopyDone)


async def test_a_label_in_several_places_names_them_all(rig: CopyRig, vault01: Path) -> None:
    rig.write(b"tape")
    for pool in ("PAY", "OLD"):
        (vault01 / pool).mkdir()
        (vault01 / pool / "X00001").touch()
    held = await rig.copy()
    assert isinstance(held, CopyHeld)
    assert held.place == ""
    assert f"{vault01}/OLD/X00001" in held.detail
    assert f"{vault01}/PAY/X00001" in held.detail


async def test_other_names_and_hidden_places_are_no_other_place(
    rig: CopyRig, vault01: Path
) -> None:
    rig.write(b"tape")
    for hidden in (".snapshot", ".vts-autocopy"):
        (vault01 / hidden).mkdir()
        (vault01 / hidden / "X00001").touch()
    (vault01 / "PAY").mkdir()
    (vault01 / "PAY" / "X00001.meta").touch()
    (vault01 / "PAY" / "x00001").touch()
    (vault01 / "FILE").write_bytes(b"no directory")
    assert isinstance(await rig.copy(), CopyDone)


async def test_a_label_that_is_twice_here_may_be_twice_there(rig: CopyRig, vault01: Path) -> None:
    """Two pools with tapes of one label: each has its own copy, in the pool that gets its tapes."""
    here = rig.backing / "PAY"
    here.mkdir()
    (here / "X00001").write_bytes(b"another tape")
    (vault01 / "PAY").mkdir()
    (vault01 / "PAY" / "X00001").write_bytes(b"another tape")
    twins = {PoolId("VAULT01", "PAY"): (here,)}
    rig.surroundings = replace(rig.surroundings, twins=twins)
    rig.write(b"tape")
    assert isinstance(await rig.copy(), CopyDone)
    (here / "X00001").unlink()
    rig.premises.forget()
    held = await rig.copy()
    assert isinstance(held, CopyHeld), "it is nobody's copy any more"


# ---- whose staging -------------------------------------------------------------------------------


async def test_the_staging_directory_is_marked_as_this_agent_s(rig: CopyRig, vault01: Path) -> None:
    rig.write(b"tape")
    assert isinstance(await rig.copy(), CopyDone)
    assert AgentMark.decode(rig.at(rig.layout().mark).read_bytes()) == MINE


async def test_another_agent_s_staging_is_left_alone(rig: CopyRig, vault01: Path) -> None:
    rig.write(b"tape")
    mark = rig.at(rig.layout().mark)
    mark.parent.mkdir(parents=True)
    mark.write_bytes(OTHER.encode())
    stage = rig.at(rig.layout().stage(7, "theirs"))
    stage.write_bytes(b"half")
    waits = await rig.copy()
    assert isinstance(waits, CopyWaits)
    assert waits.reason is WaitReason.FOREIGN_AGENT
    assert "the agent of TAPESRV1 on there" in waits.detail
    assert mark.read_bytes() == OTHER.encode()
    assert rig.staged() == [stage.name], "its stages are not rubbish"
    assert not rig.published().exists()


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff" * 40, b"[" * 900, b"x" * 5000])
async def test_a_damaged_mark_is_nobody_s_and_is_written_anew(
    rig: CopyRig, vault01: Path, damage: bytes
) -> None:
    rig.write(b"tape")
    mark = rig.at(rig.layout().mark)
    mark.parent.mkdir(parents=True)
    mark.write_bytes(damage)
    assert isinstance(await rig.copy(), CopyDone)
    assert AgentMark.decode(mark.read_bytes()) == MINE


async def test_what_was_in_order_is_not_asked_for_again_at_once(
    rig: CopyRig, vault01: Path
) -> None:
    rig.write(b"tape")
    assert isinstance(await rig.copy(), CopyDone)
    rig.at(rig.layout().mark).write_bytes(OTHER.encode())
    rig.write(b"tape 2", "X00002")
    assert isinstance(await rig.copy(rig.job("X00002")), CopyDone)
    rig.premises.forget()
    rig.write(b"tape 3", "X00003")
    assert isinstance(await rig.copy(rig.job("X00003")), CopyWaits)


# ---- the same storage ----------------------------------------------------------------------------


@pytest.mark.parametrize("inside", ["", "BILL", "above"])
async def test_a_copy_onto_itself_is_none(rig: CopyRig, vault01: Path, inside: str) -> None:
    """The target's vault is the source's storage, a pool of it, or the directory above."""
    rig.write(b"tape")
    rig.vault = rig.backing.parent if inside == "above" else rig.backing / inside
    if inside == "BILL":
        rig.surroundings = replace(rig.surroundings, storages=(rig.backing, rig.backing / "BILL"))
    rig.surroundings = replace(rig.surroundings, vaults={"VAULT00": str(rig.vault)})
    held = await rig.copy()
    assert isinstance(held, CopyHeld)
    assert held.reason is HoldReason.SAME_STORAGE
    assert rig.tape().read_bytes() == b"tape"
    assert list(rig.at(rig.layout().directory).glob("*.sentinel")) == []
    assert nothing_was_sent(rig)


async def test_a_sentinel_that_was_left_behind_is_removed(rig: CopyRig, vault01: Path) -> None:
    rig.write(b"tape")
    directory = rig.at(rig.layout().directory)
    directory.mkdir(parents=True)
    (directory / "left.sentinel").touch()
    assert isinstance(await rig.copy(), CopyDone)
    assert list(directory.glob("*.sentinel")) == []


# ---- one file system, writable, able -------------------------------------------------------------


async def test_a_pool_that_is_a_link_is_refused_before_anything_is_sent(
    rig: CopyRig, vault01: Path
) -> None:
    rig.write(b"tape")
    elsewhere = rig.vault.parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "X00001").write_bytes(b"tape")
    (rig.vault / "BILL").symlink_to(elsewhere)
    failed = await rig.copy()
    assert isinstance(failed, CopyFailed)
    assert "symbolic link is not followed" in failed.next_step
    assert (failed.permanent, failed.whole_vault) == (True, False)
    assert nothing_was_sent(rig)


async def test_a_missing_vault_concerns_all_of_its_tapes(rig: CopyRig, vault01: Path) -> None:
    rig.write(b"tape")
    rig.vault.rmdir()
    failed = await rig.copy()
    assert isinstance(failed, CopyFailed)
    assert (failed.permanent, failed.whole_vault, failed.unreachable) == (True, True, False)


async def test_a_vault_that_goes_away_after_it_was_found_in_order(rig: CopyRig) -> None:
    rig.write(b"tape")
    assert isinstance(await rig.copy(), CopyDone)
    rig.write(b"tape 2", "X00002")
    away = rig.vault.rename(rig.vault.with_name("AWAY"))
    failed = await rig.copy(rig.job("X00002"))
    assert isinstance(failed, CopyFailed)
    assert "there is no such directory" in failed.cause
    assert failed.whole_vault
    assert not rig.vault.exists()
    away.rename(rig.vault)
    assert isinstance(await rig.copy(rig.job("X00002")), CopyDone)


@pytest.mark.parametrize("missing", ["posix-rename", "fsync"])
async def test_a_server_that_lacks_something_is_nobody_s_to_wait_for(
    rig: CopyRig, missing: str
) -> None:
    rig.write(b"tape")
    options = [f"ForceCommand internal-sftp -P {missing}"]
    with Sshd(rig.sshd.directory / "poor", options=options) as poor:
        rig.sshd = poor
        failed = await rig.copy()
    assert isinstance(failed, CopyFailed)
    assert (failed.permanent, failed.whole_vault) == (True, True)
    assert nothing_was_sent(rig)


async def test_a_refused_key_needs_somebody(rig: CopyRig) -> None:
    rig.write(b"tape")
    with Sshd(rig.sshd.directory / "other") as other:
        failed = await rig.copy(key=str(other.key))
    assert isinstance(failed, CopyFailed)
    assert (failed.permanent, failed.unreachable, failed.connected) == (True, True, False)
    assert "authorized_keys" in failed.next_step


async def test_a_line_that_is_down_needs_patience(rig: CopyRig) -> None:
    rig.write(b"tape")
    rig.sshd.stop()
    failed = await rig.copy()
    assert isinstance(failed, CopyFailed)
    assert (failed.permanent, failed.unreachable) == (False, True)
