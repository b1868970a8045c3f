"""From the release before, really run, to this one: first one program, then the other, then back.

One world goes through all of it, in the order of the fixtures: lived in by the release before; its
overlay of this release and its agent of the one before; the reverse; both of this release.
"""

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.former_release import VERSION as FORMER
from tests.support.former_release import former_release
from tests.support.nonstop import TREE
from tests.support.scratch import scratch_directory
from tests.support.site import Site
from tests.support.world import ATTEMPT_FAILED, COPIED, World, content, open_world
from vtsfs import __version__ as PRESENT  # noqa: N812  # the release, as FORMER is
from vtsfs.contract.errors import StateError, UsageError

pytestmark = [pytest.mark.mount, pytest.mark.ssh, pytest.mark.history]


@pytest.fixture(scope="module")
def former() -> Iterator[Path]:
    """The release before, in a directory of its own."""
    with scratch_directory() as root:
        yield former_release(root / "former")


@pytest.fixture(scope="module")
def lived_in(former: Path) -> Iterator[World]:
    """A world of the release before, whose tapes are in the midst of everything."""

    def adjust(site: Site) -> None:
        site.trees = dict.fromkeys(("vtsfs", "copyagent"), former)
        site.settings["retry"] = {"attempts": 12, "interval": "5m"}

    with open_world(with_host=True, adjust=adjust) as world:
        for label in ("COPIED", "TORN01"):
            world.protect(label, content(4_000_000))
        world.host.begin_mount("HELD01", ring=False)
        world.tape("HELD01").write_bytes(content())
        world.host.end_mount("HELD01")
        world.wait_for("HELD01", "held (conflict)")
        world.host.begin_mount("MOUNTED", ring=True)
        world.tape("MOUNTED").write_bytes(content())
        world.wait_for("MOUNTED", "awaiting host")
        world.sshd.stop()
        world.mount("FAILING", content())
        world.site.wait(lambda: world.events(ATTEMPT_FAILED, "FAILING"), "an attempt has failed")
        world.wait_for("FAILING", "retry 1/12")
        world.sshd.start()
        yield world


@pytest.fixture(scope="module")
def new_overlay(lived_in: World, former: Path) -> World:
    """The same world with an overlay of this release, which found a dead mount and a torn tape."""
    torn = os.open(lived_in.tape("TORN01"), os.O_WRONLY)
    os.write(torn, b"half of it")
    lived_in.site.kill_overlay()
    os.close(torn)
    lived_in.site.trees = {"copyagent": former}
    lived_in.site.attach()
    expect_versions(lived_in, overlay=PRESENT, agent=FORMER)
    return lived_in


@pytest.fixture(scope="module")
def new_agent(new_overlay: World, former: Path) -> World:
    """The same world with an agent of this release, and an overlay of the one before again."""
    world, site = new_overlay, new_overlay.site
    world.kill_agent()
    world.tape("PENDING").write_bytes(content())
    site.detach()
    site.trees, site.agent = {"vtsfs": former}, None
    site.attach()
    world.start_agent()
    site.wait(lambda: site.status()["hosts"][0]["up"], "the EMS link is up")
    expect_versions(world, overlay=FORMER, agent=PRESENT)
    return world


@pytest.fixture(scope="module")
def both_new(new_agent: World) -> World:
    """The same world, both programs of this release."""
    # By this release's own command, as after an upgrade.
    new_agent.site.trees = {}
    assert f"version {FORMER}" in new_agent.site.must("vtsfs", "status")
    new_agent.site.detach()
    new_agent.site.attach()
    expect_versions(new_agent, overlay=PRESENT, agent=PRESENT)
    return new_agent


def expect_versions(world: World, *, overlay: str, agent: str) -> None:
    """Make sure that those really run."""
    found = world.site.overlay_status()["version"], world.site.status()["version"]
    assert found == (overlay, agent)


def do_the_main_job(world: World, label: str) -> None:
    """Have the tape copied as with any overlay and agent: whole, what changed of it, and not at all."""
    written = bytearray(content(4_000_000))
    assert world.protect(label, bytes(written))["verdict"]["verdict"] == "agreed"
    world.host.begin_mount(label, ring=True)
    with world.tape(label).open("r+b") as tape:
        tape.seek(1_000_000)
        tape.write(b"changed")
    world.host.end_mount(label)
    written[1_000_000:1_000_007] = b"changed"
    world.site.wait(lambda: world.copy(label).read_bytes() == written, "the change has arrived")
    world.wait_for(label, "copied")
    notes: list[dict[str, Any]] = world.explain(label)["history"]
    wanted = "drsite: what the overlay saw being changed (4.0 KiB of 3.8 MiB)"
    assert wanted in [note["what"] for note in notes]
    world.host.begin_mount(label, ring=False)
    assert world.tape(label).read_bytes() == written
    world.host.end_mount(label)
    world.site.wait(
        lambda: world.explain(label)["verdict"]["verdict"] == "agreed, read only",
        "both witnesses say that it was read",
    )
    assert len(world.events(COPIED, label)) == 2


