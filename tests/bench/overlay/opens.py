"""Opening tapes, and looking at them.

- `open-close`: known tapes opened for reading and closed again, one after the other.
- `open-close-write`: tapes in turn opened for writing, 4 KiB written to each, and closed. Each is another
  tape, so each is a session of its own, whose beginning is durable before the open is answered, and
  whose tape is made durable in the background. Set against one durable commit of the same disk,
  the ratio is the part of our time that a commit alone would have taken.
- `open-close-write-8`: as many tapes by eight at once. The commits of opens that wait at the same
  time are one, so this takes less than as many commits.
- `stat`: `os.stat` of known tapes after the kernel's knowledge of them has expired (a second, by each
  side's default), so that every one is asked of the file system.
"""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from time import perf_counter

from tests.bench.frame import Side, Work
from tests.bench.overlay.attached import Attached, Way, attached
from tests.bench.overlay.crew import together
from tests.bench.overlay.data import ROUNDS, on_all_ways
from tests.bench.overlay.durable import COMMIT, commits, synced_writes
from tests.support.waiting import wait_until

ONE_OPENER = "one opener"
OPENERS = 8

_KNOWN = 100
OPENS = 4_000
STATS = 8_000
SESSIONS = 96
#: Longer than any side relies on what it knows.
_EXPIRED_S = 1.1


class Shelf:
    """Makes tapes in the backing directory, each with a label of its own."""

    def __init__(self, tree: Attached, letter: str) -> None:
        self._backing = tree.backing
        self._letter = letter
        self._numbers = count()

    def stock(self, way: Way, tapes: int) -> list[Path]:
        """Return new tapes of 4 KiB on a way, looked up there already."""
        labels = [f"{self._letter}{next(self._numbers):05}" for _ in range(tapes)]
        for label in labels:
            (self._backing / label).write_bytes(bytes(4096))
        os.sync()
        paths = [way.pool / label for label in labels]
        for path in paths:
            path.stat()
        return paths


def write_session(tape: Path, block: bytes) -> None:
    """Open a tape for writing, write one block, close it."""
    descriptor = os.open(tape, os.O_WRONLY)
    os.write(descriptor, block)
    os.close(descriptor)


def open_close(tree: Attached, way: Way) -> Side:
    """Say how known tapes are opened for reading and closed."""
    tapes = Shelf(tree, "K").stock(way, _KNOWN) * (OPENS // _KNOWN)

    def run() -> float:
        begun = perf_counter()
        for tape in tapes:
            os.close(os.open(tape, os.O_RDONLY))
        return perf_counter() - begun

    return Side(way.name, run)


def sessions(tree: Attached, way: Way, shelf: Shelf) -> Side:
    """Say how tapes in turn are opened for writing, written to and closed."""
    block = os.urandom(4096)

    def run() -> float:
        tapes = shelf.stock(way, SESSIONS)
        begun = perf_counter()
        for tape in tapes:
            write_session(tape, block)
        took = perf_counter() - begun
        tree.rest()
        return took

    return Side(way.name, run)


def _sessions_of_several(tree: Attached, way: Way, shelf: Shelf) -> Side:
    block = os.urandom(4096)

    def job(tapes: Sequence[Path]) -> Callable[[], object]:
        def one_opener() -> None:
            for tape in tapes:
                write_session(tape, block)

        return one_opener

    def run() -> float:
        tapes = shelf.stock(way, SESSIONS)
        took = together([job(tapes[first::OPENERS]) for first in range(OPENERS)])
        tree.rest()
        return took

    return Side(way.name, run)


@contextmanager
def _one_opener(directory: Path) -> Iterator[Sequence[Side]]:
    with (
        attached(directory) as tree,
        commits(directory, SESSIONS) as commit,
        synced_writes(directory, SESSIONS) as synced,
    ):
        shelf = Shelf(tree, "T")
        yield [*(sessions(tree, way, shelf) for way in tree.ways), commit, synced]


@contextmanager
def _eight_openers(directory: Path) -> Iterator[Sequence[Side]]:
    with attached(directory) as tree, commits(directory, SESSIONS) as commit:
        shelf = Shelf(tree, "T")
        sides = [_sessions_of_several(tree, way, shelf) for way in tree.ways]
        alone = Side(ONE_OPENER, sessions(tree, tree.ours, shelf).run)
        yield [*sides, alone, commit]


def stat(tree: Attached, way: Way) -> Side:
    """Say how known tapes are looked at when the kernel must ask for each."""
    tapes = Shelf(tree, "S").stock(way, STATS)
    expired = time.monotonic() + _EXPIRED_S

    def run() -> float:
        nonlocal expired
        wait_until(lambda: time.monotonic() > expired, 10.0, "the kernel forgets")
        begun = perf_counter()
        for tape in tapes:
            os.stat(tape)
        took = perf_counter() - begun
        expired = time.monotonic() + _EXPIRED_S
        return took

    return Side(way.name, run)


WORKS: Sequence[Work] = (
    Work(
        bench="overlay",
        name="open-close",
        prepare=on_all_ways(open_close),
        rounds=ROUNDS,
        amount=OPENS,
        unit="opens/s",
    ),
    Work(
        bench="overlay",
        name="open-close-write",
        prepare=_one_opener,
        rounds=6,
        amount=SESSIONS,
        unit="opens/s",
        # "Within 1.5 times one durable commit."
        wanted={COMMIT: 0.667},
    ),
    Work(
        bench="overlay",
        name="open-close-write-8",
        prepare=_eight_openers,
        rounds=6,
        amount=SESSIONS,
        unit="opens/s",
        # Opens that wait together share a commit.
        wanted={ONE_OPENER: 1.0},
    ),
    Work(
        bench="overlay",
        name="stat",
        prepare=on_all_ways(stat),
        rounds=ROUNDS,
        amount=STATS,
        unit="stats/s",
    ),
)
