"""Where the overlay's time goes: ``make bench ONLY=overlay/write-28k PROFILE=1``.

Three views of the daemon while it works, from the truest to the most detailed:

1. the processor time that the kernel has counted for it, per block or tape, and how much of the time the
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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tests.bench.overlay import opens, together
from tests.bench.overlay.attached import overlay_alone
from tests.bench.overlay.data import TRANSFERS, MakeSide

_RUNS = 5
_LINES = 28


class Activity(NamedTuple):
    """Something done through the overlay: how, how often in a run, and what it is done to."""

    side: MakeSide
    times: int
    noun: str


ACTIVITIES: Mapping[str, Activity] = {
    **{
        name: Activity(transfer.side, transfer.size // transfer.block, "block")
        for name, transfer in TRANSFERS.items()
    },
    "open-close": Activity(opens.open_close, opens.OPENS, "tape"),
    "open-close-write": Activity(
        lambda tree, way: opens.sessions(tree, way, opens.Shelf(tree, "T")), opens.SESSIONS, "tape"
    ),
    "stat": Activity(opens.stat, opens.STATS, "tape"),
    "write-8-tapes": Activity(
        lambda tree, way: together.writers(tree, way, "A", [together.EACH] * together.TAPES),
        together.EACH * together.TAPES // together.BLOCK,
        "block",
    ),
}


class _Spent(NamedTuple):
    """Seconds of a process in its own code and in the kernel, and how often it slept."""

    user_s: float
    system_s: float
    slept: int


def report(name: str, directory: Path) -> str:
    """Profile an activity by its name in an empty directory; raise KeyError if there is none."""
    activity = ACTIVITIES[name]
    parts = [f"## {name}", _counted(activity, directory / "counted")]
    if (perf := shutil.which("perf")) is not None:
        parts.append(_sampled(activity, directory / "sampled", perf))
    parts.append(traced(activity, directory / "traced"))
    return "\n\n".join(parts)


def _counted(activity: Activity, directory: Path) -> str:
    with overlay_alone(directory) as tree:
        run = activity.side(tree, tree.ours).run
        run()
        before = _spent(tree.overlay.pid)
        took = sum(run() for _ in range(_RUNS))
        after = _spent(tree.overlay.pid)
    times = _RUNS * activity.times
    user, system, slept = (late - early for late, early in zip(after, before, strict=True))
    each = 1e6 / times
    return f"""\
Microseconds of a {activity.noun} (of the processor: with the tidying up before and after each run):
{took * each:8.1f} from one to the next
{user * each:8.1f} of the daemon's own code
{system * each:8.1f} of the kernel on its behalf
{slept / times:8.2f} times asleep"""


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


def _sampled(activity: Activity, directory: Path, perf: str) -> str:
    with overlay_alone(directory) as tree:
        run = activity.side(tree, tree.ours).run
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
    tables = [_perf_table(perf, data, keys) for keys in ("dso", "dso,symbol")]
    if not all(tables):
        return f"perf could not look into the daemon: {complaint.strip() or 'it saw nothing'}"
    return "\n\n".join(["perf, parts of the daemon's processor time:", *tables])


def _perf_table(perf: str, data: Path, keys: str) -> str:
    """Return what perf reports; nothing if it recorded nothing."""
    command = [perf, "report", "-i", str(data), "--stdio", "-q", "--no-children", "-g", "none"]
    command += ["--sort", keys, "--percent-limit", "0.5"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line.rstrip(" -") for line in ended.stdout.splitlines() if line.strip()]
    return "\n".join(lines[:_LINES])


def traced(activity: Activity, directory: Path) -> str:
    """Return what cProfile counted in the daemon meanwhile: the functions with most of the time."""
    directory.mkdir(exist_ok=True)
    stats = directory / "cprofile"
    with overlay_alone(directory, ["-m", "cProfile", "-o", stats]) as tree:
        run = activity.side(tree, tree.ours).run
        for _ in range(_RUNS):
            run()
    out = io.StringIO()
    pstats.Stats(str(stats), stream=out).sort_stats("tottime").print_stats(_LINES)
    title = f"cProfile ({_RUNS * activity.times} times a {activity.noun}):"
    return f"{title}\n{out.getvalue().strip()}"


def selected(only: str) -> Sequence[str]:
    """Say which activities a selection like that of ``make bench`` names; by default some."""
    names = [name.strip().removeprefix("overlay/") for name in only.split(",") if name.strip()]
    wanted = [name for name in names if name != "overlay"]
    if unknown := [name for name in wanted if name not in ACTIVITIES]:
        raise ValueError(
            f"cannot be profiled: {', '.join(unknown)}; there are {', '.join(ACTIVITIES)}"
        )
    return wanted or ["write-28k", "write-256k", "read-256k"]
