"""How the arrival of a copy is proven, with and without commands at the target."""

import os
from dataclasses import replace

import pytest

from copyagent.core.copying import (
    CopyDone,
    CopyFailed,
)
from copyagent.transfer.progress import Phase
from tests.support.copy_rig import CopyRig
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
async def test_damage_at_the_target_is_found(rig: CopyRig, verify: str) -> None:
    rig.write(bytes(1_000_000))

    def damage() -> None:
        (stage,) = rig.at(rig.layout().directory).glob("*.stage")
        with stage.open("r+b") as file:
            file.seek(500_000)
            file.write(b"\1")

    rig.at_phase(Phase.VERIFYING, damage)
    failed = await rig.copy(verify=verify)
    assert isinstance(failed, CopyFailed)
    assert "not what was sent" in failed.cause
    assert not rig.published().exists()
    assert rig.staged() == []
