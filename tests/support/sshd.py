"""A real OpenSSH server on loopback, with its own port, keys and configuration.

It needs no privileges and touches nothing outside its directory, but for /run/sshd, which sshd
insists on when root starts it. One user can log in, the one that runs the tests, with one key.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.support.processes import (
    ProcessId,
    descendants,
    identify,
    is_alive,
    send_signal,
    state_of,
)
from tests.support.waiting import NotInTime, wait_until

ADDRESS = "127.0.0.1"
_START_S = 10.0
_PRIVILEGE_SEPARATION = Path("/run/sshd")


class SshdError(AssertionError):
    """The server could not be started; the message ends with its log."""


def why_no_sshd() -> str | None:
    """Say why no OpenSSH server can be run here; None if it can."""
    for program in ("ssh", "ssh-keygen", "sshd"):
        if find_program(program) is None:
            return f"there is no {program} (Debian: openssh-client, openssh-server)"
    return None


def find_program(name: str) -> str | None:
    """Find a program also where Debian keeps those for administrators."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def is_locked(user: str, shadow: Path = Path("/etc/shadow")) -> bool:
    """Tell whether *user*'s password is locked (shadow(5)), as root's is where sudo is used.

    Who may not read that file starts an sshd that may not, either, and that asks no further.
    """
    try:
        lines = shadow.read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    return any(line.startswith(f"{user}:!") for line in lines)


def make_key(path: Path, comment: str = "test") -> Path:
    """Make an Ed25519 key pair without a passphrase at *path* and *path*.pub; return *path*."""
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)]
    subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    return path


def write_known_hosts(path: Path, port: int, host_key: Path, address: str = ADDRESS) -> Path:
    """Write a known_hosts file that pins the public half of *host_key*; return *path*."""
    kind, key = public_half(host_key).read_text(encoding="ascii").split()[:2]
    path.write_text(f"[{address}]:{port} {kind} {key}\n", encoding="ascii")
    return path


def public_half(key: Path) -> Path:
    """Name the file with the public half of a private key's file."""
    return key.with_name(key.name + ".pub")


