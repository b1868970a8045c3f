"""An operations team's manners, with a real agent: limits, pauses that survive it, several targets."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.scratch import scratch_directory
from tests.support.site import Site
from tests.support.sshd import Sshd
from tests.support.world import COPIED, POOL, World, content, open_world

pytestmark = [pytest.mark.mount, pytest.mark.ssh]

RATE = 256 << 10
PAUSE_OVER = 224152
ACTION = 224170


@dataclass
class Attic:
    """The second target, at the end of a slow line."""

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
        site.settings["targets"]["attic"] |= {"bandwidth": f"{RATE} B/s", "verify": "size"}

    with open_world(adjust=adjust) as opened:
        yield opened


def copies(world: World, label: str) -> dict[str, dict[str, Any]]:
    return {copy["target"]: copy for copy in world.explain(label).get("copies", [])}


def state(world: World, label: str, target: str) -> str:
    return str(copies(world, label).get(target, {}).get("state", ""))


def wait_for(world: World, label: str, target: str, wanted: str) -> None:
    world.site.wait(lambda: state(world, label, target) == wanted, f"{label} at {target}: {wanted}")


def must(world: World, *arguments: str) -> str:
    return world.site.must("copyagent", *arguments)


def test_a_running_copy_is_cancelled_held_and_released(world: World, attic: Attic) -> None:
    name, there = world.name("STOP01"), attic.vault / "KEEP" / "STOP01"
    world.tape("STOP01").write_bytes(os.urandom(64 * RATE))
    wait_for(world, "STOP01", "attic", "copying")
    told = must(world, "queue", "--target", "attic")
    assert "1 running" in told
    assert f"> {name}: attempt 1/3" in " ".join(told.split())
    told = must(world, "cancel", name, "--target", "attic", "--because", "not tonight")
    assert "cancelled, stopped before anything was published" in told
    assert f"NOT PROTECTED; to copy it: copyagent retry {name}" in told
    assert not there.exists()
    assert "cancelled" in must(world, "status")
    listed = " ".join(must(world, "tapes", "--state", "cancelled", "--unprotected").split())
    assert listed.startswith(f"{name} to attic: cancelled since 2")
    assert ": not tonight" in listed
    assert f"next: To copy it after all: copyagent retry {name}" in listed
    assert listed.count(" to attic: ") == 1

    must(world, "retry", name)
    wait_for(world, "STOP01", "attic", "copying")
    answers = json.loads(
        must(world, "hold", name, "--target", "attic", "--because", "a disk", "--json")
    )["answers"]
    assert "stopped before anything was published; held (by operator)" in answers[0]
    ended = world.site.run("copyagent", "retry", name)
    assert "kept back by" in ended.stdout + ended.stderr
    written = content(5000)
    world.tape("STOP01").write_bytes(written)
    wait_for(world, "STOP01", "drsite", "copied")
    assert state(world, "STOP01", "attic") == "held (by operator)"
    assert not there.exists()
    must(world, "release", name, "--because", "it is well")
    wait_for(world, "STOP01", "attic", "copied")
    assert there.read_bytes() == written
    acts = [line for line in world.site.events(ACTION) if name in line]
    assert len(acts) == 4, acts


def test_a_slow_target_delays_nobody_and_a_pause_stops_what_runs_there(
    world: World, attic: Attic
) -> None:
    big = os.urandom(64 * RATE)
    world.tape("BIG001").write_bytes(big)
    wait_for(world, "BIG001", "attic", "copying")
    small = content(10_000)
    world.tape("SMALL1").write_bytes(small)
    wait_for(world, "SMALL1", "drsite", "copied")
    assert state(world, "BIG001", "attic") == "copying"
    told = must(world, "pause", "attic", "--because", "line works")
    assert "attic is paused until: copyagent resume attic" in told
    assert "running copies are stopped" in told
    wait_for(world, "BIG001", "attic", "waiting (paused)")
    assert copies(world, "BIG001")["attic"]["next"] == "copyagent resume attic"
    assert not world.explain("BIG001")["protected"]
    assert not (attic.vault / "KEEP" / "BIG001").exists()
    assert "PAUSED by" in must(world, "status")


def test_the_pause_survives_a_killed_agent_and_what_is_resumed_goes_on(
    world: World, attic: Attic
) -> None:
    world.kill_agent()
    # From here on the line is a better one, or this would take a minute.
    del world.site.settings["targets"]["attic"]["bandwidth"]
    world.site.write_settings()
    world.start_agent()
    written = content()
    world.tape("LATER1").write_bytes(written)
    wait_for(world, "LATER1", "drsite", "copied")
    assert state(world, "LATER1", "attic") == "waiting (paused)"
    assert len(world.events(COPIED, "LATER1")) == 1
    told = must(world, "resume", "attic")
    assert "attic goes on" in told
    wait_for(world, "LATER1", "attic", "copied")
    wait_for(world, "BIG001", "attic", "copied")
    at_target = (attic.vault / "KEEP" / "BIG001").read_bytes()
    assert at_target == world.backing("BIG001").read_bytes()
    acts = [line for line in world.site.events(ACTION) if "e attic: " in line]
    assert [": pause attic: " in line for line in acts] == [True, False]


def test_a_pause_for_some_time_ends_by_itself(world: World) -> None:
    must(world, "pause", POOL, "--for", "2s", "--because", "a moment")
    written = content()
    world.tape("MOMENT").write_bytes(written)
    wait_for(world, "MOMENT", "drsite", "copied")
    assert len(world.events(PAUSE_OVER)) == 1


def test_a_dry_run_tells_what_a_sync_would_do_and_changes_nothing(world: World) -> None:
    before = copies(world, "SMALL1")
    told = must(world, "sync", world.name("SMALL1"), "--all", "--target", "drsite", "--dry-run")
    assert "would be queued, at most 0 B" in told
    assert copies(world, "SMALL1") == before
    assert "nothing to copy" in must(world, "sync", POOL, "--missing", "--dry-run")
    told = must(world, "sync", world.name("SMALL1"), "--all", "--target", "drsite")
    assert told == f"{world.name('SMALL1')} to drsite: queued\n"
    wait_for(world, "SMALL1", "drsite", "copied")
    ended = world.site.run("copyagent", "sync", POOL, "--target", "nowhere")
    assert ended.returncode == 2
    assert "there is no target 'nowhere'" in ended.stderr
    ended = world.site.run("copyagent", "pause", "atic", "--because", "a slip")
    assert ended.returncode == 2
    assert "did you mean attic?" in ended.stderr
