"""Installed systems for the tests here, which are run by `make test-packages` alone."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.packages.appliance import Appliance
from tests.packages.built import Built, following, present
from tests.packages.machine import Machine
from tests.packages.receiver import Receiver
from tests.packages.roots import APPLIANCES, RECEIVER, Root, copy_of, in_memory

_HERE = Path(__file__).parent
#: The current release of Debian and the one before.
RELEASES = ("trixie", "bookworm")

InstalledRoot = Callable[[Root], Path]


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Keep out of a run that does not name this directory: it needs packages, root and minutes."""
    asked = [
        (config.invocation_params.dir / argument.partition("::")[0]).resolve()
        for argument in config.args
    ]
    wanted = any(path == _HERE or _HERE in path.parents for path in asked)
    return None if wanted or _HERE not in collection_path.parents else True


@pytest.fixture(scope="session", autouse=True)
def _as_root() -> None:
    if os.geteuid() != 0:
        pytest.exit("packages are installed into systems of their own: run this as root", 1)


@pytest.fixture(scope="session")
def package() -> Built:
    """The packages of this tree."""
    return present()


@pytest.fixture(scope="session")
def next_package() -> Built:
    """The packages of the version after it."""
    return following()


@pytest.fixture(params=RELEASES)
def release(request: pytest.FixtureRequest) -> str:
    """Each release that is owed; a test that says ``parametrize("release", [...])`` has its own."""
    return str(request.param)


@pytest.fixture
def memory() -> Iterator[Path]:
    """A directory for roots: in memory where there is room, since dpkg waits for the disk a lot."""
    with in_memory() as directory:
        yield directory


@pytest.fixture(scope="session")
def installed_root(package: Built) -> Iterator[InstalledRoot]:
    """Gives a root with the package in it, to be copied; each is made once."""
    with in_memory() as directory:

        def made(system: Root) -> Path:
            root = directory / system.key
            if not root.exists():
                with Machine(copy_of(system, root)) as machine:
                    path = machine.put(package.deb, "/tmp")
                    machine.must("dpkg", "-i", path)
                    machine.must("rm", path)
            return root

        yield made


@pytest.fixture
def system(release: str) -> Root:
    """What the system consists of before the package comes."""
    return APPLIANCES[release]


@pytest.fixture
def bare(memory: Path, system: Root) -> Iterator[Machine]:
    """A fresh system without the package."""
    with Machine(copy_of(system, memory / "system")) as machine:
        yield machine


@pytest.fixture
def appliance(
    scratch: Path, memory: Path, system: Root, installed_root: InstalledRoot
) -> Iterator[Appliance]:
    """A system with the package installed and nothing configured; its tapes lie on a disk."""
    root = copy_of(installed_root(system), memory / "system")
    with Machine(root, disks={"/srv": scratch}) as machine:
        yield Appliance(machine)


@pytest.fixture
def receiver(memory: Path, appliance: Appliance) -> Iterator[Receiver]:
    """A receiving system on the appliance's network, in service."""
    root = copy_of(RECEIVER, memory / "receiver")
    with Machine(root, name="dr", network=appliance.machine) as machine:
        receiver = Receiver(machine)
        receiver.start()
        yield receiver


@pytest.fixture
def at_work(appliance: Appliance, receiver: Receiver) -> Appliance:
    """A system whose vault is attached and whose agent runs, as its own user."""
    appliance.configure(receiver)
    appliance.attach()
    appliance.start_agent()
    return appliance
