"""What has happened since the agent began, counted: the figures that only ever grow.

They are in memory alone and begin at zero with each run, as counters of a monitoring system do. All
labels are pools and targets of the settings and members of enumerations, so what is counted is
bounded, however many tapes there are.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Final

from copyagent.core import tape as states
from copyagent.core.copying import (
    CopyDone,
    CopyFailed,
    CopyHeld,
    CopyOutcome,
    CopyStopped,
    CopyWaits,
    SourceErased,
)
from copyagent.core.owed import Way
from copyagent.core.witness import Verdict

#: How a copy that was started can have ended.
RESULTS: Final = ("copied", "failed", "held", "put off", "stopped", "source changed", "erased")

#: Upper bounds of the buckets that copies' durations are counted in, in seconds.
COPY_BOUNDS: Final = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 43200.0)

#: Likewise, of what one batch of events took to be decided and made durable.
BATCH_BOUNDS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


@dataclass(slots=True)
class Histogram:
    """How often a value fell below each of *bounds*, or (last) above all of them."""

    bounds: tuple[float, ...]
    counts: list[int] = field(default_factory=list)
    total: float = 0.0

    def __post_init__(self) -> None:
        self.counts = self.counts or [0] * (len(self.bounds) + 1)

    def add(self, value: float) -> None:
        """Count *value*."""
        self.counts[bisect_left(self.bounds, value)] += 1
        self.total += value

    def copy(self) -> "Histogram":
        """Return it as it is now."""
        return Histogram(self.bounds, list(self.counts), self.total)


@dataclass(slots=True)
class WayCounters:
    """What became of the copies of one pool to one target.

    *attempts* counts those that used up a rung of the ladder, by whether they succeeded; bytes are
    those of finished copies. *last_ns* is when one was last recorded as copied, since the epoch, 0:
    never, as far as is known.
    """

    results: Counter[str] = field(default_factory=Counter)
    succeeded: int = 0
    failed: int = 0
    given_up: int = 0
    sent: int = 0
    skipped: int = 0
    resumed: int = 0
    took: Histogram = field(default_factory=lambda: Histogram(COPY_BOUNDS))
    last_ns: int = 0


@dataclass(slots=True)
class Counters:
    """Everything that is counted in one run, which began at *started_ns* since the epoch."""

    started_ns: int = 0
    ways: defaultdict[Way, WayCounters] = field(default_factory=lambda: defaultdict(WayCounters))
    verdicts: Counter[tuple[str, Verdict]] = field(default_factory=Counter)
    batches: Histogram = field(default_factory=lambda: Histogram(BATCH_BOUNDS))

    def ended(self, way: Way, outcome: CopyOutcome, at_ns: int) -> None:
        """Count the end of a copy that was started."""
        counted = self.ways[way]
        counted.results[result_of(outcome)] += 1
        if isinstance(outcome, CopyDone):
            counted.succeeded += 1
            counted.sent += outcome.sent
            counted.skipped += outcome.skipped
            counted.resumed += outcome.resumed
            counted.took.add(outcome.took_s)
            counted.last_ns = max(counted.last_ns, at_ns)

    def became(self, way: Way, before: states.State, after: states.State) -> None:
        """Count the rung of the ladder that a copy used up by going from one state to another."""
        if not isinstance(after, states.Retrying | states.Failed):
            return
        tried = getattr(before, "failures", 0)
        self.ways[way].failed += max(after.failures - tried, 0)
        if isinstance(after, states.Failed) and not isinstance(before, states.Failed):
            self.ways[way].given_up += 1

    def judged(self, pool: str, verdict: Verdict) -> None:
        """Count a verdict on a tape of *pool*."""
        self.verdicts[pool, verdict] += 1


def result_of(outcome: CopyOutcome) -> str:
    """Return which of `RESULTS` it was."""
    match outcome:
        case CopyDone():
            return "copied"
        case CopyFailed():
            return "failed"
        case CopyHeld():
            return "held"
        case CopyWaits():
            return "put off"
        case CopyStopped():
            return "stopped"
        case SourceErased():
            return "erased"
        case _:
            return "source changed"
