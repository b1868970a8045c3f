"""``kill -9`` of the agent, of the overlay and of sshd while a tape is being copied.

Each test writes a new generation of the same tape, so that an old one stands at the target (but for
the first), and a watcher looks at the target's name all the time.
"""

import random
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.support.generations import MIB, Generations
from tests.support.processes import send_signal
from tests.support.site import Site
from tests.support.watcher import digest
from tests.support.world import COPIED, World, content, open_world

pytestmark = [pytest.mark.mount, pytest.mark.ssh, pytest.mark.slow]


def patiently(site: Site) -> None:
    site.settings["retry"] = {"attempts": 12, "interval": "300ms"}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with open_world(adjust=patiently) as opened:
        yield opened


@pytest.fixture(scope="module")
def giant(world: World) -> Generations:
    return Generations(world, "GIANT1", 1024 * MIB)


@pytest.fixture(scope="module")
def small(world: World) -> Generations:
    return Generations(world, "SMALL1", 16 * MIB)


# ---- during a copy of 1 GiB ----------------------------------------------------------------------


def test_the_agent_is_killed(world: World, giant: Generations) -> None:
    with giant.being_copied():
        world.kill_agent()
        assert not world.copy(giant.label).exists()
        world.start_agent()


def test_sshd_is_killed(world: World, giant: Generations) -> None:
    failed = world.failed_attempts(giant.label)
    with giant.being_copied():
        world.sshd.kill()
        world.sshd.start()
    assert world.failed_attempts(giant.label) > failed


def test_the_overlay_is_killed(world: World, giant: Generations) -> None:
    with giant.being_copied():
        world.site.kill_overlay()
        world.site.attach()
    assert digest(world.tape(giant.label)) == giant.published


def test_the_agent_is_killed_and_its_state_is_lost(world: World, giant: Generations) -> None:
    with giant.being_copied():
        world.kill_agent()
        lose_state(world)
        world.start_agent()


def test_the_overlay_is_killed_and_its_outbox_is_lost(world: World, giant: Generations) -> None:
    with giant.being_copied():
        world.site.kill_overlay()
        lose_outbox(world)
        world.site.attach()


def test_afterwards_nothing_is_copied_again(world: World, giant: Generations) -> None:
    found = world.copy(giant.label).stat()
    before = (found.st_ino, found.st_ctime_ns, logins(world), len(world.events(COPIED)))
    world.restart_agent()
    world.kill_agent()
    world.site.detach()
    world.site.attach()
    world.start_agent()
    assert world.pool_status()["unprotected"] == 0
    found = world.copy(giant.label).stat()
    assert before == (found.st_ino, found.st_ctime_ns, logins(world), len(world.events(COPIED)))


# ---- at chosen moments of a smaller copy ---------------------------------------------------------


def test_everything_is_killed_at_once(world: World, small: Generations) -> None:
    with small.being_copied():
        world.kill_agent()
        world.sshd.kill()
        world.site.kill_overlay()
        world.sshd.start()
        world.site.attach()
        world.start_agent()


def test_the_session_at_the_target_is_killed_alone(world: World, small: Generations) -> None:
    with small.being_copied():
        for session in world.sshd.sessions():
            send_signal(session, signal.SIGKILL)


def test_a_target_that_freezes_and_wakes_later_harms_nothing(
    world: World, small: Generations
) -> None:
    failed = world.failed_attempts(small.label)
    with small.being_copied():
        world.sshd.freeze()
        world.site.wait(lambda: world.failed_attempts(small.label) > failed, "it is noticed")
        world.sshd.thaw()


def test_the_agent_is_told_to_end_during_a_copy(world: World, small: Generations) -> None:
    with small.being_copied():
        begun = time.monotonic()
        world.site.stop()
        assert time.monotonic() - begun < 5
        world.start_agent()


@pytest.mark.parametrize("moment", ["stage made", "intent made", "renamed", "recorded there"])
def test_the_agent_is_killed_at_a_step(world: World, small: Generations, moment: str) -> None:
    copy, records = world.copy(small.label), world.staging() / "records"
    published, manifest = inodes(copy), inodes(*records.glob("*SMALL1*.manifest"))
    moments: dict[str, Callable[[], object]] = {
        "stage made": world.stages,
        "intent made": lambda: list(records.glob("*SMALL1*.intent")),
        "renamed": lambda: inodes(copy) != published,
        "recorded there": lambda: inodes(*records.glob("*SMALL1*.manifest")) != manifest,
    }
    with small.followed(lambda: spin_until(moments[moment])):
        world.kill_agent()
        at_kill = inodes(copy)
        world.start_agent()
    if moment in {"renamed", "recorded there"}:
        assert inodes(copy) == at_kill, "it was sent again although it had arrived"


def test_the_agent_is_killed_at_moments_of_chance(world: World, small: Generations) -> None:
    for _ in range(3):
        moment = random.uniform(0.05, 0.8)
        with small.followed(partial(threading.Event().wait, moment)):
            world.kill_agent()
            world.start_agent()


# ---- what nobody was told of ---------------------------------------------------------------------


def test_a_tape_written_while_the_agent_is_down_is_found_without_its_state(world: World) -> None:
    world.protect("LOST01", content())
    world.kill_agent()
    new = content()
    world.tape("LOST01").write_bytes(new)
    lose_state(world)
    world.start_agent()
    world.wait_for("LOST01", "copied")
    assert world.copy("LOST01").read_bytes() == new


def test_a_tape_is_found_by_the_sweep_when_the_outbox_is_lost(world: World) -> None:
    world.protect("LOST02", content())
    world.site.stop()
    new, first = content(), content()
    world.tape("LOST02").write_bytes(new)
    world.tape("LOST03").write_bytes(first)
    world.site.kill_overlay()
    lose_outbox(world)
    world.site.attach()
    world.start_agent()
    for label, wanted in (("LOST02", new), ("LOST03", first)):
        document = world.wait_for(label, "copied")
        assert document["verdict"]["verdict"] == "changed without a mount"
        assert world.copy(label).read_bytes() == wanted


def test_a_tape_that_was_open_when_the_overlay_died_is_held(world: World) -> None:
    whole = content()
    world.protect("BROKEN", whole)
    with world.tape("BROKEN").open("r+b") as engine:
        engine.write(b"half of the next generation")
        engine.flush()
        world.wait_for("BROKEN", "mounted (read/write)")
        world.site.kill_overlay()
        assert world.backing("BROKEN").read_bytes().startswith(b"half of")
    world.site.attach()
    world.wait_for("BROKEN", "held (interrupted)")
    assert world.copy("BROKEN").read_bytes() == whole
    world.protect("BROKEN", content())


# ---- how it is done ------------------------------------------------------------------------------


def lose_state(world: World) -> None:
    """Delete all that the agent knows, while it is down."""
    shutil.rmtree(world.site.root / "state" / "agent")


def lose_outbox(world: World) -> None:
    """Delete what the overlay has not handed over, while it is down."""
    for path in (world.site.root / "state" / "outbox").iterdir():
        path.unlink()


def logins(world: World) -> int:
    """Count the log-ins that the target has seen."""
    return world.sshd.log().count("Accepted publickey")


def inodes(*paths: Path) -> list[int]:
    """Tell which files stand at *paths*, leaving out those that are not there."""
    return [path.stat().st_ino for path in paths if path.exists()]


def spin_until(moment: Callable[[], object]) -> None:
    """Return as soon as *moment* has come, without the pause in which it could pass."""
    end = time.monotonic() + 20
    while not moment():
        assert time.monotonic() < end, "the moment did not come, or was missed"
