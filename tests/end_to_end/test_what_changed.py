"""Only what the overlay saw being changed is sent: a kernel mount, an agent, an SSH server."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.site import Site
from tests.support.sshd import Sshd
from tests.support.waiting import wait_until

pytestmark = [pytest.mark.mount, pytest.mark.ssh]

TAPE = "/VAULT00/BILL/X00001"
MIB = 1024 * 1024
SIZE = 8 * MIB


@pytest.fixture
def far(scratch: Path) -> Path:
    vault = scratch / "far" / "VAULT00"
    vault.mkdir(parents=True)
    return vault


@pytest.fixture
def site(scratch: Path, sshd: Sshd, far: Path) -> Iterator[Site]:
    """A system that nobody but its overlay tells of mounts, with one tape that is copied."""
    with Site(scratch / "src") as made:
        made.settings["cross_check"] |= {"grace": "100ms"}
        made.make_pool("BILL")
        made.add_target("drsite", sshd, {"VAULT00": far})
        made.watch("/VAULT00/BILL", "drsite")
        made.attach()
        made.start()
        (made.mountpoint() / "BILL" / "X00001").write_bytes(os.urandom(SIZE))
        made.wait_for_state(TAPE, "copied")
        yield made


def write_at(site: Site, at: int, data: bytes) -> None:
    with (site.mountpoint() / "BILL" / "X00001").open("r+b") as tape:
        tape.seek(at)
        tape.write(data)


def copied_again(site: Site, generation: int) -> str:
    """Wait for the copy of *generation*; return what its history says of the way it went."""

    def done() -> bool:
        document = site.explain(TAPE)
        assert document is not None
        state = str(document["copies"][0]["state"])
        return state.startswith("copied") and int(document["generation"]) >= generation

    site.wait(done, f"generation {generation} is copied")
    document = site.explain(TAPE)
    assert document is not None
    told = [line["what"] for line in document["history"] if " (" in line["what"]]
    return str([what for what in told if what.startswith("drsite: ")][-1])


def expect_equal(site: Site, far: Path) -> None:
    assert (far / "BILL" / "X00001").read_bytes() == (
        site.backing() / "BILL" / "X00001"
    ).read_bytes()


def test_a_changed_block_alone_is_sent_also_after_a_restart(site: Site, far: Path) -> None:
    write_at(site, 3 * MIB + 5, os.urandom(1000))
    way = copied_again(site, 2)
    assert way == "drsite: what the overlay saw being changed (4.0 KiB of 8.0 MiB)"
    expect_equal(site, far)
    site.stop()
    write_at(site, 5 * MIB, os.urandom(MIB))
    write_at(site, SIZE, os.urandom(100))
    maps = site.root / "state" / "agent" / "maps"
    (known,) = maps.glob("*.maps")
    stray = maps / "BILL.GONE.0123456789abcdef.maps"
    stray.write_bytes(b"what was a map once")
    site.start()
    way = copied_again(site, 3)
    assert way.startswith("drsite: what the overlay saw being changed (1.0 MiB of 8.0 MiB")
    expect_equal(site, far)
    wait_until(lambda: not stray.exists(), 20.0, "the map of a tape that is no more is forgotten")
    assert known.exists()


def test_where_nobody_can_say_what_changed_digests_do(site: Site, far: Path) -> None:
    with (site.backing() / "BILL" / "X00001").open("r+b") as tape:
        tape.seek(7 * MIB)
        tape.write(b"behind the overlay")
    write_at(site, MIB, b"told")
    assert copied_again(site, 2) == "drsite: what differs by digest (512.0 KiB of 8.0 MiB)"
    expect_equal(site, far)
    (known,) = (site.root / "state" / "agent" / "maps").glob("*.maps")
    known.write_bytes(b"scribble")
    write_at(site, 2 * MIB, b"told")
    copied_again(site, 3)
    expect_equal(site, far)
