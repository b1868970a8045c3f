"""A target is asked whether it takes copies, without a tape, and without a trace."""

import pytest

from copyagent.core.copying import CopyFailed, CopyWaits, WaitReason
from copyagent.transfer.probing import probe, unfit_vaults
from copyagent.transfer.target import Target
from tests.support.copy_rig import CopyRig
from tests.support.sshd import Sshd

pytestmark = pytest.mark.ssh


async def unfit(rig: CopyRig) -> dict[str, str]:
    found: dict[str, str] = {}

    async def look(target: Target) -> None:
        found.update(await unfit_vaults(target, [rig.layout()]))

    assert await probe(rig.connect, look) is None
    return found


async def test_a_vault_that_is_well_is_left_as_it_is(rig: CopyRig) -> None:
    assert await unfit(rig) == {}
    assert list(rig.vault.iterdir()) == []


async def test_a_missing_vault_is_named(rig: CopyRig) -> None:
    rig.vault.rmdir()
    assert "there is no such directory" in (await unfit(rig))["VAULT00"]


async def test_a_server_that_cannot_publish_is_told_apart(rig: CopyRig) -> None:
    options = ["ForceCommand internal-sftp -P posix-rename"]
    with Sshd(rig.sshd.directory / "poor", options=options) as poor:
        rig.sshd = poor
        assert "VAULT00" in await unfit(rig)


async def test_who_does_not_let_us_in_is_like_a_copy_that_ended_so(rig: CopyRig) -> None:
    refused = await probe(lambda: rig.connect(key=str(rig.sshd.directory / "host_key")))
    assert isinstance(refused, CopyFailed)
    assert (refused.unreachable, refused.permanent) == (True, True)
    waits = await probe(lambda: rig.connect(known_hosts=str(rig.sshd.wrong_known_hosts())))
    assert isinstance(waits, CopyWaits)
    assert waits.reason is WaitReason.HOST_KEY
    rig.sshd.stop()
    down = await probe(rig.connect)
    assert isinstance(down, CopyFailed)
    assert (down.unreachable, down.permanent) == (True, False)
