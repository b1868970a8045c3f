"""What the overlay takes from the machine: memory with many tapes known, and processor time when idle.

A pool of 100,000 empty tapes is listed as ``ls -l`` does it, with a stat of each; then 64 of them are
opened for writing, and while they are open nothing happens for five seconds. Two rows are given,
whose peers are limits, and whose ratio is so much below 1 as the limit is exceeded:

- `memory`: 80 MB over the resident memory at its largest (VmHWM of proc_pid_status(5));
- `idle`: one clock tick of the processor more than none, over one more than were used.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.bench.overlay.attached import OURS, Way, overlay_alone
from tests.bench.ratios import Ratio, Row, row
from tests.support.waiting import wait_until

LIMIT_MB = 80.0
TAPES = 100_000
OPEN = 64
IDLE_S = 5.0


class Usage(NamedTuple):
    """What the kernel says of a process; memory in MB (10^6 bytes)."""

    resident_mb: float
    peak_mb: float
    ticks: int
    woken: int


def usage_of(pid: int) -> Usage:
    """Ask the kernel what a process uses and has used (proc_pid_stat(5), proc_pid_status(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    status = dict(
        line.split(":", 1)
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    )
    return Usage(
        resident_mb=_megabytes(status["VmRSS"]),
        peak_mb=_megabytes(status["VmHWM"]),
        ticks=int(fields[11]) + int(fields[12]),
        woken=int(status["voluntary_ctxt_switches"]),
    )


def _megabytes(text: str) -> float:
    number, unit = text.split()
    if unit != "kB":
        raise ValueError(f"not the kernel's unit: {text!r}")
    return int(number) * 1024 / 1e6


class Weighing:
    """The two rows; a bench without sides that take turns."""

    bench = "overlay"
    name = "memory"
    effort = f"{TAPES:,} tapes listed, {OPEN} open, {IDLE_S:g} s idle"

    def rows(self, directory: Path) -> list[Row]:
        """Measure in an empty directory."""
        with overlay_alone(directory) as tree:
            pid = tree.overlay.pid
            begun = usage_of(pid)
            _make_tapes(tree.backing)
            _list(tree.ours)
            listed = usage_of(pid)
            with _opened(tree.ours):
                opened = usage_of(pid)
                idle(1.0)
                before = usage_of(pid)
                idle(IDLE_S)
                after = usage_of(pid)
            tree.rest()
        return [
            memory_row(
                after.peak_mb,
                {
                    "resident when attached, MB": begun.resident_mb,
                    f"resident with {TAPES:,} tapes listed, MB": listed.resident_mb,
                    f"resident with {OPEN} of them open, MB": opened.resident_mb,
                    "resident at its largest, MB": after.peak_mb,
                },
            ),
            idle_row(after.ticks - before.ticks, after.woken - before.woken),
        ]


def memory_row(peak_mb: float, measured: Mapping[str, float]) -> Row:
    """Compare the largest resident memory with the limit."""
    ratio = LIMIT_MB / peak_mb
    line = row(
        "overlay", "memory", OURS, f"limit of {LIMIT_MB:g} MB", Ratio(ratio, ratio, ratio, 1)
    )
    line["wanted"] = 1.0
    line["measured"] = {what: round(figure, 1) for what, figure in measured.items()}
    return line


def idle_row(ticks: int, woken: int) -> Row:
    """Compare the clock ticks that were used with none."""
    ratio = 1 / (1 + ticks)
    line = row("overlay", "idle", OURS, "no processor time", Ratio(ratio, ratio, ratio, 1))
    line["wanted"] = 1.0
    line["measured"] = {
        f"clock ticks in {IDLE_S:g} s": float(ticks),
        f"times woken in {IDLE_S:g} s": float(woken),
    }
    return line


def _make_tapes(pool: Path) -> None:
    for number in range(TAPES):
        os.close(os.open(pool / f"M{number:05}", os.O_WRONLY | os.O_CREAT, 0o644))


def _list(way: Way) -> None:
    with os.scandir(way.pool) as entries:
        found = sum(entry.stat(follow_symlinks=False).st_nlink for entry in entries)
    if found != TAPES:
        raise AssertionError(f"{found} of {TAPES} tapes were listed")


@contextmanager
def _opened(way: Way) -> Iterator[None]:
    step = TAPES // OPEN
    with ExitStack() as stack:
        for number in range(0, OPEN * step, step):
            descriptor = os.open(way.pool / f"M{number:05}", os.O_WRONLY)
            stack.callback(os.close, descriptor)
            os.write(descriptor, bytes(4096))
        yield


def idle(seconds: float) -> None:
    end = os.times().elapsed + seconds
    wait_until(lambda: os.times().elapsed >= end, seconds + 5.0, "idle time passes")
