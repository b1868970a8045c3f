"""Companions are at the target before their tape, or neither is."""

import os
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from copyagent.core.copying import (
    CopyDone,
    CopyFailed,
    CopyHeld,
    CopyOutcome,
    CopyStopped,
    CopyWaits,
    HoldReason,
    SourceChanged,
    WaitReason,
)
from copyagent.transfer.progress import Phase
from tests.support.copy_rig import CopyRig

pytestmark = pytest.mark.ssh

META = "X00001.meta"


@pytest.fixture
def beside(rig: CopyRig) -> CopyRig:
    """A tape with a companion, neither of them copied yet."""
    rig.companions = ("{label}.*",)
    rig.write(b"the tape" * 1000)
    rig.write(b"about the tape", META)
    rig.tape(META).chmod(0o640)
    os.utime(rig.tape(META), (1_700_000_000, 1_700_000_000))
    return rig


def done(outcome: CopyOutcome) -> CopyDone:
    assert isinstance(outcome, CopyDone), outcome
    return outcome


async def again(rig: CopyRig, copied: CopyDone, generation: int = 1) -> CopyOutcome:
    """Copy once more, as the agent does that has the first copy on record."""
    return await rig.copy(replace(rig.job(generation=generation), base=copied.copy))


def names(rig: CopyRig) -> list[str]:
    return sorted(path.name for path in (rig.vault / "BILL").iterdir())


async def test_they_are_published_with_content_mode_and_time(beside: CopyRig) -> None:
    done(await beside.copy())
    there = beside.published(META)
    assert there.read_bytes() == b"about the tape"
    assert (there.stat().st_mode & 0o777, int(there.stat().st_mtime)) == (0o640, 1_700_000_000)
    assert names(beside) == ["X00001", META]
    assert beside.staged() == []
    assert [copy.size for copy in beside.journal.intended] == [8000], (
        "the agent's record is the tape's"
    )


async def test_without_patterns_nothing_travels(beside: CopyRig) -> None:
    beside.companions = ()
    done(await beside.copy())
    assert names(beside) == ["X00001"]


async def test_only_files_of_this_tape_that_fit_travel(beside: CopyRig) -> None:
    for name in ("X00001.index", "X00002.meta", "X00001extra", ".X00001.meta", "AX00001.meta"):
        beside.write(b"x", name)
    beside.tape("X00001.dir").mkdir()
    beside.tape("X00001.link").symlink_to("/etc/passwd")
    os.mkfifo(beside.tape("X00001.fifo"))
    done(await beside.copy())
    assert names(beside) == ["X00001", "X00001.index", META]


async def test_one_with_a_second_name_holds_its_tape(beside: CopyRig) -> None:
    os.link(beside.tape(META), beside.tape("X00002.other"))
    outcome = await beside.copy()
    assert isinstance(outcome, CopyHeld)
    assert outcome.reason is HoldReason.SOURCE_UNFIT
    assert outcome.detail == f"its companion {META}: it has 2 names (hard links)"
    assert names(beside) == []


async def test_an_empty_companion_is_published_too(beside: CopyRig) -> None:
    beside.write(b"", META)
    done(await beside.copy())
    assert beside.published(META).read_bytes() == b""


async def test_a_change_of_a_companion_alone_sends_it_alone(beside: CopyRig) -> None:
    copied = done(await beside.copy())
    before = beside.published().stat()
    beside.write(b"news of the tape", META)
    second = done(await again(beside, copied))
    assert (second.way, second.sent) == ("equal", 0)
    assert beside.published(META).read_bytes() == b"news of the tape"
    after = beside.published().stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


async def test_what_is_there_already_is_left_alone(beside: CopyRig) -> None:
    copied = done(await beside.copy())
    before = beside.published(META).stat()
    done(await again(beside, copied))
    after = beside.published(META).stat()
    assert (before.st_ino, before.st_ctime_ns) == (after.st_ino, after.st_ctime_ns)