def free_port() -> int:
    """Return a TCP port on loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((ADDRESS, 0))
        port: int = probe.getsockname()[1]
        return port


class Sshd:
    """An sshd that lives in *directory* for the length of a ``with`` block.

    Port and host key stay the same when it is stopped, killed and started again. With *sftp_only*
    no command can be run (ForceCommand internal-sftp), as on an appliance. *denied* are SFTP
    requests that it cannot do (sftp-server(8), -P). *options* are further lines of sshd_config(5);
    the first value sshd reads for a keyword counts, and they come first.

    Every method returns within milliseconds but `start`, which waits for the server's banner (some
    50 ms); under trio call that in a thread if the client's tasks must go on meanwhile.
    """

    def __init__(
        self,
        directory: Path,
        *,
        sftp_only: bool = False,
        denied: Sequence[str] = (),
        options: Sequence[str] = (),
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory.resolve()
        self.address = ADDRESS
        self.port = free_port()
        self.user = pwd.getpwuid(os.geteuid()).pw_name
        self.host_key = make_key(self.directory / "host_key", "host")
        self.key = make_key(self.directory / "client_key", "client")
        self.known_hosts = write_known_hosts(
            self.directory / "known_hosts", self.port, self.host_key
        )
        self.log_path = self.directory / "sshd.log"
        self._config = self.directory / "sshd_config"
        self._config.write_text(self._configuration(sftp_only, denied, options), encoding="ascii")
        shutil.copy(public_half(self.key), self.directory / "authorized_keys")
        self._process: subprocess.Popen[bytes] | None = None
        self._orphans: set[ProcessId] = set()

    def _configuration(self, sftp_only: bool, denied: Sequence[str], options: Sequence[str]) -> str:
        server = f"internal-sftp -P {','.join(denied)}" if denied else "internal-sftp"
        lines = [
            *options,
            f"Port {self.port}",
            f"ListenAddress {ADDRESS}",
            f"HostKey {self.host_key}",
            f"PidFile {self.directory / 'sshd.pid'}",
            f"AuthorizedKeysFile {self.directory / 'authorized_keys'}",
            f"AllowUsers {self.user}",
            "AuthenticationMethods publickey",
            "PermitRootLogin prohibit-password",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            # Without PAM sshd itself refuses an account whose password is locked, key or no key.
            f"UsePAM {'yes' if is_locked(self.user) else 'no'}",
            "StrictModes no",
            "UseDNS no",
            "PrintMotd no",
            "MaxStartups 200",
            "LogLevel VERBOSE",
            # Commands wait for no start-up file of the tester's shell, which may lock or be slow.
            "SetEnv HOME=/nonexistent",
            f"Subsystem sftp {server}",
        ]
        if sftp_only:
            lines.append(f"ForceCommand {server}")
        return "\n".join(lines) + "\n"

    def start(self) -> None:
        """Start it, also after `stop` or `kill`; raise SshdError if it does not answer."""
        if self.is_running():
            raise SshdError("this sshd runs already")
        if (why := why_no_sshd()) is not None:
            raise SshdError(why)
        if os.geteuid() == 0:
            _PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)
        with self.log_path.open("ab") as log:
            # sshd starts itself anew for each connection and wants to know where it lies.
            command = [str(find_program("sshd")), "-D", "-e", "-f", str(self._config)]
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                start_new_session=True,
            )
        try:
            wait_until(self._answers, _START_S, f"sshd answers on port {self.port}")
        except (NotInTime, SshdError) as error:
            self.kill()
            raise SshdError(f"{error}; its log:\n{self.log()}") from None

    def _answers(self) -> bool:
        if not self.is_running():
            raise SshdError("sshd ended at once")
        with suppress(OSError), socket.create_connection((ADDRESS, self.port), 1.0) as probe:
            return probe.recv(8).startswith(b"SSH-2.0")
        return False

    def is_running(self) -> bool:
        """Whether the listening process lives (frozen counts)."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The listening process's number."""
        if self._process is None:
            raise SshdError("this sshd was not started")
        return self._process.pid

    def log(self) -> str:
        """Return what it has logged so far."""
        try:
            return self.log_path.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""

    def sessions(self) -> list[ProcessId]:
        """List the processes that serve connections, those of a killed listener included."""
        family = descendants(self.pid) if self.is_running() else []
        return [*family, *(orphan for orphan in self._orphans if is_alive(orphan))]

    def stop(self) -> None:
        """End listener and sessions, as `systemctl stop` would; harmless if it does not run."""
        self._end(signal.SIGTERM)

    def kill(self, *, sessions: bool = True) -> None:
        """Kill the listener (SIGKILL) and, unless told otherwise, the sessions."""
        if sessions:
            self._end(signal.SIGKILL)
        elif self.is_running():
            self._kill_listener()

    def restart(self) -> None:
        """Stop it, sessions included, and start it on the same port with the same host key."""
        self.stop()
        self.start()

    def freeze(self) -> None:
        """Stop listener and sessions in their tracks (SIGSTOP): they answer nothing."""
        for process in self._everybody():
            send_signal(process, signal.SIGSTOP)
        # A session that was just being forked appears only once its parent stands still.
        wait_until(self._stands_still, 5.0, "sshd stands still")

    def _stands_still(self) -> bool:
        moving = [process for process in self._everybody() if state_of(process) != "T"]
        for process in moving:
            send_signal(process, signal.SIGSTOP)
        return not moving

    def thaw(self) -> None:
        """Let everybody go on after `freeze`."""
        for process in self._everybody():
            send_signal(process, signal.SIGCONT)

    def _everybody(self) -> Iterator[ProcessId]:
        if self.is_running() and (listener := identify(self.pid)) is not None:
            yield listener
        yield from self.sessions()

    def _kill_listener(self) -> None:
        # Standing still it cannot fork a session between the look and the blow.
        os.kill(self.pid, signal.SIGSTOP)
        self._orphans.update(descendants(self.pid))
        os.kill(self.pid, signal.SIGKILL)
        self._wait()

    def _end(self, number: signal.Signals) -> None:
        if self.is_running():
            if number is signal.SIGTERM:
                self.thaw()
                self._orphans.update(descendants(self.pid))
                os.kill(self.pid, number)
                with suppress(subprocess.TimeoutExpired):
                    self._wait(5.0)
            if self.is_running():
                self._kill_listener()
        for session in self._orphans:
            send_signal(session, signal.SIGKILL)
        wait_until(lambda: not self.sessions(), 5.0, "sshd's sessions end")
        self._orphans.clear()

    def _wait(self, deadline_s: float | None = None) -> None:
        if self._process is not None:
            self._process.wait(deadline_s)

    def new_host_key(self) -> None:
        """Give it another host key from its next start on; *known_hosts* keeps the old one."""
        for half in (self.host_key, public_half(self.host_key)):
            half.unlink()
        make_key(self.host_key, "new host")

    def wrong_known_hosts(self) -> Path:
        """Write a known_hosts file that pins a host key this server does not have."""
        other = self.directory / "other_host_key"
        if not other.exists():
            make_key(other, "somebody else")
        return write_known_hosts(self.directory / "known_hosts.wrong", self.port, other)

    def client_options(self) -> list[str]:
        """Return the options with which ssh, scp and sftp reach this server (port aside)."""
        return [
            *("-F", "/dev/null", "-i", str(self.key), "-o", "IdentitiesOnly=yes"),
            *("-o", "BatchMode=yes", "-o", f"UserKnownHostsFile={self.known_hosts}"),
            *("-o", "StrictHostKeyChecking=yes", "-o", "GlobalKnownHostsFile=/dev/null"),
        ]

    def run(self, command: str, deadline_s: float = 10.0) -> subprocess.CompletedProcess[str]:
        """Run a shell command over ssh; the exit status is the caller's to judge."""
        target = ["-p", str(self.port), f"{self.user}@{ADDRESS}", command]
        return subprocess.run(
            ["ssh", *self.client_options(), *target],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=deadline_s,
            check=False,
        )

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
            print(f"--- log of sshd on port {self.port}\n{self.log()}---")
