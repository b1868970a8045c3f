"""The benchmarks of whole copies run, on little; how fast they are, is for ``make bench`` to say."""

from pathlib import Path

import pytest

from tests.bench import long_line
from tests.bench.transfer import many_small, one_large

pytestmark = pytest.mark.ssh

MIB = 1 << 20


def test_every_side_copies_a_large_tape(scratch: Path) -> None:
    with one_large(scratch, 3 * MIB) as sides:
        assert all(side.run() > 0 for side in (*sides, *sides))


def test_every_side_copies_small_tapes(scratch: Path) -> None:
    with many_small(scratch, 3) as sides:
        assert all(side.run() > 0 for side in sides)


def test_the_long_line_takes_its_round_trips(scratch: Path) -> None:
    with long_line.prepare(scratch, 1 * MIB) as sides:
        assert all(side.run() > 4 * long_line.DELAY_S for side in sides[:1])
