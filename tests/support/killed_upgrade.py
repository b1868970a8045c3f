"""Takes a former state over again and again, killed one SQL statement later each time.

``python -m tests.support.killed_upgrade FORMER DIRECTORY`` leaves ``DIRECTORY/1.sqlite`` and so on, as
they were when the process that worked on them was killed (SIGKILL); the last was done whole.
"""

import os
import shutil
import signal
import sqlite3
import sys
from itertools import count
from pathlib import Path

from copyagent.state import schema


def main() -> None:
    """Do it; the number of the last file is printed."""
    former, directory = map(Path, sys.argv[1:])
    for number in count(1):
        path = directory / f"{number}.sqlite"
        shutil.copy(former, path)
        child = os.fork()
        if not child:
            _take_over(path, number)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status):
            print(number)
            sys.exit(os.WEXITSTATUS(status))


def _take_over(path: Path, last: int) -> None:
    """Take the state over as an agent does, and die before the statement with the number *last*."""
    statements = count(1)

    def die_at(_statement: str) -> None:
        if next(statements) == last:
            os.kill(os.getpid(), signal.SIGKILL)

    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode = WAL")
    database.set_trace_callback(die_at)
    schema.prepare(database, path)


if __name__ == "__main__":
    main()
