"""What 100,000 known tapes cost the agent, 1,000 of them queued for a target that does not answer.

The state is what two copies of each tape leave, the vault on disk has a file of each, the overlay and
the agent are the real ones. Rows whose peers are limits, so that the ratio is below 1 where the limit is
missed:

- `start`: 2 s from the beginning of the process until the agent answers on its socket;
- `sweep`: 5 s from there until the sweep at the start is over;
- `memory`: 150 MB over the resident memory at its largest (VmHWM of proc_pid_status(5));
- `idle`: 1 % of a processor over what was used while nothing happened;
"""

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from copyagent.control.client import ask
from copyagent.control.protocol import Status
from tests.bench.limits import limit_row
from tests.bench.overlay.memory import idle, usage_of
from tests.bench.ratios import Row
from tests.support.many_tapes import make_files, make_state
from tests.support.mountpoint import clear_immutable, unmounted_after
from tests.support.nonstop import TREE
from tests.support.processes import Program
from tests.support.site import Site
from tests.support.waiting import wait_until
from vtsfs.contract.errors import AgentUnreachable

TAPES = 100_000
QUEUED = 1_000
POOLS = 4
STARTS = 5
IDLE_S = 20.0
START_S = 2.0
SWEEP_S = 5.0
MEMORY_MB = 150.0
IDLE_PERCENT = 1.0

#: A port of loopback on which nobody listens (discard, RFC 863).
NOBODY = 9

_TICK_S = 0.01


@dataclass(slots=True)
class Costs:
    """What was measured: of each start the seconds, of the last agent the rest."""

    start_s: list[float] = field(default_factory=list)
    sweep_s: list[float] = field(default_factory=list)
    peak_mb: list[float] = field(default_factory=list)
    resident_mb: float = 0.0
    idle_percent: float = 0.0


@contextmanager
def lived_in_site(directory: Path, tapes: int, queued: int) -> Iterator[Site]:
    """Make a site whose agent knows *tapes*; its target does not answer."""
    with unmounted_after(directory), Site(directory / "site") as site:
        key = directory / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
        found = make_files(site.backing(), tapes, POOLS)
        site.settings["targets"]["drsite"] = {
            "host": "127.0.0.1",
            "port": NOBODY,
            "user": "vts",
            "key": str(key),
            "known_hosts": f"{key}.pub",
            "vaults": {"VAULT00": "/far"},
        }
        for pool in range(POOLS):
            site.watch(f"/VAULT00/POOL{pool}", "drsite")
        site.attach()
        state = site.root / "state" / "agent" / "agent.sqlite"
        make_state(state, found, queued, "127.0.0.1:/far")
        try:
            yield site
        finally:
            site.end()
            clear_immutable(site.mountpoint())


def measure(site: Site, starts: int, idle_s: float) -> Costs:
    """Start the agent several times; look at the last one for a while."""
    costs = Costs()
    agent = site.agent = Program(site.command("copyagent", "run"), site.root / "log", cwd=TREE)
    socket = site.root / "run" / "copyagent.sock"
    for _ in range(starts):
        site.stop()
        begun = time.perf_counter()
        agent.start()
        wait_until(socket.exists, 120.0, "the agent listens")
        wait_until(lambda: _answers(site), 120.0, "the agent answers")
        ready = time.perf_counter()
        costs.start_s.append(ready - begun)
        wait_until(lambda: _swept(site), 120.0, "the vault is swept")
        costs.sweep_s.append(time.perf_counter() - ready)
        costs.peak_mb.append(usage_of(agent.pid).peak_mb)
    wait_until(lambda: _quiet(site), 120.0, "nothing is under way")
    before, began = usage_of(agent.pid), time.perf_counter()
    idle(idle_s)
    after = usage_of(agent.pid)
    took = time.perf_counter() - began
    costs.idle_percent = 100 * (after.ticks - before.ticks) * _TICK_S / took
    costs.resident_mb = after.resident_mb
    costs.peak_mb[-1] = after.peak_mb
    site.stop()
    return costs


def _answers(site: Site) -> bool:
    try:
        ask(site.root / "run" / "copyagent.sock", Status())
    except AgentUnreachable:
        return False
    return True


def _quiet(site: Site) -> bool:
    """Every queued copy has been told that its target does not answer."""
    status = site.status()
    due = sum(pool["states"].get("queued", 0) for pool in status["pools"])
    return not due and not status["copies"]


def _swept(site: Site) -> bool:
    return all(vault["swept"] for vault in site.status()["vaults"])


class Scale:
    """The rows; a bench without sides that take turns."""

    bench = "scale"
    name = "known-100k"
    effort = f"{TAPES:,} tapes, {QUEUED:,} queued, {STARTS} starts, {IDLE_S:g} s idle"

    def rows(self, directory: Path) -> list[Row]:
        """Measure in an empty directory."""
        with lived_in_site(directory, TAPES, QUEUED) as site:
            costs = measure(site, STARTS, IDLE_S)
        return [
            limit_row(self.bench, "start", START_S, "s", costs.start_s),
            limit_row(self.bench, "sweep", SWEEP_S, "s", costs.sweep_s),
            limit_row(
                self.bench,
                "memory",
                MEMORY_MB,
                "MB",
                costs.peak_mb[-1:],
                {"when idle, MB": costs.resident_mb},
            ),
            limit_row(self.bench, "idle", IDLE_PERCENT, "%", [costs.idle_percent]),
        ]


SCALE = Scale()
