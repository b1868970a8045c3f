"""Fail-over and back: system B takes over from A, and gives back what changed.

The steps are those of "FAIL-OVER AND BACK" in vts-autocopy(7), in its order; each test is one step
and leaves the next its world.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.scratch import scratch_directory
from tests.support.site import Site
from tests.support.sshd import Sshd
from tests.support.world import POOL, assert_no_bug_was_met, content, settle_quickly

pytestmark = [pytest.mark.mount, pytest.mark.ssh]

COPIED, UNTOUCHED, PENDING, NEVER_COPIED = "X00001", "X00002", "X00003", "X00004"
NEW_AT_B = "Y00001"


class FailOver:
    """Systems A and B, each with a server of its own; B has no AutoCopy to begin with."""

    def __init__(self, a: Site, b: Site, at_a: Sshd, at_b: Sshd) -> None:
        self.a, self.b, self.at_a, self.at_b = a, b, at_a, at_b
        self.written_at_b: dict[str, bytes] = {}

    def read(self, site: Site, label: str) -> bytes:
        return (site.mountpoint() / "BILL" / label).read_bytes()

    def write(self, site: Site, label: str) -> bytes:
        written = content()
        (site.mountpoint() / "BILL" / label).write_bytes(written)
        return written

    def edit(self, site: Site, label: str) -> bytes:
        """Change a few bytes in place."""
        with (site.mountpoint() / "BILL" / label).open("r+b") as file:
            file.seek(5000)
            file.write(content(100))
        return self.read(site, label)

    def fence_of_b(self) -> Path:
        return self.b.mountpoint() / ".vts-autocopy" / "IN-SERVICE"

    def assert_b_is_intact(self) -> None:
        for label, written in self.written_at_b.items():
            assert self.read(self.b, label) == written, label


def wait_for(site: Site, label: str, state: str) -> None:
    site.wait_for_state(f"{POOL}/{label}", state)


def begin(site: Site) -> None:
    """Start the agent and wait until it has looked at every tape."""
    site.start()
    site.wait(lambda: all(v["swept"] for v in site.status()["vaults"]), f"{site.name} is swept")


@pytest.fixture(scope="module")
def systems() -> Iterator[FailOver]:
    with ExitStack() as stack:
        root = stack.enter_context(scratch_directory())
        at_a = stack.enter_context(Sshd(root / "sshd-a"))
        at_b = stack.enter_context(Sshd(root / "sshd-b"))
        a = stack.enter_context(Site(root / "a", "SYSTEMA"))
        b = stack.enter_context(Site(root / "b", "SYSTEMB"))
        for site in (a, b):
            settle_quickly(site)
            site.settings["retry"] = {"attempts": 1000, "interval": "300ms"}
            site.make_pool("BILL")
        a.add_target("other", at_b, {"VAULT00": b.mountpoint()})
        a.watch(POOL, "other")
        for site in (a, b):
            site.attach()
        begin(a)
        yield FailOver(a, b, at_a, at_b)
        for site in (a, b):
            assert_no_bug_was_met(site)


def test_1_a_is_lost_with_work_pending(systems: FailOver) -> None:
    a = systems.a
    for label in (COPIED, UNTOUCHED, PENDING):
        systems.write(a, label)
        wait_for(a, label, "copied")
    systems.at_b.stop()
    systems.edit(a, PENDING)
    systems.write(a, NEVER_COPIED)
    for label in (PENDING, NEVER_COPIED):
        wait_for(a, label, "retry")
    assert a.agent is not None
    a.agent.kill()
    a.kill_overlay()


def test_2_b_is_fenced_put_in_service_and_written(systems: FailOver) -> None:
    systems.fence_of_b().touch()
    systems.at_b.start()
    systems.written_at_b = {
        COPIED: systems.edit(systems.b, COPIED),
        NEW_AT_B: systems.write(systems.b, NEW_AT_B),
    }


def test_3_a_returns_and_overwrites_nothing_of_bs(systems: FailOver) -> None:
    a = systems.a
    a.attach()
    begin(a)
    for label in (PENDING, NEVER_COPIED):
        wait_for(a, label, "waiting (fenced)")
    systems.assert_b_is_intact()
    assert not (systems.b.mountpoint() / "BILL" / NEVER_COPIED).exists()


def test_4_not_even_when_the_fence_is_taken_away_too_early(systems: FailOver) -> None:
    a, ours = systems.a, systems.read(systems.a, COPIED)
    systems.edit(a, COPIED)  # somebody starts to work on A again
    wait_for(a, COPIED, "waiting (fenced)")
    a.must("copyagent", "unfence", "other", "--because", "by mistake")
    wait_for(a, COPIED, "held (target changed)")
    systems.assert_b_is_intact()
    a.must("copyagent", "fence", "other", "--because", "B is in service")
    assert systems.fence_of_b().exists()
    with (a.mountpoint() / "BILL" / COPIED).open("r+b") as file:
        file.write(ours)  # and that work is undone
    systems.edit(a, PENDING)  # but this is A's newest word
    wait_for(a, PENDING, "waiting (fenced)")


def test_5_b_returns_only_what_changed(systems: FailOver) -> None:
    a, b = systems.a, systems.b
    a.stop()
    b.add_target("other", systems.at_a, {"VAULT00": a.mountpoint()})
    b.watch(POOL, "other")
    b.detach()
    b.attach()
    begin(b)
    b.must("copyagent", "adopt", POOL)
    wait_for(b, UNTOUCHED, "copied")
    wait_for(b, COPIED, "held")
    before = (a.mountpoint() / "BILL" / UNTOUCHED).stat()
    b.must(
        "copyagent", "release", f"{POOL}/{COPIED}", "--overwrite-target", "--because", "B's counts"
    )
    b.must("copyagent", "sync", POOL, "--missing")
    for label in (COPIED, NEW_AT_B):
        wait_for(b, label, "copied")
        assert systems.read(a, label) == systems.written_at_b[label]
    after = (a.mountpoint() / "BILL" / UNTOUCHED).stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    history = b.run("copyagent", "history", f"{POOL}/{UNTOUCHED}", "--json").stdout
    assert '"sent": 0' in history


def test_6_what_a_alone_has_is_not_overwritten_by_bs_older_tape(systems: FailOver) -> None:
    newer = systems.read(systems.a, PENDING)
    assert newer != systems.read(systems.b, PENDING)
    systems.b.must("copyagent", "sync", f"{POOL}/{PENDING}")
    wait_for(systems.b, PENDING, "held")
    assert systems.read(systems.a, PENDING) == newer


def test_7_a_is_in_service_again_and_b_receives(systems: FailOver) -> None:
    a, b = systems.a, systems.b
    b.stop()
    begin(a)
    a.must("copyagent", "adopt", POOL)
    a.must("copyagent", "unfence", "other", "--because", "A is in service again")
    for label in (COPIED, NEW_AT_B, PENDING):
        wait_for(a, label, "copied")
    assert systems.read(b, PENDING) == systems.read(a, PENDING)
    edited = systems.edit(a, NEW_AT_B)
    wait_for(a, NEW_AT_B, "copied")
    assert systems.read(b, NEW_AT_B) == edited
    for path in sorted((a.mountpoint() / "BILL").iterdir()):
        assert systems.read(b, path.name) == path.read_bytes()
