"""What one durable commit costs on the disk of the tapes: the measure of an open for writing.

The overlay answers such an open when its report is durable, so the least that it can cost is one
commit.
"""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path
from statistics import median
from time import perf_counter

from tests.bench.frame import Side

COMMIT = "one durable commit"
WRITE_AND_SYNC = "write+fdatasync"

#: About what the overlay stores when a mount begins.
_ROW = "x" * 400


@contextmanager
def commits(directory: Path, count: int) -> Iterator[Side]:
    """Commit rows one by one to SQLite as the outbox does: WAL, ``synchronous=FULL``."""
    with _committing(directory, count) as times:
        yield Side(COMMIT, lambda: sum(times()))


@contextmanager
def single_commits(directory: Path, count: int) -> Iterator[Side]:
    """Do the same, and time each of them."""
    calls: list[float] = []
    with _committing(directory, count) as times:

        def run() -> float:
            took = times()
            calls.extend(took)
            return median(took)

        yield Side(COMMIT, run, calls)


@contextmanager
def _committing(directory: Path, count: int) -> Iterator[Callable[[], list[float]]]:
    with closing(sqlite3.connect(directory / "commits.db", isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = FULL")
        database.execute("CREATE TABLE signal (number INTEGER PRIMARY KEY, text TEXT NOT NULL)")

        def times() -> list[float]:
            os.sync()
            marks = [perf_counter()]
            for _ in range(count):
                database.execute("INSERT INTO signal (text) VALUES (?)", (_ROW,))
                marks.append(perf_counter())
            return [late - early for early, late in pairwise(marks)]

        yield times


@contextmanager
def synced_writes(directory: Path, count: int) -> Iterator[Side]:
    """Append 4 KiB to a file and make it durable (fdatasync), as often."""
    block = os.urandom(4096)
    with (directory / "synced").open("wb", buffering=0) as file:

        def run() -> float:
            os.sync()
            begun = perf_counter()
            for _ in range(count):
                file.write(block)
                os.fdatasync(file.fileno())
            return perf_counter() - begun

        yield Side(WRITE_AND_SYNC, run)
