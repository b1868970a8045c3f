"""The main job with real parts: a kernel mount, a Telnet host, an SSH server, two commands."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.nonstop import NonStop
from tests.support.site import Site
from tests.support.sshd import Sshd

pytestmark = [pytest.mark.mount, pytest.mark.ssh]

TAPE = "/VAULT00/BILL/X00001"


@pytest.fixture
def far(scratch: Path) -> Path:
    """The vault at the target: a directory, nothing more."""
    vault = scratch / "far" / "VAULT00"
    vault.mkdir(parents=True)
    return vault


@pytest.fixture
def host(scratch: Path) -> Iterator[NonStop]:
    """A NonStop host that logs the agent on."""
    with NonStop(scratch / "host") as running:
        yield running


@pytest.fixture
def site(scratch: Path, sshd: Sshd, far: Path, host: NonStop) -> Iterator[Site]:
    """A source system that watches one pool, attached and running."""
    with Site(scratch / "src") as made:
        made.make_pool("BILL")
        made.add_target("drsite", sshd, {"VAULT00": far})
        made.watch("/VAULT00/BILL", "drsite")
        made.use_host(host)
        made.attach()
        made.start()
        host.say("wait 20")
        made.wait(lambda: made.status()["hosts"][0]["up"], "the EMS link is up")
        yield made


def test_a_with_ring_tape_arrives_after_its_dismount(site: Site, host: NonStop, far: Path) -> None:
    content = os.urandom(3_000_000)
    tape = site.mountpoint() / "BILL" / "X00001"
    copy = far / "BILL" / "X00001"
    host.begin_mount("X00001", ring=True)
    tape.write_bytes(content)
    tape.chmod(0o640)
    os.utime(tape, (1_600_000_000, 1_600_000_000))
    site.wait_for_state(TAPE, "awaiting host")
    assert not copy.exists()
    host.end_mount("X00001")
    explained = site.wait_for_state(TAPE, "copied")
    assert explained["verdict"]["verdict"] == "agreed"
    assert copy.read_bytes() == content
    assert stat.S_IMODE(copy.stat().st_mode) == 0o640
    assert int(copy.stat().st_mtime) == 1_600_000_000
    assert len(site.events(224101)) == 1


def test_a_no_ring_mount_is_never_copied(site: Site, host: NonStop, far: Path) -> None:
    tape = site.mountpoint() / "BILL" / "X00001"
    host.begin_mount("X00001", ring=True)
    tape.write_bytes(b"first")
    host.end_mount("X00001")
    site.wait_for_state(TAPE, "copied")
    before = (far / "BILL" / "X00001").stat()
    host.begin_mount("X00001", ring=False)
    assert tape.read_bytes() == b"first"
    host.end_mount("X00001")

    def judged() -> bool:
        document = site.explain(TAPE)
        return document is not None and document["verdict"]["verdict"] == "agreed, read only"

    site.wait(judged, "the read-only mount is judged")
    after = (far / "BILL" / "X00001").stat()
    assert (before.st_ino, before.st_ctime_ns) == (after.st_ino, after.st_ctime_ns)
    assert len(site.events(224101)) == 1
