"""How often a copy waits for an answer of the target before it can go on: on a long line that is time."""

import pytest

from copyagent.core.copying import CopyDone
from tests.bench.transfer import empty, guarded
from tests.support.copy_rig import CopyRig
from tests.support.tcp_proxy import open_proxy

pytestmark = pytest.mark.ssh

#: Long enough for all that is asked at once to be on its way before the first answer, in seconds.
DELAY_S = 0.02


#: Of a first copy to an empty vault, log-in and shell included; one request at a time it is 107.
WAITS = 26

#: A machine that is late for its own answers counts some twice.
TRIES = 4


async def test_a_first_copy_waits_seldom(rig: CopyRig) -> None:
    guarded(rig).write(b"tape" * 1000)
    async with open_proxy(rig.sshd.port, delay_s=DELAY_S) as proxy:
        known = rig.sshd.known_hosts
        near = known.read_text().replace(f":{rig.sshd.port} ", f":{proxy.port} ")
        known.write_text(known.read_text() + near)
        counted: list[int] = []
        while len(counted) < TRIES and min(counted, default=WAITS + 1) > WAITS:
            empty(rig)
            before = proxy.turns
            assert isinstance(await rig.copy(verify="size", port=proxy.port), CopyDone)
            counted.append(proxy.turns - before)
    assert 20 < min(counted) <= WAITS, counted
