"""What a benchmark is, and how one is run."""

import gc
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from tests.bench.ratios import Pair, Row, row, speed_ratio


class Side(NamedTuple):
    """One of the two that are compared: its name, and one run of the work.

    *run* returns the seconds it took, so that it alone decides what belongs to the work and what
    is tidying up before and after.
    """

    name: str
    run: Callable[[], float]


class Sides(NamedTuple):
    """Ours and the peer, ready to run."""

    subject: Side
    peer: Side


@dataclass(frozen=True)
class Work:
    """Something both sides can do.

    *prepare* is given an empty directory; entering what it returns brings up what the runs need,
    leaving it takes everything down. *pairs* is how often each side runs, a warm-up aside.
    """

    bench: str
    name: str
    prepare: Callable[[Path], AbstractContextManager[Sides]]
    pairs: int


def run_work(work: Work, directory: Path) -> Row:
    """Run both sides in turn, ours first, and compare them; both run once before it counts."""
    with work.prepare(directory) as (subject, peer):
        subject.run()
        peer.run()
        pairs = [Pair(_run(subject), _run(peer)) for _ in range(work.pairs)]
    return row(work.bench, work.name, subject.name, peer.name, speed_ratio(pairs))


def _run(side: Side) -> float:
    # Garbage of the other side's run is not to be collected during this one.
    gc.collect()
    return side.run()


def select(works: Sequence[Work], only: str) -> list[Work]:
    """Pick the works of the benches named in *only*, separated by commas; all if it is empty.

    Raises ValueError naming what there is when it asks for what there is not.
    """
    wanted = {name.strip() for name in only.split(",") if name.strip()}
    known = {work.bench for work in works}
    if unknown := wanted - known:
        raise ValueError(
            f"no such bench: {', '.join(sorted(unknown))}; there are {', '.join(sorted(known))}"
        )
    return [work for work in works if not wanted or work.bench in wanted]
