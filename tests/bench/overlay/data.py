"""One tape written, or read, from its beginning to its end in blocks of one size.

Writing makes a new tape; its making and closing are in the time, and with them the report of the
mount, durable before the open is answered. Making the data durable is in nobody's time: the overlay
does it after the close. What a run leaves behind is thrown away before the next begins.

Reading finds the tape in the backing directory's page cache, and the kernel's cache of the FUSE file
empty: none of these file systems keeps it over an open, so an open before the time does it.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from tests.bench.frame import Side, Work
from tests.bench.overlay.attached import MERGERFS, Attached, Way, attached

KIB = 1 << 10
MIB = 1 << 20

ROUNDS = 8

MakeSide = Callable[[Attached, Way], Side]


def write_tape(tape: Path, block: bytes, size: int) -> float:
    """Make a tape of *size* bytes out of equal blocks, and return the seconds it took."""
    blocks = range(size // len(block))
    write = os.write
    begun = perf_counter()
    descriptor = os.open(tape, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
    for _ in blocks:
        write(descriptor, block)
    os.close(descriptor)
    return perf_counter() - begun


def read_tape(tape: Path, block: int, size: int) -> float:
    """Read a tape of *size* bytes block by block, and return the seconds it took."""
    buffers = [bytearray(block)]
    readv = os.readv
    os.close(os.open(tape, os.O_RDONLY))
    begun = perf_counter()
    descriptor = os.open(tape, os.O_RDONLY)
    count = sum(iter(lambda: readv(descriptor, buffers), 0))
    os.close(descriptor)
    took = perf_counter() - begun
    if count != size:
        raise AssertionError(f"{tape}: {count} bytes of {size} were read")
    return took


def throw_away(tape: Path, backing: Path) -> None:
    """Remove what a run wrote, and let the disk come to rest.

    The tape is cut below the overlay first, so that what the overlay makes durable after the close
    is little: the next side's run is not to share the disk with it.
    """
    os.truncate(backing / tape.name, 0)
    tape.unlink()
    os.sync()


def written(block: int, size: int) -> MakeSide:
    """Say how a tape is written on any of the ways."""
    data = os.urandom(block)

    def side(tree: Attached, way: Way) -> Side:
        tape = way.pool / f"W{tree.ways.index(way):05}"

        def run() -> float:
            took = write_tape(tape, data, size)
            if (tree.backing / tape.name).stat().st_size != size:
                raise AssertionError(f"{tape} is not whole")
            throw_away(tape, tree.backing)
            return took

        return Side(way.name, run)

    return side


def read(block: int, size: int) -> MakeSide:
    """Say how one and the same tape is read on any of the ways."""

    def side(tree: Attached, way: Way) -> Side:
        tape = tree.backing / "R00001"
        if not tape.exists():
            write_tape(tape, os.urandom(MIB), size)
            os.sync()
        return Side(way.name, lambda: read_tape(way.pool / tape.name, block, size))

    return side


def on_all_ways(
    side: MakeSide,
) -> Callable[[Path], AbstractContextManager[Sequence[Side]]]:
    """Compare the ways with one another in one kind of run."""

    @contextmanager
    def prepare(directory: Path) -> Iterator[Sequence[Side]]:
        with attached(directory) as tree:
            yield [side(tree, way) for way in tree.ways]

    return prepare


#: Of each block: its name, its bytes, how much is written in a run, and the least ratio of writing
#: to mergerfs. A run takes the slower sides a third of a second.
_BLOCKS = (
    ("28k", 28 * KIB, 112 * MIB, 0.8),
    ("56k", 56 * KIB, 224 * MIB, 0.8),
    ("256k", 256 * KIB, 256 * MIB, 1.0),
    ("1m", MIB, 512 * MIB, 1.0),
)
#: How much is read in a run; all the blocks divide it.
_READ = 336 * MIB


class Transfer(NamedTuple):
    """One kind of run: how it is done on a way, in what blocks, how much, and what is promised."""

    side: MakeSide
    block: int
    size: int
    least: float


TRANSFERS: Mapping[str, Transfer] = {
    **{
        f"write-{name}": Transfer(written(block, size), block, size, least)
        for name, block, size, least in _BLOCKS
    },
    **{
        f"read-{name}": Transfer(read(block, _READ), block, _READ, 1.0)
        for name, block, _, _ in _BLOCKS
    },
}

WORKS: Sequence[Work] = tuple(
    Work(
        bench="overlay",
        name=name,
        prepare=on_all_ways(transfer.side),
        rounds=ROUNDS,
        amount=transfer.size / 1e6,
        unit="MB/s",
        wanted={MERGERFS: transfer.least},
    )
    for name, transfer in TRANSFERS.items()
)
