"""A system of its own: a root with processes, mounts and a network that nobody else sees.

It has a loopback interface and nothing else, so it is an appliance without internet. Two machines
can share a network, as a system and its target do.
"""

import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.waiting import wait_until

_TREE = Path(__file__).resolve().parents[2]
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
    "DEBIAN_FRONTEND": "noninteractive",
}
_START_S = 10.0


class Machine:
    """The system in the directory *root*, up for the length of a ``with`` block.

    With *network*, it shares that machine's network; *disks* are directories of the building system
    that are found there at other places. Everything that runs in it ends with it, and
    all its mounts are gone; only the directory stays.
    """

    def __init__(
        self,
        root: Path,
        *,
        name: str = "tapesrv1",
        network: Self | None = None,
        disks: Mapping[str, Path] | None = None,
    ) -> None:
        self.root = root.resolve()
        self._name = name
        self._network = network
        self._disks = disks or {}
        self._process: subprocess.Popen[bytes] | None = None
        self._first = 0

    def __enter__(self) -> Self:
        own = ["--mount", "--propagation", "private", "--pid", "--uts", "--ipc"]
        command = ["unshare", *own, "--fork", "--kill-child"]
        if self._network is None:
            command.append("--net")
        else:
            command = ["nsenter", f"--net=/proc/{self._network.first_pid}/ns/net", *command]
        command += [sys.executable, "-m", "tests.packages.first_process"]
        disks = [f"{place}={directory}" for place, directory in self._disks.items()]
        self._process = subprocess.Popen(
            [*command, str(self.root), self._name, *disks],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=_TREE,
            start_new_session=True,
        )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"ready\n":
            raise AssertionError(f"the machine in {self.root} does not come up: see above")
        self._first = _only_child(self._process.pid)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        process, self._process = self._process, None
        assert process is not None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            process.wait(_START_S)
        except subprocess.TimeoutExpired:
            os.kill(self._first, signal.SIGKILL)
            process.wait()
        process.stdout.close()

    @property
    def first_pid(self) -> int:
        """Its first process, as it is numbered outside."""
        return self._first

    def inside(self, path: str) -> Path:
        """Name a file of the machine so that it can be read from here, its mounts included."""
        return Path(f"/proc/{self._first}/root{self.root}{path}")

    def put(self, file: Path, directory: str) -> str:
        """Copy a file into a directory of the machine; return its path there."""
        shutil.copy(file, f"{self.root}{directory}")
        return f"{directory}/{file.name}"

    # ---- commands --------------------------------------------------------------------------------

    def outside(
        self, *command: str | Path, deadline_s: float = 120.0, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a program of the building system in the machine's namespaces, as ``rpm --root`` is."""
        return self._run([str(part) for part in command], deadline_s, None, environment)

    def run(
        self,
        *command: str | Path,
        deadline_s: float = 120.0,
        told: str | None = None,
        **environment: str,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, *told* on its standard input; its exit status is the caller's."""
        within = ["chroot", str(self.root), *(str(part) for part in command)]
        return self._run(within, deadline_s, told, environment)

    def must(self, *command: str | Path, deadline_s: float = 120.0, told: str | None = None) -> str:
        """Run a command that has to succeed; return what it printed, standard error included."""
        done = self.run(*command, deadline_s=deadline_s, told=told)
        if done.returncode:
            raise AssertionError(f"{shlex.join(str(part) for part in command)}: {told_by(done)}")
        return done.stdout + done.stderr

    def shell(self, script: str, deadline_s: float = 120.0) -> str:
        """Run a script of sh(1) that has to succeed; return what it printed."""
        return self.must("sh", "-ec", script, deadline_s=deadline_s)

    def start(self, *command: str, log: str) -> int:
        """Start a program that goes on, its output in the file *log*; return its number there."""
        line = f"setsid {shlex.join(command)} >>{shlex.quote(log)} 2>&1 </dev/null & echo $!"
        return int(self.shell(line))

    def is_running(self, pid: int) -> bool:
        """Tell whether the process numbered *pid* in the machine runs."""
        try:
            status = self.inside(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return False
        return status.rpartition(")")[2].split()[0] not in "ZX"

    def end(self, pid: int, how: str = "TERM", deadline_s: float = 20.0) -> None:
        """Send a process a signal and wait until it has gone."""
        self.shell(f"kill -{how} {pid}")
        wait_until(lambda: not self.is_running(pid), deadline_s, f"process {pid} ends by {how}")

    def _run(
        self,
        command: Sequence[str],
        deadline_s: float,
        told: str | None,
        environment: dict[str, str],
    ) -> subprocess.CompletedProcess[str]:
        spaces = ["--mount", "--pid", "--net", "--uts", "--ipc"]
        enter = ["nsenter", f"--target={self._first}", *spaces, "--wdns=/"]
        return subprocess.run(
            [*enter, *command],
            input=told or "",
            capture_output=True,
            text=True,
            errors="replace",
            timeout=deadline_s,
            check=False,
            env={**_ENVIRONMENT, **environment},
        )


def told_by(done: subprocess.CompletedProcess[str]) -> str:
    """Say how a command ended, for the message of a failed test."""
    return f"exit status {done.returncode}\n{done.stdout}{done.stderr}"


def _only_child(pid: int) -> int:
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    if len(children) != 1:
        raise AssertionError(f"process {pid} has not one child but {len(children)}")
    return int(children[0])
