"""The demonstration when it does not come to its end: it says so and leaves nothing behind."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.demo.ending import NAMES, recorded
from tests.demo.place import PREFIX, Place
from tests.support.mountpoint import mounts_under
from tests.support.nonstop import TREE
from tests.support.processes import Program, is_alive
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.mount, pytest.mark.ssh]


@pytest.fixture
def surroundings(scratch: Path) -> Mapping[str, str]:
    """An environment in which nothing of the machine's own demonstrations is seen."""
    return os.environ | {
        "XDG_RUNTIME_DIR": str(scratch),
        "VTS_TEST_SCRATCH": str(scratch),
        "VTS_DEMO_MB": "40",
        "KEEP": "",
    }


@pytest.fixture
def shown(scratch: Path, surroundings: Mapping[str, str]) -> Iterator[Program]:
    """A demonstration that has begun."""
    command = [sys.executable, "-m", "tests.demo"]
    with Program(command, scratch / "output", env=surroundings, cwd=TREE) as program:
        program.wait_for_output("1  A tape", 60.0)
        yield program


def place_of(scratch: Path) -> Place:
    (root,) = scratch.glob(f"{PREFIX}*")
    return Place(root)


def run(surroundings: Mapping[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.demo", *arguments]
    return subprocess.run(
        command, env=surroundings, cwd=TREE, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_one_leaves_nothing(
    scratch: Path, shown: Program, number: signal.Signals
) -> None:
    place = place_of(scratch)
    processes = [recorded(place, name) for name in NAMES]
    assert None not in processes
    os.kill(shown.pid, number)
    assert shown.wait(60.0) == 130
    assert "interrupted; everything was ended and removed" in shown.output()
    assert not place.root.exists()
    assert mounts_under(scratch) == []
    assert not any(is_alive(process) for process in processes if process is not None)


def test_a_claim_that_is_not_so_ends_it(scratch: Path, shown: Program) -> None:
    place = place_of(scratch)
    copy = place.copy("X00001")
    wait_until(copy.exists, 60.0, "the first copy is there")
    with copy.open("r+b") as file:
        file.write(b"not what was copied")
    assert shown.wait(120.0) == 1
    assert "NOT SO: equal" in shown.output()
    assert not place.root.exists()
    assert mounts_under(scratch) == []


def test_what_a_killed_one_has_left_is_ended(
    scratch: Path, shown: Program, surroundings: Mapping[str, str]
) -> None:
    place = place_of(scratch)
    processes = [recorded(place, name) for name in NAMES]
    assert "nothing to do" in run(surroundings, "down").stdout
    shown.kill()
    assert all(process is not None and is_alive(process) for process in processes)
    assert "agent, host, target, overlay" in run(surroundings, "down").stdout
    assert not place.root.exists()
    assert mounts_under(scratch) == []
    assert not any(is_alive(process) for process in processes if process is not None)


def test_no_place_for_it_is_said_in_one_sentence(
    scratch: Path, surroundings: Mapping[str, str]
) -> None:
    nowhere = scratch / "nowhere"
    done = run({**surroundings, "VTS_TEST_SCRATCH": str(nowhere)})
    assert done.returncode == 1
    assert done.stderr.strip() == (
        f"demo: {nowhere} cannot be written to: name a directory with VTS_TEST_SCRATCH"
    )
