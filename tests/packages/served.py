"""A system with the package installed and configured, whose services systemd runs."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Final, Self

from tests.packages.booted import Booted, booted
from tests.packages.roots import Root, copy_of

OVERLAY: Final = "vtsfs@VAULT00.service"
AGENT: Final = "copyagent.service"
SETTINGS: Final = "/etc/vts-autocopy/vts-autocopy.yaml"

#: Where the copies arrive: the same system, under another user.
COPIES: Final = "/srv/VAULT00/BILL"

_SETTINGS_TEXT: Final = """\
system: {name: TAPESRV1}
service: {user: vts-autocopy, group: vts-autocopy}
vaults: {VAULT00: {backing: /var/lib/vts/VAULT00, mountpoint: /VAULT00}}
targets:
  drsite:
    host: 127.0.0.1
    user: vts
    key: /etc/vts-autocopy/keys/drsite
    known_hosts: /etc/vts-autocopy/known_hosts
    vaults: {VAULT00: /srv/VAULT00}
autocopy: [{pool: /VAULT00/BILL, target: drsite, target_pool: /VAULT00/BILL}]
ems: {required: false}
cross_check: {grace: 1s, settle: 1s}
retry: {attempts: 100, interval: 1s}
"""

# The vault's storage is for the tape engine's user alone, as it is on a real system.
_CONFIGURE: Final = r"""
set -e
useradd --create-home --shell /bin/sh vts
usermod --password '*' vts
install -d -o vts -g vts -m 750 /var/lib/vts /var/lib/vts/VAULT00 /var/lib/vts/VAULT00/BILL
install -d -o vts -g vts /srv/VAULT00 /srv/VAULT00/BILL
mkdir -p /VAULT00
finger=$(ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub | cut -d' ' -f2)
copyagent keys init drsite --accept-fingerprint "$finger"
install -d -o vts -g vts -m 700 ~vts/.ssh
install -o vts -g vts -m 600 /etc/vts-autocopy/keys/drsite.pub ~vts/.ssh/authorized_keys
copyagent check
"""


def served_root(release: str) -> Root:
    """Name the root of *release* with systemd, and a server to copy to."""
    return Root(release, ("fuse3", "systemd", "systemd-sysv", "openssh-server"))


@dataclass(frozen=True, slots=True)
class Site:
    """The *root* of a system, and where its tapes lie: on a disk, for a root in memory."""

    root: Path
    tapes: Path

    def copy(self, root: Path, tapes: Path) -> Self:
        """Copy both to new places."""
        return type(self)(copy_of(self.root, root), copy_of(self.tapes, tapes))

    @property
    def disks(self) -> dict[str, Path]:
        """What `booted` has to be told."""
        return {"/var/lib/vts": self.tapes}


def install(site: Site, package: Path) -> None:
    """Install *package* at *site*, with the system up, and configure it as the manual says."""
    root = site.root
    (root / "root" / package.name).write_bytes(package.read_bytes())
    with booted(root, site.disks) as system:
        system.run(f"dpkg -i /root/{package.name} && rm /root/{package.name}")
        (root / SETTINGS[1:]).write_text(_SETTINGS_TEXT)
        system.run(_CONFIGURE)


class Writer:
    """A program of the tape engine's user that holds a tape open and writes words into it."""

    def __init__(self, system: Booted, path: str) -> None:
        self.tape = path
        loop = 'while read w; do if echo "$w" >&3; then echo ok; else echo failed; fi; done'
        line = f"exec 3>>{path} 2>/dev/null; echo open; {loop}"
        self._shell: Popen[str] = system.start(
            f"exec setpriv --reuid=vts --regid=vts --clear-groups sh -c '{line}'"
        )
        assert self._answer() == "open"

    def write(self, word: str) -> bool:
        """Write *word*; return whether the kernel took it."""
        assert self._shell.stdin is not None
        self._shell.stdin.write(word + "\n")
        self._shell.stdin.flush()
        return self._answer() == "ok"

    def close(self) -> None:
        """End, which closes the tape."""
        assert self._shell.stdin is not None
        assert self._shell.stdout is not None
        self._shell.stdin.close()
        self._shell.wait(30)
        self._shell.stdout.close()

    def _answer(self) -> str:
        assert self._shell.stdout is not None
        return self._shell.stdout.readline().strip()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Served:
    """What an operator does with the services, and sees of them, in a booted *system*."""

    def __init__(self, system: Booted) -> None:
        self.system = system

    def start(self) -> None:
        """Enable and start both services, and wait until they are up."""
        self.system.run(f"systemctl enable --now --quiet {OVERLAY} {AGENT}")

    def shown(self, unit: str, name: str) -> str:
        """Return a property of *unit*, as ``systemctl show`` has it."""
        return self.system.out(f"systemctl show --property={name} --value {unit}")

    def pid(self, unit: str) -> int:
        """Return the number of the service's process."""
        return int(self.shown(unit, "MainPID"))

    def is_active(self, unit: str) -> bool:
        """Tell whether systemd takes the service for up."""
        return self.system.out(f"systemctl is-active {unit} || true") == "active"

    def until_in_state(self, unit: str, state: str, *, limit_s: float = 60.0) -> None:
        """Wait until systemd has the service in *state*; tells all about it if it does not."""
        try:
            self.system.until(f"[ $(systemctl is-active {unit}) = {state} ]", limit_s=limit_s)
        except AssertionError as error:
            status = self.system.run(f"systemctl status --no-pager {unit}", check=False).stdout
            raise AssertionError(f"{error}\n{status}{self.system.journal(unit)}") from error

    def until_attached_by_another(self, than: int, *, limit_s: float = 30.0) -> None:
        """Wait until the vault is served by another process *than* that one."""
        pid = f"$(systemctl show --property=MainPID --value {OVERLAY})"
        self.system.until(f'[ "{pid}" != {than} ] && vtsfs status VAULT00', limit_s=limit_s)

    def until_copied(self, label: str, *, limit_s: float = 60.0) -> None:
        """Wait until the target has the tape just as it is here."""
        here = f"/var/lib/vts/VAULT00/BILL/{label}"
        try:
            self.system.until(f"cmp {here} {COPIES}/{label}", limit_s=limit_s)
        except AssertionError as error:
            told = self.system.run("copyagent status", check=False).stdout
            raise AssertionError(f"{error}\n{told}{self.system.journal(AGENT)}") from error

    def write(self, label: str, size_kib: int = 256) -> None:
        """Write a tape as the tape engine does, with random content."""
        self.system.run(
            f"su vts -c 'dd if=/dev/urandom of=/VAULT00/BILL/{label} bs=1k count={size_kib}'"
        )

    def writer(self, label: str) -> Writer:
        """Open a tape for writing and keep it open."""
        return Writer(self.system, f"/VAULT00/BILL/{label}")

    def stored(self, label: str) -> str:
        """Return a tape of words as it lies on the vault's storage."""
        return self.system.out(f"cat /var/lib/vts/VAULT00/BILL/{label}")

    def mounts(self) -> int:
        """Count the mounts at the vault's mount point, dead ones too."""
        return int(self.system.out("grep -c ' /VAULT00 ' /proc/1/mountinfo || true"))

    def drop_in(self, unit: str, text: str) -> None:
        """Give *unit* a drop-in, as ``systemctl edit`` does."""
        self.system.run(
            f"mkdir -p /etc/systemd/system/{unit}.d && cat >/etc/systemd/system/{unit}.d/test.conf"
            " && systemctl daemon-reload",
            text=text,
        )


@contextmanager
def serving(site: Site) -> Iterator[Served]:
    """Boot the installed *site* for the length of the block."""
    with booted(site.root, site.disks) as system:
        yield Served(system)
