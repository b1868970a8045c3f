"""How the arrival of a copy is proven, with and without commands at the target."""

import logging
import os
from dataclasses import replace

import pytest

from copyagent.core.copying import (
    CopyDone,
    CopyFailed,
)
from copyagent.transfer.progress import CopyProgress, Phase
from tests.support.copy_rig import CopyRig
from tests.support.expected_logs import ExpectedLogs
from tests.support.sshd import Sshd

pytestmark = pytest.mark.ssh


async def test_a_server_that_runs_no_commands_is_verified_by_reading_back(
    rig: CopyRig,
) -> None:
    content = os.urandom(3_000_000)
    rig.write(content)
    with Sshd(rig.sshd.directory / "bare", sftp_only=True) as bare:
        rig.sshd = bare
        done = await rig.copy()
        assert isinstance(done, CopyDone), done
        assert (done.copy.verified, done.copy.stamp.token) == ("readback", "")
        assert rig.published().read_bytes() == content
        rig.write(b"second")
        again = await rig.copy(replace(rig.job(generation=2), base=done.copy))
        assert isinstance(again, CopyDone)
        rig.write(b"third")
        failed = await rig.copy(
            replace(rig.job(generation=3), base=again.copy, intent=done.copy), verify="sha256"
        )
        assert isinstance(failed, CopyFailed)
        assert "verify: auto" in failed.next_step


async def test_reading_back_can_be_asked_for(rig: CopyRig) -> None:
    rig.write(os.urandom(1_000_000))
    done = await rig.copy(verify="readback")
    assert isinstance(done, CopyDone)
    assert done.copy.verified == "readback"


@pytest.mark.parametrize("verify", ["sha256", "readback"])
async def test_damage_at_the_target_is_sent_again(
    rig: CopyRig, expect_log: ExpectedLogs, verify: str
) -> None:
    expect_log(r"262144 bytes of .* are sent again", logging.WARNING)
    content = os.urandom(1_000_000)
    rig.write(content)
    rig.at_phase(Phase.VERIFYING, lambda: damage(rig))
    done = await rig.copy(verify=verify)
    assert isinstance(done, CopyDone)
    assert (done.sent, done.copy.verified) == (1_262_144, verify)
    assert rig.published().read_bytes() == content
    assert rig.staged() == []


@pytest.mark.parametrize("verify", ["sha256", "readback"])
async def test_a_target_that_damages_whatever_it_gets_is_given_up(
    rig: CopyRig, expect_log: ExpectedLogs, verify: str
) -> None:
    expect_log(r"are sent again", logging.WARNING)
    rig.write(os.urandom(1_000_000))

    def on_progress(step: CopyProgress) -> None:
        if step.phase is Phase.VERIFYING and step.done == 0:
            damage(rig)

    rig.on_progress = on_progress
    failed = await rig.copy(verify=verify)
    assert isinstance(failed, CopyFailed)
    assert "not what was sent: 262144 of 1000000 bytes" in failed.cause
    assert not rig.published().exists()
    assert rig.staged() == []


def damage(rig: CopyRig) -> None:
    (stage,) = rig.at(rig.layout().directory).glob("*.stage")
    with stage.open("r+b") as file:
        file.seek(500_000)
        file.write(bytes([rig.tape().read_bytes()[500_000] ^ 1]))
