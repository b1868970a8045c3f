"""A limit is kept over seconds, shared fairly, smooth on slow lines, and costs nothing if there is none."""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from copyagent.transfer.pacing import UNPACED, Pace, Pacer, Paces
from tests.support.example_settings import EXAMPLE, example_settings

KIB, MIB = 1 << 10, 1 << 20
BLOCK = 255 * KIB


async def taking(pacer: Pacer, size: int, until: float, into: list[int]) -> None:
    """Ask for *size* bytes again and again."""
    while trio.current_time() < until:
        await pacer.take(size)
        into.append(size)


@pytest.mark.parametrize("rate", [KIB, 64 * KIB, MIB, 100 * MIB, 1_000_000_000])
@pytest.mark.parametrize("copies", [1, 2, 7])
async def test_a_limit_is_kept_at_any_rate(
    rate: int, copies: int, autojump_clock: MockClock
) -> None:
    pacer = Pacer(rate)
    size = Pace((pacer,)).block(BLOCK)
    # As long as it takes for thousands of blocks at most: the clock costs nothing, the turns do.
    seconds = min(max(2.0, 20 * copies * size / rate), 2000 * size / rate)
    passed: list[int] = []
    async with trio.open_nursery() as nursery:
        for _ in range(copies):
            nursery.start_soon(taking, pacer, size, trio.current_time() + seconds, passed)
    took = trio.current_time()
    assert sum(passed) <= rate * (took + 0.1) * 1.001
    assert sum(passed) >= rate * took * 0.95


async def test_copies_get_equal_shares_and_late_ones_at_once(autojump_clock: MockClock) -> None:
    pacer = Pacer(MIB)
    shares: list[list[int]] = [[], [], []]
    async with trio.open_nursery() as nursery:
        nursery.start_soon(taking, pacer, 32 * KIB, 20.0, shares[0])
        nursery.start_soon(taking, pacer, 32 * KIB, 20.0, shares[1])
        await trio.sleep(10)
        nursery.start_soon(taking, pacer, 32 * KIB, 20.0, shares[2])
    first, second, third = (sum(share) for share in shares)
    assert first == pytest.approx(second, rel=0.02)
    assert first == pytest.approx((10 / 2 + 10 / 3) * MIB, rel=0.05)
    assert third == pytest.approx(10 / 3 * MIB, rel=0.05)


async def test_nothing_comes_in_a_burst_after_a_rest(autojump_clock: MockClock) -> None:
    pacer = Pacer(MIB)
    await pacer.take(MIB)
    await trio.sleep(3600)
    began = trio.current_time()
    for _ in range(32):
        await pacer.take(32 * KIB)
    assert trio.current_time() - began == pytest.approx(1.0, rel=0.11)


async def test_the_flow_is_smooth_on_a_slow_line(autojump_clock: MockClock) -> None:
    pace = Pace((Pacer(64 * KIB),))
    size, gaps, before = pace.block(BLOCK), [], trio.current_time()
    for _ in range(50):
        await pace.send(size)
        gaps.append(trio.current_time() - before)
        before = trio.current_time()
    assert max(gaps) <= 0.3


async def test_both_limits_are_kept_and_each_direction_by_itself(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    text = EXAMPLE.replace("    user: vts\n", "    user: vts\n    bandwidth: 2 MiB/s\n")
    paces = Paces.of(example_settings(tmp_path, text + "traffic: {bandwidth: 1 MiB/s}\n"))
    pace = paces.to("drsite")
    assert pace is paces.to("drsite")
    for _ in range(64):
        await pace.send(64 * KIB)
    assert trio.current_time() == pytest.approx(4.0, rel=0.05), "the smaller of them counts"
    for _ in range(64):
        await pace.read(64 * KIB)
    assert trio.current_time() == pytest.approx(8.0, rel=0.05), "what was sent is not read"


async def test_the_whole_limit_is_shared_by_the_targets(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    other = "  attic:\n    host: h\n    user: vts\n    key: /k\n    known_hosts: /h\n    vaults: {A: /A}\n"
    text = EXAMPLE.replace("autocopy:\n", f"{other}autocopy:\n", 1)
    paces = Paces.of(example_settings(tmp_path, text + "traffic: {bandwidth: 1 MiB/s}\n"))
    for _ in range(16):
        await paces.to("drsite").send(64 * KIB)
        await paces.to("attic").send(64 * KIB)
    assert trio.current_time() == pytest.approx(2.0, rel=0.06)


async def test_a_cancelled_wait_keeps_nobody_waiting_for_long(autojump_clock: MockClock) -> None:
    pacer = Pacer(MIB)
    with trio.move_on_after(0.2):
        await pacer.take(MIB)
    began = trio.current_time()
    await pacer.take(MIB)
    assert trio.current_time() - began <= 2.0


async def test_without_limits_nobody_waits_and_blocks_are_whole(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    pace = Paces.of(example_settings(tmp_path)).to("drsite")
    assert pace == UNPACED == Paces().to("nowhere")
    for _ in range(1000):
        await pace.send(BLOCK)
        await pace.read(BLOCK)
    assert trio.current_time() == 0.0
    assert pace.block(BLOCK) == BLOCK
