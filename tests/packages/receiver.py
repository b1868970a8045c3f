"""A receiving system for installed packages: OpenSSH and nothing of ours, on the appliance's network."""

from pathlib import Path

from tests.packages.machine import Machine
from tests.support.waiting import wait_until

#: The name by which the packaged example knows it.
HOST = "vts-dr.example.com"
VAULT = "/VAULT00"
_LISTENING = "0A"  # proc_net_tcp(5)
_PORT_22 = "0016"


class Receiver:
    """What runs in *machine*: sshd on port 22, the user ``vts`` and a vault that belongs to it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self._server = 0

    def start(self) -> None:
        """Set up the system if it is a new one, and start its server."""
        self.machine.shell(
            "id vts >/dev/null 2>&1 || useradd --create-home --shell /bin/sh vts\n"
            "usermod --password '*' vts\n"
            f"install -d -o vts -g vts {VAULT} {VAULT}/BILL\n"
            "install -d -o vts -g vts -m 700 /home/vts/.ssh\n"
            "ssh-keygen -A >/dev/null\n"
            "mkdir -p /run/sshd\n"
        )
        self._server = self.machine.start("/usr/sbin/sshd", "-D", "-e", log="/var/log/sshd")
        wait_until(self._listens, 10.0, "sshd of the receiving system listens")

    def _listens(self) -> bool:
        table = self.machine.inside("/proc/1/net/tcp").read_text(encoding="ascii")
        rows = [line.split() for line in table.splitlines()[1:]]
        return any(row[1].endswith(f":{_PORT_22}") and row[3] == _LISTENING for row in rows)

    def stop(self) -> None:
        """End the server and its sessions, as when the system is away."""
        self.machine.run("pkill", "-KILL", "-x", "sshd")
        wait_until(lambda: not self.machine.is_running(self._server), 10.0, "sshd ends")

    def let_in(self, line: str) -> None:
        """Put a line into ``authorized_keys``, as the target's owner is asked to."""
        self.machine.must("tee", "-a", "/home/vts/.ssh/authorized_keys", told=line + "\n")

    def fingerprint(self) -> str:
        """What the target's owner reads out: the fingerprint of the Ed25519 host key."""
        shown = self.machine.shell("ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub")
        return shown.split()[1]

    def log(self) -> str:
        """What the server has logged."""
        return self.path("/var/log/sshd").read_text(encoding="utf-8", errors="replace")

    def path(self, path: str) -> Path:
        """Name one of its files."""
        return Path(f"{self.machine.root}{path}")

    def copy(self, label: str, pool: str = "BILL") -> Path:
        """Where the copy of a tape lies."""
        return self.path(f"{VAULT}/{pool}/{label}")
