"""The steps at a target, with questions that a healthy server on this machine cannot raise."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from copyagent.transfer.agent_mark import AgentMark
from copyagent.transfer.examination import Examination
from copyagent.transfer.findings import Finding, Findings, Result
from copyagent.transfer.questions import Place, Questions
from tests.support.copy_rig import CopyRig
from tests.support.mountpoint import unmounted_after
from vtsfs.runtime.clock import wall_ns

pytestmark = pytest.mark.ssh


def seconds() -> float:
    return wall_ns() / 1e9


@pytest.fixture
def questions(rig: CopyRig) -> Questions:
    (rig.vault / "BILL").mkdir()
    mark = AgentMark("me", "TAPESRV1", "here")
    return Questions(
        [Place(rig.layout(), 0o640)], mark, "auto", 0.0, seconds, "drsite", trial=100_000
    )


def mount(options: str, point: Path) -> None:
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(point)]
    subprocess.run(command, check=True, capture_output=True)


async def examined(rig: CopyRig, questions: Questions) -> dict[str, Finding]:
    findings = Findings()
    async with rig.connect() as target:
        await Examination(target, questions, findings).run()
    return {one.step: one for one in findings.all}


async def test_clocks_that_differ_are_told_with_the_difference(
    rig: CopyRig, questions: Questions
) -> None:
    late = replace(questions, now=lambda: seconds() + 3600)
    clock = (await examined(rig, late))[f"clock at {rig.vault}"]
    assert clock.result is Result.WARNING
    assert "s behind ours" in clock.detail
    assert "NTP" in clock.remedy


async def test_little_room_is_told(rig: CopyRig, questions: Questions) -> None:
    space = (await examined(rig, replace(questions, keep_free=0.9999)))[f"space in {rig.vault}"]
    assert space.result is Result.WARNING
    assert "less than keep_free" in space.detail


async def test_another_agents_directory_is_left_alone(rig: CopyRig, questions: Questions) -> None:
    mark = Path(rig.layout().mark)
    mark.parent.mkdir(parents=True)
    mark.write_bytes(AgentMark("you", "TAPESRV1", "there").encode())
    steps = await examined(rig, questions)
    staging = steps[f"staging for {rig.vault}/BILL"]
    assert staging.result is Result.FAILED
    assert "on there" in staging.detail
    assert staging.remedy.endswith("copyagent take-over drsite --because TEXT")
    assert [path.name for path in mark.parent.iterdir()] == ["AGENT"]


@pytest.mark.parametrize("inside", ["", "BILL"])
async def test_a_target_that_is_the_source_under_another_name_is_found(
    rig: CopyRig, questions: Questions, inside: str
) -> None:
    rig.vault = rig.backing / inside
    here = replace(
        questions,
        places=[Place(rig.layout(), 0o640)],
        storages=(rig.backing, rig.backing / "BILL"),
    )
    before = sorted(rig.backing.rglob("*"))
    steps = await examined(rig, here)
    storage = steps[f"storage of {rig.vault}"]
    assert storage.result is Result.FAILED
    assert f"is {rig.vault} of this system" in storage.detail
    assert "targets.drsite.vaults" in storage.remedy
    assert not any(step.startswith("renaming") for step in steps)
    assert sorted(rig.backing.rglob("*")) == before


async def test_two_storages_of_one_machine_are_told_apart(
    rig: CopyRig, questions: Questions
) -> None:
    steps = await examined(rig, replace(questions, storages=(rig.backing, *rig.backing.parents)))
    assert steps[f"storage of {rig.vault}"].result is Result.OK


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting takes root")
@pytest.mark.parametrize(
    ("options", "step", "words"),
    [
        ("size=1m", "renaming into", "two file systems"),
        ("size=1m,ro", "renaming into", "read-only"),
    ],
)
async def test_a_pool_on_another_or_a_read_only_file_system_is_found(
    rig: CopyRig, questions: Questions, options: str, step: str, words: str
) -> None:
    pool = rig.vault / "BILL"
    with unmounted_after(pool):
        mount(options, pool)
        steps = await examined(rig, questions)
    (found,) = [one for name, one in steps.items() if name.startswith(step)]
    assert found.result is Result.FAILED
    assert words in found.detail + found.remedy
    assert [path.name for path in rig.vault.rglob("*")] == ["BILL"]


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting takes root")
async def test_a_vault_without_room_is_found(rig: CopyRig, questions: Questions) -> None:
    pool = rig.vault / "BILL"
    with unmounted_after(rig.vault):
        mount("size=16k", rig.vault)
        pool.mkdir()
        (pool / "X00001").write_bytes(bytes(16 * 1024))
        steps = await examined(rig, questions)
        assert [path.name for path in rig.vault.rglob("*")] == ["BILL", "X00001"]
    (found,) = [one for one in steps.values() if one.result is Result.FAILED]
    assert found.step == f"writing below {rig.vault}/BILL"
    assert "no space left" in found.detail
    assert "make room" in found.remedy
