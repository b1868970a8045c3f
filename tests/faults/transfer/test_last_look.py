"""What others do to the target's file while the intent is made durable is seen before the rename."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from copyagent.core.copying import CopyDone, CopyHeld, CopyWaits, HoldReason, WaitReason
from tests.support.copy_rig import CopyRig

pytestmark = pytest.mark.ssh


def in_place(tape: Path) -> None:
    with tape.open("r+b") as file:
        file.write(b"FOREIGN")


def another_file(tape: Path) -> None:
    other = tape.with_name("other")
    other.write_bytes(b"FOREIGN" + tape.read_bytes()[7:])
    other.rename(tape)


@pytest.mark.parametrize("keep", [0, 1])
@pytest.mark.parametrize("edit", [in_place, another_file])
async def test_an_edit_is_not_replaced(
    rig: CopyRig, keep: int, edit: Callable[[Path], None]
) -> None:
    tape = rig.write(b"what was published first")
    os.utime(tape, (1_700_000_000, 1_700_000_000))
    first = await rig.copy(replace(rig.job(), keep=keep))
    assert isinstance(first, CopyDone), first
    rig.write(b"what is to follow")
    rig.journal.on_intend = lambda: edit(rig.published())
    held = await rig.copy(replace(rig.job(generation=2), base=first.copy, keep=keep))
    assert isinstance(held, CopyHeld), held
    assert held.reason is HoldReason.TARGET_CHANGED
    assert rig.published().read_bytes().startswith(b"FOREIGN")
    assert list(Path(rig.layout().kept_directory).iterdir()) == []


async def test_a_file_that_comes_up_is_not_replaced(rig: CopyRig) -> None:
    rig.write(b"content")

    def come_up() -> None:
        rig.published().write_bytes(b"FOREIGN")

    rig.journal.on_intend = come_up
    held = await rig.copy()
    assert isinstance(held, CopyHeld), held
    assert rig.published().read_bytes() == b"FOREIGN"


async def test_a_fence_stops_the_publication(rig: CopyRig) -> None:
    rig.write(b"content")
    rig.journal.on_intend = Path(rig.layout().fences[0]).touch
    waits = await rig.copy()
    assert isinstance(waits, CopyWaits), waits
    assert waits.reason is WaitReason.FENCED
    assert not rig.published().exists()
