"""``copyagent keys init`` as operators run it, against a real sshd."""

import io
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from pwd import getpwnam

import click
import pytest

from copyagent.cli.keys import keys
from copyagent.cli.keys_init import Wanted, run_init
from tests.support.example_settings import EXAMPLE
from tests.support.sshd import Sshd, find_program, public_half
from vtsfs.contract.errors import VtsError

pytestmark = pytest.mark.ssh
TREE = Path(__file__).parents[4]


@dataclass
class Done:
    """How the command ended, as a process would show it."""

    returncode: int
    stdout: str
    stderr: str


class Set:
    """Settings for a target that nobody has set up yet, and the command."""

    def __init__(self, root: Path, sshd: Sshd) -> None:
        self.root, self.sshd = root, sshd
        self.key, self.known_hosts = root / "etc" / "id", root / "etc" / "known_hosts"
        self.key.parent.mkdir()
        self.config = root / "vts-autocopy.yaml"
        vault = root / "far" / "VAULT00"
        (vault / "BILL").mkdir(parents=True)
        (root / "backing" / "BILL").mkdir(parents=True)
        (root / "VAULT00").mkdir()
        text = EXAMPLE.replace("user: vts", f"user: {sshd.user}\n    port: {sshd.port}")
        text = text.replace("ROOT/key", str(self.key)).replace("/far/VAULT00", str(vault))
        text = text.replace("ROOT/known_hosts", str(self.known_hosts))
        self.config.write_text(text.replace("ROOT", str(root)))

    def init(
        self,
        *,
        kind: str = "ed25519",
        commands: bool = False,
        accept: str | None = None,
        tested: bool = False,
        answer: str = "",
    ) -> Done:
        """Run the command within this process."""
        said, told, status = io.StringIO(), "", 0
        wanted = Wanted("drsite", kind, commands, accept, tested)
        stdin, sys.stdin = sys.stdin, io.StringIO(answer)
        try:
            with redirect_stdout(said):
                run_init(self.config, wanted)
        except VtsError as error:
            told, status = str(error), error.exit_code
        except click.Abort:
            status = 1
        finally:
            sys.stdin = stdin
        return Done(status, said.getvalue(), told)

    def command(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it as operators do."""
        command = [sys.executable, "-m", "copyagent", "--config", str(self.config)]
        return subprocess.run(
            [*command, "keys", "init", "drsite", *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            cwd=TREE,
            timeout=60,
        )

    def fingerprint(self) -> str:
        shown = subprocess.run(
            ["ssh-keygen", "-lf", str(public_half(self.sshd.host_key))],
            capture_output=True,
            text=True,
            check=True,
        )
        return shown.stdout.split()[1]

    def let_in(self, line: str) -> None:
        (self.sshd.directory / "authorized_keys").write_text(line + "\n")

    def ssh(
        self, *arguments: str, program: str = "ssh", typed: str = ""
    ) -> subprocess.CompletedProcess[str]:
        options = ["-F", "/dev/null", "-i", str(self.key), "-o", "IdentitiesOnly=yes"]
        options += ["-o", f"UserKnownHostsFile={self.known_hosts}", "-o", "BatchMode=yes"]
        options += ["-o", "StrictHostKeyChecking=yes", "-o", f"Port={self.sshd.port}"]
        return subprocess.run(
            [program, *options, *arguments],
            input=typed,
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )

    @property
    def there(self) -> str:
        return f"{self.sshd.user}@127.0.0.1"


@pytest.fixture
def set_up(scratch: Path, sshd: Sshd) -> Set:
    return Set(scratch, sshd)


def line_in(output: str) -> str:
    (line,) = re.findall(r"^restrict.*$", output, re.MULTILINE)
    return str(line)


def block_in(output: str) -> str:
    (block,) = re.findall(r"^Match User .*\n(?:    .*\n)+", output, re.MULTILINE)
    return str(block)


def test_a_key_is_made_and_the_host_key_pinned_after_a_yes(set_up: Set) -> None:
    ended = set_up.init(answer="yes\n")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert stat.S_IMODE(set_up.key.stat().st_mode) == 0o600
    assert set_up.fingerprint() in ended.stdout
    assert "ssh-keygen -lf" in ended.stdout, "how to compare"
    kind, key = public_half(set_up.sshd.host_key).read_text().split()[:2]
    assert set_up.known_hosts.read_text() == f"[127.0.0.1]:{set_up.sshd.port} {kind} {key}\n"
    assert {path.name for path in set_up.key.parent.iterdir()} == {"id", "id.pub", "known_hosts"}
    assert line_in(ended.stdout).endswith("vts-autocopy@TAPESRV1")
    assert set_up.key.with_name("id.pub").read_text().strip() in line_in(ended.stdout)


@pytest.mark.parametrize("answer", ["", "y\n"])
def test_anything_but_yes_pins_nothing(set_up: Set, answer: str) -> None:
    ended = set_up.init(answer=answer)
    assert ended.returncode == 45
    assert f"{set_up.fingerprint()} was not confirmed, so it is not pinned" in ended.stderr
    assert not set_up.known_hosts.exists()
    assert set_up.key.exists(), "the key is none the worse for it"


def test_a_fingerprint_from_the_command_line_is_compared(set_up: Set) -> None:
    ended = set_up.init(accept="SHA256:" + "A" * 43)
    assert ended.returncode == 64
    assert "another fingerprint" in ended.stderr
    assert not set_up.known_hosts.exists()
    ended = set_up.init(accept=set_up.fingerprint())
    assert (ended.returncode, ended.stderr) == (0, "")
    assert set_up.known_hosts.exists()


def test_what_is_there_is_kept_and_shown(set_up: Set) -> None:
    set_up.init(kind="ecdsa", accept=set_up.fingerprint())
    pinned = "other.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
    set_up.known_hosts.write_text(pinned)
    set_up.known_hosts.chmod(0o640)
    key = set_up.key.read_bytes()
    ended = set_up.init(accept=set_up.fingerprint())
    assert (ended.returncode, ended.stderr) == (0, "")
    assert set_up.key.read_bytes() == key
    assert "is there already: ecdsa-sha2-nistp256" in ended.stdout
    first, second = set_up.known_hosts.read_text().splitlines()
    assert (first, second.split()[0]) == (pinned, f"[127.0.0.1]:{set_up.sshd.port}")
    assert stat.S_IMODE(set_up.known_hosts.stat().st_mode) == 0o640
    again = set_up.init()
    assert again.returncode == 0
    assert "pinned in" in again.stdout
    assert "already" in again.stdout


def test_another_host_key_than_the_pinned_one_is_refused(set_up: Set) -> None:
    shutil.copy(set_up.sshd.wrong_known_hosts(), set_up.known_hosts)
    before = set_up.known_hosts.read_bytes()
    ended = set_up.init(accept=set_up.fingerprint())
    assert ended.returncode == 64
    assert "shows another host key" in ended.stderr
    assert set_up.known_hosts.read_bytes() == before


def test_a_file_that_is_no_key_is_left_alone(set_up: Set) -> None:
    set_up.key.write_text("precious\n")
    ended = set_up.init()
    assert ended.returncode == 10
    assert "is left as it is" in ended.stderr
    assert set_up.key.read_text() == "precious\n"


def test_a_target_that_is_down_still_gets_its_key(set_up: Set) -> None:
    set_up.sshd.stop()
    ended = set_up.init()
    assert ended.returncode == 60
    assert "Connection refused" in ended.stderr
    assert set_up.key.exists()
    assert line_in(ended.stdout)


def test_a_wrong_target_is_told_with_the_right_ones(set_up: Set) -> None:
    set_up.config.write_text(set_up.config.read_text().replace("drsite", "dr-site"))
    ended = set_up.init()
    assert ended.returncode == 2
    assert "did you mean dr-site?" in ended.stderr


# ---- what is printed does what it says -----------------------------------------------------------


def test_the_line_lets_in_for_sftp_and_for_nothing_else(set_up: Set) -> None:
    ended = set_up.init(accept=set_up.fingerprint())
    set_up.let_in(line_in(ended.stdout))
    _expect_sftp_alone(set_up)


@pytest.mark.parametrize("kind", ["ed25519", "rsa"])
def test_the_match_block_lets_in_for_sftp_and_for_nothing_else(set_up: Set, kind: str) -> None:
    ended = set_up.init(kind=kind, accept=set_up.fingerprint())
    config = set_up.sshd.directory / "sshd_config"
    config.write_text(config.read_text() + block_in(ended.stdout))
    command = [str(find_program("sshd")), "-t", "-f", str(config)]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")
    # The plain key: what follows is the block's doing alone.
    set_up.let_in(set_up.key.with_name("id.pub").read_text())
    set_up.sshd.restart()
    _expect_sftp_alone(set_up)


def _expect_sftp_alone(set_up: Set) -> None:
    vault = set_up.root / "far" / "VAULT00"
    listed = set_up.ssh("-b", "-", set_up.there, program="sftp", typed=f"ls -1 {vault}\n")
    assert (listed.returncode, listed.stdout.split()[-1]) == (0, f"{vault}/BILL")
    shell = set_up.ssh(set_up.there, "echo", "in")
    assert "in" not in shell.stdout.split()
    assert "PTY allocation request failed" in set_up.ssh("-tt", set_up.there, "true").stderr
    forward = set_up.ssh("-W", f"127.0.0.1:{set_up.sshd.port}", set_up.there)
    assert "administratively prohibited" in forward.stderr
    back = set_up.ssh("-N", "-o", "ExitOnForwardFailure=yes", "-R", "0:127.0.0.1:9", set_up.there)
    assert "remote port forwarding failed" in back.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can have sshd chroot")
def test_a_target_that_is_locked_down_passes_the_examination(set_up: Set) -> None:
    """As the manual has it: the printed block, its ChrootDirectory filled in, and ``--test``."""
    # Everything above a chroot must be root's alone, which /tmp is not.
    jail = Path(tempfile.mkdtemp(prefix="vts-jail-", dir="/run"))
    try:
        jail.chmod(0o755)
        (jail / "VAULT00").mkdir()
        far = set_up.root / "far" / "VAULT00"
        set_up.config.write_text(set_up.config.read_text().replace(str(far), "/VAULT00"))
        ended = set_up.init(accept=set_up.fingerprint())
        block = block_in(ended.stdout).replace(
            "    #ChrootDirectory /srv/vts", f"    ChrootDirectory {jail}"
        )
        assert str(jail) in block
        config = set_up.sshd.directory / "sshd_config"
        config.write_text(config.read_text() + block)
        set_up.let_in(line_in(ended.stdout))
        set_up.sshd.restart()
        ended = set_up.init(tested=True)
        assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
        assert "commands: none are run there" in ended.stdout
        assert "renaming into /VAULT00/BILL" in ended.stdout
        assert [path.name for path in jail.rglob("*")] == ["VAULT00"]
    finally:
        shutil.rmtree(jail)


def test_with_commands_allowed_sha256sum_runs_and_nothing_is_forwarded(set_up: Set) -> None:
    ended = set_up.init(commands=True, accept=set_up.fingerprint())
    line = line_in(ended.stdout)
    assert line.startswith("restrict ")
    assert "ForceCommand" not in block_in(ended.stdout)
    set_up.let_in(line)
    assert set_up.ssh(set_up.there, "sha256sum < /dev/null").stdout.startswith("e3b0c442")
    forward = set_up.ssh("-W", f"127.0.0.1:{set_up.sshd.port}", set_up.there)
    assert "administratively prohibited" in forward.stderr


def test_the_command_as_operators_type_it(set_up: Set) -> None:
    arguments = ["--type", "rsa", "--accept-fingerprint", set_up.fingerprint()]
    ended = set_up.command(*arguments, "--allow-commands")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert line_in(ended.stdout).startswith("restrict ssh-rsa ")
    set_up.let_in(line_in(ended.stdout))
    ended = set_up.command("--test")
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout
    assert "log-in: as" in ended.stdout
    assert set(keys.commands) == {"init"}


@pytest.mark.skipif(os.geteuid() != 0, reason="root may write anywhere, and give files away")
def test_the_key_belongs_to_the_agents_user(set_up: Set) -> None:
    set_up.config.write_text(set_up.config.read_text() + "service: {user: nobody}\n")
    assert set_up.init(accept=set_up.fingerprint()).returncode == 0
    found = set_up.key.stat()
    assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (getpwnam("nobody").pw_uid, 0o600)


def test_a_key_that_cannot_be_written_is_a_fault_of_the_settings(set_up: Set) -> None:
    set_up.key.parent.rmdir()
    ended = set_up.init()
    assert ended.returncode == 10
    assert f"targets.drsite.key: {set_up.key} cannot be made: No such file" in ended.stderr
