"""What a server lacks is told with what that costs."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from copyagent.transfer.agent_mark import AgentMark
from copyagent.transfer.capabilities import examine_server, told_by
from copyagent.transfer.findings import Finding, Findings, Result
from copyagent.transfer.questions import Questions
from tests.support.copy_rig import CopyRig
from tests.support.sshd import Sshd

pytestmark = pytest.mark.ssh


@pytest.fixture
def denied() -> tuple[str, ...]:
    return ()


@pytest.fixture
def sshd(scratch: Path, denied: tuple[str, ...]) -> Iterator[Sshd]:
    with Sshd(scratch / "sshd", denied=denied) as server:
        yield server


async def found(rig: CopyRig, verify: str = "auto") -> list[Finding]:
    findings = Findings()
    questions = Questions([], AgentMark(), verify, 0.0, lambda: 0.0)
    async with rig.connect() as target:
        await examine_server(target, questions, findings)
    return findings.all


async def test_a_server_that_has_all(rig: CopyRig) -> None:
    findings = await found(rig)
    assert {one.result for one in findings} == {Result.OK}
    assert [one.step for one in findings] == ["SFTP extensions", "commands", "round trip"]


@pytest.mark.parametrize(
    ("denied", "result", "words"),
    [
        (("posix-rename",), Result.FAILED, "the server lacks posix-rename"),
        (("fsync", "posix-rename"), Result.FAILED, "lacks posix-rename and fsync"),
        (("copy-data",), Result.WARNING, "every changed tape is sent whole"),
        (("hardlink",), Result.WARNING, "no former generations are kept"),
        (("statvfs",), Result.WARNING, "free space is not looked at"),
    ],
)
async def test_a_server_that_lacks_something(rig: CopyRig, result: Result, words: str) -> None:
    first = (await found(rig))[0]
    assert (first.step, first.result) == ("SFTP extensions", result)
    assert words in first.detail
    assert "OpenSSH" in first.remedy


async def test_what_a_command_says_counts_if_it_succeeds(rig: CopyRig) -> None:
    async with rig.connect() as target:
        assert await told_by(target, "echo said", 10.0) == "said\n"
        assert await told_by(target, "echo said; exit 1", 10.0) is None
