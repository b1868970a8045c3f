"""How long single calls took, as a distribution. Pure."""

from collections.abc import Sequence
from typing import TypedDict


class Latencies(TypedDict):
    """The usual call (*p50*), the slow ones (*p95*, *p99*), and the slowest, in microseconds."""

    p50: float
    p95: float
    p99: float
    max: float
    calls: int


def distribution(seconds: Sequence[float]) -> Latencies:
    """Sum up how long each of some calls took; raise ValueError when there were none.

    A percentile is a duration that was measured, the smallest that so many of a hundred calls did
    not exceed (nearest rank): interpolating would invent calls between the fast and the slow.
    """
    if not seconds:
        raise ValueError("no calls were timed")
    ordered = sorted(seconds)
    return Latencies(
        p50=_microseconds(_at(ordered, 50)),
        p95=_microseconds(_at(ordered, 95)),
        p99=_microseconds(_at(ordered, 99)),
        max=_microseconds(ordered[-1]),
        calls=len(ordered),
    )


def _at(ordered: Sequence[float], percent: int) -> float:
    rank = -(-len(ordered) * percent // 100)
    return ordered[rank - 1]


def _microseconds(seconds: float) -> float:
    return round(seconds * 1e6, 1)
