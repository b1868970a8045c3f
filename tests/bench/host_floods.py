"""How much printing of a host is understood in a second, and how soon a dismount amid a flood is acted upon.

Rows whose peers are limits, so that the ratio is below 1 where the limit is missed:

- `read-KIND`: 100,000 printed lines through decoder and reading, in one process, against 50,000 lines
  a second. Kinds: *mixed* (a quarter about tapes), *tape*, *other*, *garbage*, and *endless*, one line of
  as many characters. The memory that was needed meanwhile is weighed against 8 MB.
- `verdict-in-a-flood`: the same mixed lines over TCP to a running agent, with a dismount in their middle,
  of a tape that the overlay saw written. What lies before it may take its time at 50,000 lines a second,
  the verdict one second more, counted from the flood's first byte.
"""

import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread
from typing import Any

import trio

from copyagent.ems.lines import EmsLineDecoder
from copyagent.ems.tape_events import read_host_event
from tests.bench.frame import Bench
from tests.bench.ratios import Ratio, Row, row
from tests.support.ems_host import EmsHost, HostOptions, Layout, open_ems_host
from tests.support.ems_host.clock import HostClock
from tests.support.ems_host.flood import KINDS, flood
from tests.support.site import Site
from tests.support.sshd import ADDRESS
from tests.support.waiting import wait_until
from tests.support.world import World, open_world

LINES = 100_000
WANTED_LINES_S = 50_000
MEMORY_MB = 8.0
VERDICT_S = 1.0
ROUNDS = 5
PIECE = 65_536
"""Characters that one read of the session gives when much is waiting."""

_LAYOUT = Layout(width=79, indent=8)
_LINE = 80


