"""The target's storage is not what a copy needs: said before anything is sent, and to whom it matters."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from copyagent.core.copying import (
    CopyDone,
    CopyFailed,
    CopyHeld,
    CopyOutcome,
    Errand,
    HoldReason,
    Wish,
)
from copyagent.transfer.attempt import Attempt, Route
from copyagent.transfer.guards import expect_room
from copyagent.transfer.premises import Surroundings
from copyagent.transfer.progress import Phase
from copyagent.transfer.source import open_tape
from copyagent.transfer.target import TargetFull
from tests.support.copy_rig import CopyRig
from tests.support.injection import failure, injected
from tests.support.mountpoint import unmounted_after

pytestmark = [
    pytest.mark.ssh,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounting takes root"),
]

MIB = 1 << 20


@pytest.fixture(autouse=True)
def mounts(rig: CopyRig) -> Iterator[None]:
    with unmounted_after(rig.vault.parent):
        yield


def mount(*arguments: str | Path) -> None:
    subprocess.run(["mount", *map(str, arguments)], check=True, capture_output=True)


def small_disk(point: Path, size: str = "8m") -> Path:
    point.mkdir(parents=True, exist_ok=True)
    mount("-t", "tmpfs", "-o", f"size={size}", "tmpfs", point)
    return point


def refused(rig: CopyRig, outcome: CopyOutcome) -> CopyFailed:
    """Expect a failure that somebody has to mend, before anything was sent."""
    assert isinstance(outcome, CopyFailed)
    assert outcome.permanent
    assert not outcome.unreachable
    assert Phase.SENDING not in {step.phase for step in rig.seen}
    assert rig.staged() == []
    return outcome


async def test_staging_on_another_file_system(rig: CopyRig) -> None:
    small_disk(rig.vault / ".vts-autocopy")
    rig.write(b"tape")
    failed = refused(rig, await rig.copy())
    assert failed.whole_vault
    assert "two file systems in one vault" in failed.next_step
    assert ".vts-autocopy" in failed.cause


async def test_a_bind_mount_is_another_file_system_too(rig: CopyRig) -> None:
    """Same device and same numbers in statvfs, and yet no rename goes across."""
    real = rig.vault.parent / "real"
    real.mkdir()
    (rig.vault / "BILL").mkdir()
    mount("--bind", real, rig.vault / "BILL")
    rig.write(b"tape")
    assert not refused(rig, await rig.copy()).whole_vault, "other pools may be well"


async def test_a_vault_that_became_read_only(rig: CopyRig) -> None:
    small_disk(rig.vault)
    rig.write(b"tape")
    assert isinstance(await rig.copy(), CopyDone)
    mount("-o", "remount,ro", rig.vault)
    rig.premises.forget()
    rig.seen.clear()
    rig.write(b"tape 2", "X00002")
    failed = refused(rig, await rig.copy(rig.job("X00002")))
    assert failed.whole_vault
    assert "read-only" in failed.cause
    assert rig.published().read_bytes() == b"tape"


async def test_the_source_s_storage_by_another_mount(rig: CopyRig) -> None:
    mount("--bind", rig.backing, rig.vault)
    rig.surroundings = Surroundings(
        vaults={"VAULT00": str(rig.vault)}, storages=(rig.backing, *rig.backing.parents)
    )
    rig.write(b"tape")
    held = await rig.copy()
    assert isinstance(held, CopyHeld)
    assert held.reason is HoldReason.SAME_STORAGE
    assert str(rig.backing) in held.detail
    assert rig.tape().read_bytes() == b"tape"


async def test_two_pools_of_one_machine_are_not_the_same_storage(rig: CopyRig) -> None:
    small_disk(rig.vault)
    rig.surroundings = Surroundings(
        vaults={"VAULT00": str(rig.vault)}, storages=(rig.backing, *rig.backing.parents)
    )
    rig.write(b"tape")
    assert isinstance(await rig.copy(), CopyDone)


async def test_a_file_on_another_file_system_is_moved_by_hand(rig: CopyRig) -> None:
    second = rig.vault.parent / "VAULT01"
    place = small_disk(second / "PAY") / "X00001"
    place.write_bytes(b"tape")
    rig.surroundings = Surroundings(vaults={"VAULT00": str(rig.vault), "VAULT01": str(second)})
    rig.write(b"tape")
    wish = Wish(Errand.RELOCATE, place=str(place))
    held = await rig.copy(replace(rig.job(), wish=wish))
    assert isinstance(held, CopyHeld)
    assert held.reason is HoldReason.LABEL_ELSEWHERE
    assert not held.place, "asking for the same again cannot help"
    command = held.detail.partition("move it there: ")[2]
    await trio.run_process(["sh", "-c", command])
    done = await rig.copy()
    assert isinstance(done, CopyDone)
    assert done.sent == 0


async def test_room_is_measured_and_former_generations_give_way(rig: CopyRig) -> None:
    small_disk(rig.vault, "4m")
    rig.write(b"tape")
    assert isinstance(await rig.copy(), CopyDone)
    former = rig.at(rig.layout().directory) / "former"
    former.write_bytes(bytes(3 * MIB))
    asked: list[int] = []

    async def drop(wanted: int) -> None:
        asked.append(wanted)
        former.unlink()

    job = rig.job()
    with open_tape(rig.backing, job.tape) as source:
        async with rig.connect() as target:
            attempt = Attempt(
                job,
                Route(rig.backing, rig.layout(), agent=rig.agent),
                source,
                target,
                lambda _: None,
            )
            await expect_room(attempt, MIB // 2)
            with pytest.raises(TargetFull, match=r"takes 2\.0 MiB.* of 4\.0 MiB .* is free"):
                await expect_room(attempt, 2 * MIB)
            await expect_room(attempt, 2 * MIB, drop)
            assert MIB < asked[0] < 2 * MIB
            with pytest.raises(TargetFull, match="no room in"):
                await expect_room(attempt, 5 * MIB)


async def test_a_quota_that_is_used_up(rig: CopyRig) -> None:
    """Injected, since this kernel may know no quotas: the server's writes fail with EDQUOT.

    SFTP version 3 has no word for it, and the file system shows free space: the advice names it.
    """
    rig.write(os.urandom(2 * MIB))
    with ExitStack() as stack:

        def use_up() -> None:
            [stage] = [rig.at(rig.layout().directory) / name for name in rig.staged()]
            for session in rig.sshd.sessions():
                rule = failure("write", "pwrite64", error="EDQUOT")
                stack.enter_context(injected(session, stage, *rule_for_each(rule)))

        rig.at_phase(Phase.SENDING, use_up)
        failed = await rig.copy()
    assert isinstance(failed, CopyFailed)
    assert failed.permanent
    assert "quota" in failed.next_step
    assert rig.staged() == [], "the room it took is given back"


def rule_for_each(rule: str) -> list[str]:
    calls, _, what = rule.partition(":")
    return [f"{call}:{what}" for call in calls.split(",")]
