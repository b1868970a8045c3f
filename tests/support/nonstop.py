"""The scripted NonStop host as a process of its own, driven over its control socket."""

import json
import socket
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.ems_host.ssh import ssh_front
from tests.support.processes import Program
from tests.support.sshd import Sshd
from tests.support.waiting import wait_until

#: The source tree's top, from which ``python -m tests.support...`` can be run.
TREE = Path(__file__).parents[2]


class NonStop:
    """A host named *name* that lives in *directory* for the length of a ``with`` block.

    It listens on 127.0.0.1 and keeps its ports when it is killed and started again; its event log
    it forgets then. `say` takes a line of `tests.support.ems_host.control` and returns the answer.
    """

    def __init__(self, directory: Path, name: str = "DEV2", *, user: str = "VTS.EMS") -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.name = name
        self.user = user
        self.password_file = directory / "password"
        self.password_file.write_text("Tape.4Two\n", encoding="ascii")
        self.password_file.chmod(0o600)
        self.port = 0
        self.shell_port = 0
        self._port_file = directory / "port"
        self._shell_port_file = directory / "shell_port"
        self._control = directory / "control"
        self._directory = directory
        self._program: Program | None = None

    def start(self) -> None:
        """Start it, or start it again on the same port; return when it listens."""
        self._port_file.unlink(missing_ok=True)
        command = [sys.executable, "-m", "tests.support.ems_host"]
        command += ["--node", f"\\{self.name}", "--port", str(self.port), "--user", self.user]
        command += ["--port-file", str(self._port_file), "--control", str(self._control)]
        command += ["--shell-port", str(self.shell_port)]
        command += ["--shell-port-file", str(self._shell_port_file)]
        command += ["--password-file", str(self.password_file)]
        self._program = Program(command, self._directory / "output", cwd=TREE)
        self._program.start()
        wait_until(self._listens, 20.0, f"host {self.name} listens")
        self.port = int(self._port_file.read_text())
        # Written before the other.
        self.shell_port = int(self._shell_port_file.read_text())

    def ssh_front(self, directory: Path) -> Sshd:
        """Make an SSH server in front of it; start it as any other."""
        return ssh_front(directory, self.shell_port)

    def _listens(self) -> bool:
        if self._program is not None and not self._program.is_running():
            raise RuntimeError(f"host {self.name} ended at once:\n{self._program.output()}")
        return self._port_file.exists()

    @property
    def pid(self) -> int:
        """Its process's number, once it was started."""
        if self._program is None:
            raise RuntimeError(f"host {self.name} was not started")
        return self._program.pid

    def stop(self) -> None:
        """End it; harmless if it does not run."""
        if self._program is not None and self._program.is_running():
            self._program.stop()

    def say(self, line: str, deadline_s: float = 40.0) -> str:
        """Carry out one control line and return the value of its answer; raise on an error."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(deadline_s)
            connection.connect(str(self._control))
            connection.sendall(line.encode() + b"\n")
            answer = b""
            while not answer.endswith(b"\n"):
                piece = connection.recv(4096)
                if not piece:
                    raise RuntimeError(f"host {self.name} ended while it was told {line!r}")
                answer += piece
        word, _, value = answer.decode().strip().partition(" ")
        if word != "ok":
            raise RuntimeError(f"host {self.name}: {value}")
        return value

    def typed(self) -> list[list[str]]:
        """Return what was typed, line by line, in each session since it started."""
        lines: list[list[str]] = json.loads(self.say("typed"))
        return lines

    def posted(self) -> list[str]:
        """Return the texts that were posted as events by what was typed."""
        texts: list[str] = json.loads(self.say("posted"))
        return texts

    def begin_mount(self, label: str, *, ring: bool, drive: str = "$VTAPE0") -> int:
        """Ask for *label*, report it mounted and opened; return the request's number."""
        request = int(self.say(f"mount {label} {'with' if ring else 'no'} drive={drive}"))
        self.say(f"mounted {request} {label}")
        self.say(f"opened {label} {drive}")
        return request

    def end_mount(self, label: str, drive: str = "$VTAPE0") -> None:
        """Report that the host has dismounted *label*."""
        self.say(f"dismounted {label} {drive}")

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
