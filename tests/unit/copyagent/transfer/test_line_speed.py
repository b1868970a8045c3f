"""A trial of speed is short, small, and leaves the file to its caller."""

from pathlib import Path

import pytest
import trio

from copyagent.transfer.line_speed import MOST, SpeedTest
from copyagent.transfer.pacing import Pace, Pacer
from copyagent.transfer.target import Space, TargetRefused
from tests.support.copy_rig import CopyRig
from tests.support.tcp_proxy import open_proxy

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
async def test_the_limits_of_the_settings_are_kept(rig: CopyRig) -> None:
    pace = Pace((Pacer(1_000_000.0),), ())
    async with rig.connect() as target:
        sent, took = await SpeedTest(target, str(rig.vault / "trial"), pace).run(600_000)
    assert sent == 600_000
    assert took > 0.4


@pytest.mark.ssh
async def test_a_slow_line_is_not_filled_with_what_takes_long_to_end(rig: CopyRig) -> None:
    async with open_proxy(rig.sshd.port, rate=400_000) as proxy:
        line = rig.sshd.known_hosts.read_text().replace(str(rig.sshd.port), str(proxy.port))
        rig.sshd.known_hosts.write_text(line)
        async with rig.connect(port=proxy.port) as target:
            begun = trio.current_time()
            sent, _ = await SpeedTest(target, str(rig.vault / "trial")).run(MOST, 0.5)
            assert trio.current_time() - begun < 5
    assert sent < 2_000_000


@pytest.mark.ssh
async def test_a_failure_is_the_targets_own(rig: CopyRig) -> None:
    async with rig.connect() as target:
        with pytest.raises(TargetRefused):
            await SpeedTest(target, str(Path("/nonexistent/trial"))).run(1000)
