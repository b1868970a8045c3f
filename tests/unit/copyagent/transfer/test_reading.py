"""Ranges read back over a real connection: in order, short at the end, one failure for all."""

import os

import pytest
import trio
import trio.testing

from copyagent.transfer.flight import NEAR_WINDOW, UNIT, WINDOW, Flight
from copyagent.transfer.reading import Reading, read_ranges
from copyagent.transfer.target import LinkLost, TargetError
from tests.support.copy_rig import CopyRig
from vtsfs.contract.errors import StateError
from vtsfs.contract.extents import Range

pytestmark = pytest.mark.ssh

BLOCK = 1000


async def read(
    rig: CopyRig, content: bytes, ranges: list[Range], block: int = BLOCK
) -> list[tuple[int, bytes]]:
    path = rig.vault / "file"
    path.write_bytes(content)
    got: list[tuple[int, bytes]] = []

    async def take(offset: int, data: bytes) -> None:
        got.append((offset, data))

    async with rig.connect() as target:
        file = await target.open(str(path))
        await read_ranges(file, ranges, take, Reading(block, 10))
        await file.close()
    return got


@pytest.mark.parametrize("size", [0, 1, BLOCK, BLOCK + 1, 300 * BLOCK + 7])
async def test_all_of_a_file_in_order(rig: CopyRig, size: int) -> None:
    content = os.urandom(size)
    got = await read(rig, content, [(0, size)])
    assert b"".join(data for _, data in got) == content
    assert [offset for offset, _ in got] == sorted(offset for offset, _ in got)
    assert max((len(data) for _, data in got), default=0) <= BLOCK


async def test_only_the_ranges_and_even_pieces(rig: CopyRig) -> None:
    content = os.urandom(10_000)
    got = await read(rig, content, [(10, 20), (5000, 6100)])
    assert got == [
        (10, content[10:20]),
        (5000, content[5000:5550]),
        (5550, content[5550:6100]),
    ]


async def test_past_the_end_nothing_comes(rig: CopyRig) -> None:
    got = await read(rig, b"x" * 1500, [(0, 3000)])
    assert got == [(0, b"x" * 1000), (1000, b"x" * 500), (2000, b"")]


async def test_what_the_taker_raises_is_raised(rig: CopyRig) -> None:
    (rig.vault / "file").write_bytes(bytes(200 * BLOCK))

    async def take(offset: int, _: bytes) -> None:
        if offset > 50 * BLOCK:
            raise StateError("full")

    async with rig.connect() as target:
        file = await target.open(str(rig.vault / "file"))
        with pytest.raises(StateError, match="full"):
            await read_ranges(file, [(0, 200 * BLOCK)], take, Reading(BLOCK, 10))
        assert await target.lstat("/") is not None, "the connection still works"


async def test_a_server_that_falls_silent_is_noticed(rig: CopyRig) -> None:
    (rig.vault / "file").write_bytes(bytes(2000 * BLOCK))
    taken: list[int] = []

    async def take(offset: int, _: bytes) -> None:
        taken.append(offset)
        if len(taken) == 3:
            await trio.to_thread.run_sync(rig.sshd.freeze)

    async def read_all() -> None:
        async with rig.connect() as target:
            file = await target.open(str(rig.vault / "file"))
            await read_ranges(file, [(0, 2000 * BLOCK)], take, Reading(BLOCK, 0.5))

    try:
        with trio.fail_after(20), pytest.raises(LinkLost):
            await read_all()
    finally:
        rig.sshd.thaw()


async def test_the_first_failure_counts() -> None:
    flight = Flight.begin(1.0)
    with flight.scope:
        flight.failed(TargetError("first"))
        flight.failed(TargetError("second"))
        await trio.sleep_forever()
    with pytest.raises(TargetError, match="first"):
        flight.settle()


async def test_a_flight_that_went_well_raises_nothing() -> None:
    flight = Flight.begin(1.0)
    with flight.scope:
        await trio.lowlevel.checkpoint()
    flight.settle()


async def most_at_once(delay_s: float) -> int:
    """Return how many units were in flight at most over a line with that delay."""

    class Far:
        asked = most = 0

        async def read(self, offset: int, size: int) -> bytes:
            self.asked += 1
            self.most = max(self.most, self.asked)
            await trio.sleep(delay_s)
            self.asked -= 1
            return b""

    async def take(offset: int, data: bytes) -> None: ...

    far = Far()
    await read_ranges(far, [(0, 4 * WINDOW * UNIT)], take, Reading(8 * UNIT, 10))
    return 8 * far.most


async def test_a_long_line_is_filled_and_a_server_nearby_is_not_flooded(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """sshd moves and clears the whole of what it could not send yet: more waiting is slower."""
    assert await most_at_once(0.001) == NEAR_WINDOW
    assert await most_at_once(0.1) == WINDOW
