"""A tape of 512 MiB written in blocks of 256 KiB: through the overlay against its backing directory.

The backing directory is what the overlay stands on, so the ratio, below 1, is what the overlay
costs. Opening and closing are in the time, and with them the report of the mount, durable before
the open is answered. Making the data durable is in neither's: the overlay does it after the close.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.frame import Side, Sides, Work
from tests.support.mountpoint import mounts_under, remove_tree, unmounted_after
from tests.support.processes import Program
from tests.support.waiting import wait_until

SIZE = 512 << 20
BLOCK = 256 << 10
VAULT = "VAULT00"


@contextmanager
def prepare(directory: Path) -> Iterator[Sides]:
    """Attach a vault that has one empty pool."""
    backing, mountpoint = directory / "backing", directory / VAULT
    (backing / "BILL").mkdir(parents=True)
    mountpoint.mkdir()
    config = directory / "vts-autocopy.yaml"
    config.write_text(json.dumps(_settings(directory, backing, mountpoint)), encoding="utf-8")
    attach = [sys.executable, "-m", "vtsfs", "--config", str(config)]
    attach += ["attach", "--foreground", VAULT]
    block = os.urandom(BLOCK)
    try:
        with unmounted_after(directory), Program(attach, directory / "vtsfs.log") as overlay:
            _wait_until_attached(mountpoint, overlay)

            def through_overlay() -> float:
                return _write(mountpoint / "BILL" / "X00001", block)

            def below_it() -> float:
                return _write(backing / "BILL" / "Y00001", block)

            yield Sides(Side("vtsfs", through_overlay), Side("backing directory", below_it))
    finally:
        remove_tree(mountpoint)


def _settings(directory: Path, backing: Path, mountpoint: Path) -> dict[str, object]:
    """Make the least settings with which an overlay can be attached; JSON is YAML too."""
    return {
        "system": {"name": "BENCH"},
        "paths": {
            "state": str(directory / "state"),
            "run": str(directory / "run"),
            "event_log": str(directory / "event.log"),
        },
        "vaults": {VAULT: {"backing": str(backing), "mountpoint": str(mountpoint)}},
    }


def _wait_until_attached(mountpoint: Path, overlay: Program) -> None:
    def attached() -> bool:
        if not overlay.is_running():
            raise RuntimeError(f"the overlay ended:\n{overlay.output()}")
        return mounts_under(mountpoint) != [] and (mountpoint / "BILL").is_dir()

    wait_until(attached, 30.0, f"{VAULT} is attached")


def _write(tape: Path, block: bytes) -> float:
    tape.unlink(missing_ok=True)
    # What the last run left to be written to the disk is not this run's business.
    os.sync()
    begun = time.perf_counter()
    with tape.open("xb", buffering=0) as file:
        for _ in range(SIZE // BLOCK):
            file.write(block)
    return time.perf_counter() - begun


WRITE_256K = Work(bench="overlay", name="write-256k", prepare=prepare, pairs=7)
