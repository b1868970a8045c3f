"""Several tapes at once: eight that are written, and one that is read while another is written.

All in blocks of 56 KiB, every tape by a process of its own. `write-8-tapes` is also set against our
own overlay with one tape of the same total length: eight are not to be slower than one.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path

from tests.bench.frame import Side, Work
from tests.bench.overlay.attached import Attached, Way, attached
from tests.bench.overlay.crew import together
from tests.bench.overlay.data import (
    KIB,
    MIB,
    ROUNDS,
    on_all_ways,
    read_tape,
    throw_away,
    write_tape,
)

BLOCK = 56 * KIB
ONE_TAPE = "one tape"
TAPES = 8

EACH = 28 * MIB
_READ = 224 * MIB
_WRITTEN = 84 * MIB


def writers(tree: Attached, way: Way, name: str, sizes: Sequence[int]) -> Side:
    """Say how tapes of these sizes are written at once, each by a process of its own."""
    data = os.urandom(BLOCK)
    tapes = [way.pool / f"{name}{number:05}" for number in range(len(sizes))]

    def job(tape: Path, size: int) -> Callable[[], object]:
        return lambda: write_tape(tape, data, size)

    def run() -> float:
        jobs = [job(tape, size) for tape, size in zip(tapes, sizes, strict=True)]
        took = together(jobs)
        for tape, size in zip(tapes, sizes, strict=True):
            if (tree.backing / tape.name).stat().st_size != size:
                raise AssertionError(f"{tape} is not whole")
            throw_away(tape, tree.backing)
        return took

    return Side(ONE_TAPE if len(sizes) == 1 else way.name, run)


@contextmanager
def _eight_tapes(directory: Path) -> Iterator[Sequence[Side]]:
    with attached(directory) as tree:
        sides = [
            writers(tree, way, name, [EACH] * TAPES)
            for name, way in zip("ABCD", tree.ways, strict=True)
        ]
        yield [*sides, writers(tree, tree.ours, "E", [EACH * TAPES])]


def _write_over_and_over(tape: Path, data: bytes) -> None:
    """Write one tape again and again, never longer than a run of a timed writer makes it."""
    descriptor = os.open(tape, os.O_WRONLY | os.O_CREAT, 0o644)
    for offset in cycle(range(0, _WRITTEN, BLOCK)):
        os.pwrite(descriptor, data, offset)


def _read_over_and_over(tape: Path) -> None:
    while True:
        read_tape(tape, BLOCK, _READ)


def _readable(tree: Attached) -> str:
    tape = tree.backing / "R00001"
    if not tape.exists():
        write_tape(tape, os.urandom(MIB), _READ)
        os.sync()
    return tape.name


def _read_beside_write(tree: Attached, way: Way) -> Side:
    read, written = way.pool / _readable(tree), way.pool / f"W{tree.ways.index(way):05}"
    data = os.urandom(BLOCK)

    def run() -> float:
        took = together(
            [lambda: read_tape(read, BLOCK, _READ)],
            beside=[lambda: _write_over_and_over(written, data)],
        )
        throw_away(written, tree.backing)
        return took

    return Side(way.name, run)


def _write_beside_read(tree: Attached, way: Way) -> Side:
    read, written = way.pool / _readable(tree), way.pool / f"W{tree.ways.index(way):05}"
    data = os.urandom(BLOCK)

    def run() -> float:
        took = together(
            [lambda: write_tape(written, data, _WRITTEN)],
            beside=[lambda: _read_over_and_over(read)],
        )
        throw_away(written, tree.backing)
        return took

    return Side(way.name, run)


WORKS: Sequence[Work] = (
    Work(
        bench="overlay",
        name="write-8-tapes",
        prepare=_eight_tapes,
        rounds=10,
        amount=TAPES * EACH / 1e6,
        unit="MB/s",
        wanted={ONE_TAPE: 1.0},
    ),
    Work(
        bench="overlay",
        name="read-beside-write",
        prepare=on_all_ways(_read_beside_write),
        rounds=ROUNDS,
        amount=_READ / 1e6,
        unit="MB/s",
    ),
    Work(
        bench="overlay",
        name="write-beside-read",
        prepare=on_all_ways(_write_beside_read),
        rounds=ROUNDS,
        amount=_WRITTEN / 1e6,
        unit="MB/s",
    ),
)
