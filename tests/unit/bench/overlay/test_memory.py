import mmap
import os

from tests.bench.overlay.memory import idle_row, memory_row, usage_of
from tests.bench.ratios import is_missed


def test_memory_within_the_limit() -> None:
    line = memory_row(80.0, {"resident, MB": 71.26})
    assert (line["ratio"], line["measured"]) == (1.0, {"resident, MB": 71.3})
    assert not is_missed(line)


def test_memory_over_the_limit_is_told() -> None:
    line = memory_row(160.0, {})
    assert line["ratio"] == 0.5
    assert is_missed(line)


def test_a_single_tick_is_not_idle() -> None:
    assert not is_missed(idle_row(0, 5))
    assert is_missed(idle_row(1, 0))


def test_the_kernel_is_asked_what_a_process_uses() -> None:
    before = usage_of(os.getpid())
    # Pages of its own: what was freed before may be given to anything else.
    block = mmap.mmap(-1, 32_000_000)
    block.write(b"x" * len(block))
    after = usage_of(os.getpid())
    assert after.resident_mb >= before.resident_mb + 25
    assert after.peak_mb >= after.resident_mb
    assert after.ticks >= before.ticks
    assert len(block) == 32_000_000
