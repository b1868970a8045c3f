"""Exact extents, on a real mount: what is told is enough to make an old copy equal to the tape."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.attached_vault import POOL, VAULT, Follower, Vault, attached_vault
from tests.support.extent_oracle import FENCE, ModelAgent
from tests.support.posix_case import close_dead, opened
from tests.support.scratch import scratch_directory
from tests.support.tape_hands import CALM, SPAN, WILD, Hands, history
from vtsfs.contract.extents import MAX_RANGES
from vtsfs.contract.signals import Access, Kind, Signal

#: VTS_TEST_HISTORIES=1000 plays so many, other ones each time; without it the same few.
MANY = int(os.environ.get("VTS_TEST_HISTORIES", "0"))


def histories(deck: list[str]) -> "st.SearchStrategy[list[list[tuple[str, int]]]]":
    """Make up histories; in rounds, for lists of lists become longer."""
    stroke = st.tuples(st.sampled_from(deck), st.integers(0, 2**32 - 1))
    rounds = st.lists(stroke, min_size=5, max_size=20)
    return st.lists(rounds, min_size=3, max_size=12)


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
        """Follow the feed from what an agent has last seen."""
        return Follower(self.vault.settings.feed_socket(VAULT), self._seq)

    def seen(self, agent: ModelAgent) -> None:
        self._seq = agent.seq


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with scratch_directory() as top, attached_vault(top, settle="10ms") as vault:
        yield Bench(vault)


def play(bench: Bench, rounds: list[list[tuple[str, int]]], chance: random.Random) -> None:
    """Play a history; the agent follows while it happens, or hears a folded account at the end."""
    pools, agent = bench.new_pools(chance)
    hands = Hands(pools)
    listening = chance.random() < 0.5
    try:
        if listening:
            with bench.follow() as feed:
                for strokes in rounds:
                    hands.play(strokes)
                    agent.catch_up(feed)
                hands.let_go()
                agent.check(feed)
        else:
            for strokes in rounds:
                hands.play(strokes)
            hands.let_go()
            with bench.follow() as feed:
                agent.check(feed)
    finally:
        hands.let_go()
        bench.seen(agent)


@pytest.mark.parametrize("deck", [CALM, WILD], ids=["calm", "wild"])
def test_replaying_the_extents_gives_the_new_tape(bench: Bench, deck: list[str]) -> None:
    for seed in range(MANY or 30):
        chance = random.Random(seed if not MANY else None)
        rounds = [history(deck, chance, 10) for _ in range(8)]
        try:
            play(bench, rounds, chance)
        except AssertionError as error:
            raise AssertionError(f"{error}\nhistory {seed}: {rounds}") from error


@settings(
    max_examples=MANY or 15,
    deadline=None,
    derandomize=not MANY,
    suppress_health_check=list(HealthCheck),
)
@given(rounds=histories(CALM) | histories(WILD), seed=st.integers(0, 2**16))
def test_a_short_history_that_goes_wrong_would_be_found(
    bench: Bench, rounds: list[list[tuple[str, int]]], seed: int
) -> None:
    """The same once more, for what it finds it can make small."""
    play(bench, rounds, random.Random(seed))


@pytest.mark.parametrize("listening", [True, False])
def test_so_does_it_when_several_processes_are_at_it(bench: Bench, listening: bool) -> None:
    pools, agent = bench.new_pools(random.Random(1))
    command = [sys.executable, "-m", "tests.support.tape_hands"]
    strokes = str(max(150, MANY))
    others = [
        subprocess.Popen([*command, str(seed), strokes, *map(str, pools)], stderr=subprocess.PIPE)
        for seed in random.Random(2 if not MANY else None).sample(range(10**6), 3)
    ]
    try:
        if listening:
            with bench.follow() as feed:
                while any(other.poll() is None for other in others):
                    agent.catch_up(feed)
        for other in others:
            _, complaint = other.communicate(timeout=300)
            # Who has mapped a tape that another cuts gets a SIGBUS, here as anywhere.
            assert other.returncode in {0, -signal.SIGBUS}, complaint
        bench.seen(agent)
        with bench.follow() as feed:
            agent.check(feed)
    finally:
        for other in others:
            other.kill()
        bench.seen(agent)


@dataclass(frozen=True)
class Pool:
    """A pool of its own for one test, above and below, and what is told of it."""

    above: Path
    below: Path
    feed: Follower
    names: frozenset[str]

    def lay(self, label: str, data: bytes | bytearray) -> Path:
        """Lay a tape down, which nobody hears of; return its path on the mount."""
        (self.below / label).write_bytes(data)
        return self.above / label

    def next(self) -> Signal:
        while True:
            found = self.feed.next()
            if found.pool in self.names:
                return found

    def next_writing(self) -> Signal:
        while (found := self.next()).session and found.access is Access.READ:
            pass
        return found

    def dismounted(self) -> Signal:
        """Return the next signal, which must be that one."""
        found = self.next()
        assert found.kind is Kind.DISMOUNTED, found
        return found


@pytest.fixture
def pool(bench: Bench) -> Iterator[Pool]:
    (above, _), agent = bench.new_pools(random.Random(0))
    with bench.follow() as feed:
        yield Pool(above, bench.vault.backing / above.name, feed, agent.pools)


@pytest.mark.parametrize("block", [512, 28_672, 57_344, 1_048_576])
def test_a_tape_rewritten_from_start_to_end_is_one_extent(pool: Pool, block: int) -> None:
    tape = pool.lay("X00001", bytes(2_000_000))
    written = block * (2_500_000 // block)
    with opened(tape, os.O_WRONLY) as fd:
        assert pool.next().kind is Kind.MOUNTED
        for _ in range(written // block):
            assert os.write(fd, b"x" * block) == block
    assert pool.dismounted().extents == ((0, written),)


def test_a_tape_written_in_70000_places_has_no_more_extents_than_the_limit(pool: Pool) -> None:
    old = bytearray(4 * 70_000)
    tape = pool.lay("X00001", old)
    with opened(tape, os.O_WRONLY) as fd:
        assert pool.next().kind is Kind.MOUNTED
        for at in range(0, len(old), 4):
            os.pwrite(fd, b"x", at)
    extents = pool.dismounted().extents
    assert extents is not None
    assert MAX_RANGES * 0.8 < len(extents) <= MAX_RANGES
    new = (pool.below / "X00001").read_bytes()
    for start, end in extents:
        old[start:end] = new[start:end]
    assert old == new


def test_what_is_cut_off_by_opening_is_an_extent(pool: Pool) -> None:
    with opened(pool.lay("X00001", b"0" * 1000), os.O_RDONLY | os.O_TRUNC):
        assert pool.next().kind is Kind.MOUNTED
    assert pool.dismounted().extents == ((0, 1000),)


def test_a_refused_fallocate_changes_and_tells_nothing(pool: Pool) -> None:
    hands = Hands([pool.above])
    hands.handles.append(os.open(pool.lay("X00001", b"0" * 10_000), os.O_RDWR))
    hands.play([("fallocate", seed) for seed in range(20)])
    hands.let_go()
    assert pool.next().kind is Kind.MOUNTED
    dismounted = pool.dismounted()
    assert (dismounted.wrote, dismounted.extents) == (False, ())


# ----------------------------------------------------------------------------------- several names


def test_what_is_written_by_one_name_is_told_for_the_other(pool: Pool) -> None:
    tape = pool.lay("X00001", b"0" * 1000)
    os.link(tape, pool.above / "X00003")
    assert pool.next().kind is Kind.MOVED
    with opened(tape, os.O_WRONLY) as fd:
        os.write(fd, b"new")
    session = {pool.next().label, pool.dismounted().label}
    changed = pool.next()
    assert (changed.kind, changed.cause, changed.extents) == (Kind.CHANGED, "link", None)
    assert {*session, changed.label} == {"X00001", "X00003"}
    assert changed.identity is not None


def test_what_is_cut_by_one_name_is_told_for_the_other(pool: Pool) -> None:
    tape = pool.lay("X00001", b"0" * 1000)
    os.link(tape, pool.above / "X00003")
    assert pool.next().kind is Kind.MOVED
    os.truncate(tape, 10)
    changes = [pool.next(), pool.next()]
    assert {c.kind for c in changes} == {Kind.CHANGED}
    assert {c.label for c in changes} == {"X00001", "X00003"}


def test_a_tape_that_lost_the_name_it_was_opened_by_is_told_by_its_other(pool: Pool) -> None:
    tape = pool.lay("X00001", b"0" * 1000)
    with opened(tape, os.O_WRONLY) as fd:
        os.link(tape, pool.above / "X00003")
        os.unlink(tape)
        os.write(fd, b"new")
    kinds = [pool.next().kind for _ in range(3)]
    assert kinds == [Kind.MOUNTED, Kind.MOVED, Kind.REMOVED]
    dismounted = pool.dismounted()
    assert (dismounted.label, dismounted.extents) == ("X00003", ((0, 3),))
    assert dismounted.identity is not None


def test_a_tape_opened_by_a_name_that_is_none_is_a_session(pool: Pool) -> None:
    pool.lay("X00003", b"0" * 1000)
    os.link(pool.below / "X00003", pool.below / "a.tmp")
    with opened(pool.above / "a.tmp", os.O_WRONLY) as fd:
        mounted = pool.next()
        os.write(fd, b"new")
    assert (mounted.kind, mounted.label) == (Kind.MOUNTED, "X00003")
    dismounted = pool.dismounted()
    assert dismounted.wrote
    assert dismounted.label == "X00003"
    assert dismounted.identity is not None


@pytest.mark.parametrize(("gone", "left"), [("X00007", "X00009"), ("X00009", "X00007")])
def test_a_tape_opened_by_a_name_that_the_kernel_remembers_is_a_session(
    pool: Pool, gone: str, left: str
) -> None:
    """A reader keeps the file by one of its names, that which was listed last, in any order."""
    with opened(pool.lay(gone, b"0" * 1000), os.O_RDONLY):
        os.link(pool.above / gone, pool.above / left)
        for entry in os.scandir(pool.above):
            entry.stat()
        os.unlink(pool.above / gone)
        with opened(pool.above / left, os.O_WRONLY) as fd:
            os.write(fd, b"new")
        kinds = [pool.next_writing().kind for _ in range(3)]
        assert kinds == [Kind.MOVED, Kind.REMOVED, Kind.MOUNTED]
        dismounted = pool.next_writing()
    assert (dismounted.kind, dismounted.label) == (Kind.DISMOUNTED, left)
    assert dismounted.wrote
    assert dismounted.identity is not None


def test_a_link_to_a_file_that_is_open_for_writing_is_a_session(pool: Pool) -> None:
    with opened(pool.above / "a.tmp", os.O_WRONLY | os.O_CREAT) as fd:
        os.link(pool.above / "a.tmp", pool.above / "X00003")
        moved, mounted = pool.next(), pool.next()
        os.write(fd, b"after the link")
    assert (moved.kind, moved.cause) == (Kind.MOVED, "link")
    assert (mounted.kind, mounted.label) == (Kind.MOUNTED, "X00003")
    dismounted = pool.dismounted()
    assert (dismounted.label, dismounted.wrote, dismounted.extents) == ("X00003", True, None)
    assert dismounted.identity is not None
    assert dismounted.identity.size == len(b"after the link")


def test_who_makes_a_tape_without_writing_has_changed_it(pool: Pool) -> None:
    with opened(pool.above / "X00003", os.O_RDONLY | os.O_CREAT):
        mounted = pool.next()
    assert (mounted.kind, mounted.cause, mounted.opened) == (Kind.MOUNTED, "create", None)
    assert pool.dismounted().extents is None


def test_a_pool_that_comes_with_open_files_has_sessions(pool: Pool) -> None:
    """It is called as the second pool of this test was until then."""
    outside = pool.above.with_name(f".{pool.above.name}")
    second = pool.above.with_name(pool.above.name[:-1] + "B")
    outside.mkdir()
    second.rename(pool.above.with_name(f".{second.name}"))
    with opened(outside / "X00001", os.O_WRONLY | os.O_CREAT) as fd:
        outside.rename(second)
        removed, moved, mounted = pool.next(), pool.next(), pool.next()
        os.write(fd, b"data")
    assert [s.kind for s in (removed, moved, mounted)] == [Kind.REMOVED, Kind.MOVED, Kind.MOUNTED]
    assert (moved.pool, moved.label) == (second.name, "")
    assert (mounted.pool, mounted.label) == (second.name, "X00001")
    assert pool.dismounted().wrote


# ------------------------------------------------------------------------------------------ crash


def test_a_crash_forgets_the_extents_but_not_who_was_writing(vault: Vault) -> None:
    """Also not a file that only became a tape while it was open."""
    old = {"X00001": b"0" * 1000, "X00002": b"1" * 1000}
    for label, data in old.items():
        (vault.backing / POOL / label).write_bytes(data)
    aside = os.open(vault.pool / "aside.tmp", os.O_WRONLY | os.O_CREAT)
    there = os.open(vault.pool / "X00001", os.O_WRONLY)
    os.write(aside, b"before")
    os.rename(vault.pool / "aside.tmp", vault.pool / "X00002")
    for fd in (aside, there):
        os.write(fd, b"after")
    vault.kill()
    for fd in (aside, there):
        close_dead(fd)
    vault.attach()
    with vault.follow() as feed:
        interrupted: dict[str, Signal] = {}
        while len(interrupted) < len(old):
            found = feed.next()
            if found.kind is Kind.INTERRUPTED:
                interrupted[found.label] = found
    for found in interrupted.values():
        assert found.extents is None
        assert found.opened is not None
        assert not found.opened.same_bytes(found.identity)
    assert (vault.backing / POOL / "X00002").read_bytes() == b"beforeafter"
