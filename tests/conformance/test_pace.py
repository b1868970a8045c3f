"""Bandwidth limits over a real connection: kept, shared, and no reason to take a slow target for dead."""

import os

import pytest
import trio

from copyagent.core.copying import CopyDone, CopyOutcome
from copyagent.transfer.pacing import Pace, Pacer
from copyagent.transfer.progress import CopyProgress, Phase
from tests.support.copy_fixtures import bridge, rig
from tests.support.copy_rig import CopyRig

pytestmark = pytest.mark.ssh

__all__ = ["bridge", "rig"]

RATE = 4 << 20
SIZE = 5 << 20


async def test_two_copies_keep_one_limit_together_and_share_it(rig: CopyRig) -> None:
    rig.pace = Pace((Pacer(RATE),))
    began, ends = trio.current_time(), dict[str, float]()
    for label in ("X00001", "X00002"):
        rig.write(os.urandom(SIZE), label)
    sent: dict[str, list[tuple[float, int]]] = {"X00001": [], "X00002": []}

    def watch(step: CopyProgress) -> None:
        if step.phase is Phase.SENDING:
            sent[step.tape.label].append((trio.current_time(), step.done))

    rig.on_progress = watch
    outcomes: list[CopyOutcome] = []

    async def copy(label: str) -> None:
        outcomes.append(await rig.copy(rig.job(label), verify="size"))
        ends[label] = trio.current_time()

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(copy, "X00001")
            nursery.start_soon(copy, "X00002")
    assert all(isinstance(outcome, CopyDone) for outcome in outcomes)
    flowing = [(at, done) for steps in sent.values() for at, done in steps if done]
    first, last = min(at for at, _ in flowing), max(at for at, _ in flowing)
    # What was acknowledged first had gone before the first look at the clock.
    assert RATE * ((last - first) * 1.05 + 0.2) >= 2 * SIZE
    assert last - began < 2 * SIZE / RATE * 1.05 + 2.0
    for steps in sent.values():
        half = next(at for at, done in steps if done >= SIZE // 2)
        assert (half - first) / (last - first) == pytest.approx(0.5, abs=0.15), "equal shares"


async def test_waiting_for_ones_turn_is_not_taken_for_a_dead_target(rig: CopyRig) -> None:
    """Each block waits for longer than a request may; nothing is in flight meanwhile."""
    content = os.urandom(8192)
    rig.write(content)
    rig.pace = Pace((Pacer(2500),), (Pacer(2500),))
    with trio.fail_after(60):
        outcome = await rig.copy(verify="readback", patience_s=1.5)
    assert isinstance(outcome, CopyDone), outcome
    assert rig.published().read_bytes() == content
