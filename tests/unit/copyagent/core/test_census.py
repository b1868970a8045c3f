"""The census agrees with the status, whatever the tapes went through, and is bounded by the settings."""

import re

from hypothesis import given, settings
from hypothesis import strategies as st

from copyagent.core import report
from copyagent.core.census import SHOWN, SLICE, Census, Standing
from copyagent.core.copying import (
    CopyFailed,
    CopyHeld,
    CopyOutcome,
    CopyWaits,
    HoldReason,
    WaitReason,
)
from copyagent.core.engine import Engine
from copyagent.core.events import CopyEnded, VaultSwept
from copyagent.core.owed import Way
from copyagent.core.shown_states import REASONS, Word
from copyagent.core.time import Moment
from tests.support.drawers import TwoMinds
from tests.support.histories import TAPE, TARGET, Overlay, make_engine
from tests.support.playbook import Playbook
from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Access

WAY = (TAPE.pool_id, TARGET)


def counted(engine: Engine, now: Moment) -> dict[Way, Standing]:
    census = Census()
    census.begin(engine.book)
    for records in census.slices():
        census.count(engine.book, records, {}, now)
    census.count_rest()
    return census.ways


def assert_as_in_status(engine: Engine, now: Moment) -> None:
    """Compare every figure with what an operator reads at that moment."""
    ways = counted(engine, now)
    for pool in report.status(engine, {}, "1", now)["pools"]:
        (way,) = [w for w in ways if (str(w[0]), w[1]) == (pool["pool"], pool["target"])]
        standing = ways[way]
        told: dict[str, int] = {}
        for words, count in pool["states"].items():
            # Reasons, times and rungs are counted elsewhere, or are each tape's own.
            state = words if words.startswith("mounted") else re.split(r" \(| \d", words)[0]
            told[state] = told.get(state, 0) + count
        assert {state: n for state, n in standing.states.items() if n} == told
        assert set(told) <= set(SHOWN)
        assert standing.holds.total() == standing.states["held"]
        assert standing.waits.total() == standing.states["waiting"]
        assert set(standing.holds) <= set(REASONS[Word.HELD])
        assert set(standing.waits) <= set(REASONS[Word.WAITING])
        assert standing.unprotected == pool["unprotected"]
        if standing.unprotected:
            age = (now.wall_ns - standing.oldest_ns) // 1_000_000_000
            assert max(age, 0) == pool["oldest_unprotected_s"]


STEPS = ("write", "read", "release", "fail", "hold", "wait", "wait a moment", "an hour", "vanish")


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 3)), max_size=25))
def test_it_agrees_with_the_status(steps: list[tuple[str, int]]) -> None:
    play, overlay = TwoMinds(make_engine(ems={"required": False})), Overlay()
    play.hand(overlay.hello())
    tapes = [TapeId("VAULT00", pool, f"X0000{n}") for pool in ("BILL", "PAY") for n in (1, 2)]
    for step, which in steps:
        take(play, overlay, step, tapes[which])
        play.open.clear()
        for engine in play.engines:
            assert_as_in_status(engine, play.now)


def take(play: Playbook, overlay: Overlay, step: str, tape: TapeId) -> None:
    """Let something happen to *tape* that can happen now."""
    access = Access.READ if step == "read" else Access.WRITE
    key = (tape, TARGET)
    outcomes: dict[str, CopyOutcome] = {
        "fail": CopyFailed("no room", "make some"),
        "hold": CopyHeld(HoldReason.TARGET_CHANGED, "another date"),
        "wait": CopyWaits(WaitReason.FENCED, "in service"),
    }
    if step in {"write", "read"} and (tape, access) not in overlay.open:
        play.hand(overlay.mounted(tape, access))
    elif step == "release" and (tape, Access.WRITE) in overlay.open:
        play.hand(overlay.dismounted(tape))
    elif step in outcomes and key in play.engine.book.running:
        play.hand(CopyEnded(*key, outcomes[step]))
    elif step in {"wait a moment", "an hour"}:
        play.open.clear()
        play.wait(3.0 if step == "wait a moment" else 3600.0)


def test_what_is_at_rest_and_lacks_a_copy_is_counted_with_its_size() -> None:
    play, overlay = TwoMinds(make_engine(ems={"required": False})), Overlay()
    play.hand(overlay.hello())
    sizes = {TapeId("VAULT00", "BILL", f"X0000{n}"): n * 1000 for n in range(1, 6)}
    found = {tape: overlay.write(tape, size) for tape, size in sizes.items()}
    play.hand(VaultSwept("VAULT00", play.now.mono, found))
    play.open.clear()
    for engine in play.engines:
        standing = counted(engine, play.now)[WAY]
        assert standing.unprotected == standing.states["unsynced"] == 5
        assert standing.size == sum(sizes.values())
        assert standing.oldest_ns == play.now.wall_ns
    assert play.other.book.records.counts(), "nothing is at rest, so this proves nothing"


def test_no_slice_is_too_much_for_the_engine_at_once() -> None:
    book = make_engine(ems={"required": False}).book
    for number in range(2 * SLICE + 1):
        book.record(TapeId("VAULT00", "BILL", f"T{number:05}"))
    census = Census()
    census.begin(book)
    assert [len(records) for records in census.slices()] == [SLICE, SLICE, 1]
