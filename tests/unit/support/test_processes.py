import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.processes import (
    ProcessId,
    Program,
    descendants,
    identify,
    is_alive,
    send_signal,
)
from tests.support.waiting import NotInTime, wait_until

PYTHON = sys.executable
FOREVER = "import signal; print('up', flush=True); signal.pause()"
STUBBORN = "import signal; signal.signal(15, signal.SIG_IGN); " + FOREVER
PARENT = (
    "import subprocess, sys, signal; "
    f"p = subprocess.Popen([sys.executable, '-c', {FOREVER!r}]); signal.pause()"
)


def test_output_is_kept_and_the_program_ends_with_the_block(tmp_path: Path) -> None:
    with Program([PYTHON, "-c", FOREVER], tmp_path / "out") as program:
        program.wait_for_output("up", 10.0)
        assert program.is_running()
    assert not program.is_running()
    assert program.output() == "up\n"


def test_a_failing_block_shows_the_output(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (  # noqa: PT012 - what happens before the failure is the case
        pytest.raises(ZeroDivisionError),
        Program([PYTHON, "-c", FOREVER], tmp_path / "out") as program,
    ):
        program.wait_for_output("up", 10.0)
        raise ZeroDivisionError
    assert "up\n---" in capsys.readouterr().out


def test_waiting_for_output_of_an_ended_program_fails_at_once(tmp_path: Path) -> None:
    with (
        Program([PYTHON, "-c", "print('bye')"], tmp_path / "out") as program,
        pytest.raises(RuntimeError, match=r"ended without writing 'up':\nbye"),
    ):
        program.wait_for_output("up", 60.0)


def test_a_stubborn_program_is_killed(tmp_path: Path) -> None:
    program = Program([PYTHON, "-c", STUBBORN], tmp_path / "out")
    program.start()
    program.wait_for_output("up", 10.0)
    assert program.stop(grace_s=0.1) == -signal.SIGKILL


def test_its_children_end_with_it_also_after_a_crash(tmp_path: Path) -> None:
    program = Program([PYTHON, "-c", PARENT], tmp_path / "out")
    program.start()
    program.wait_for_output("up", 10.0)
    (child,) = descendants(program.pid)
    program.kill()
    assert is_alive(child)
    program.stop()
    wait_until(lambda: not is_alive(child), 5.0, "the orphan is gone")


def test_it_can_be_started_again_and_appends(tmp_path: Path) -> None:
    program = Program([PYTHON, "-c", "print('once')"], tmp_path / "out")
    for _ in range(2):
        program.start()
        assert program.wait(10.0) == 0
    assert program.output() == "once\nonce\n"


def test_starting_it_twice_is_refused(tmp_path: Path) -> None:
    with (
        Program([PYTHON, "-c", FOREVER], tmp_path / "out") as program,
        pytest.raises(RuntimeError, match="runs already"),
    ):
        program.start()


def test_a_program_that_was_never_started_says_so(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="was not started"):
        Program(["true"], tmp_path / "out").stop()


def test_a_later_process_with_the_same_number_is_another() -> None:
    me = identify(os.getpid())
    assert me is not None
    assert is_alive(me)
    earlier = ProcessId(me.pid, me.started - 1)
    assert not is_alive(earlier)
    send_signal(earlier, signal.SIGKILL)


def test_a_zombie_is_not_alive() -> None:
    with subprocess.Popen(["true"]) as process:
        child = identify(process.pid)
        assert child is not None
        wait_until(lambda: not is_alive(child), 5.0, "the child has ended")
    assert identify(process.pid) is None


def test_waiting_names_what_was_awaited() -> None:
    with pytest.raises(NotInTime, match=r"not within 0\.02 s: the cows come home"):
        wait_until(lambda: False, 0.02, "the cows come home")
