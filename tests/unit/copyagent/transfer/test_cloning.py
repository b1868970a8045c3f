"""What the target copies by itself: ranges, and whole files that share their blocks."""

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from copyagent.core.changes import Change
from copyagent.core.copying import CopyDone
from copyagent.transfer import cloning
from copyagent.transfer.attempt import Attempt
from copyagent.transfer.cloning import copy_ranges
from copyagent.transfer.source import open_tape
from copyagent.transfer.standing import Standing
from tests.support.copy_rig import CopyRig
from tests.support.mountpoint import unmounted_after
from vtsfs.contract.extents import ExtentSet

pytestmark = pytest.mark.ssh

MIB = 1 << 20


@pytest.fixture
async def attempt(rig: CopyRig) -> AsyncIterator[Attempt]:
    """Connect, with a tape that is of no importance."""
    rig.write(b"tape")
    with open_tape(rig.backing, rig.job().tape) as source:
        async with rig.connect() as target:
            yield rig.attempt(source, target)


async def test_ranges_arrive_at_their_offsets(
    rig: CopyRig, attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloning, "SLICE", MIB)
    content = os.urandom(5 * MIB)
    (rig.vault / "base").write_bytes(content)
    (rig.vault / "stage").touch()
    wanted = ExtentSet([(100, 200), (MIB, 4 * MIB + 5)])
    told = ExtentSet()
    copied = await copy_ranges(
        attempt, str(rig.vault / "base"), str(rig.vault / "stage"), wanted, len(content), told.add
    )
    assert copied == told == wanted
    got = (rig.vault / "stage").read_bytes()
    assert len(got) == 4 * MIB + 5
    for start, end in wanted:
        assert got[start:end] == content[start:end]
    assert not any(got[200:MIB])


async def test_many_small_ranges_are_asked_for_at_once_and_no_more_than_a_slice(
    rig: CopyRig, attempt: Attempt
) -> None:
    content = os.urandom(4 * MIB)
    (rig.vault / "base").write_bytes(content)
    (rig.vault / "stage").touch()
    wanted = ExtentSet((at, at + 1000) for at in range(0, 4 * MIB, 16 * 1024))
    told = ExtentSet()
    copied = await copy_ranges(
        attempt, str(rig.vault / "base"), str(rig.vault / "stage"), wanted, len(content), told.add
    )
    assert copied == told == wanted
    got = (rig.vault / "stage").read_bytes()
    assert all(got[start:end] == content[start:end] for start, end in wanted)
    batches = list(cloning._batches(ExtentSet([*wanted, (8 * MIB, 8 * MIB + 200 * MIB)])))
    assert [each for batch in batches for each in batch][: len(wanted)] == list(wanted)
    assert all(len(batch) <= cloning.AT_ONCE for batch in batches)
    assert all(sum(end - start for start, end in batch) <= cloning.SLICE for batch in batches)


@pytest.mark.parametrize("base", ["short", "missing", "a directory"])
async def test_what_cannot_be_copied_is_left_to_be_sent(
    rig: CopyRig, attempt: Attempt, base: str
) -> None:
    path = rig.vault / "base"
    if base == "short":
        path.write_bytes(b"short")
    elif base == "a directory":
        path.mkdir()
    (rig.vault / "stage").touch()
    wanted = ExtentSet([(0, MIB)])
    told = ExtentSet()
    copied = await copy_ranges(attempt, str(path), str(rig.vault / "stage"), wanted, MIB, told.add)
    assert not copied
    assert not told
    assert (rig.vault / "stage").stat().st_size == 0


@pytest.fixture
def reflinks(rig: CopyRig) -> Iterator[Path]:
    """Put a file system that shares blocks where the target's vault lies."""
    mkfs = shutil.which("mkfs.xfs", path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if mkfs is None:
        pytest.skip("there is no mkfs.xfs (Debian: xfsprogs)")
    image = rig.vault.parent / "disk"
    with image.open("wb") as file:
        file.truncate(512 * MIB)
    subprocess.run([mkfs, "-q", "-m", "reflink=1", image], check=True, capture_output=True)
    with unmounted_after(rig.vault):
        command = ["mount", "-o", "loop", str(image), str(rig.vault)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no XFS can be mounted here: {done.stderr.strip()}")
        yield rig.vault


def used(path: Path) -> int:
    found = os.statvfs(path)
    return (found.f_blocks - found.f_bfree) * found.f_frsize


async def test_a_delta_shares_its_base_s_blocks_where_that_can_be(
    rig: CopyRig, reflinks: Path
) -> None:
    content = os.urandom(64 * MIB)
    rig.write(content)
    done = await rig.copy(replace(rig.job(), keep=3))
    for generation in range(2, 5):
        assert isinstance(done, CopyDone), done
        before = used(reflinks)
        at = generation * 10 * MIB
        content = content[:at] + os.urandom(100_000) + content[at + 100_000 :]
        if generation == 4:
            content = content[: 50 * MIB] + bytes(MIB) + content[51 * MIB : 60 * MIB]
        with rig.tape().open("r+b") as file:
            file.write(content)
            file.truncate(len(content))
        job = rig.job(generation=generation)
        extents = ((at, at + 100_000), (50 * MIB, 51 * MIB), (60 * MIB, 64 * MIB))
        change = Change(
            generation, done.copy.source, job.identity, extents[: 3 if generation == 4 else 1]
        )
        job = replace(job, keep=3, base=done.copy, kept=done.kept, changes=(change,))
        done = await rig.copy(job)
        assert isinstance(done, CopyDone), done
        assert rig.published().read_bytes() == content
        assert used(reflinks) - before < 8 * MIB, "only what is new takes room"
        assert done.sent < 3 * MIB
    assert isinstance(done, CopyDone)
    assert [copy.generation for copy in done.kept] == [3, 2, 1]


async def test_a_file_system_that_shares_no_blocks_is_copied_on(
    rig: CopyRig, attempt: Attempt
) -> None:
    (rig.vault / "BILL").mkdir()
    rig.published().write_bytes(os.urandom(5 * MIB))
    stage = rig.vault / "stage"
    stage.touch()
    standing = Standing(await attempt.stamp(str(rig.published())))
    shared = await cloning.share_blocks(attempt, standing, str(stage))
    assert not shared or stage.stat().st_size == 5 * MIB
