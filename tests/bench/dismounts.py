"""From a host's dismount of a tape of 16 MiB to its copy, durable and recorded.

Everything is a real process: the overlay, the agent, a host that prints its events, an sshd. The
clock starts when the tape is closed, right before the host says that it has dismounted it, and stops
when the event log says that it is copied: that is written after the agent has recorded it, which is
after the target has it durably. The settle time, in which the agent waits whether the tape is opened
again, is taken off.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench.limits import limit_row
from tests.bench.ratios import Row
from tests.support.mountpoint import clear_immutable, unmounted_after
from tests.support.nonstop import NonStop
from tests.support.site import Site
from tests.support.sshd import Sshd
from tests.support.waiting import wait_until

MIB = 1 << 20
SIZE = 16 * MIB
LIMIT_S = 0.5
#: The settle time, in seconds: the settings' default.
SETTLE_S = 2.0

COPIED = 224101
_LABEL = "X00001"
_TAPE = f"/VAULT00/BILL/{_LABEL}"


@contextmanager
def site_with_host(directory: Path) -> Iterator[tuple[Site, NonStop]]:
    """Bring up a system whose overlay and host both speak, with a target."""
    far = directory / "far" / "VAULT00"
    far.mkdir(parents=True)
    with (
        unmounted_after(directory),
        Sshd(directory / "sshd") as sshd,
        NonStop(directory / "host") as host,
        Site(directory / "site") as site,
    ):
        site.settings["cross_check"]["settle"] = f"{SETTLE_S:g}s"
        site.make_pool("BILL")
        site.add_target("drsite", sshd, {"VAULT00": far})
        site.watch("/VAULT00/BILL", "drsite")
        site.use_host(host)
        try:
            site.attach()
            site.start()
            host.say("wait 20")
            site.wait(lambda: site.status()["hosts"][0]["up"], "the EMS link is up")
            yield site, host
        finally:
            site.end()
            clear_immutable(site.mountpoint())


def one_dismount(site: Site, host: NonStop, size: int) -> float:
    """Have the host write the tape once; return the seconds beyond the settle time."""
    log = site.root / "event.log"
    tape = site.mountpoint() / "BILL" / _LABEL
    content = os.urandom(size)
    told = len(site.events(COPIED))
    host.begin_mount(_LABEL, ring=True)
    with tape.open("wb") as file:
        file.write(content)
    closed = time.perf_counter()
    host.end_mount(_LABEL)
    known = log.stat().st_size if log.exists() else 0

    def copied() -> bool:
        nonlocal known
        now = log.stat().st_size if log.exists() else 0
        if now == known:
            return False
        known = now
        return len(site.events(COPIED)) > told

    wait_until(copied, 60.0, "the tape is copied")
    took = time.perf_counter() - closed - SETTLE_S
    explained = site.explain(_TAPE)
    if explained is None or explained["verdict"]["verdict"] != "agreed":
        raise AssertionError(f"the witnesses did not agree: {explained}")
    return took


@dataclass(frozen=True)
class Dismounts:
    """The row; a bench without sides that take turns."""

    bench: str = "transfer"
    name: str = "dismount-16m"
    rounds: int = 11

    @property
    def effort(self) -> str:
        """Say how much there is to do."""
        return f"{self.rounds} mounts, each written anew"

    def rows(self, directory: Path) -> list[Row]:
        """Measure in an empty directory; the first copy, of a tape nobody knew, does not count."""
        with site_with_host(directory) as (site, host):
            one_dismount(site, host, SIZE)
            found = [one_dismount(site, host, SIZE) for _ in range(self.rounds)]
        more = {"s at worst": max(found), "s of settling, taken off": SETTLE_S}
        return [limit_row(self.bench, self.name, LIMIT_S, "s", found, more)]


DISMOUNTS = Dismounts()
