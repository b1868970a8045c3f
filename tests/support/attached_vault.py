"""A vault with its overlay attached, for tests on a real kernel mount."""

import json
import os
import signal as signals
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import yaml

from tests.support.processes import ProcessId, identify, is_alive, send_signal
from tests.support.waiting import wait_until
from vtsfs.cli import cli
from vtsfs.contract.feed import Hello
from vtsfs.contract.settings import Settings, parse_settings
from vtsfs.contract.signals import Kind, Signal
from vtsfs.inquiry import ask_daemon
from vtsfs.runtime.late_imports import LATE_IMPORT

VAULT = "VAULT00"
POOL = "BILL"
#: The end of a session is told at once: most tests wait for it, and few are about settling.
SETTLE = "0s"


class Vault:
    """Directories, settings and commands of one vault in *top*; nothing is attached at first."""

    def __init__(self, top: Path, *, settle: object = SETTLE, **vault_settings: object) -> None:
        self.top = top
        self.backing = top / "backing"
        self.mount = top / "mount"
        self.config = top / "vts.yaml"
        for directory in (self.backing / POOL, self.mount):
            directory.mkdir(parents=True)
        entry = {"backing": str(self.backing), "mountpoint": str(self.mount), **vault_settings}
        self.config.write_text(
            yaml.safe_dump(
                {
                    "system": {"name": "TEST"},
                    "paths": {
                        "state": str(top / "state"),
                        "run": str(top / "run"),
                        "event_log": str(top / "log" / "event.log"),
                    },
                    "vaults": {VAULT: entry},
                    "cross_check": {"settle": settle},
                }
            ),
            encoding="utf-8",
        )
        self._processes: list[ProcessId] = []

    @property
    def settings(self) -> Settings:
        return parse_settings(self.config.read_text(encoding="utf-8"), str(self.config))

    @property
    def pool(self) -> Path:
        return self.mount / POOL

    @property
    def log(self) -> str:
        path = self.top / "run" / f"vtsfs-{VAULT}.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run the command `vtsfs` with the vault's settings."""
        return subprocess.run(
            [sys.executable, "-m", "vtsfs", "--config", str(self.config), *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def attach(self, *options: str) -> None:
        """Attach; raise what the command ends with if that does not work.

        The command runs in this process: it starts the daemon, and most tests begin with it.
        """
        arguments = ["--config", str(self.config), "attach", VAULT, *options]
        status = cli.main(arguments, standalone_mode=False)
        assert status == 0, self.log
        self._processes.append(self.daemon())

    def detach(self) -> None:
        """Detach, and fail with the command's own words if that does not work."""
        ended = self.run("detach", VAULT)
        assert ended.returncode == 0, f"{ended.stdout}{ended.stderr}\n{self.log}"

    def status(self) -> Mapping[str, Any]:
        """Return what `vtsfs status --json` says."""
        answer = json.loads(self.run("status", VAULT, "--json").stdout)
        assert isinstance(answer[0], dict)
        return answer[0]

    def daemon(self) -> ProcessId:
        """Say which process serves the vault."""
        told = ask_daemon(self.settings.feed_socket(VAULT))
        assert told is not None, self.log
        found = identify(int(told["pid"]))
        assert found is not None
        return found

    def kill(self) -> None:
        """Kill the daemon as a crash would, and wait until the kernel has noticed."""
        _kill(self._processes[-1])

    def follow(self) -> "Follower":
        """Connect to the feed and subscribe from the beginning."""
        return Follower(self.settings.feed_socket(VAULT))

    def follow_from_now(self) -> "Follower":
        """Connect to the feed and subscribe to what comes from now on."""
        with self.follow() as looking:
            highest = looking.hello.highest
        return Follower(self.settings.feed_socket(VAULT), highest)

    def end(self) -> None:
        """Kill what still runs; the mounts are the `scratch` fixture's business."""
        for process in self._processes:
            _kill(process)
            # A daemon that was attached from this process is its child.
            with suppress(ChildProcessError):
                os.waitpid(process.pid, os.WNOHANG)


def _kill(process: ProcessId) -> None:
    send_signal(process, signals.SIGKILL)
    wait_until(lambda: not is_alive(process), 10, "the daemon is dead")


class Follower:
    """A subscriber to a vault's feed, as the agent is one."""

    def __init__(self, path: Path, after: int = 0) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(10)
        self._socket.connect(str(path))
        self._lines = self._socket.makefile("rb")
        self.hello = Hello.from_json(self._lines.readline())
        self.send({"subscribe": after})

    def send(self, message: Mapping[str, object]) -> None:
        self._socket.sendall(json.dumps(message).encode() + b"\n")

    def next(self) -> Signal:
        """Return the next signal; fail after ten seconds without one."""
        line = self._lines.readline()
        assert line, "the feed was closed"
        return Signal.from_mapping(json.loads(line)["signal"])

    def until(self, kind: Kind, label: str) -> Signal:
        """Skip signals until that one comes."""
        return self.up_to(kind, label)[-1]

    def up_to(self, kind: Kind, label: str) -> list[Signal]:
        """Return the signals up to that one, which is the last."""
        told = [self.next()]
        while (told[-1].kind, told[-1].label) != (kind, label):
            told.append(self.next())
        return told

    def hang_up(self) -> None:
        """Have whoever waits for a signal, in another thread, find the feed closed."""
        self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._lines.close()
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def attached_vault(
    top: Path, *, settle: object = SETTLE, **vault_settings: object
) -> Iterator[Vault]:
    """Attach a vault in *top* for the length of the block; its daemon is dead afterwards."""
    os.chmod(top, 0o755)  # noqa: S103 - other users of the tests come through here
    vault = Vault(top, settle=settle, **vault_settings)
    try:
        vault.attach()
        yield vault
        assert LATE_IMPORT not in vault.log
    finally:
        vault.end()
