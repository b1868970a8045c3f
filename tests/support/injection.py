"""System calls of a running process made slow or failing for one file: strace(1) does it.

The process is the real one, on its real disk; of all it does only the calls that are named, on the
path that is named, take longer or fail. Needs root, and a kernel that lets root trace.
"""

import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.processes import ProcessId, is_alive
from tests.support.waiting import wait_until

ATTACH_LIMIT_S = 20.0


def delay(*calls: str, seconds: float) -> str:
    """Return the rule that lets each of *calls* begin only after *seconds*."""
    return f"{','.join(calls)}:delay_enter={int(seconds * 1_000_000)}"


def failure(*calls: str, error: str) -> str:
    """Return the rule that lets each of *calls* fail with *error*, such as ENOSPC, undone."""
    return f"{','.join(calls)}:error={error}"


@contextmanager
def injected(process: ProcessId, path: Path | None, *rules: str) -> Iterator[None]:
    """Apply *rules* to the calls of *process*, all threads, on *path* (None: any file)."""
    strace = shutil.which("strace")
    if strace is None:
        pytest.fail("strace is not there: apt-get install strace")
    calls = ",".join(rule.partition(":")[0] for rule in rules)
    command = [strace, "-f", "-qq", "-o", "/dev/null", "-p", str(process.pid)]
    command += [] if path is None else ["-P", str(path)]
    command += ["-e", f"trace={calls}", *(f"--inject={rule}" for rule in rules)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as tracer:
        try:
            wait_until(
                lambda: _is_traced(process.pid, tracer), ATTACH_LIMIT_S, "the process is traced"
            )
            yield
        finally:
            # It detaches from all threads before it ends; what was delayed goes on. Of a process
            # that was killed while it was delayed strace never hears again.
            tracer.send_signal(signal.SIGINT)
            try:
                tracer.wait(10 if is_alive(process) else 1)
            except subprocess.TimeoutExpired:
                tracer.kill()


def _is_traced(pid: int, tracer: "subprocess.Popen[bytes]") -> bool:
    assert tracer.poll() is None, f"strace ended with status {tracer.returncode}"
    threads = Path(f"/proc/{pid}/task").iterdir()
    return all("TracerPid:\t0\n" not in (thread / "status").read_text() for thread in threads)
