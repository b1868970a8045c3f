"""From the times of interleaved runs to one ratio and its spread. Pure."""

import statistics
from collections.abc import Sequence
from typing import NamedTuple, NotRequired, TypedDict

from tests.bench.latencies import Latencies


class Pair(NamedTuple):
    """Seconds that the subject and the peer took for the same work, one right after the other."""

    subject_s: float
    peer_s: float


class Ratio(NamedTuple):
    """Our speed over theirs: the median of the pairs' ratios, and their quartiles."""

    ratio: float
    low: float
    high: float
    runs: int


class BothLatencies(TypedDict):
    """How long single calls took on either side, in microseconds."""

    subject: Latencies
    against: Latencies


class Speeds(TypedDict):
    """How fast both sides were (the medians of their runs), in *unit*."""

    subject: float
    against: float
    unit: str


class Row(TypedDict):
    """One line of the table and one object of the JSON file.

    *ratio* is the subject's speed over the peer's; *low* and *high* are the first and the third
    quartile of the ratios of the single pairs; *runs* counts the pairs. *speed* is there where the work
    is counted in a unit, *wanted* where a least ratio is promised, *latency_us* where single calls were timed, and *measured* where a
    limit takes the peer's place: the figures, by what they are and their unit.
    """

    bench: str
    work: str
    subject: str
    against: str
    ratio: float
    low: float
    high: float
    runs: int
    speed: NotRequired[Speeds]
    wanted: NotRequired[float]
    latency_us: NotRequired[BothLatencies]
    measured: NotRequired[dict[str, float]]


def is_missed(line: Row) -> bool:
    """Tell whether less than the promised ratio was reached."""
    return "wanted" in line and line["ratio"] < line["wanted"]


def speed_ratio(pairs: Sequence[Pair]) -> Ratio:
    """Compare speeds pair by pair; raise ValueError without pairs or with a time that is not one.

    Each pair gives a ratio of its own, for its two runs met the same machine. The median and the
    quartiles of these are not moved by a single disturbed run, as a mean or the extremes would be.
    """
    if not pairs:
        raise ValueError("no runs were timed, so there is nothing to compare")
    if any(not seconds > 0 for pair in pairs for seconds in pair):
        raise ValueError("a run took no time at all: give it more work")
    ratios = [pair.peer_s / pair.subject_s for pair in pairs]
    if len(ratios) == 1:
        return Ratio(ratios[0], ratios[0], ratios[0], 1)
    low, middle, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return Ratio(middle, low, high, len(ratios))


def speeds(pairs: Sequence[Pair], amount: float, unit: str) -> Speeds:
    """Say how fast either side did *amount* of something in its median run."""
    ours, theirs = (statistics.median(times) for times in zip(*pairs, strict=True))
    return Speeds(
        subject=float(f"{amount / ours:.3g}"), against=float(f"{amount / theirs:.3g}"), unit=unit
    )


def row(bench: str, work: str, subject: str, against: str, ratio: Ratio) -> Row:
    """Name a ratio; three significant digits are more than the noise allows."""
    return Row(
        bench=bench,
        work=work,
        subject=subject,
        against=against,
        ratio=float(f"{ratio.ratio:.3g}"),
        low=float(f"{ratio.low:.3g}"),
        high=float(f"{ratio.high:.3g}"),
        runs=ratio.runs,
    )
