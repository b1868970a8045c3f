"""A root directory booted with its own systemd, in namespaces of its own.

Nothing of the machine around is shared but the kernel, so several can be up at once: mounts,
processes, host name, control groups and network (the loopback alone) are the booted system's own.
/dev is private and has the FUSE device. Needs root.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, CompletedProcess, Popen
from typing import Final

from tests.support.waiting import wait_until

#: How long a system may take to come up, or to go down, in seconds; it takes one on an idle machine.
BOOT_LIMIT_S: Final = 60.0

#: How long a command in it may take, in seconds, unless the caller says otherwise.
COMMAND_LIMIT_S: Final = 120.0

# Run in the new namespaces, as their first process. The root is bound onto itself, for pivot_root(2)
# wants a mount, and what was mounted before is let go of at the end. Mounts are shared as on a machine,
# where systemd sees to it: services with a view of their own see those that come later. What is set in /proc/sys would be
# set for the machine around.
_SET_UP: Final = r"""
set -eu
root=$1
shift
mount --make-rprivate /
mount --bind "$root" "$root"
cd "$root"
while [ $# -gt 0 ]; do
    mkdir -p ".$1"
    mount --bind "$2" ".$1"
    shift 2
done
mount -t proc proc proc
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs sysfs sys
mkdir -p sys/fs/cgroup
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755,nosuid tmpfs dev
mkdir dev/pts dev/shm
for node in "null 1 3" "zero 1 5" "full 1 7" "random 1 8" "urandom 1 9" "tty 5 0" "fuse 10 229"; do
    set -- $node
    mknod -m 666 "dev/$1" c "$2" "$3"
done
ln -s /proc/self/fd dev/fd
ln -s fd/0 dev/stdin
ln -s fd/1 dev/stdout
ln -s fd/2 dev/stderr
mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs -o mode=755,nosuid,nodev tmpfs run
ip link set lo up 2>/dev/null || python3 -c "$LOOPBACK_UP"
hostname booted
mkdir -p .was
pivot_root . .was
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin container=namespaces TERM=dumb \
    sh -c 'umount -l /.was && rmdir /.was; mount --make-rshared /; exec /sbin/init --show-status=no'
"""

# SIOCSIFFLAGS of netdevice(7), for machines without ip(8).
_LOOPBACK_UP: Final = """
import fcntl, socket, struct
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
    fcntl.ioctl(asking, 0x8914, struct.pack("16sh", b"lo", 0x1 | 0x40))
"""


class BootFailed(Exception):
    """The system did not come up, or a command in it failed; the message has what it said."""


@dataclass(slots=True)
class Booted:
    """A system that is up. *init* is the number of its first process, as seen from outside."""

    root: Path
    init: int
    _outer: Popen[bytes]

    def run(
        self,
        command: str,
        *,
        check: bool = True,
        limit_s: float = COMMAND_LIMIT_S,
        text: str | None = None,
    ) -> CompletedProcess[str]:
        """Run *command*, a line for sh(1), as root in the system, with *text* on its standard input.

        Raises `BootFailed` when it fails and *check* is true.
        """
        ended = subprocess.run(
            self._entering("sh", "-c", command),
            input=text if text is not None else "",
            capture_output=True,
            text=True,
            errors="replace",
            timeout=limit_s,
            check=False,
            env=_ENVIRONMENT,
        )
        if check and ended.returncode != 0:
            raise BootFailed(
                f"{command}: exit status {ended.returncode}\n{ended.stdout}{ended.stderr}"
            )
        return ended

    def out(self, command: str, *, limit_s: float = COMMAND_LIMIT_S) -> str:
        """Return what *command* prints, without blanks around it; it must not fail."""
        return self.run(command, limit_s=limit_s).stdout.strip()

    def start(self, command: str) -> Popen[str]:
        """Start *command* in the system and return at once; its standard input stays open."""
        return subprocess.Popen(
            self._entering("sh", "-c", command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=_ENVIRONMENT,
        )

    def until(self, command: str, *, limit_s: float = 30.0) -> None:
        """Wait until *command* succeeds; raises AssertionError with its last words if it does not."""
        ended: CompletedProcess[str] | None = None

        def succeeds() -> bool:
            nonlocal ended
            # Entering the system costs something: not a hundred times a second.
            ended = self.run(f"{{ {command}; }} || {{ sleep 0.3; false; }}", check=False)
            return ended.returncode == 0

        try:
            wait_until(succeeds, limit_s, command)
        except AssertionError as error:
            said = "" if ended is None else f"{ended.stdout}{ended.stderr}"
            raise AssertionError(f"{error}\n{said}") from error

    def journal(self, unit: str) -> str:
        """Return what *unit* has written to the journal since the system is up."""
        return self.out(f"journalctl --no-pager -q -o short-monotonic -u {shlex.quote(unit)}")

    def power_off(self) -> None:
        """Shut the system down in order, as ``systemctl poweroff`` does, and wait for its end."""
        self.run("systemctl poweroff", check=False)
        self._outer.wait(BOOT_LIMIT_S * 2)

    def kill(self) -> None:
        """End everything in it at once: with its first process the kernel kills all others."""
        if self._outer.poll() is None:
            os.kill(self.init, signal.SIGKILL)
            self._outer.wait(BOOT_LIMIT_S)

    def _entering(self, *command: str) -> list[str]:
        return ["nsenter", "--all", f"--target={self.init}", "--", *command]


_ENVIRONMENT: Final = {
    "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
    "LANG": "C.UTF-8",
    "HOME": "/root",
    "SYSTEMD_PAGER": "",
    "SYSTEMD_COLORS": "0",
}


@contextmanager
def booted(root: Path, disks: Mapping[str, Path] | None = None) -> Iterator[Booted]:
    """Boot *root* and wait until it is up; whatever happens in the block, it is down afterwards.

    *disks* says which directories lie elsewhere, where the root is in memory and they must not be.
    Raises `BootFailed`. Mounts go with the namespaces, so nothing is left behind but files in *root*.
    """
    system = _boot(root, disks or {})
    try:
        _wait_until_up(system)
        yield system
    finally:
        system.kill()


def _boot(root: Path, disks: Mapping[str, Path]) -> Booted:
    log = (root / "boot.log").open("wb")
    namespaces = ("mount", "pid", "uts", "ipc", "cgroup", "net")
    with log:
        outer = Popen(
            [
                # It does not outlive the tests, nor does the system outlive it.
                *("setpriv", "--pdeathsig", "KILL", "--", "unshare"),
                *(f"--{name}" for name in namespaces),
                *("--fork", "--kill-child", "--", "sh", "-c", _SET_UP, "set-up", str(root)),
                *(word for place, directory in disks.items() for word in (place, str(directory))),
            ],
            stdin=DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=os.environ | {"LOOPBACK_UP": _LOOPBACK_UP},
            start_new_session=True,
        )
    return Booted(root, _only_child(outer), outer)


def _only_child(outer: Popen[bytes]) -> int:
    children = Path(f"/proc/{outer.pid}/task/{outer.pid}/children")
    found: list[str] = []

    def there() -> bool:
        if outer.poll() is not None:
            raise BootFailed(f"unshare ended with status {outer.returncode}")
        found[:] = children.read_text(encoding="ascii").split()
        return bool(found)

    wait_until(there, BOOT_LIMIT_S, "the first process of the namespaces")
    return int(found[0])


def _wait_until_up(system: Booted) -> None:
    def is_up() -> bool:
        if system._outer.poll() is not None:
            raise BootFailed(f"it ended at once: {_log_of(system)}")
        if not _has_become(system.init, "systemd"):
            return False
        asked = "systemctl is-system-running || sleep 0.2"
        state = system.run(asked, check=False).stdout.strip()
        return state in {"running", "degraded"}

    try:
        wait_until(is_up, BOOT_LIMIT_S, "up")
    except AssertionError as error:
        raise BootFailed(f"not up within {BOOT_LIMIT_S:g} s: {_log_of(system)}") from error


def _has_become(pid: int, name: str) -> bool:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="ascii").strip() == name
    except OSError:
        return False


def _log_of(system: Booted) -> str:
    return (system.root / "boot.log").read_text(encoding="utf-8", errors="replace")[-4000:]
