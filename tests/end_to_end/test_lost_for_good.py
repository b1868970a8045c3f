"""A target, or the source, that does not come back: the steps under RECOVERY in vts-autocopy(7)."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.scratch import scratch_directory
from tests.support.site import Site
from tests.support.sshd import Sshd
from tests.support.world import POOL, assert_no_bug_was_met, content, settle_quickly

pytestmark = [pytest.mark.mount, pytest.mark.ssh]

LABELS = ("X00001", "X00002", "X00003")


class Place:
    """The roots of everything, and what was written to each tape."""

    def __init__(self, root: Path, stack: ExitStack) -> None:
        self.root = root
        self.stack = stack
        self.sshd = stack.enter_context(Sshd(root / "sshd"))
        self.vault = root / "target" / "VAULT00"
        (self.vault / "BILL").mkdir(parents=True)
        self.site = self.system("first")
        self.written: dict[str, bytes] = {}

    def system(self, name: str) -> Site:
        """Make a source system of the same name and settings, on another directory."""
        site = self.stack.enter_context(Site(self.root / name, "SYSTEMA"))
        settle_quickly(site)
        site.make_pool("BILL")
        site.add_target("other", self.sshd, {"VAULT00": self.vault})
        site.watch(POOL, "other")
        return site

    def at_target(self, label: str) -> bytes:
        return (self.vault / "BILL" / label).read_bytes()


@pytest.fixture(scope="module")
def place() -> Iterator[Place]:
    with ExitStack() as stack:
        made = Place(stack.enter_context(scratch_directory()), stack)
        made.site.attach()
        made.site.start()
        for label in LABELS:
            made.written[label] = content()
            (made.site.mountpoint() / "BILL" / label).write_bytes(made.written[label])
            made.site.wait_for_state(f"{POOL}/{label}", "copied")
        yield made


def test_1_what_a_new_target_lacks_is_found_by_looking_and_sent(place: Place) -> None:
    site = place.site
    old_backup = place.at_target("X00001")
    shutil.rmtree(place.vault)
    (place.vault / "BILL").mkdir(parents=True)
    (place.vault / "BILL" / "X00001").write_bytes(old_backup)
    os.utime(place.vault / "BILL" / "X00001", (1_000_000_000, 1_000_000_000))
    (place.vault / "BILL" / "X00002").write_bytes(b"of an old backup")
    found = site.run("copyagent", "audit", POOL)
    assert found.returncode == 50
    commands = re.findall(r"copyagent (sync .*)", found.stdout)
    for command in commands:
        site.must("copyagent", *command.split())
    assert len(commands) == len(LABELS)
    site.wait_for_state(f"{POOL}/X00003", "copied")
    site.wait_for_state(f"{POOL}/X00001", "copied")
    held = site.wait_for_state(f"{POOL}/X00002", "held")
    assert held["copies"][0]["state"] in {"held (target changed)", "held (unknown at target)"}
    assert place.at_target("X00002") == b"of an old backup"
    site.must(
        "copyagent", "release", f"{POOL}/X00002", "--overwrite-target", "--because", "a new target"
    )
    site.wait_for_state(f"{POOL}/X00002", "copied")
    for label in LABELS:
        assert place.at_target(label) == place.written[label]


def test_2_a_source_built_anew_gets_its_tapes_back_and_sends_none(place: Place) -> None:
    assert place.site.agent is not None
    place.site.agent.kill()
    place.site.kill_overlay()
    anew = place.system("second")
    anew.attach()
    anew.start()
    before = {label: (place.vault / "BILL" / label).stat() for label in LABELS}
    anew.must("copyagent", "take-over", "other", "--yes", "--because", "the old machine is gone")
    for label in LABELS:
        anew.must("copyagent", "fetch", f"{POOL}/{label}", "--replace", "--because", "rebuilt")
    anew.must("copyagent", "adopt", POOL)
    for label in LABELS:
        anew.wait_for_state(f"{POOL}/{label}", "copied")
        assert (anew.mountpoint() / "BILL" / label).read_bytes() == place.written[label]
        after = (place.vault / "BILL" / label).stat()
        assert (after.st_ino, after.st_mtime_ns) == (
            before[label].st_ino,
            before[label].st_mtime_ns,
        )
    edited = content()
    (anew.mountpoint() / "BILL" / "X00001").write_bytes(edited)
    anew.wait_for_state(f"{POOL}/X00001", "copied")
    anew.wait(lambda: place.at_target("X00001") == edited, "the new content is there")
    assert_no_bug_was_met(anew)
