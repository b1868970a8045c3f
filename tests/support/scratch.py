"""Directories for tests whose names fit into a socket's path and whose mounts do not outlive them."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.mountpoint import remove_tree, unmounted_after


@contextmanager
def scratch_directory(where: Path | None = None) -> Iterator[Path]:
    """Give a directory with a short name, on a disk unless *where* is elsewhere; mounts in it are
    taken off afterwards.

    Short, because the path of a Unix socket has room for 107 bytes; on a disk, because tmpfs, which
    may lie under /tmp, knows neither fsync nor leases as the tapes' file systems do.
    """
    parent = where or os.environ.get("VTS_TEST_SCRATCH", "/var/tmp")
    directory = Path(tempfile.mkdtemp(prefix="vts-", dir=parent))
    try:
        with unmounted_after(directory):
            yield directory
    finally:
        remove_tree(directory)
