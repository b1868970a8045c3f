"""Programs under test: started, ended and killed by process ID, their output kept for failures."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from tests.support.waiting import wait_until


class ProcessId(NamedTuple):
    """A process that cannot be mistaken for a later one with the same number."""

    pid: int
    started: int  # clock ticks since boot, field 22 of proc_pid_stat(5)


class _Stat(NamedTuple):
    state: str
    parent: int
    started: int


def _stat(pid: int) -> _Stat | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The command's name stands in parentheses and may itself hold blanks and parentheses.
    fields = text.rpartition(")")[2].split()
    return _Stat(state=fields[0], parent=int(fields[1]), started=int(fields[19]))


def identify(pid: int) -> ProcessId | None:
    """Say which process has the number *pid* now; None if there is none."""
    stat = _stat(pid)
    return None if stat is None else ProcessId(pid, stat.started)


def is_alive(process: ProcessId) -> bool:
    """Tell whether that very process still runs; a zombie does not."""
    stat = _stat(process.pid)
    return stat is not None and stat.started == process.started and stat.state not in "ZX"


def state_of(process: ProcessId) -> str | None:
    """Return the letter of proc_pid_stat(5) for its state (T: stopped); None if it is gone."""
    stat = _stat(process.pid)
    return stat.state if stat is not None and stat.started == process.started else None


def descendants(pid: int) -> list[ProcessId]:
    """List the living descendants of *pid*, parents before children."""
    children: dict[int, list[ProcessId]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit() and (stat := _stat(int(name))) is not None and stat.state not in "ZX":
            children.setdefault(stat.parent, []).append(ProcessId(int(name), stat.started))
    found = list(children.get(pid, ()))
    for process in found:
        found.extend(children.get(process.pid, ()))
    return found


def send_signal(process: ProcessId, number: signal.Signals) -> None:
    """Send a signal to that very process; do nothing if it is gone."""
    if is_alive(process):
        with suppress(ProcessLookupError):
            os.kill(process.pid, number)


class Program:
    """A program that runs for the length of a ``with`` block.

    Its output, standard error included, goes to a file, and to the test's own output if the block
    ends with an exception. What it started is ended with it.
    """

    def __init__(
        self,
        arguments: Sequence[str | Path],
        output: Path,
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self.arguments = [str(argument) for argument in arguments]
        self.output_path = output
        self._env = None if env is None else dict(env)
        self._cwd = cwd
        self._process: subprocess.Popen[bytes] | None = None
        self._family: set[ProcessId] = set()

    @property
    def pid(self) -> int:
        return self._started().pid

    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it, or start it again after it has ended; the output is appended."""
        if self.is_running():
            raise RuntimeError(f"{self.arguments[0]} runs already")
        with self.output_path.open("ab") as sink:
            self._process = subprocess.Popen(
                self.arguments,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                env=self._env,
                cwd=self._cwd,
                start_new_session=True,
            )

    def output(self) -> str:
        """Return what it has written so far."""
        try:
            return self.output_path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def wait_for_output(self, text: str, deadline_s: float) -> None:
        """Return once it has written *text*; raise NotInTime, or RuntimeError if it ends before."""

        def written() -> bool:
            if text in self.output():
                return True
            if not self.is_running():
                raise RuntimeError(
                    f"{self.arguments[0]} ended without writing {text!r}:\n{self.output()}"
                )
            return False

        wait_until(written, deadline_s, f"{self.arguments[0]} writes {text!r}")

    def wait(self, deadline_s: float) -> int:
        """Wait for its end and return its exit status; raise subprocess.TimeoutExpired."""
        return self._started().wait(deadline_s)

    def stop(self, grace_s: float = 10.0) -> int:
        """Ask it to end (SIGTERM), kill it after *grace_s*; return its exit status."""
        process = self._started()
        self._family.update(descendants(process.pid))
        process.terminate()
        try:
            status = process.wait(grace_s)
        except subprocess.TimeoutExpired:
            process.kill()
            status = process.wait()
        for orphan in self._family:
            send_signal(orphan, signal.SIGKILL)
        self._family.clear()
        return status

    def kill(self) -> None:
        """Kill it alone (SIGKILL), as a crash would; what it started lives on until `stop`."""
        self._family.update(descendants(self.pid))
        self._started().kill()
        self._started().wait()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RuntimeError(f"{self.arguments[0]} was not started")
        return self._process

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        if error is not None:
            print(f"--- output of {' '.join(self.arguments)}\n{self.output()}---")
