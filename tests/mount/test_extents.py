"""Exact extents, on a real mount: what is told is enough to make an old copy equal to the tape."""

import os
import random
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.attached_vault import Follower, Vault
from tests.support.extent_oracle import FENCE, ModelAgent
from tests.support.scratch import scratch_directory
from tests.support.tape_hands import SPAN, STROKES, Hands

HISTORIES = st.lists(
    st.tuples(st.sampled_from(sorted(STROKES)), st.integers(0, 2**32 - 1)), min_size=1, max_size=60
)


class Bench:
    """One mount for all of these tests. Each history gets pools that nobody has seen before."""

    def __init__(self, vault: Vault) -> None:
        self.vault = vault
        self._numbers = count(1)
        self._seq = 0
        (vault.mount / FENCE[0]).mkdir()
        vault.mount.joinpath(*FENCE).touch()

    def new_pools(self, chance: random.Random) -> tuple[list[Path], ModelAgent]:
        number = next(self._numbers)
        names = [f"P{number}A", f"P{number}B"]
        for name in names:
            (self.vault.backing / name).mkdir()
            for label in ("X00001", "X00002"):
                data = chance.randbytes(chance.choice([0, 100, 4096, SPAN]))
                (self.vault.backing / name / label).write_bytes(data)
        agent = ModelAgent(self.vault.mount, self.vault.backing, names)
        agent.sweep()
        return [self.vault.mount / name for name in names], agent

    def follow(self) -> Follower:
        """Follow the feed from where we were the last time."""
        return Follower(self.vault.settings.feed_socket("VAULT00"), self._seq)

    def seen(self, agent: ModelAgent) -> None:
        self._seq = agent.seq


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with scratch_directory() as top:
        vault = Vault(top)
        settings_ = yaml.safe_load(vault.config.read_text(encoding="utf-8"))
        settings_["cross_check"] = {"settle": "20ms"}
        vault.config.write_text(yaml.safe_dump(settings_), encoding="utf-8")
        try:
            vault.attach()
            yield Bench(vault)
        finally:
            vault.end()


@settings(
    max_examples=int(os.environ.get("VTS_TEST_HISTORIES", "40")),
    deadline=None,
    derandomize="VTS_TEST_HISTORIES" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
@given(history=HISTORIES, listening=st.booleans(), seed=st.integers(0, 2**16))
def test_replaying_the_extents_gives_the_new_tape(
    bench: Bench, history: list[tuple[str, int]], listening: bool, seed: int
) -> None:
    """*listening*: the agent follows while it happens; else it hears a folded account at the end."""
    pools, agent = bench.new_pools(random.Random(seed))
    hands = Hands(pools)
    try:
        if listening:
            with bench.follow() as feed:
                for at in range(0, len(history), 5):
                    hands.play(history[at : at + 5])
                    agent.catch_up(feed)
                hands.let_go()
                agent.check(feed)
        else:
            hands.play(history)
            hands.let_go()
            with bench.follow() as feed:
                agent.check(feed)
    finally:
        hands.let_go()
        bench.seen(agent)
