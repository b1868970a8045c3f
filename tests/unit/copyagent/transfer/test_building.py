"""Stages: what is left of one that failed, and what is told of one that was built."""

import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from copyagent.core.copying import CopyDone, CopyHeld, CopyWaits, HoldReason, WaitReason
from copyagent.transfer import building, resuming
from copyagent.transfer.attempt import Ended
from copyagent.transfer.building import abandon
from copyagent.transfer.progress import Phase
from copyagent.transfer.resuming import Keeper, StageNote
from copyagent.transfer.source import SourceDiffers, open_tape
from copyagent.transfer.target import LinkLost
from tests.support.copy_rig import CopyRig
from tests.support.expected_logs import ExpectedLogs

pytestmark = pytest.mark.ssh

MIB = 1 << 20


@pytest.mark.parametrize(
    ("error", "stays"),
    [
        (LinkLost("the line"), True),
        (OSError("our disk"), True),
        (trio.Cancelled._create(source="explicit"), True),  # trio makes them alone
        (Ended(CopyWaits(WaitReason.FENCED, "fenced")), True),
        (Ended(CopyHeld(HoldReason.TARGET_CHANGED, "changed")), False),
        (SourceDiffers(None), False),
        (KeyboardInterrupt(), False),
    ],
    ids=["link lost", "local disk", "cancelled", "fenced", "held", "source changed", "a bug"],
)
async def test_a_noted_stage_stays_if_the_next_attempt_can_use_it(
    rig: CopyRig, error: BaseException, stays: bool
) -> None:
    path = rig.write(b"tape")
    assert path.exists()
    assert isinstance(await rig.copy(), CopyDone)
    with open_tape(rig.backing, rig.job().tape) as source:
        async with rig.connect() as target:
            attempt = rig.attempt(source, target)
            name = attempt.new_stage()
            note = StageNote(1, source.identity, (Path(name).name,), ((0, 4),))
            keeper = Keeper(attempt, name, note)
            await keeper.write(note)
            stage = building.Stage(name, await target.create(name), keeper)
            await abandon(attempt, stage, error)
    assert bool(rig.staged()) == stays
    assert keeper.noted == stays


async def test_trailing_zeros_are_there_though_nobody_sent_them(rig: CopyRig) -> None:
    content = b"begin" + bytes(3 * MIB)
    rig.write(content)
    done = await rig.copy(verify="size")
    assert isinstance(done, CopyDone)
    assert rig.published().read_bytes() == content
    assert done.sent < MIB
    rig.write(bytes(5 * MIB))
    done = await rig.copy(replace(rig.job(generation=2), base=done.copy))
    assert isinstance(done, CopyDone)
    assert done.sent == 0
    assert rig.published().read_bytes() == bytes(5 * MIB)


async def test_a_stage_that_was_cut_short_after_it_was_closed_is_mended(
    rig: CopyRig, monkeypatch: pytest.MonkeyPatch, expect_log: ExpectedLogs
) -> None:
    monkeypatch.setattr(resuming, "EVERY_BYTES", MIB)
    expect_log("1048576 bytes of .* are sent again", logging.WARNING)
    content = os.urandom(6 * MIB)
    rig.write(content)

    def cut_short() -> None:
        (name,) = rig.staged()
        os.truncate(rig.at(rig.layout().directory) / name, 5 * MIB)

    rig.at_phase(Phase.VERIFYING, cut_short)
    done = await rig.copy(verify="readback")
    assert isinstance(done, CopyDone), done
    assert done.sent == 7 * MIB
    assert rig.published().read_bytes() == content
