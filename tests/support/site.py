"""A whole system in a directory: vaults, settings, overlays and the agent, as real processes.

The demo and the end-to-end tests build their worlds from this. Everything an operator would do goes
through the two commands; everything a tape engine would do goes through the mount point.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import yaml

from copyagent.control.client import ask
from copyagent.control.inquiries import History
from copyagent.control.protocol import Explain, Status
from tests.support.documents import check_document, check_output
from tests.support.mountpoint import mounts_under, unmount_under
from tests.support.nonstop import TREE, NonStop
from tests.support.processes import Program, identify, send_signal
from tests.support.sshd import ADDRESS, Sshd
from tests.support.waiting import NotInTime, wait_until
from vtsfs.contract.errors import AgentUnreachable, RequestFailed, UsageError
from vtsfs.contract.naming import TapeId
from vtsfs.runtime.late_imports import LATE_IMPORT


@dataclass
class Site:
    """One system under *root*. Fill in `settings` (or use the methods), then `attach` and `start`.

    The times are short, so that nobody waits in real time for what a fake clock tests better. The
    programs are those in *tree*, but for those that are in others by *trees* (``vtsfs``, ``copyagent``):
    what another release prints is not held against the schemas of this one. *python* runs them, if it is
    another one than runs the test.
    """

    root: Path
    name: str = "TAPESRV1"
    vaults: Sequence[str] = ("VAULT00",)
    settings: dict[str, Any] = field(default_factory=dict)
    agent: Program | None = None
    tree: Path = TREE
    trees: dict[str, Path] = field(default_factory=dict)
    python: str | None = None

    def __post_init__(self) -> None:
        self.root.mkdir(parents=True, exist_ok=True)
        self.settings = {
            "system": {"name": self.name, "model": "5900-E"},
            "paths": {
                "state": str(self.root / "state"),
                "run": str(self.root / "run"),
                "event_log": str(self.root / "event.log"),
            },
            "vaults": {
                vault: {"backing": str(self.backing(vault)), "mountpoint": str(self.root / vault)}
                for vault in self.vaults
            },
            "targets": {},
            "autocopy": [],
            "retry": {"attempts": 12, "interval": "5m"},
            "cross_check": {"grace": "2s", "settle": "200ms"},
            "ems": {"required": False, "hosts": {}},
        }
        for vault in self.vaults:
            self.backing(vault).mkdir(parents=True)
            (self.root / vault).mkdir()

    # ---- putting it together ---------------------------------------------------------------------

    @property
    def config(self) -> Path:
        """The settings file."""
        return self.root / "vts-autocopy.yaml"

    def backing(self, vault: str = "VAULT00") -> Path:
        """Where the tapes of *vault* really lie."""
        return self.root / "backing" / vault

    def mountpoint(self, vault: str = "VAULT00") -> Path:
        """Where the tape engine finds them."""
        return self.root / vault

    def make_pool(self, pool: str, vault: str = "VAULT00") -> Path:
        """Make a pool directory in the backing storage."""
        path = self.backing(vault) / pool
        path.mkdir()
        return path

    def add_target(self, name: str, sshd: Sshd, vaults: dict[str, Path]) -> None:
        """Name the system behind *sshd* as a target whose vaults lie at *vaults*."""
        self.settings["targets"][name] = {
            "host": ADDRESS,
            "port": sshd.port,
            "user": sshd.user,
            "key": str(sshd.key),
            "known_hosts": str(sshd.known_hosts),
            "vaults": {vault: str(path) for vault, path in vaults.items()},
            "connect_timeout": "5s",
            "keepalive": "2s",
        }

    def watch(self, pool: str, target: str, target_pool: str | None = None) -> None:
        """Have *pool* copied to *target*, into the pool of the same name unless told otherwise."""
        entry = {"pool": pool, "target": target, "target_pool": target_pool or pool}
        self.settings["autocopy"].append(entry)

    def use_host(self, host: NonStop) -> None:
        """Listen to *host*, which has to be started already."""
        self.settings["ems"] = {
            "hosts": {
                host.name: {
                    "address": ADDRESS,
                    "port": host.port,
                    "user": host.user,
                    "password_file": str(host.password_file),
                    "response_timeout": "1s",
                    # No test waits a minute to be told.
                    "lost_after": "0s",
                }
            }
        }

    def write_settings(self) -> Path:
        """Write the settings file as it stands."""
        self.config.write_text(yaml.safe_dump(self.settings, sort_keys=False), encoding="utf-8")
        return self.config

    # ---- its processes ---------------------------------------------------------------------------

    def command(self, program: str, *arguments: str) -> list[str]:
        """Return the command line of *program* with this site's settings."""
        return [
            self.python or sys.executable,
            "-m",
            program,
            "--config",
            str(self.config),
            *arguments,
        ]

    def run(
        self, program: str, *arguments: str, deadline_s: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; its exit status is the caller's to judge."""
        done = subprocess.run(
            self.command(program, *arguments),
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=deadline_s,
            check=False,
            cwd=self._tree_of(program),
        )
        if not self.trees:
            check_output(program, arguments, done.stdout)
        return done

    def _tree_of(self, program: str) -> Path:
        return self.trees.get(program, self.tree)

    def must(self, program: str, *arguments: str) -> str:
        """Run a command that has to succeed; return what it printed."""
        done = self.run(program, *arguments)
        if done.returncode:
            raise AssertionError(
                f"{program} {' '.join(arguments)}: exit status {done.returncode}\n"
                f"{done.stdout}{done.stderr}"
            )
        return done.stdout

    def attach(self, vault: str = "VAULT00") -> None:
        """Put the overlay over *vault*, with the settings as they stand."""
        self.write_settings()
        self.must("vtsfs", "attach", vault)

    def detach(self, vault: str = "VAULT00") -> None:
        """Take the overlay off *vault*."""
        self.must("vtsfs", "detach", vault)

    def overlay_status(self, vault: str = "VAULT00") -> dict[str, Any]:
        """Return ``vtsfs status --json`` of one vault."""
        documents = json.loads(self.run("vtsfs", "status", vault, "--json").stdout)
        return next(d for d in _as_list(documents) if d["vault"] == vault)

    def kill_overlay(self, vault: str = "VAULT00") -> None:
        """Kill the overlay of *vault* (SIGKILL), as a crash would."""
        overlay = identify(int(self.overlay_status(vault)["pid"]))
        assert overlay is not None
        send_signal(overlay, signal.SIGKILL)
        wait_until(lambda: identify(overlay.pid) != overlay, 10.0, f"overlay of {vault} is dead")

    def start(self) -> None:
        """Start the agent, with the settings as they stand; return when it answers."""
        self.write_settings()
        if self.agent is None:
            self.agent = Program(
                self.command("copyagent", "run"),
                self.root / "agent.log",
                cwd=self._tree_of("copyagent"),
            )
        self.agent.start()
        wait_until(self._answers, 30.0, "the agent answers")

    def _answers(self) -> bool:
        agent = self.agent
        if agent is not None and not agent.is_running():
            raise RuntimeError(f"the agent ended at once:\n{agent.output()}")
        try:
            self.status()
        except AgentUnreachable:
            return False
        return True

    def stop(self) -> None:
        """End the agent properly; harmless if it does not run."""
        if self.agent is not None and self.agent.is_running():
            self.agent.stop()

    # ---- what an operator sees -------------------------------------------------------------------

    def status(self) -> dict[str, Any]:
        """Return what ``copyagent status --json`` shows, without a process for each look."""
        document: dict[str, Any] = ask(self._socket, Status())
        self._check("status", document)
        return document

    def explain(self, tape: str) -> dict[str, Any] | None:
        """Return what ``copyagent explain --json`` shows, None while nobody knows of *tape*."""
        try:
            document: dict[str, Any] = ask(self._socket, Explain(TapeId.parse(tape)))
        except UsageError:
            return None
        except RequestFailed:
            # So said the release before.
            if "copyagent" not in self.trees:
                raise
            return None
        self._check("explain", document)
        return document

    def _check(self, name: str, document: object) -> None:
        if not self.trees:
            check_document(name, document)

    def history(self, tape: str, kind: str) -> list[dict[str, Any]]:
        """Return the history's entries of one kind about *tape*."""
        wanted = History(where=TapeId.parse(tape), kinds=(kind,))
        entries: list[dict[str, Any]] = ask(self._socket, wanted)["entries"]
        return entries

    @property
    def _socket(self) -> Path:
        return self.root / "run" / "copyagent.sock"

    def state_of(self, tape: str) -> str:
        """Return the state of *tape*'s first copy in words, empty while nobody knows of it."""
        document = self.explain(tape)
        return "" if document is None else str(document["copies"][0]["state"])

    def wait_for_state(self, tape: str, state: str, deadline_s: float = 60.0) -> dict[str, Any]:
        """Wait until *tape* is in *state* (the beginning of its words); return its explanation."""
        found: dict[str, Any] | None = None

        def is_so() -> bool:
            nonlocal found
            found = self.explain(tape)
            return found is not None and str(found["copies"][0]["state"]).startswith(state)

        self.wait(is_so, f"{tape} is {state}", deadline_s)
        # What made it true: by now another attempt may be on its way.
        assert found is not None
        return found

    def wait(self, predicate: Callable[[], object], what: str, deadline_s: float = 60.0) -> None:
        """Wait for *predicate*; say how everything stands if it does not come true."""
        try:
            wait_until(predicate, deadline_s, what)
        except NotInTime as error:
            state = self.run("copyagent", "status").stdout
            raise NotInTime(f"{error}\n{state}\n{self.agent_log()[-4000:]}") from None

    def events(self, message_id: int | None = None) -> list[str]:
        """Return the lines of the event log, or those of one message."""
        try:
            lines = (self.root / "event.log").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            return []
        return [
            line for line in lines if message_id is None or line.split("|")[2] == str(message_id)
        ]

    def agent_log(self) -> str:
        """Return what the agent has written to its standard error."""
        return "" if self.agent is None else self.agent.output()

    # ---- the end ---------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.end(told=error is not None)

    def end(self, *, told: bool = False) -> None:
        """End everything, whatever state it is in; with *told*, print what the agent wrote."""
        if told:
            print(f"--- agent of {self.name}\n{self.agent_log()}---")
            print("\n".join(self.events()))
        self.stop()
        for vault in self.vaults:
            if self.config.exists() and mounts_under(self.mountpoint(vault)):
                self.run("vtsfs", "detach", vault)
        unmount_under(self.root)
        end_overlays(self.root)
        if not told:
            assert self.imported_late() == []

    def imported_late(self) -> list[str]:
        """Return what the programs' logs say of imports after the start: an upgrade could have them fail."""
        logs = [*self.root.glob("run/vtsfs-*.log"), *self.root.glob("agent*.log")]
        lines = [line for path in logs for line in path.read_text("utf-8", "replace").splitlines()]
        return [line for line in lines if LATE_IMPORT in line]


def _as_list(documents: Any) -> list[dict[str, Any]]:
    return documents if isinstance(documents, list) else documents.get("vaults", [documents])


def end_overlays(root: Path) -> None:
    """Kill the overlays of the site at *root*: they must not outlive it, nor their mount."""
    config = os.fsencode(root / "vts-autocopy.yaml")
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"vtsfs" in b" ".join(arguments) and config in arguments:
            process = identify(int(entry.name))
            if process is not None:
                send_signal(process, signal.SIGKILL)
