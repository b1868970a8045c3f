"""The tour of a kept demonstration: every command that is printed is typed, in order."""

import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from tests.demo.ending import NAMES, recorded
from tests.demo.place import Place
from tests.demo.tour import Command, tour
from tests.support.mountpoint import mounts_under, remove_tree, unmounted_after
from tests.support.nonstop import TREE
from tests.support.processes import is_alive
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.mount, pytest.mark.ssh, pytest.mark.slow]

Environment = Mapping[str, str]


# One demonstration for all tests here: it takes half a minute.
@pytest.fixture(scope="module")
def surroundings() -> Iterator[Environment]:
    """An environment whose demonstrations are apart from those of whoever runs the tests."""
    where = os.environ.get("VTS_TEST_SCRATCH", "/var/tmp")
    scratch = Path(tempfile.mkdtemp(prefix="vts-", dir=where))
    with unmounted_after(scratch):
        yield os.environ | {
            "XDG_RUNTIME_DIR": str(scratch),
            "VTS_TEST_SCRATCH": str(scratch),
            "VTS_DEMO_MB": "60",
        }
    remove_tree(scratch)


def demonstrate(surroundings: Environment, *arguments: str, **more: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "tests.demo", *arguments],
        cwd=TREE,
        env={**surroundings, **more},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def printed(surroundings: Environment) -> Iterator[str]:
    """What a demonstration prints that is kept, and ended whatever happens."""
    try:
        yield demonstrate(surroundings, KEEP="1")
    finally:
        print(demonstrate(surroundings, "down"))


def export_line(printed: str) -> str:
    (line,) = (line for line in printed.splitlines() if line.startswith("export "))
    return line


def place_of(printed: str) -> Place:
    found = re.search(r"DEMO=(\S+)", export_line(printed))
    assert found is not None
    return Place(Path(found[1]))


def type_line(printed: str, line: str) -> tuple[int, str]:
    """Type a line in a shell in which nothing but the export line was typed before."""
    done = subprocess.run(
        ["bash", "-c", f"{export_line(printed)}\n{line}"],
        env={key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
        | {"COLUMNS": "160"},
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout


def is_as_claimed(command: Command, status: int, output: str) -> bool:
    return status == command.status and all(re.search(text, output) for text in command.shows)


def try_command(printed: str, command: Command) -> None:
    answer = (0, "")

    def as_claimed() -> bool:
        nonlocal answer
        answer = type_line(printed, command.line)
        return is_as_claimed(command, *answer)

    if command.endless:
        watch(printed, command)
    elif command.within_s:
        try:
            wait_until(as_claimed, command.within_s, command.line)
        except AssertionError:
            pytest.fail(f"{command.line}: exit status {answer[0]}\n{answer[1]}")
    else:
        assert as_claimed(), f"{command.line}: exit status {answer[0]}\n{answer[1]}"


def watch(printed: str, command: Command) -> None:
    """Look on at a terminal until what is claimed has been seen there, then press Ctrl-C."""
    ours, theirs = pty.openpty()
    os.set_blocking(ours, False)
    process = subprocess.Popen(
        ["bash", "-c", f"{export_line(printed)}\nexec {command.line}"],
        env=os.environ | {"COLUMNS": "160", "LINES": "50", "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    screen = ""

    def seen() -> bool:
        nonlocal screen
        # Nothing to read now, or (EIO) nobody at the other end any more.
        with suppress(OSError):
            screen += os.read(ours, 65536).decode(errors="replace")
        plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen)
        return all(re.search(text, plain) for text in command.shows)

    try:
        wait_until(seen, 30.0, f"{command.line} shows {command.shows}: {screen}")
        process.send_signal(signal.SIGINT)
        # Its last words have to be read, or it waits for them to be.
        wait_until(lambda: (seen(), process.poll())[1] is not None, 10.0, "Ctrl-C ends it")
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_what_is_printed_is_the_tour(printed: str) -> None:
    lines = [line.strip() for line in printed.splitlines()]
    for stop in tour(place_of(printed)):
        assert [command.line for command in stop.commands if command.line not in lines] == []
        assert any(line.endswith(stop.title) for line in lines)
    assert type_line(printed, "demo tour")[1].strip() in printed


def test_every_command_of_the_tour_does_what_it_says(
    printed: str, surroundings: Environment
) -> None:
    place = place_of(printed)
    for stop in tour(place):
        for command in stop.commands:
            try_command(printed, command)


def test_it_runs_until_it_is_ended(printed: str, surroundings: Environment) -> None:
    place = place_of(printed)
    # Another one is told of the one that runs, and disturbs nothing.
    again = demonstrate(surroundings, KEEP="1")
    assert export_line(again) == export_line(printed)
    processes = {name: recorded(place, name) for name in NAMES}
    assert None not in processes.values()
    ended = demonstrate(surroundings, "down")
    assert str(place.root) in ended
    assert not place.root.exists()
    assert mounts_under(place.root) == []
    assert not any(is_alive(process) for process in processes.values() if process is not None)
    assert "nothing to do" in demonstrate(surroundings, "down")
