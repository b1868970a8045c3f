"""Tapes are written while everything is killed, again and again: in the end every one has arrived."""

import random
from collections.abc import Callable, Iterator

import pytest

from tests.support.site import Site
from tests.support.watcher import NameWatcher, digest
from tests.support.world import GAVE_UP, World, content, open_world

pytestmark = [pytest.mark.mount, pytest.mark.ssh, pytest.mark.slow]

ROUNDS = 4
LABELS = [f"CHAOS{number}" for number in range(8)]


def patiently(site: Site) -> None:
    site.settings["retry"] = {"attempts": 1000, "interval": "200ms"}


@pytest.fixture
def world() -> Iterator[World]:
    with open_world(adjust=patiently) as opened:
        yield opened


def kill_agent(world: World) -> None:
    world.kill_agent()
    world.site.start()


def kill_sshd(world: World) -> None:
    world.sshd.kill()
    world.sshd.start()


def kill_overlay(world: World) -> None:
    # A tape that it had not yet told the end of would be held as interrupted, and rightly so.
    world.site.wait(lambda: not world.site.overlay_status()["open_tapes"], "no tape is open")
    world.site.kill_overlay()
    world.site.attach()


KILLS: list[Callable[[World], None]] = [kill_agent, kill_sshd, kill_overlay]


def test_every_tape_arrives_whatever_is_killed(world: World) -> None:
    seed = random.randrange(1 << 30)
    print(f"the seed is {seed}")
    chance = random.Random(seed)
    watched, generations = LABELS[0], set[str]()
    with NameWatcher(world.copy(watched), generations):
        for number in range(ROUNDS):
            for label in {watched, *chance.sample(LABELS, 3)}:
                write(world, label, chance, generations if label == watched else set())
            for kill in chance.sample(KILLS, 1 + number % 2):
                kill(world)
        world.site.wait(lambda: everything_arrived(world), "every tape has arrived")
    for path in sorted((world.site.backing() / "BILL").iterdir()):
        assert digest(world.copy(path.name)) == digest(path), path.name
    assert world.events(GAVE_UP) == []
    assert world.stages() == []


def write(world: World, label: str, chance: random.Random, generations: set[str]) -> None:
    """Write the tape; what it will hold is known before, so that the watcher can judge it."""
    written = content(chance.randrange(1, 6_000_000))
    scratch = world.root / "written"
    scratch.write_bytes(written)
    generations.add(digest(scratch))
    world.tape(label).write_bytes(written)


def everything_arrived(world: World) -> bool:
    """Tell so by the agent's word, once it has heard all that the overlay had to say."""
    document = world.site.status()
    [pool] = document["pools"]
    known = len(list((world.site.backing() / "BILL").iterdir()))
    heard = all(vault["attached"] and vault["swept"] for vault in document["vaults"])
    return bool(heard and pool["tapes"] == known and not pool["unprotected"])
