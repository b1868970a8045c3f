"""What others do to the target's file while the intent is made durable is seen before the rename."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from copyagent.core.copying import (
    CopyDone,
    CopyHeld,
    CopyWaits,
    HoldReason,
    SourceChanged,
    WaitReason,
)
from copyagent.transfer.progress import Phase
from tests.support.copy_rig import NOW_NS, CopyRig
from tests.support.expected_logs import ExpectedLogs
from tests.support.sshd import Sshd

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


async def test_what_comes_after_the_last_look_is_not_lost(
    rig: CopyRig, expect_log: ExpectedLogs
) -> None:
    """It is in the place of the former generation, though nobody's record lists it."""
    expect_log("was written by others")
    tape = rig.write(b"what was published first")
    os.utime(tape, (1_700_000_000, 1_700_000_000))
    first = await rig.copy(replace(rig.job(), keep=1))
    assert isinstance(first, CopyDone), first
    rig.write(b"what is to follow")

    def permit() -> bool:
        in_place(rig.published())
        return True

    rig.permit = permit
    done = await rig.copy(replace(rig.job(generation=2), base=first.copy, keep=1))
    assert isinstance(done, CopyDone), done
    assert done.kept == ()
    (left,) = Path(rig.layout().kept_directory).iterdir()
    assert left.read_bytes().startswith(b"FOREIGN")


async def test_an_edit_in_the_second_of_the_publication_shows_without_commands(
    scratch: Path, bridge: None
) -> None:
    """Size and date, in whole seconds, are as they were; nothing else is told there."""
    second = NOW_NS // 10**9
    with Sshd(scratch / "sshd", sftp_only=True) as sshd:
        rig = CopyRig(scratch, sshd)
        tape = rig.write(b"what was published first")
        os.utime(tape, (second, second))
        first = await rig.copy()
        assert isinstance(first, CopyDone), first
        in_place(rig.published())
        os.utime(rig.published(), (second, second))
        rig.write(b"what is to follow")
        held = await rig.copy(replace(rig.job(generation=2), base=first.copy))
        assert isinstance(held, CopyHeld), held
        assert rig.published().read_bytes().startswith(b"FOREIGN")


async def test_a_source_that_is_written_and_dated_back_is_not_published(rig: CopyRig) -> None:
    tape = rig.write(bytes(range(256)) * 4096)
    former = tape.stat()

    def write_behind_the_overlay() -> None:
        in_place(tape)
        os.utime(tape, ns=(former.st_atime_ns, former.st_mtime_ns))

    rig.at_phase(Phase.VERIFYING, write_behind_the_overlay)
    changed = await rig.copy(verify="readback")
    assert isinstance(changed, SourceChanged), changed
    assert not rig.published().exists()
