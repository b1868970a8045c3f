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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from copyagent.ems.lines import EmsLineDecoder
from copyagent.ems.tape_events import read_host_event
from tests.bench.frame import Bench
from tests.bench.ratios import Ratio, Row, row
from tests.support.ems_host.flood import KINDS
from tests.support.talkative_host import flood_with_dismount, flooded_world, lines_in, printed

LINES = 100_000
WANTED_LINES_S = 50_000
MEMORY_MB = 8.0
VERDICT_S = 1.0
ROUNDS = 5
PIECE = 65_536
"""Characters that one read of the session gives when much is waiting."""


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
                flooded = flood_with_dismount(world, host, f"FLOOD{number}", text)
                allowed = flooded.before / WANTED_LINES_S + VERDICT_S
                ratios.append(allowed / flooded.took_s)
                late.append(flooded.took_s)
        against = f"{VERDICT_S:g} s after its place at {WANTED_LINES_S:,} lines/s"
        measured = {"seconds from the flood's first byte": statistics.median(late)}
        return [limit_row(self.name, against, ratios, measured)]


FLOODS: tuple[Bench, ...] = (*(Reading(kind) for kind in KINDS), VerdictInAFlood())
