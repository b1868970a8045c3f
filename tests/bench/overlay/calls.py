"""How long single calls take, as distributions: small writes, and opens.

- `call-write-4k`, `call-write-28k`: one write(2) at the end of a growing tape.
- `call-open-read`: open(2) of a known tape for reading.
- `call-open-write`: open(2) for writing, of a tape that has no session, by one opener; the commit of the
  session's beginning is in it. One durable commit of the same disk stands beside it.

The calls of all rounds make the distribution; the ratio is that of the rounds' median calls.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter

from tests.bench.frame import Side, Work
from tests.bench.overlay.attached import Attached, Way, attached
from tests.bench.overlay.data import KIB, MakeSide, on_all_ways, throw_away
from tests.bench.overlay.durable import single_commits
from tests.bench.overlay.opens import Shelf

_WRITES = 2_000
_READ_OPENS = 1_000
_WRITE_OPENS = 48
_ROUNDS = 4


def _written(block: int) -> MakeSide:
    data = os.urandom(block)

    def side(tree: Attached, way: Way) -> Side:
        tape = way.pool / f"C{tree.ways.index(way):05}"
        calls: list[float] = []

        def run() -> float:
            descriptor = os.open(tape, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
            before = len(calls)
            for _ in range(_WRITES):
                begun = perf_counter()
                os.write(descriptor, data)
                calls.append(perf_counter() - begun)
            os.close(descriptor)
            throw_away(tape, tree.backing)
            return median(calls[before:])

        return Side(way.name, run, calls)

    return side


def _opened(tapes: Sequence[Path], flags: int, calls: list[float]) -> float:
    """Open and close each; note how long the opens took, and return the median."""
    before = len(calls)
    for tape in tapes:
        begun = perf_counter()
        descriptor = os.open(tape, flags)
        calls.append(perf_counter() - begun)
        os.close(descriptor)
    return median(calls[before:])


def _opened_to_read(tree: Attached, way: Way) -> Side:
    calls: list[float] = []
    tapes = Shelf(tree, "K").stock(way, 100) * (_READ_OPENS // 100)
    return Side(way.name, lambda: _opened(tapes, os.O_RDONLY, calls), calls)


def _opened_to_write(tree: Attached, way: Way, shelf: Shelf) -> Side:
    calls: list[float] = []

    def run() -> float:
        middle = _opened(shelf.stock(way, _WRITE_OPENS), os.O_WRONLY, calls)
        tree.rest()
        return middle

    return Side(way.name, run, calls)


@contextmanager
def _opens_to_write(directory: Path) -> Iterator[Sequence[Side]]:
    with attached(directory) as tree, single_commits(directory, _WRITE_OPENS) as commit:
        shelf = Shelf(tree, "T")
        yield [*(_opened_to_write(tree, way, shelf) for way in tree.ways), commit]


WORKS: Sequence[Work] = (
    Work("overlay", "call-write-4k", on_all_ways(_written(4 * KIB)), _ROUNDS),
    Work("overlay", "call-write-28k", on_all_ways(_written(28 * KIB)), _ROUNDS),
    Work("overlay", "call-open-read", on_all_ways(_opened_to_read), _ROUNDS),
    Work("overlay", "call-open-write", _opens_to_write, rounds=10),
)