def printed(kind: str, lines: int, layout: Layout = _LAYOUT) -> str:
    """Print about so many lines of *kind*; of an endless one, as many characters as they would have."""
    text = "".join(flood(layout, HostClock(), lines // 40, kind))
    one = text.count("\n") or len(text) // _LINE
    events = lines // 40 * lines // one
    return "".join(flood(layout, HostClock(), events, kind))


def lines_in(text: str) -> int:
    """Count the lines of *text*, an endless one in parts of 80 characters."""
    return text.count("\n") or len(text) // _LINE


def read_all(text: str) -> int:
    """Understand *text* as a session would, keeping nothing; return how many events told something."""
    decoder, told = EmsLineDecoder(), 0
    for at in range(0, len(text), PIECE):
        for event in decoder.feed(text[at : at + PIECE]):
            told += read_host_event("DEV2", event) is not None
    return told + sum(read_host_event("DEV2", event) is not None for event in decoder.flush())


def growth_mb(work: Callable[[str], object], text: str) -> float:
    """Say how much memory *work* had at its most beyond what was there before."""
    tracemalloc.start()
    try:
        work(text)
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


def limit_row(work: str, against: str, ratios: list[float], measured: dict[str, float]) -> Row:
    """Compare with a limit; above 1 it is kept."""
    low, middle, high = (
        statistics.quantiles(ratios, n=4, method="inclusive") if len(ratios) > 1 else ratios * 3
    )
    line = row("ems", work, "copyagent", against, Ratio(middle, low, high, len(ratios)))
    line["wanted"] = 1.0
    line["measured"] = {what: round(figure, 2) for what, figure in measured.items()}
    return line


@dataclass(frozen=True)
class Reading:
    """One kind of printing, read in this process."""

    kind: str
    bench: str = "ems"

    @property
    def name(self) -> str:
        """Name the work."""
        return f"read-{self.kind}"

    @property
    def effort(self) -> str:
        """Say how many rounds there are."""
        return f"{LINES:,} lines, {ROUNDS} rounds"

    def rows(self, _directory: Path) -> list[Row]:
        """Read it several times, and once more with an eye on the memory."""
        text = printed(self.kind, LINES)
        lines = lines_in(text)
        speeds = []
        for _ in range(ROUNDS + 1):
            begun = time.perf_counter()
            read_all(text)
            speeds.append(lines / (time.perf_counter() - begun))
        grown = growth_mb(read_all, text)
        return [
            limit_row(
                self.name,
                f"{WANTED_LINES_S:,} lines/s",
                [speed / WANTED_LINES_S for speed in speeds[1:]],
                {"lines/s": statistics.median(speeds[1:])},
            ),
            limit_row(
                self.name,
                f"limit of {MEMORY_MB:g} MB",
                [MEMORY_MB / max(grown, 0.001)],
                {"MB": grown},
            ),
        ]


class TalkativeHost:
    """A host in a thread of its own that prints what it is told as fast as it is taken."""

    def __init__(self, directory: Path) -> None:
        self.password_file = directory / "password"
        self._options = HostOptions()
        self.password_file.write_text(self._options.password + "\n", encoding="ascii")
        self.password_file.chmod(0o600)
        self._started, self._ended = Event(), trio.Event()
        self._thread = Thread(target=lambda: trio.run(self._serve), daemon=True)
        self._token: trio.lowlevel.TrioToken
        self._host: EmsHost

    async def _serve(self) -> None:
        async with open_ems_host(self._options, _LAYOUT) as host:
            self._token, self._host = trio.lowlevel.current_trio_token(), host
            self._started.set()
            await self._ended.wait()

    @contextmanager
    def running(self) -> Iterator[None]:
        """Listen for as long as the block lasts."""
        self._thread.start()
        if not self._started.wait(10.0):
            raise RuntimeError("the host does not start")
        try:
            yield
        finally:
            self._token.run_sync_soon(self._ended.set)
            self._thread.join(10.0)

    def use(self, site: Site) -> None:
        """Have the agent of *site* listen."""
        site.settings["ems"] = {
            "hosts": {
                "DEV2": {
                    "address": ADDRESS,
                    "port": self._host.port,
                    "user": self._options.user,
                    "password_file": str(self.password_file),
                }
            }
        }

    def say(self, text: str) -> None:
        """Print *text* as it is; return when all of it is on its way."""
        trio.from_thread.run(self._host.raw, text, trio_token=self._token)

    def event(self, number: int, text: str) -> None:
        """Print an event of the tape server."""
        lines = _LAYOUT.lines("06-09-14 22:00:01", number, text)
        self.say("".join(f"{line}\r\n" for line in lines))


@contextmanager
def flooded_world(directory: Path) -> Iterator[tuple[World, TalkativeHost]]:
    """Bring up a world that listens to a talkative host."""
    host = TalkativeHost(directory)
    with host.running(), open_world(adjust=host.use) as world:
        world.site.wait(lambda: world.site.status()["hosts"][0]["up"], "the EMS link is up")
        yield world, host


def seconds_to_verdict(
    world: World, host: TalkativeHost, label: str, text: str
) -> tuple[float, float]:
    """Flood the agent, with a dismount in the middle; return the seconds from the flood's first byte
    to the verdict, and those that the lines before the dismount may have taken."""
    half = text.rfind("\n", 0, len(text) // 2) + 1
    host.event(600, f"$ZSVR: 0042 MOUNT {label} ON $VTAPE0 WITH RING")
    host.event(648, f"$ZSVR: 0042 VOLUME {label} MOUNTED")
    world.tape(label).write_bytes(b"x" * 10_000)
    world.wait_for(label, "awaiting host")
    begun = time.monotonic()
    host_thread = Thread(target=_say_all, args=(host, label, text, half))
    host_thread.start()
    wait_until(lambda: _verdict(world, label) == "agreed", 60.0, f"{label} is judged")
    took = time.monotonic() - begun
    host_thread.join(60.0)
    return took, lines_in(text[:half]) / WANTED_LINES_S


def _say_all(host: TalkativeHost, label: str, text: str, half: int) -> None:
    host.say(text[:half])
    host.event(659, f"STATUS 1512 - {label} TAPE DISMOUNTED FROM DRIVE $VTAPE0")
    host.say(text[half:])


def _verdict(world: World, label: str) -> str:
    judged: dict[str, Any] = world.explain(label).get("verdict") or {}
    return str(judged.get("verdict", ""))


class VerdictInAFlood:
    """The way from a dismount's line to the verdict, through a running agent."""

    bench = "ems"
    name = "verdict-in-a-flood"
    effort = f"{LINES:,} lines over TCP, {ROUNDS} rounds"

    def rows(self, directory: Path) -> list[Row]:
        """Flood the same agent several times."""
        text = printed("mixed", LINES)
        ratios, late = [], []
        with flooded_world(directory) as (world, host):
            for number in range(ROUNDS):
                took, allowed = seconds_to_verdict(world, host, f"FLOOD{number}", text)
                ratios.append((allowed + VERDICT_S) / took)
                late.append(took)
        against = f"{VERDICT_S:g} s after its place at {WANTED_LINES_S:,} lines/s"
        measured = {"seconds from the flood's first byte": statistics.median(late)}
        return [limit_row(self.name, against, ratios, measured)]


FLOODS: tuple[Bench, ...] = (*(Reading(kind) for kind in KINDS), VerdictInAFlood())
