import os

import pytest

from copyagent.core.copying import CopyDone
from copyagent.transfer.progress import CopyProgress, Phase
from tests.support.copy_rig import CopyRig


@pytest.mark.ssh
async def test_a_copy_tells_its_phases_in_order_and_its_bytes(rig: CopyRig) -> None:
    rig.write(os.urandom(3_000_000))
    assert isinstance(await rig.copy(verify="readback"), CopyDone)
    assert list(dict.fromkeys(step.phase for step in rig.seen)) == [
        Phase.CONNECTING,
        Phase.SENDING,
        Phase.VERIFYING,
        Phase.PUBLISHING,
    ]
    for phase in (Phase.SENDING, Phase.VERIFYING):
        steps = [step for step in rig.seen if step.phase is phase]
        assert steps[0] == CopyProgress(rig.job().tape, "drsite", phase, 0, 3_000_000)
        assert steps[-1].done == 3_000_000
        assert [step.done for step in steps] == sorted(step.done for step in steps)
