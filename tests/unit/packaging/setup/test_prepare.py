"""The set-up script says in one sentence what it cannot have, and undoes what it did to get it.

Each case runs the real script on a tree of its own, with a PATH of stand-ins: this machine is not
changed, nor could it be, for apt-get, sudo and the like are the stand-ins.
"""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[4]
BASIC = (
    *("bash", "cat", "chmod", "df", "dirname", "env", "flock", "head", "mktemp", "printf"),
    *("readlink", "rm", "sha256sum", "tail", "tee", "tr", "touch"),
)
PROVED = (
    "gcc",
    "pkg-config",
    "fusermount3",
    "ssh",
    "scp",
    "ssh-keygen",
    "sshd",
    "mandoc",
    "strace",
    "systemd-analyze",
)

BUILDERS = (
    *("make", "patch", "g++", "xz", "perl", "tclsh", "autoreconf", "automake", "libtoolize"),
    *("rpmbuild", "lintian", "shellcheck"),
)


class Machine:
    """A machine as the script sees it: a tree, a PATH and a few settings."""

    def __init__(self, directory: Path) -> None:
        self.tree = directory / "tree"
        self.bin = directory / "bin"
        self.policy = directory / "policy-rc.d"
        self.journal = directory / "journal"
        script = self.tree / "packaging" / "setup" / "prepare"
        script.parent.mkdir(parents=True)
        shutil.copy(ROOT / "packaging" / "setup" / "prepare", script)
        for name in ("pyproject.toml", "requirements-build.lock", "requirements-dev.lock"):
            (self.tree / name).touch()
        self.bin.mkdir()
        for name in BASIC:
            (self.bin / name).symlink_to(str(shutil.which(name)))
        for name in PROVED:
            self.provide(name)
        self.provide("modprobe", "exit 1")
        self.become("root", 0)
        self.provide("python3", f'exec {sys.executable} "$@"')

    def provide(self, name: str, body: str = "exit 0") -> None:
        """Put a stand-in on the PATH; it notes its call and then does *body*."""
        program = self.bin / name
        program.unlink(missing_ok=True)
        program.write_text(f'#!/bin/bash\necho "{name} $*" >>{self.journal}\n{body}\n')
        program.chmod(0o755)

    def become(self, user: str, number: int) -> None:
        """Let the script believe that it is run by *user*."""
        self.provide("id", f'case "$1" in -u) echo {number} ;; *) echo {user} ;; esac')

    def lack(self, name: str) -> None:
        (self.bin / name).unlink()

    def calls(self, name: str) -> list[str]:
        """List the calls of one stand-in, arguments included."""
        if not self.journal.exists():
            return []
        lines = self.journal.read_text(encoding="utf-8").splitlines()
        return [line for line in lines if line.split()[0] == name]

    def prepare(
        self, *arguments: str, settings: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": str(self.bin),
            "VTS_SETUP_POLICY": str(self.policy),
            "VTS_SETUP_ADMIN_PATH": str(self.bin),
            "TMPDIR": str(self.tree.parent),
            **(settings or {}),
        }
        return subprocess.run(
            [str(self.tree / "packaging" / "setup" / "prepare"), *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60.0,
            check=False,
            start_new_session=True,
        )

    def refusal(self, *arguments: str, settings: Mapping[str, str] | None = None) -> str:
        """Run the script, which must refuse; return the sentence that says why."""
        result = self.prepare(*arguments, settings=settings)
        assert result.returncode == 1, result
        return result.stderr.splitlines()[-1].removeprefix("set-up: ")


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_no_fuse_device_is_said_before_anything_is_installed(machine: Machine) -> None:
    missing = str(machine.tree / "fuse")
    assert machine.refusal("--fuse", settings={"VTS_SETUP_FUSE": missing}) == (
        f"there is no {missing}, and the overlay is a FUSE file system: run 'modprobe fuse', or "
        "start the container with '--device /dev/fuse --cap-add SYS_ADMIN'."
    )
    assert not (machine.tree / ".venv").exists()


def test_a_fuse_device_that_cannot_be_opened_is_said(machine: Machine) -> None:
    # Without a controlling terminal even root cannot open this one.
    assert machine.refusal("--fuse", settings={"VTS_SETUP_FUSE": "/dev/tty"}).startswith(
        "/dev/tty cannot be opened by "
    )


def test_too_little_space_is_said(machine: Machine) -> None:
    machine.provide("df", "printf 'Avail\\n 512M\\n'")
    assert machine.refusal() == (
        f"the disk of {machine.tree} has 512 MB free, and 3072 MB are needed: free some, or clone "
        "to a larger disk."
    )


def test_an_old_python_is_said(machine: Machine) -> None:
    machine.provide(
        "python3", 'case "$*" in *version_info*) exit 1 ;; -V) echo Python 3.9.2 ;; esac'
    )
    assert machine.refusal() == (
        f"{machine.bin}/python3 is Python 3.9.2, and 3.11 or newer is needed: name another with "
        "PYTHON=/path/to/python3."
    )


def test_a_named_python_that_does_not_exist_is_said(machine: Machine) -> None:
    sentence = machine.refusal(settings={"PYTHON": "/nowhere/python3"})
    assert sentence.startswith("there is no '/nowhere/python3': install Python 3.11 or newer")


def test_a_python_of_ones_own_without_venv_is_said(machine: Machine) -> None:
    machine.provide("python3", 'case "$*" in *ensurepip*) exit 1 ;; esac')
    assert machine.refusal() == (
        f"{machine.bin}/python3 cannot make virtual environments: name a complete Python with "
        "PYTHON=/usr/bin/python3."
    )


def test_a_python_of_ones_own_without_headers_is_said(machine: Machine) -> None:
    machine.provide("python3", 'case "$*" in *Python.h*) exit 1 ;; esac')
    assert "has no C headers (Python.h)" in machine.refusal()


def test_missing_packages_without_debian_are_named(machine: Machine) -> None:
    machine.lack("mandoc")
    machine.lack("fusermount3")
    assert machine.refusal() == (
        "this is no Debian and these are missing: install what your system calls fuse3 mandoc, "
        "then try again."
    )


def test_missing_packages_without_root_or_sudo_are_named(machine: Machine) -> None:
    machine.lack("mandoc")
    machine.provide("apt-get")
    machine.become("somebody", 1000)
    assert machine.refusal() == (
        "these packages are missing and there is no sudo: run 'apt-get install mandoc' as root, "
        "then try again."
    )
    assert machine.calls("apt-get") == []


def test_a_sudo_that_wants_a_password_and_no_terminal_is_said(machine: Machine) -> None:
    machine.lack("mandoc")
    machine.provide("apt-get")
    machine.provide("sudo", "exit 1")
    machine.become("somebody", 1000)
    assert machine.refusal().startswith(
        "these packages are missing and sudo wants a password, but there is no terminal: "
        "run 'sudo apt-get install mandoc'"
    )


def test_packages_that_cannot_be_installed_are_named_after_one_update(machine: Machine) -> None:
    machine.lack("mandoc")
    machine.provide("apt-get", "echo E: no network; exit 100")
    result = machine.prepare()
    assert result.returncode == 1
    assert "E: no network" in result.stderr
    assert "Debian's packages could not be installed" in result.stderr.splitlines()[-1]
    assert [("update" in call.split()) for call in machine.calls("apt-get")] == [False, True]


def test_only_what_is_missing_is_installed(machine: Machine) -> None:
    machine.lack("mandoc")
    machine.provide("apt-get", f"ln -s /bin/true {machine.bin}/mandoc")
    (machine.bin / "ln").symlink_to(str(shutil.which("ln")))
    machine.provide("python3", "exit 1")
    machine.prepare()
    (call,) = machine.calls("apt-get")
    assert call.endswith("install --no-install-recommends mandoc")


def test_a_peer_of_the_benchmarks_is_installed_for_them_alone(machine: Machine) -> None:
    make_stand_in_venvs(machine)
    machine.provide("pip")
    peers = " ".join(f"{machine.bin}/{name}" for name in ("mergerfs", "rsync"))
    machine.provide("apt-get", f"for peer in {peers}; do ln -s /bin/true $peer; done")
    (machine.bin / "ln").symlink_to(str(shutil.which("ln")))
    assert machine.prepare().returncode == 0
    assert machine.calls("apt-get") == []
    settings = {"VTS_SETUP_FUSE": "/dev/null"}
    assert machine.prepare("--fuse", "--bench", settings=settings).returncode == 0
    (call,) = machine.calls("apt-get")
    assert call.endswith("install --no-install-recommends mergerfs rsync")


def test_what_builds_packages_is_installed_for_them_alone(machine: Machine) -> None:
    make_stand_in_venvs(machine)
    machine.provide("pip")
    for name in BUILDERS:
        machine.provide(name)
    machine.lack("tclsh")
    machine.provide("apt-get", f"ln -s /bin/true {machine.bin}/tclsh")
    (machine.bin / "ln").symlink_to(str(shutil.which("ln")))
    assert machine.prepare().returncode == 0
    assert machine.calls("apt-get") == []
    assert machine.prepare("--packages").returncode == 0
    (call,) = machine.calls("apt-get")
    assert " tcl" in call


def test_an_unknown_option_is_said(machine: Machine) -> None:
    sentence = "there is no option '--fus': use --fuse, --bench, --packages, or none."
    assert machine.refusal("--bench", "--fus") == sentence


def test_an_installation_that_does_not_help_is_said(machine: Machine) -> None:
    machine.lack("mandoc")
    machine.provide("apt-get")
    assert machine.refusal().startswith(
        "installing them did not give this machine mandoc: see what"
    )


def lack_sshd(machine: Machine, installing: str) -> None:
    """Let openssh-server be missing, and *installing* be done when it is installed."""
    machine.lack("sshd")
    machine.provide("apt-get", installing)
    for name in ("systemctl", "service", "update-rc.d", "deb-systemd-helper"):
        machine.provide(name)


def test_no_server_is_started_while_openssh_is_installed(machine: Machine) -> None:
    lack_sshd(machine, f"{machine.policy} ssh start; echo $? >{machine.tree}/answer; exit 100")
    machine.refusal()
    assert (machine.tree / "answer").read_text(encoding="ascii") == "101\n"
    assert not machine.policy.exists()


def test_the_server_will_not_start_at_the_next_boot(machine: Machine) -> None:
    lack_sshd(machine, "exit 0")
    machine.refusal()
    by_systemd = "systemctl disable --quiet --now ssh.service ssh.socket"
    offline = "deb-systemd-helper disable ssh.service ssh.socket"
    done = machine.journal.read_text(encoding="utf-8").splitlines()
    assert by_systemd in done or offline in done


def test_an_administrators_policy_is_respected(machine: Machine) -> None:
    machine.policy.write_text("#!/bin/sh\nexit 0\n", encoding="ascii")
    lack_sshd(machine, "exit 0")
    machine.refusal()
    assert machine.policy.read_text(encoding="ascii") == "#!/bin/sh\nexit 0\n"


def test_a_server_that_was_there_before_is_left_alone(machine: Machine) -> None:
    machine.lack("mandoc")
    machine.provide("apt-get")
    machine.provide("systemctl")
    machine.refusal()
    assert machine.calls("systemctl") == []


def make_stand_in_venvs(machine: Machine) -> None:
    """Let python3 make virtual environments whose Python is the stand-in ``pip``."""
    made = machine.tree / ".venv" / "bin"
    machine.provide(
        "python3",
        f'case "$*" in *venv\\ --clear*) mkdir -p {made}; cp {machine.bin}/pip {made}/python ;; esac',
    )
    for name in ("mkdir", "cp"):
        (machine.bin / name).symlink_to(str(shutil.which(name)))


def test_python_packages_that_cannot_be_fetched_are_said(machine: Machine) -> None:
    make_stand_in_venvs(machine)
    machine.provide("pip", 'case "$*" in *install*) echo no route to host; exit 1 ;; esac')
    result = machine.prepare()
    assert result.returncode == 1
    assert "no route to host" in result.stderr
    assert "the Python packages could not be installed" in result.stderr.splitlines()[-1]
    assert not (machine.tree / ".venv" / ".ready").exists()


def test_a_ready_tree_is_only_looked_at(machine: Machine) -> None:
    make_stand_in_venvs(machine)
    machine.provide("pip")
    first = machine.prepare()
    assert first.returncode == 0, first
    assert first.stdout.splitlines()[-1] == "set-up: ready"
    installs = machine.calls("pip")
    second = machine.prepare()
    assert (second.returncode, second.stdout) == (0, "")
    assert [call for call in machine.calls("pip") if "install" in call.split()] == [
        call for call in installs if "install" in call.split()
    ]
    (machine.tree / "pyproject.toml").write_text("# changed\n", encoding="ascii")
    assert "ready" in machine.prepare().stdout
