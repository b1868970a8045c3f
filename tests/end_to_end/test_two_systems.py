"""Two systems configured towards each other, both with overlays: nothing goes round in circles."""

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.support.nonstop import NonStop
from tests.support.scratch import scratch_directory
from tests.support.site import Site
from tests.support.sshd import Sshd
from tests.support.world import COPIED, POOL, assert_no_bug_was_met, content, settle_quickly

pytestmark = [pytest.mark.mount, pytest.mark.ssh]

TAPE = f"{POOL}/X00001"


class Pair:
    """Systems *here* and *there*; each one's target is the other's mount point."""

    def __init__(self, here: Site, there: Site, host: NonStop) -> None:
        self.here, self.there, self.host = here, there, host

    def restart(self) -> None:
        """Restart both agents and let both compare every tape."""
        for site in (self.here, self.there):
            site.stop()
            site.start()
            wait_for_sweep(site)

    def copies(self) -> tuple[int, int]:
        """Count what was sent from here and from there."""
        return len(self.here.events(COPIED)), len(self.there.events(COPIED))


def wait_for_sweep(site: Site) -> None:
    site.wait(lambda: all(v["swept"] for v in site.status()["vaults"]), f"{site.name} is swept")


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with ExitStack() as stack:
        root = stack.enter_context(scratch_directory())
        sshd = stack.enter_context(Sshd(root / "sshd"))
        host = stack.enter_context(NonStop(root / "host"))
        here = stack.enter_context(Site(root / "a", "HERE"))
        there = stack.enter_context(Site(root / "b", "THERE"))
        for site, other in ((here, there), (there, here)):
            settle_quickly(site)
            site.make_pool("BILL")
            site.add_target("peer", sshd, {"VAULT00": other.mountpoint()})
            site.watch(POOL, "peer")
        here.use_host(host)
        for site in (here, there):
            site.attach()
        for site in (here, there):
            site.start()
            wait_for_sweep(site)
        host.say("wait 20")
        here.wait(lambda: here.status()["hosts"][0]["up"], "the EMS link is up")
        yield Pair(here, there, host)
        for site in (here, there):
            assert_no_bug_was_met(site)


def test_one_mount_with_ring_gives_exactly_one_copy(pair: Pair) -> None:
    here, there = pair.here, pair.there
    written = content()
    pair.host.begin_mount("X00001", ring=True)
    (here.mountpoint() / "BILL" / "X00001").write_bytes(written)
    pair.host.end_mount("X00001")
    here.wait_for_state(TAPE, "copied")
    assert (there.mountpoint() / "BILL" / "X00001").read_bytes() == written
    there.wait(lambda: there.state_of(TAPE) == "clean", "the peer has judged it")
    document = there.explain(TAPE)
    assert document is not None
    assert document["verdict"]["verdict"] == "received"
    assert document["protected"]
    assert pair.copies() == (1, 0)


def test_restarts_and_sweeps_on_both_sides_copy_nothing(pair: Pair) -> None:
    pair.restart()
    pair.restart()
    for site in (pair.here, pair.there):
        [pool] = site.status()["pools"]
        assert (pool["tapes"], pool["unprotected"]) == (1, 0)
    assert pair.copies() == (1, 0)


def test_the_next_generation_arrives_once_as_well(pair: Pair) -> None:
    written = content()
    pair.host.begin_mount("X00001", ring=True)
    (pair.here.mountpoint() / "BILL" / "X00001").write_bytes(written)
    pair.host.end_mount("X00001")
    pair.here.wait(lambda: pair.copies()[0] == 2, "the second generation is copied")
    assert (pair.there.mountpoint() / "BILL" / "X00001").read_bytes() == written
    pair.restart()
    assert pair.there.state_of(TAPE) == "clean"
    assert pair.copies() == (2, 0)


def test_a_tape_of_the_other_side_goes_the_other_way(pair: Pair) -> None:
    written = content()
    (pair.there.mountpoint() / "BILL" / "Y00001").write_bytes(written)
    pair.there.wait_for_state(f"{POOL}/Y00001", "copied")
    assert (pair.here.mountpoint() / "BILL" / "Y00001").read_bytes() == written
    pair.restart()
    assert pair.here.state_of(f"{POOL}/Y00001") == "clean"
    assert pair.copies() == (2, 1)


def test_a_received_tape_written_here_is_not_forced_upon_its_owner(pair: Pair) -> None:
    original = (pair.here.mountpoint() / "BILL" / "X00001").read_bytes()
    written = content()
    (pair.there.mountpoint() / "BILL" / "X00001").write_bytes(written)
    pair.there.wait_for_state(TAPE, "held (unknown at target)")
    assert (pair.here.mountpoint() / "BILL" / "X00001").read_bytes() == original
    because = ("--because", "the work goes on over there")
    pair.there.must("copyagent", "release", TAPE, "--overwrite-target", *because)
    pair.there.wait_for_state(TAPE, "copied")
    assert (pair.here.mountpoint() / "BILL" / "X00001").read_bytes() == written
    pair.here.wait(lambda: pair.here.state_of(TAPE) == "clean", "the owner has judged it")
    pair.restart()
    assert pair.copies() == (2, 2)


def test_the_peers_agent_may_be_down_while_it_receives(pair: Pair) -> None:
    pair.there.stop()
    pair.host.begin_mount("Z00001", ring=True)
    (pair.here.mountpoint() / "BILL" / "Z00001").write_bytes(content())
    pair.host.end_mount("Z00001")
    pair.here.wait_for_state(f"{POOL}/Z00001", "copied")
    pair.there.start()
    wait_for_sweep(pair.there)
    pair.there.wait(lambda: pair.there.state_of(f"{POOL}/Z00001") == "clean", "it is judged")
    assert pair.copies() == (3, 2)


def test_a_peer_that_lost_its_memory_sends_nothing_back(pair: Pair) -> None:
    mine = pair.here.mountpoint() / "BILL" / "Z00001"
    before = (mine.read_bytes(), mine.stat().st_ino, mine.stat().st_ctime_ns)
    pair.there.stop()
    shutil.rmtree(pair.there.root / "state" / "agent")
    pair.there.start()
    wait_for_sweep(pair.there)
    pair.there.wait(
        lambda: pair.there.status()["pools"][0]["unprotected"] == 0, "every tape is compared"
    )
    assert (mine.read_bytes(), mine.stat().st_ino, mine.stat().st_ctime_ns) == before
    sent = [line for line in pair.there.events(COPIED)[2:] if "nothing to send" not in line]
    assert sent == []
    assert pair.copies()[0] == 3


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a directory immutable")
def test_nothing_is_put_under_a_missing_overlay_of_the_peer(pair: Pair) -> None:
    pair.here.settings["retry"] = {"attempts": 100, "interval": "300ms"}
    pair.here.stop()
    pair.here.start()
    pair.there.detach()
    pair.host.begin_mount("U00001", ring=True)
    (pair.here.mountpoint() / "BILL" / "U00001").write_bytes(content())
    pair.host.end_mount("U00001")
    pair.here.wait_for_state(f"{POOL}/U00001", "retry")
    assert list(pair.there.mountpoint().iterdir()) == []
    pair.there.attach()
    pair.here.wait_for_state(f"{POOL}/U00001", "copied")
    pair.there.wait(lambda: pair.there.state_of(f"{POOL}/U00001") == "clean", "it is received")
