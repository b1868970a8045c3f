"""Tapes are edited in places while everything that carries them is cut, killed, frozen and damaged.

After each blow and at the end: under the target's name stands a complete generation, none gives way
to an older one, "copied" is claimed of the newest alone, and all is well soon after the last blow.
``VTS_TEST_CHAOS=N`` plays N histories more, from a seed of chance that is printed.
"""

import os
import random
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.edited_tapes import EditedTape
from tests.support.processes import ProcessId, send_signal
from tests.support.site import Site
from tests.support.sshd import Sshd
from tests.support.watcher import NameWatcher, digest
from tests.support.world import GAVE_UP, World, open_world

pytestmark = [pytest.mark.mount, pytest.mark.ssh, pytest.mark.slow]

ROUNDS = 7
LABELS = ["EDIT01", "EDIT02", "EDIT03"]
HISTORIES = int(os.environ.get("VTS_TEST_CHAOS", "0"))
SEEDS = [1, 2, *(random.SystemRandom().randrange(1 << 30) for _ in range(HISTORIES))]


class Chaos:
    """One world, its tapes, and what can be done to it."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self.world, self.chance = world, chance
        self.tapes = [EditedTape(world.tape(label), chance) for label in LABELS]
        self.frozen: list[ProcessId] = []
        self.saved: Path | None = None
        #: Records are lost at one side at a time: without any, what is ours cannot be told.
        self.lost_records = False

    # ---- blows -----------------------------------------------------------------------------------

    def kill_agent(self) -> None:
        self.world.kill_agent()
        self.world.site.start()

    def kill_sshd(self) -> None:
        self.world.sshd.kill(sessions=self.chance.random() < 0.5)
        self.world.sshd.start()

    def cut_sessions(self) -> None:
        for session in self.world.sshd.sessions():
            send_signal(session, signal.SIGKILL)

    def freeze_sessions(self) -> None:
        """Those who serve now stand still, to be woken when later generations are there."""
        sessions = self.world.sshd.sessions()
        self.frozen += sessions
        for session in sessions:
            send_signal(session, signal.SIGSTOP)

    def wake_sessions(self) -> None:
        for session in self.frozen:
            send_signal(session, signal.SIGCONT)
        self.frozen.clear()

    def damage_stages(self) -> None:
        for stage in self.world.stages():
            try:
                with stage.open("r+b") as file:
                    file.seek(self.chance.randrange(max(stage.stat().st_size, 1)))
                    file.write(b"not of this tape")
            except FileNotFoundError:
                continue

    def damage_maps(self) -> None:
        for path in (self.world.site.root / "state" / "agent" / "maps").glob("*"):
            path.write_bytes(self.chance.randbytes(100))

    def lose_what_lies_at_the_target(self) -> None:
        if not self.lost_records:
            self.lost_records = True
            shutil.rmtree(self.world.staging(), ignore_errors=True)

    def lose_the_state(self) -> None:
        if not self.lost_records:
            self.lost_records = True
            self.world.kill_agent()
            shutil.rmtree(self.world.site.root / "state" / "agent")
            self.world.site.start()

    def save_or_restore_the_state(self) -> None:
        state = self.world.site.root / "state" / "agent"
        self.world.kill_agent()
        if self.saved is None:
            self.saved = self.world.root / "saved"
            shutil.copytree(state, self.saved)
        else:
            shutil.rmtree(state)
            shutil.copytree(self.saved, state)
        self.world.site.start()

    def do_nothing(self) -> None:
        """The next blow comes later in the copy."""

    def blows(self) -> list[Callable[[], None]]:
        return [
            self.kill_agent, self.kill_sshd, self.cut_sessions, self.freeze_sessions,
            self.wake_sessions, self.damage_stages, self.damage_maps,
            self.lose_what_lies_at_the_target, self.lose_the_state,
            self.save_or_restore_the_state, self.do_nothing, self.do_nothing,
        ]  # fmt: skip

    # ---- one history -----------------------------------------------------------------------------

    def play(self) -> None:
        for _ in range(ROUNDS):
            for tape in self.chance.sample(self.tapes, self.chance.randrange(1, len(self.tapes))):
                tape.edit()
            self.linger()
            blow = self.chance.choice(self.blows())
            print(f"blow: {blow.__name__}")
            blow()
            self.check_claims()
        self.wake_sessions()

    def linger(self) -> None:
        """Let the agent come to some point, which is another each time."""
        looks = self.chance.randrange(12)
        left = iter(range(looks))
        self.world.site.wait(lambda: next(left, None) is None, "some time has passed")

    def check_claims(self) -> None:
        """What counts as copied is at the target, whole and the newest."""
        for tape in self.tapes:
            label = tape.path.name
            if tape.generations and self.world.state(label) == "copied":
                assert digest(self.world.copy(label)) == tape.latest, label

    def settled(self) -> bool:
        document = self.world.site.status()
        [pool] = document["pools"]
        heard = all(vault["attached"] and vault["swept"] for vault in document["vaults"])
        known = sum(bool(tape.generations) for tape in self.tapes)
        return bool(heard and pool["tapes"] == known and not pool["unprotected"])


def patiently(site: Site) -> None:
    site.settings["retry"] = {"attempts": 1000, "interval": "200ms"}
    site.settings["targets"]["drsite"]["keepalive"] = "500ms"
    site.settings["targets"]["drsite"]["connect_timeout"] = "2s"
    site.settings["autocopy"][0]["keep"] = 2


def serve_files_alone(directory: Path) -> Sshd:
    return Sshd(directory, sftp_only=True)


@pytest.fixture(params=SEEDS)
def chaos(request: pytest.FixtureRequest) -> Iterator[Chaos]:
    chance = random.Random(request.param)
    serve = chance.choice([Sshd, serve_files_alone])
    with open_world(adjust=patiently, serve=serve) as world:
        made = Chaos(world, chance)
        try:
            yield made
        finally:
            made.wake_sessions()


def test_everything_converges_once_the_blows_stop(chaos: Chaos) -> None:
    world = chaos.world
    with ExitStack() as stack:
        watchers = [
            stack.enter_context(NameWatcher(world.copy(tape.path.name), tape.generations))
            for tape in chaos.tapes
        ]
        chaos.play()
        world.site.wait(chaos.settled, "every tape has arrived")
    for tape, watcher in zip(chaos.tapes, watchers, strict=True):
        if tape.generations:
            assert digest(world.copy(tape.path.name)) == tape.latest
        ages = [tape.age(seen) for seen in watcher.seen]
        assert ages == sorted(ages), "an older generation took the place of a newer one"
    chaos.check_claims()
    assert world.events(GAVE_UP) == []
    assert world.stages() == []
