"""An appliance on which the package is installed, operated as the manual says."""

import json
import re
from pathlib import Path
from typing import Any

from tests.packages.machine import Machine, told_by
from tests.packages.receiver import HOST, Receiver
from tests.support.waiting import NotInTime, wait_until

PROGRAMS = "/usr/lib/vts-autocopy"
SETTINGS = "/etc/vts-autocopy/vts-autocopy.yaml"
STATE = "/var/lib/vts-autocopy"
LOG = "/var/log/vts-autocopy/event.log"
BACKING = "/srv/vts/VAULT00"
MOUNT_POINT = "/VAULT00"
USER = "vts-autocopy"
_CAPABILITIES = "+dac_read_search,+lease"
_AGENT_OUTPUT = "/var/log/agent.output"


class Appliance:
    """The system in *machine*. What is done here an operator would type, with the same words."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.agent = 0

    # ---- the package -----------------------------------------------------------------------------

    def versions(self) -> set[str]:
        """List the version trees that are there, those kept for a running process included."""
        return {
            path.name
            for path in self.machine.inside(PROGRAMS).iterdir()
            if path.is_dir() and not path.is_symlink()
        }

    def current(self) -> str:
        """Tell which version the commands are of."""
        return Path(self.machine.shell(f"readlink {PROGRAMS}/current").strip()).name

    def installed(self) -> str:
        """What dpkg says of the package."""
        return self.machine.must("dpkg-query", "-W", "-f", "${Status}", "vts-autocopy")

    def exists(self, path: str) -> bool:
        """Tell whether there is such a file or directory."""
        return self.machine.run("test", "-e", path).returncode == 0

    # ---- settings --------------------------------------------------------------------------------

    def configure(self, receiver: Receiver) -> None:
        """Write the settings with ``copyagent init``, and prepare the log-in at *receiver*."""
        self.machine.shell(f"install -d -m 755 {BACKING}/BILL {MOUNT_POINT}")
        self.machine.shell(f"grep -q {HOST} /etc/hosts || echo 127.0.0.1 {HOST} >>/etc/hosts")
        self.copyagent(
            *(
                "init",
                "--overwrite",
                "--system",
                "TAPESRV1",
                "--vault",
                f"VAULT00={BACKING}:{MOUNT_POINT}",
            ),
            *("--target", f"drsite=vts@{HOST}", "--pool", "/VAULT00/BILL=drsite", "--no-ems"),
            *("--user", USER, "--group", USER),
        )
        self.shorten_waits()
        self.make_key(receiver)

    def shorten_waits(self) -> None:
        """Have the agent wait seconds for a host's silence and a retry, where it would be minutes."""
        settings = self.machine.inside(SETTINGS)
        text = settings.read_text(encoding="utf-8")
        for section in ("retry", "cross_check"):
            text = re.sub(rf"(?m)^{section}:.*\n(?:[ \t]+.*\n)*", "", text)
        text += "retry: {attempts: 100, interval: 1s}\ncross_check: {grace: 1s, settle: 200ms}\n"
        settings.write_text(text, encoding="utf-8")

    def make_key(self, receiver: Receiver) -> None:
        """Make the agent's key and let it in at *receiver*, and pin the host key there."""
        accept = ("--accept-fingerprint", receiver.fingerprint())
        document = json.loads(self.copyagent("keys", "init", "drsite", *accept, "--json"))
        receiver.let_in(document["authorized_keys"])

    # ---- the commands ----------------------------------------------------------------------------

    def copyagent(self, *arguments: str, told: str | None = None) -> str:
        """Run a command of ``copyagent`` that has to succeed; return what it printed."""
        return self._must("copyagent", *arguments, told=told)

    def vtsfs(self, *arguments: str) -> str:
        """Run a command of ``vtsfs`` that has to succeed; return what it printed."""
        return self._must("vtsfs", *arguments)

    def _must(self, *command: str, told: str | None = None) -> str:
        done = self.machine.run(*command, told=told)
        assert done.returncode == 0, f"{' '.join(command)}: {told_by(done)}"
        return done.stdout

    # ---- the daemons, without a service manager ----------------------------------------------------

    def boot(self) -> None:
        """Do what a service manager does at each boot: make the directory of the sockets."""
        self.machine.shell(f"install -d -o {USER} -g {USER} -m 750 /run/vts-autocopy")

    def attach(self) -> int:
        """Attach the vault; return the overlay's process number."""
        self.boot()
        self.vtsfs("attach", "VAULT00")
        return self.overlay()

    def overlay(self) -> int:
        """The process number of the overlay that is attached."""
        return int(self.overlay_status()["pid"])

    def overlay_status(self) -> dict[str, Any]:
        """What ``vtsfs status --json`` shows of the vault."""
        done = self.machine.run("vtsfs", "status", "--json")
        assert done.stdout, told_by(done)
        documents = json.loads(done.stdout)
        found: dict[str, Any] = next(each for each in documents if each["vault"] == "VAULT00")
        return found

    def detach(self) -> None:
        """Take the overlay off."""
        self.vtsfs("detach", "VAULT00")

    def start_agent(self) -> int:
        """Start the agent as its user, with the capabilities that its unit gives it."""
        self.boot()
        bounds = f"--bounding-set=-all,{_CAPABILITIES}"
        rights = (f"--inh-caps=-all,{_CAPABILITIES}", f"--ambient-caps=-all,{_CAPABILITIES}")
        who = (f"--reuid={USER}", f"--regid={USER}", "--init-groups")
        self.agent = self.machine.start(
            *("setpriv", *who, *rights, bounds, "copyagent", "run"), log=_AGENT_OUTPUT
        )
        wait_until(self._agent_answers, 30.0, "the agent answers")
        return self.agent

    def _agent_answers(self) -> bool:
        if not self.machine.is_running(self.agent):
            raise AssertionError(f"the agent ended at once:\n{self.agent_output()}")
        return self.machine.run("copyagent", "status").returncode == 0

    def stop_agent(self) -> None:
        """End the agent properly."""
        self.machine.end(self.agent)

    def agent_output(self) -> str:
        """What the agent has written to its standard error."""
        return self.machine.inside(_AGENT_OUTPUT).read_text(encoding="utf-8", errors="replace")

    # ---- tapes -----------------------------------------------------------------------------------

    def write_tape(self, label: str, size: int, mode: str = "644") -> None:
        """Write a tape through the overlay, anew, with *size* bytes of noise."""
        path = f"{MOUNT_POINT}/BILL/{label}"
        self.machine.shell(f"head -c {size} /dev/urandom >{path}; chmod {mode} {path}")

    def change_tape(self, label: str, offset: int, size: int) -> None:
        """Write *size* bytes of noise over those at *offset*, through the overlay."""
        options = f"bs=1 seek={offset} count={size} iflag=fullblock conv=notrunc status=none"
        self.machine.shell(f"dd if=/dev/urandom of={MOUNT_POINT}/BILL/{label} {options}")

    def backing(self, label: str) -> Path:
        """Where a tape really lies."""
        return self.machine.inside(f"{BACKING}/BILL/{label}")

    def state(self, label: str, pool: str = "BILL") -> str:
        """The state of a tape's copy in words; empty while nobody knows of the tape."""
        done = self.machine.run("copyagent", "explain", f"/VAULT00/{pool}/{label}", "--json")
        if done.returncode:
            return ""
        return str(json.loads(done.stdout)["copies"][0]["state"])

    def wait_for_state(self, label: str, state: str, deadline_s: float = 60.0) -> None:
        """Wait until a tape is in *state* (the beginning of its words)."""
        try:
            wait_until(
                lambda: self.state(label).startswith(state), deadline_s, f"{label} is {state}"
            )
        except NotInTime as error:
            told = self.machine.run("copyagent", "status").stdout
            raise NotInTime(f"{error}\n{told}\n{self.agent_output()[-4000:]}") from None

    def status(self) -> dict[str, Any]:
        """What ``copyagent status --json`` shows."""
        document: dict[str, Any] = json.loads(self.copyagent("status", "--json"))
        return document

    def events(self, message_id: int | None = None) -> list[str]:
        """The lines of the event log, or those of one message."""
        lines = self.machine.inside(LOG).read_text(encoding="utf-8").splitlines()
        return [
            line for line in lines if message_id is None or line.split("|")[2] == str(message_id)
        ]
