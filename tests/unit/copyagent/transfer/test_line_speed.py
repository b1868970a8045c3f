"""A trial of speed is short, small, and leaves the file to its caller."""

from pathlib import Path

import pytest

from copyagent.transfer.line_speed import MOST, SpeedTest
from copyagent.transfer.target import Space, TargetRefused
from tests.support.copy_rig import CopyRig

GIB = 1024**3


@pytest.mark.parametrize(
    ("free", "size"), [(100 * GIB, MOST), (GIB, GIB // 100), (50, 0), (None, MOST)]
)
def test_it_takes_a_hundredth_of_the_room_at_most(free: int | None, size: int) -> None:
    space = None if free is None else Space(2 * GIB, free, None)
    assert SpeedTest.size_for(space) == size


@pytest.mark.ssh
async def test_what_is_sent_is_there(rig: CopyRig) -> None:
    path = rig.vault / "trial"
    async with rig.connect() as target:
        sent, took = await SpeedTest(target, str(path)).run(3_000_001)
    assert sent == path.stat().st_size == 3_000_001
    assert took > 0


@pytest.mark.ssh
async def test_a_failure_is_the_targets_own(rig: CopyRig) -> None:
    async with rig.connect() as target:
        with pytest.raises(TargetRefused):
            await SpeedTest(target, str(Path("/nonexistent/trial"))).run(1000)
