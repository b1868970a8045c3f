"""What changes during a copy, here or there, keeps it from being published."""

import os
from dataclasses import replace

import pytest

from copyagent.core.copying import (
    CopyDone,
    CopyFailed,
    CopyHeld,
    CopyStopped,
    CopyWaits,
    HoldReason,
    SourceChanged,
    WaitReason,
)
from copyagent.transfer.progress import Phase
from tests.support.copy_rig import CopyRig
from vtsfs.contract.errors import StateError

pytestmark = pytest.mark.ssh


@pytest.mark.parametrize("phase", [Phase.SENDING, Phase.VERIFYING, Phase.PUBLISHING])
async def test_a_tape_opened_during_the_copy_is_not_published(rig: CopyRig, phase: Phase) -> None:
    path = rig.write(b"tape")
    writers = []
    rig.at_phase(phase, lambda: writers.append(path.open("ab")))
    waits = await rig.copy()
    writers.pop().close()
    assert isinstance(waits, CopyWaits)
    assert waits.reason is WaitReason.OPEN
    assert not rig.published().exists()
    assert rig.staged() == []
    assert not rig.at(rig.layout().intent).exists()


@pytest.mark.parametrize("phase", [Phase.SENDING, Phase.VERIFYING, Phase.PUBLISHING])
@pytest.mark.parametrize("how", ["written", "replaced", "removed", "shortened"])
async def test_a_tape_changed_during_the_copy_is_not_published(
    rig: CopyRig, phase: Phase, how: str
) -> None:
    content = os.urandom(10_000_000)
    path = rig.write(content)

    def change() -> None:
        if how == "written":
            path.write_bytes(content[:-1] + b"x")
        elif how == "shortened":
            os.truncate(path, 5)
        else:
            path.unlink()
            if how == "replaced":
                path.write_bytes(content)

    rig.at_phase(phase, change)
    changed = await rig.copy()
    now = rig.job().identity if how != "removed" else None
    assert changed == SourceChanged(now)
    assert not rig.published().exists()
    assert rig.staged() == []


async def test_a_withdrawn_permission_stops_before_the_rename(rig: CopyRig) -> None:
    rig.write(b"tape")
    rig.permit = lambda: False
    assert isinstance(await rig.copy(), CopyStopped)
    assert not rig.published().exists()
    assert rig.staged() == []
    assert not rig.at(rig.layout().intent).exists()


@pytest.mark.parametrize("what", ["appeared", "edited", "removed", "replaced by a directory"])
async def test_a_target_changed_during_the_copy_is_held(rig: CopyRig, what: str) -> None:
    rig.write(b"first")
    job = rig.job()
    if what != "appeared":
        done = await rig.copy()
        assert isinstance(done, CopyDone)
        rig.write(b"second")
        job = replace(rig.job(generation=2), base=done.copy)

    def change() -> None:
        rig.published().parent.mkdir(exist_ok=True)
        if what in ("removed", "replaced by a directory"):
            rig.published().unlink()
            if what != "removed":
                rig.published().mkdir()
        else:
            rig.published().write_bytes(b"theirs")

    rig.at_phase(Phase.SENDING, change)
    held = await rig.copy(job)
    assert isinstance(held, CopyHeld)
    assert held.reason is HoldReason.TARGET_CHANGED
    assert rig.staged() == []


async def test_without_a_durable_intent_nothing_is_published(rig: CopyRig) -> None:
    rig.write(b"tape")

    def full() -> None:
        raise StateError("/var/lib/vts-autocopy/agent: no space left; make room there")

    rig.journal.on_intend = full
    failed = await rig.copy()
    assert isinstance(failed, CopyFailed)
    assert "make room there" in failed.cause
    assert not rig.published().exists()
    assert rig.staged() == []


async def test_the_intent_is_at_the_target_before_the_rename(rig: CopyRig) -> None:
    """If both the record and the agent's state are lost, it alone says that the tape is ours."""
    rig.write(b"first")
    intents: list[bytes] = []

    def permit() -> bool:
        intents.append(rig.at(rig.layout().intent).read_bytes())
        return True

    rig.permit = permit
    assert isinstance(await rig.copy(), CopyDone)
    assert not rig.at(rig.layout().intent).exists()
    rig.at(rig.layout().intent).write_bytes(intents[0])
    rig.at(rig.layout().manifest).unlink()
    rig.write(b"second")
    assert isinstance(await rig.copy(), CopyDone)
    assert rig.published().read_bytes() == b"second"


async def test_equal_content_that_changes_while_it_is_adopted_is_held(rig: CopyRig) -> None:
    rig.write(b"the same")
    rig.published().parent.mkdir()
    rig.published().write_bytes(b"the same")
    rig.at_phase(Phase.PUBLISHING, lambda: rig.published().write_bytes(b"no more."))
    held = await rig.copy()
    assert isinstance(held, CopyHeld)
    assert not rig.at(rig.layout().manifest).exists()


@pytest.mark.parametrize("opened", [False, True])
async def test_a_tape_that_changes_while_its_equal_is_adopted(rig: CopyRig, opened: bool) -> None:
    path = rig.write(b"the same")
    rig.published().parent.mkdir()
    rig.published().write_bytes(b"the same")
    writers = []

    def change() -> None:
        if opened:
            writers.append(path.open("ab"))
        else:
            path.write_bytes(b"no more.")

    rig.at_phase(Phase.PUBLISHING, change)
    outcome = await rig.copy()
    for writer in writers:
        writer.close()
    assert isinstance(outcome, CopyWaits if opened else SourceChanged)


async def test_a_rename_that_did_nothing_is_a_failure(rig: CopyRig) -> None:
    """As between two names of one file, where rename(2) succeeds and leaves both."""
    rig.write(b"tape")

    def permit() -> bool:
        (stage,) = rig.staged()
        rig.published().hardlink_to(rig.at(rig.layout().directory) / stage)
        return True

    rig.permit = permit
    failed = await rig.copy()
    assert isinstance(failed, CopyFailed)
    assert "the stage is still there" in failed.cause
