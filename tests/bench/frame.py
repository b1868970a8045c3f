"""What a benchmark is, and how one is run."""

import gc
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.bench.latencies import distribution
from tests.bench.ratios import Pair, Row, row, speed_ratio, speeds
from tests.bench.turns import orders


@dataclass(frozen=True)
class Side:
    """One of those that are compared: its name, and one run of the work.

    *run* returns the seconds it took, so that it alone decides what belongs to the work and what
    is tidying up before and after. Where single calls are timed, *run* returns their median and
    leaves the seconds of each in *calls*.
    """

    name: str
    run: Callable[[], float]
    calls: list[float] = field(default_factory=list)


class Bench(Protocol):
    """Something that gives rows: a comparison, or a weighing against a limit."""

    @property
    def bench(self) -> str:
        """Name the group it belongs to, by which it is asked for."""

    @property
    def name(self) -> str:
        """Name the work."""

    @property
    def effort(self) -> str:
        """Say, for whoever waits, what is going to be done."""

    def rows(self, directory: Path) -> list[Row]:
        """Do it in an empty directory, and leave nothing running."""


@dataclass(frozen=True)
class Work:
    """Something that all sides can do.

    *prepare* is given an empty directory; entering what it returns brings up what the runs need,
    leaving it takes everything down. The first of its sides is ours, the others are our peers.
    *rounds* is how often each side runs, a warm-up aside. A run does *amount* of something, so that
    *amount* over seconds is in *unit*. *wanted* is the least ratio to a peer, by the peer's name,
    where one is promised.
    """

    bench: str
    name: str
    prepare: Callable[[Path], AbstractContextManager[Sequence[Side]]]
    rounds: int
    amount: float = 0.0
    unit: str = ""
    wanted: Mapping[str, float] = field(default_factory=dict)

    @property
    def effort(self) -> str:
        """Say how many rounds there are."""
        return f"{self.rounds} rounds"

    def rows(self, directory: Path) -> list[Row]:
        """Compare the first side with each of the others, all of them in turn in every round.

        Every side runs once before it counts.
        """
        with self.prepare(directory) as sides:
            for side in sides:
                side.run()
                side.calls.clear()
            square = orders(len(sides))
            times: list[list[float]] = [[] for _ in sides]
            for number in range(self.rounds):
                for turn in square[number % len(square)]:
                    times[turn].append(_run(sides[turn]))
        subject, *peers = sides
        return [
            self._row(subject, peer, [Pair(*pair) for pair in zip(times[0], theirs, strict=True)])
            for peer, theirs in zip(peers, times[1:], strict=True)
        ]

    def _row(self, subject: Side, peer: Side, pairs: Sequence[Pair]) -> Row:
        line = row(self.bench, self.name, subject.name, peer.name, speed_ratio(pairs))
        if self.unit:
            line["speed"] = speeds(pairs, self.amount, self.unit)
        if peer.name in self.wanted:
            line["wanted"] = self.wanted[peer.name]
        if subject.calls and peer.calls:
            line["latency_us"] = {
                "subject": distribution(subject.calls),
                "against": distribution(peer.calls),
            }
        return line


def _run(side: Side) -> float:
    # Garbage of another side's run is not to be collected during this one.
    gc.collect()
    return side.run()


def select(benches: Sequence[Bench], only: str) -> list[Bench]:
    """Pick what *only* names, separated by commas: ``overlay``, ``overlay/stat``; all if empty.

    Raises ValueError naming what there is when it asks for what there is not.
    """
    wanted = {name.strip() for name in only.split(",") if name.strip()}
    known = {bench.bench for bench in benches}
    single = {f"{bench.bench}/{bench.name}" for bench in benches}
    for name in sorted(wanted - known - single):
        group = name.partition("/")[0]
        there = single if group in known else known
        choice = ", ".join(sorted(one for one in there if group not in known or group in one))
        raise ValueError(f"no such bench: {name}; there are {choice}")
    return [
        bench
        for bench in benches
        if not wanted or wanted & {bench.bench, f"{bench.bench}/{bench.name}"}
    ]
