"""One pool that goes to two targets: each has its own state, and neither waits for the other."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.scratch import scratch_directory
from tests.support.site import Site
from tests.support.sshd import Sshd
from tests.support.watcher import NameWatcher, digest
from tests.support.world import COPIED, GAVE_UP, POOL, World, content, open_world

pytestmark = [pytest.mark.mount, pytest.mark.ssh]


@dataclass
class Attic:
    """The second target."""

    sshd: Sshd
    vault: Path


@pytest.fixture(scope="module")
def attic() -> Iterator[Attic]:
    with ExitStack() as stack:
        root = stack.enter_context(scratch_directory())
        vault = root / "VAULT07"
        vault.mkdir()
        yield Attic(stack.enter_context(Sshd(root / "sshd")), vault)


@pytest.fixture(scope="module")
def world(attic: Attic) -> Iterator[World]:
    def adjust(site: Site) -> None:
        site.add_target("attic", attic.sshd, {"VAULT07": attic.vault})
        site.watch(POOL, "attic", "/VAULT07/KEEP")

    with open_world(adjust=adjust) as opened:
        yield opened


def states(world: World, label: str) -> dict[str, str]:
    return {copy["target"]: copy["state"] for copy in world.explain(label).get("copies", [])}


def wait_for(world: World, label: str, drsite: str, attic: str) -> None:
    wanted = {"drsite": drsite, "attic": attic}
    world.site.wait(lambda: states(world, label) == wanted, f"{label} is {wanted}")


def test_a_tape_arrives_at_both_targets_under_the_names_of_each(world: World, attic: Attic) -> None:
    written = content()
    world.tape("TWICE1").write_bytes(written)
    wait_for(world, "TWICE1", "copied", "copied")
    assert world.copy("TWICE1").read_bytes() == written
    assert (attic.vault / "KEEP" / "TWICE1").read_bytes() == written
    assert len(world.events(COPIED, "TWICE1")) == 2


def test_a_target_that_is_down_does_not_keep_the_other_waiting(world: World, attic: Attic) -> None:
    attic.sshd.stop()
    labels = [f"DOWN{number:02}" for number in range(4)]
    for label in labels:
        world.tape(label).write_bytes(content())
    for label in labels:
        wait_for(world, label, "copied", "failed")
        assert not world.explain(label)["protected"]
        assert len(world.on_record(label, "failed")) == 1
    assert len(world.events(GAVE_UP)) == 1
    health = {t["target"]: t["up"] for t in world.site.status()["targets"]}
    assert health == {"drsite": True, "attic": False}
    pools = {pool["target"]: pool for pool in world.site.status()["pools"]}
    assert pools["drsite"]["unprotected"] == 0
    assert pools["attic"]["unprotected"] == len(labels)
    assert {a["target"] for a in world.site.status()["attention"]} == {"attic"}
    attic.sshd.start()
    for label in labels:
        wait_for(world, label, "copied", "copied")
        assert (attic.vault / "KEEP" / label).read_bytes() == world.backing(label).read_bytes()
        assert len(world.events(COPIED, label)) == 2


def test_a_tape_written_again_and_again_is_whole_at_both_all_the_time(
    world: World, attic: Attic
) -> None:
    generations = set[str]()
    scratch = world.root / "written"
    other = attic.vault / "KEEP" / "OFTEN1"
    written = b""
    with NameWatcher(world.copy("OFTEN1"), generations), NameWatcher(other, generations):
        for _ in range(12):
            written = content(2_000_000)
            scratch.write_bytes(written)
            generations.add(digest(scratch))
            world.tape("OFTEN1").write_bytes(written)
        wait_for(world, "OFTEN1", "copied", "copied")
    assert world.copy("OFTEN1").read_bytes() == written == other.read_bytes()


def test_a_hold_at_one_target_is_no_hold_at_the_other(world: World, attic: Attic) -> None:
    with (attic.vault / "KEEP" / "TWICE1").open("ab") as file:
        file.write(b"edited")
    written = content()
    world.tape("TWICE1").write_bytes(written)
    wait_for(world, "TWICE1", "copied", "held (target changed)")
    assert world.copy("TWICE1").read_bytes() == written
    word = ("release", world.name("TWICE1"), "--overwrite-target", "--because", "mine")
    answer = world.site.must("copyagent", *word)
    assert "attic" in answer
    assert "drsite" not in answer
    world.site.wait(lambda: world.explain("TWICE1")["protected"], "both have it")
    assert (attic.vault / "KEEP" / "TWICE1").read_bytes() == written
