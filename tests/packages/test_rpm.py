"""The RPM, installed with ``rpm --root`` into a system that has no rpm, beside stubs of what it wants."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.packages.appliance import PROGRAMS, SETTINGS, STATE, Appliance
from tests.packages.built import Built
from tests.packages.machine import Machine, told_by
from tests.packages.receiver import Receiver
from tests.packages.roots import APPLIANCES, copy_of

MIB = 1 << 20
#: What a system of that kind has, in the oldest version that will do.
STUBS = {"glibc": "2.28", "libgcc": "8.5.0", "fuse3": "3.3.0"}
SPEC = """\
Name: {name}
Version: {version}
Release: 1
Summary: Stands for {name}
License: Apache-2.0
BuildArch: noarch
Provides: {provides}
%description
Stands for the package of that name.
%files
"""


class Rpm:
    """``rpm`` of the building system, at work on a machine's root."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def run(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run it to its end; its exit status is the caller's to judge."""
        where = ("--root", self._machine.root, "--dbpath", "/var/lib/rpm")
        return self._machine.outside("rpm", *where, *arguments)

    def must(self, *arguments: str | Path) -> str:
        """Run it with success; return what was printed, the scripts' words included."""
        done = self.run(*arguments)
        assert done.returncode == 0, f"rpm {arguments}: {told_by(done)}"
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Packages without content, by name."""
    directory = tmp_path_factory.mktemp("stubs")
    for name, version in STUBS.items():
        spec = directory / f"{name}.spec"
        provides = "/bin/sh" if name == "glibc" else f"{name}-stub"
        spec.write_text(SPEC.format(name=name, version=version, provides=provides))
        subprocess.run(
            ["rpmbuild", "-bb", "--quiet", "--define", f"_topdir {directory}", spec],
            check=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
        )
    return {name: next(directory.glob(f"RPMS/noarch/{name}-*.rpm")) for name in STUBS}


@pytest.fixture(scope="module")
def release() -> str:
    return "bookworm"


@pytest.fixture
def system(memory: Path, scratch: Path) -> Iterator[Machine]:
    """A system in which rpm knows of nothing."""
    root = copy_of(APPLIANCES["bookworm"], memory / "system")
    with Machine(root, disks={"/srv": scratch}) as machine:
        Rpm(machine).must("--initdb")
        yield machine


@pytest.fixture
def rpm(system: Machine) -> Rpm:
    return Rpm(system)


@pytest.fixture
def appliance(system: Machine, rpm: Rpm, stubs: dict[str, Path], package: Built) -> Appliance:
    """The same with everything installed."""
    rpm.must("--install", *stubs.values())
    rpm.must("--install", package.rpm)
    return Appliance(system)


@pytest.mark.parametrize("missing", STUBS)
def test_it_is_refused_without_what_it_needs(
    rpm: Rpm, stubs: dict[str, Path], package: Built, missing: str
) -> None:
    rpm.must("--install", *(path for name, path in stubs.items() if name != missing))
    done = rpm.run("--install", "--test", package.rpm)
    assert done.returncode != 0
    assert missing in done.stderr


def test_a_c_library_that_is_too_old_is_refused(
    rpm: Rpm, package: Built, tmp_path: Path, stubs: dict[str, Path]
) -> None:
    rpm.must("--install", "--nodeps", stubs["fuse3"], stubs["libgcc"])
    spec = tmp_path / "glibc.spec"
    spec.write_text(SPEC.format(name="glibc", version="2.27", provides="/bin/sh"))
    subprocess.run(
        ["rpmbuild", "-bb", "--quiet", "--define", f"_topdir {tmp_path}", spec],
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    rpm.must("--install", next(tmp_path.glob("RPMS/noarch/*.rpm")))
    done = rpm.run("--install", "--test", package.rpm)
    assert done.returncode != 0
    assert "glibc >= 2.28" in done.stderr


def test_it_asks_for_nothing_else(package: Built) -> None:
    asked = subprocess.run(
        ["rpm", "-qp", "--requires", package.rpm], check=True, capture_output=True, text=True
    ).stdout
    wanted = {line for line in asked.splitlines() if not line.startswith("rpmlib(")}
    assert wanted == {"/bin/sh", "fuse3", "glibc >= 2.28", "libgcc"}


def test_what_comes_next_is_said(
    system: Machine, rpm: Rpm, stubs: dict[str, Path], package: Built
) -> None:
    rpm.must("--install", *stubs.values())
    told = rpm.must("--install", package.rpm)
    for step in (SETTINGS, "copyagent keys init", "copyagent check", "systemctl enable"):
        assert step in told
    system.must("copyagent", "check")


def test_a_tape_comes_to_the_target(at_work: Appliance, receiver: Receiver, rpm: Rpm) -> None:
    at_work.write_tape("X00001", 5 * MIB)
    at_work.wait_for_state("X00001", "copied")
    assert receiver.copy("X00001").read_bytes() == at_work.backing("X00001").read_bytes()
    at_work.stop_agent()
    at_work.detach()
    assert rpm.must("--verify", "--nodeps", "vts-autocopy") == ""


def test_versions_live_side_by_side(
    at_work: Appliance, receiver: Receiver, rpm: Rpm, package: Built, next_package: Built
) -> None:
    overlay = at_work.overlay()
    at_work.machine.start("sh", "-c", "exec 3>/VAULT00/BILL/OPEN01; sleep 600", log="/dev/null")
    rpm.must("--upgrade", next_package.rpm)
    assert at_work.overlay() == overlay
    assert at_work.current() == next_package.version
    assert package.version in at_work.versions()
    at_work.stop_agent()
    at_work.start_agent()
    assert at_work.status()["version"] == next_package.version
    at_work.write_tape("X00001", MIB)
    at_work.wait_for_state("X00001", "copied")
    done = rpm.run("--upgrade", "--oldpackage", package.rpm)
    assert done.returncode != 0
    assert "older" in done.stdout + done.stderr
    assert at_work.current() == next_package.version
    assert rpm.must("--verify", "--nodeps", "vts-autocopy") == ""


def test_it_stays_while_a_vault_is_attached_and_then_goes(at_work: Appliance, rpm: Rpm) -> None:
    at_work.write_tape("X00001", MIB)
    at_work.wait_for_state("X00001", "copied")
    done = rpm.run("--erase", "vts-autocopy")
    assert done.returncode != 0
    assert "vtsfs detach VAULT00" in done.stdout + done.stderr
    assert at_work.machine.is_running(at_work.agent)
    at_work.copyagent("check")
    at_work.detach()
    told = rpm.must("--erase", "vts-autocopy")
    assert "every watched tape had its copy" in told
    assert not at_work.exists(PROGRAMS)
    assert at_work.exists(f"{STATE}/agent/agent.sqlite")
    assert not at_work.machine.is_running(at_work.agent)