async def test_a_lost_manifest_is_made_good_by_the_content(beside: CopyRig) -> None:
    copied = done(await beside.copy())
    for record in Path(beside.layout().records).iterdir():
        record.unlink()
    before = beside.published(META).stat().st_ino
    done(await again(beside, copied))
    assert beside.published(META).stat().st_ino == before
    beside.write(b"news", META)
    done(await again(beside, copied))
    assert beside.published(META).read_bytes() == b"news"


async def test_an_equal_file_at_the_target_is_taken_for_ours(beside: CopyRig) -> None:
    (beside.vault / "BILL").mkdir()
    beside.published(META).write_bytes(b"about the tape")
    done(await beside.copy())
    assert names(beside) == ["X00001", META]


async def test_a_foreign_file_is_not_overwritten_and_nothing_is_published(beside: CopyRig) -> None:
    (beside.vault / "BILL").mkdir()
    beside.published(META).write_bytes(b"somebody else's")
    outcome = await beside.copy()
    assert isinstance(outcome, CopyHeld)
    assert outcome.reason is HoldReason.TARGET_UNKNOWN
    assert META in outcome.detail
    assert names(beside) == [META]
    assert beside.published(META).read_bytes() == b"somebody else's"
    assert beside.staged() == []
    # The operator's word for this very file lets it go.
    done(await beside.copy(replace(beside.job(), override=outcome.stamp)))
    assert beside.published(META).read_bytes() == b"about the tape"


async def test_one_that_was_edited_at_the_target_is_not_overwritten(beside: CopyRig) -> None:
    copied = done(await beside.copy())
    beside.published(META).write_bytes(b"edited over there")
    beside.write(b"newer here", META)
    outcome = await again(beside, copied)
    assert isinstance(outcome, CopyHeld)
    assert outcome.reason is HoldReason.TARGET_CHANGED
    assert beside.published(META).read_bytes() == b"edited over there"


async def test_one_that_is_gone_here_stays_there(beside: CopyRig) -> None:
    copied = done(await beside.copy())
    beside.tape(META).unlink()
    done(await again(beside, copied))
    assert names(beside) == ["X00001", META]


async def test_one_that_is_being_written_makes_the_tape_wait(beside: CopyRig) -> None:
    with beside.tape(META).open("ab"):
        outcome = await beside.copy()
    assert isinstance(outcome, CopyWaits)
    assert outcome.reason is WaitReason.OPEN
    assert META in outcome.detail
    assert names(beside) == []


async def test_a_withdrawn_permission_publishes_neither(beside: CopyRig) -> None:
    beside.permit = lambda: False
    assert isinstance(await beside.copy(), CopyStopped)
    assert names(beside) == []
    assert beside.staged() == []


async def test_a_tape_that_fails_to_arrive_leaves_the_old_companion(beside: CopyRig) -> None:
    copied = done(await beside.copy())
    beside.write(b"newer" * 2000)
    beside.write(b"newer", META)
    job = replace(beside.job(generation=2), base=copied.copy)
    beside.at_phase(Phase.SENDING, lambda: beside.tape().write_bytes(b"newest"))
    outcome = await beside.copy(job)
    assert isinstance(outcome, SourceChanged | CopyFailed)
    assert beside.published(META).read_bytes() == b"about the tape"


async def test_a_fence_keeps_companions_out_as_well(beside: CopyRig) -> None:
    copied = done(await beside.copy())
    beside.write(b"newer", META)
    Path(beside.layout().fences[0]).touch()
    outcome = await again(beside, copied)
    assert isinstance(outcome, CopyWaits)
    assert beside.published(META).read_bytes() == b"about the tape"


async def test_they_do_not_go_ahead_of_a_tape_that_is_opened_again(beside: CopyRig) -> None:
    copied = done(await beside.copy())
    beside.write(b"newer" * 2000)
    beside.write(b"newer", META)
    job = replace(beside.job(generation=2), base=copied.copy)
    with ExitStack() as stack:
        beside.at_phase(Phase.PUBLISHING, lambda: stack.enter_context(beside.tape().open("ab")))
        outcome = await beside.copy(job)
    assert isinstance(outcome, CopyWaits)
    assert beside.published(META).read_bytes() == b"about the tape"
