"""The machine's clocks, read in one place; everything that decides gets the time as an argument."""

import time
from functools import cache
from pathlib import Path

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def wall_ns() -> int:
    """Return nanoseconds since the epoch; steps when somebody sets the clock."""
    return time.time_ns()


def mono_ns() -> int:
    """Return nanoseconds of the monotonic clock, which only means something within one boot."""
    return time.monotonic_ns()


@cache
def boot_id() -> str:
    """Return the kernel's random name of this boot (random(4)), empty where /proc has none."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""
