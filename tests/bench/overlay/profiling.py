"""Where the overlay's time goes: ``make bench ONLY=overlay/write-28k PROFILE=1``.

Three views of the daemon while one tape is written or read, from the truest to the most detailed:

1. the processor time that the kernel has counted for it, per block, and how much of the time the
   daemon waited; nothing is slowed down by that;
2. what `perf` samples, the kernel's part included, where there is a perf that may look (as root);
3. cProfile's list of Python functions, from runs of their own: it makes every call dearer, so it tells
   how often something is called, and what to look at, rather than how long it takes.
"""

import io
import os
import pstats
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from tests.bench.overlay.attached import overlay_alone
from tests.bench.overlay.data import TRANSFERS, Transfer

_RUNS = 5
_LINES = 28


class _Spent(NamedTuple):
    """Seconds of a process in its own code and in the kernel, and how often it slept."""

    user_s: float
    system_s: float
    slept: int


def report(name: str, directory: Path) -> str:
    """Profile a work by its name in an empty directory; raise KeyError if it is no transfer."""
    transfer = TRANSFERS[name]
    parts = [f"## {name}", _counted(transfer, directory / "counted")]
    if (perf := shutil.which("perf")) is not None:
        parts.append(_sampled(transfer, directory / "sampled", perf))
    parts.append(_traced(transfer, directory / "traced"))
    return "\n\n".join(parts)


def _counted(transfer: Transfer, directory: Path) -> str:
    with overlay_alone(directory) as tree:
        run = transfer.side(tree, tree.ours).run
        run()
        before = _spent(tree.overlay.pid)
        took = sum(run() for _ in range(_RUNS))
        after = _spent(tree.overlay.pid)
    blocks = _RUNS * transfer.size / transfer.block
    user, system, slept = (late - early for late, early in zip(after, before, strict=True))
    each = 1e6 / blocks
    speed = transfer.size * _RUNS / took / 1e6
    return f"""\
{transfer.block // 1024} KiB at {speed:,.0f} MB/s; microseconds of a block
(of the processor: with the tidying up after each run):
{took * each:8.1f} from one block to the next
{user * each:8.1f} of the daemon's own code
{system * each:8.1f} of the kernel on its behalf
{slept / blocks:8.2f} times asleep"""


def _spent(pid: int) -> _Spent:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    (slept,) = (
        int(line.split()[1])
        for line in status.splitlines()
        if line.startswith("voluntary_ctxt_switches")
    )
    tick = os.sysconf("SC_CLK_TCK")
    return _Spent(int(fields[11]) / tick, int(fields[12]) / tick, slept)


def _sampled(transfer: Transfer, directory: Path, perf: str) -> str:
    with overlay_alone(directory) as tree:
        run = transfer.side(tree, tree.ours).run
        run()
        data = directory / "perf.data"
        command = [perf, "record", "-q", "-F", "1999", "-o", str(data)]
        with subprocess.Popen(
            [*command, "-p", str(tree.overlay.pid)], stderr=subprocess.PIPE, text=True
        ) as recorder:
            for _ in range(_RUNS):
                run()
            recorder.send_signal(signal.SIGINT)
            _, complaint = recorder.communicate(timeout=60)
        if not data.exists():
            return f"perf cannot look into the daemon: {complaint.strip()}"
        return "\n\n".join(
            ["perf, parts of the daemon's processor time:"]
            + [_perf_table(perf, data, keys) for keys in ("dso", "dso,symbol")]
        )


def _perf_table(perf: str, data: Path, keys: str) -> str:
    command = [perf, "report", "-i", str(data), "--stdio", "-q", "--no-children", "-g", "none"]
    command += ["--sort", keys, "--percent-limit", "0.5"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = [line.rstrip(" -") for line in ended.stdout.splitlines() if line.strip()]
    return "\n".join(lines[:_LINES])


def _traced(transfer: Transfer, directory: Path) -> str:
    directory.mkdir()
    stats = directory / "cprofile"
    with overlay_alone(directory, ["-m", "cProfile", "-o", stats]) as tree:
        run = transfer.side(tree, tree.ours).run
        for _ in range(_RUNS):
            run()
    out = io.StringIO()
    pstats.Stats(str(stats), stream=out).sort_stats("tottime").print_stats(_LINES)
    blocks = _RUNS * transfer.size // transfer.block
    return f"cProfile ({blocks} blocks):\n{out.getvalue().strip()}"


def selected(only: str) -> Sequence[str]:
    """Say which transfers a selection like that of ``make bench`` names; by default the usual."""
    names = [name.strip().removeprefix("overlay/") for name in only.split(",") if name.strip()]
    wanted = [name for name in names if name != "overlay"]
    if unknown := [name for name in wanted if name not in TRANSFERS]:
        raise ValueError(
            f"cannot be profiled: {', '.join(unknown)}; there are {', '.join(TRANSFERS)}"
        )
    return wanted or ["write-28k", "write-256k", "read-256k"]