def test_a_new_overlay_and_a_former_agent_do_the_main_job(new_overlay: World) -> None:
    do_the_main_job(new_overlay, "NEWOLD")


@contextmanager
def commands_of(site: Site, tree: Path) -> Iterator[Site]:
    """Have the site's commands be those of *tree*, whatever its agent is."""
    trees = site.trees
    site.trees = {**trees, "copyagent": tree}
    try:
        yield site
    finally:
        site.trees = trees


def test_a_new_command_asks_a_former_agent_or_says_what_that_does_not_know(
    new_overlay: World,
) -> None:
    with commands_of(new_overlay.site, TREE) as site:
        assert FORMER in site.must("copyagent", "status")
        ended = site.run("copyagent", "tapes")
    assert ended.returncode == UsageError.exit_code
    assert f"is of an earlier release, this command of {PRESENT}: " in ended.stderr
    assert "Start the agent again" in ended.stderr


def test_a_former_command_asks_a_new_agent(new_agent: World, former: Path) -> None:
    with commands_of(new_agent.site, former) as site:
        assert PRESENT in site.must("copyagent", "status")


def test_what_the_former_overlay_left_unfinished_is_told_as_such(new_overlay: World) -> None:
    new_overlay.wait_for("TORN01", "held (interrupted)")
    assert new_overlay.copy("TORN01").read_bytes()[:10] != b"half of it"


def test_a_new_agent_and_a_former_overlay_do_the_main_job(new_agent: World) -> None:
    do_the_main_job(new_agent, "OLDNEW")


def test_what_no_agent_had_heard_is_in_the_outbox_still(new_agent: World) -> None:
    document = new_agent.wait_for("PENDING", "copied")
    assert document["verdict"]["verdict"] == "overlay only"
    assert new_agent.copy("PENDING").read_bytes() == new_agent.backing("PENDING").read_bytes()


def test_a_copy_from_before_is_the_base_of_the_next(new_agent: World) -> None:
    assert new_agent.state("COPIED") == "copied"
    new_agent.host.begin_mount("COPIED", ring=True)
    with new_agent.tape("COPIED").open("r+b") as tape:
        tape.write(b"changed")
    new_agent.host.end_mount("COPIED")
    wanted = new_agent.backing("COPIED").read_bytes()
    new_agent.site.wait(
        lambda: new_agent.copy("COPIED").read_bytes() == wanted, "the change has arrived"
    )
    new_agent.wait_for("COPIED", "copied")
    last = new_agent.on_record("COPIED", "copied")[-1]
    assert (last["way"], last["sent"]) == ("extents", 4096)


def test_holds_stay(new_agent: World) -> None:
    assert new_agent.state("HELD01") == "held (conflict)"
    assert new_agent.state("TORN01") == "held (interrupted)"
    assert not new_agent.copy("HELD01").exists()


def test_a_mount_that_the_host_had_begun_is_ended_by_its_dismount(new_agent: World) -> None:
    assert new_agent.state("MOUNTED") == "awaiting host"
    new_agent.host.end_mount("MOUNTED")
    assert new_agent.wait_for("MOUNTED", "copied")["verdict"]["verdict"] == "agreed"


def test_attempts_are_counted_on_from_where_they_were(new_agent: World) -> None:
    assert new_agent.state("FAILING") == "retry 1/12"
    new_agent.site.must("copyagent", "retry", new_agent.name("FAILING"))
    new_agent.wait_for("FAILING", "copied")


def test_the_whole_history_is_there_and_chained_from_the_upgrade_on(new_agent: World) -> None:
    said = new_agent.site.must("copyagent", "history", "--verify")
    assert "intact" in said
    assert "are of a release without a chain" in said
    assert new_agent.on_record("COPIED", "copied")[0]["generation"] == 1


def test_both_of_this_release_go_on(both_new: World) -> None:
    both_new.protect("COPIED", content())


def test_the_release_before_refuses_the_state_and_leaves_it_alone(
    both_new: World, former: Path
) -> None:
    site = both_new.site
    site.stop()
    site.trees = {"copyagent": former}
    ended = site.run("copyagent", "run")
    site.trees, site.agent = {}, None
    assert ended.returncode == StateError.exit_code
    assert "is of schema 2, this release knows 1" in ended.stderr
    (state,) = (site.root / "state").rglob("agent.sqlite")
    with sqlite3.connect(f"file:{state}?mode=ro", uri=True) as database:
        assert database.execute("PRAGMA quick_check").fetchone() == ("ok",)
    database.close()
