"""A kept generation gets the tape's name back, on real servers."""

import os
from dataclasses import replace

import pytest

from copyagent.core.copying import (
    CopyDone,
    CopyFailed,
    CopyHeld,
    CopyJob,
    CopyOutcome,
    Errand,
    HoldReason,
    Wish,
)
from tests.support.copy_rig import CopyRig, yes
from tests.unit.copyagent.transfer.test_forwarding import SIZE, History, two_generations

pytestmark = pytest.mark.ssh


def wished(history: History, generation: int) -> CopyJob:
    job = history.order(history.rig.job(generation=len(history.contents)))
    return replace(job, wish=Wish(Errand.ROLL_BACK, generation))


def rolled_back(history: History, outcome: CopyOutcome, generation: int) -> CopyHeld:
    assert isinstance(outcome, CopyHeld), outcome
    assert outcome.reason is HoldReason.ROLLED_BACK
    assert outcome.standing is not None
    assert outcome.standing.generation == generation
    assert history.rig.published().read_bytes() == history.contents[generation]
    assert history.rig.staged() == []
    assert generation not in [copy.generation for copy in outcome.kept]
    assert len(history.kept()) == len(outcome.kept)
    assert history.rig.published().stat().st_nlink == 1
    return outcome


def recorded(history: History, held: CopyHeld) -> None:
    """Remember what the agent would of a roll back."""
    assert history.done is not None
    assert held.standing is not None
    history.done = replace(history.done, copy=held.standing, kept=held.kept)


async def test_there_and_back_again(rig: CopyRig) -> None:
    history = await two_generations(rig)
    held = rolled_back(history, await rig.copy(wished(history, 1)), 1)
    assert [copy.generation for copy in held.kept] == [2]
    recorded(history, held)
    held = rolled_back(history, await rig.copy(wished(history, 2)), 2)
    assert [copy.generation for copy in held.kept] == [1]


async def test_the_next_generation_is_built_on_what_was_rolled_back_to(rig: CopyRig) -> None:
    history = await two_generations(rig, keep=2)
    held = rolled_back(history, await rig.copy(wished(history, 1)), 1)
    assert history.done is not None
    generation, source = history.done.copy.generation, history.done.copy.source
    recorded(history, held)
    history.done = replace(
        history.done, copy=replace(history.done.copy, generation=generation, source=source)
    )
    job = history.change((5, b"third"))
    history.done = replace(history.done, copy=held.standing or history.done.copy)
    done = await rig.copy(replace(job, base=held.standing))
    assert isinstance(done, CopyDone)
    assert rig.published().read_bytes() == history.content
    assert done.way == "extents"
    assert done.sent < 120_000
    assert [copy.generation for copy in done.kept] == [1, 2]


async def test_what_is_not_kept_cannot_be_rolled_back_to(rig: CopyRig) -> None:
    history = await two_generations(rig)
    failed = await rig.copy(wished(history, 7))
    assert isinstance(failed, CopyFailed)
    assert failed.permanent
    assert "kept: 1" in failed.cause


@pytest.mark.parametrize("spoil", ["damaged", "gone", "no map"])
async def test_what_is_not_whole_is_not_rolled_back_to(rig: CopyRig, spoil: str) -> None:
    history = await two_generations(rig)
    (kept,) = history.kept()
    found = kept.stat()
    if spoil == "damaged":
        with kept.open("r+b") as file:
            file.seek(SIZE // 2)
            file.write(b"damage")
        os.utime(kept, ns=(found.st_atime_ns, found.st_mtime_ns))
    elif spoil == "gone":
        kept.unlink()
    else:
        (maps,) = (rig.agent / "maps").iterdir()
        maps.unlink()
    failed = await rig.copy(wished(history, 1))
    assert isinstance(failed, CopyFailed)
    assert failed.permanent
    assert rig.published().read_bytes() == history.contents[2]


@pytest.mark.parametrize("moment", ["before the rename", "after it"])
async def test_a_roll_back_that_was_cut_off_is_made_again(rig: CopyRig, moment: str) -> None:
    history = await two_generations(rig)
    job = wished(history, 1)
    if moment == "before the rename":

        def kill() -> bool:
            rig.sshd.kill()
            return True

        rig.permit = kill
        assert isinstance(await rig.copy(job), CopyFailed)
        rig.sshd.start()
        rig.permit = yes
    else:
        rolled_back(history, await rig.copy(job), 1)
    held = await rig.copy(replace(job, intent=rig.journal.intended[-1]))
    rolled_back(history, held, 1)
