"""How often a copy waits for an answer of the target before it can go on: on a long line that is time."""

from pathlib import Path

import pytest

from copyagent.core.copying import CopyDone
from copyagent.transfer.agent_mark import AgentMark
from copyagent.transfer.premises import Surroundings
from tests.support.copy_rig import CopyRig
from tests.support.tcp_proxy import open_proxy

pytestmark = pytest.mark.ssh

#: Long enough for all that is asked at once to be on its way before the first answer, in seconds.
DELAY_S = 0.02


async def test_a_first_copy_waits_seldom(rig: CopyRig, scratch: Path) -> None:
    """One request at a time these were 107, log-in and shell included; a busy machine adds some."""
    rig.surroundings = Surroundings(
        mark=AgentMark("a" * 32, "TAPESRV1", "here"),
        vaults={"VAULT00": str(rig.vault)},
        storages=(rig.backing,),
    )
    rig.write(b"tape" * 1000)
    async with open_proxy(rig.sshd.port, delay_s=DELAY_S) as proxy:
        known = rig.sshd.known_hosts
        near = known.read_text().replace(f":{rig.sshd.port} ", f":{proxy.port} ")
        known.write_text(known.read_text() + near)
        assert isinstance(await rig.copy(verify="size", port=proxy.port), CopyDone)
        assert 20 < proxy.turns < 80
