"""Deltas to a real server: what is sent, what is copied over there, and what comes out."""

import logging
import os
from dataclasses import replace
from pathlib import Path

import pytest

from copyagent.core.changes import Change
from copyagent.core.copying import CopyDone, CopyJob, Way
from copyagent.transfer.source import identity_of
from tests.support.copy_rig import CopyRig
from tests.support.expected_logs import ExpectedLogs
from tests.support.sshd import Sshd
from vtsfs.contract.extents import Range

pytestmark = pytest.mark.ssh

MIB = 1 << 20
SIZE = 6 * MIB + 12_345


async def first(rig: CopyRig, content: bytes) -> CopyDone:
    rig.write(content)
    done = await rig.copy(replace(rig.job(), keep=1))
    assert isinstance(done, CopyDone), done
    assert done.way == "whole"
    return done


def patched(content: bytes, *edits: tuple[int, bytes]) -> bytes:
    data = bytearray(content)
    for offset, piece in edits:
        data[offset : offset + len(piece)] = piece
    return bytes(data)


def edit(path: Path, content: bytes) -> None:
    """Write in place, as a session would."""
    with path.open("r+b") as file:
        file.write(content)
        file.truncate(len(content))


def following(rig: CopyRig, before: CopyDone, extents: tuple[Range, ...] | None = None) -> CopyJob:
    """Order the next generation, of which *extents* are known to have changed (None: nothing is)."""
    job = rig.job(generation=before.copy.generation + 1)
    change = Change(job.generation, before.copy.source, job.identity, extents)
    return replace(job, base=before.copy, kept=before.kept, keep=1, changes=(change,))


async def copied(rig: CopyRig, job: CopyJob, way: Way) -> CopyDone:
    done = await rig.copy(job)
    assert isinstance(done, CopyDone), done
    assert done.way == way
    assert rig.published().read_bytes() == rig.tape().read_bytes()
    assert rig.staged() == []
    return done


async def test_exact_extents_are_sent_as_ranges(rig: CopyRig) -> None:
    content = os.urandom(SIZE)
    before = await first(rig, content)
    edit(rig.tape(), patched(content, (MIB + 100, b"x" * 5000), (5 * MIB, b"y")))
    job = following(rig, before, ((MIB + 100, MIB + 5100), (5 * MIB, 5 * MIB + 1)))
    done = await copied(rig, job, "extents")
    assert done.sent == 8192 + 4096
    assert done.skipped == SIZE - done.sent
    assert done.copy.sole


async def test_without_extents_chunks_that_differ_are_sent(rig: CopyRig) -> None:
    content = os.urandom(SIZE)
    before = await first(rig, content)
    edit(rig.tape(), patched(content, (MIB + 100, b"x" * 5000)))
    done = await copied(rig, following(rig, before), "digests")
    assert done.sent == 256 * 1024


@pytest.mark.parametrize("known", [False, True])
@pytest.mark.parametrize(
    "new_size", [1, 4096, MIB, SIZE - 1, SIZE + 1, SIZE + 3 * MIB], ids=lambda n: f"to {n}"
)
async def test_tapes_that_grew_or_shrank(rig: CopyRig, known: bool, new_size: int) -> None:
    content = os.urandom(SIZE)
    before = await first(rig, content)
    edit(rig.tape(), content[:new_size] + os.urandom(max(0, new_size - SIZE)))
    extents = (min(SIZE, new_size), max(SIZE, new_size))
    way: Way = "extents" if known else "digests"
    if not known and new_size <= 256 * 1024:
        way = "whole"  # its only chunk is another one
    done = await copied(rig, following(rig, before, (extents,) if known else None), way)
    assert done.sent <= max(0, new_size - SIZE) + 512 * 1024


async def test_what_became_zero_is_zero_and_stays_a_hole(rig: CopyRig) -> None:
    content = os.urandom(SIZE)
    before = await first(rig, content)
    edit(rig.tape(), patched(content, (MIB, bytes(2 * MIB))))
    done = await copied(rig, following(rig, before, ((MIB, 3 * MIB),)), "extents")
    assert done.sent == 0
    assert rig.published().stat().st_blocks * 512 < SIZE - MIB


async def test_nothing_changed_sends_nothing_and_publishes_nothing(rig: CopyRig) -> None:
    content = os.urandom(SIZE)
    before = await first(rig, content)
    inode = rig.published().stat().st_ino
    edit(rig.tape(), content)
    done = await copied(rig, following(rig, before), "equal")
    assert done.sent == 0
    assert (done.copy.generation, done.copy.root) == (2, before.copy.root)
    assert rig.published().stat().st_ino == inode
    edit(rig.tape(), content)
    again = await copied(rig, following(rig, done, ((0, 4096),)), "equal")
    assert rig.published().stat().st_ino == inode
    edit(rig.tape(), patched(content, (0, b"z")))
    assert (await copied(rig, following(rig, again, ((0, 1),)), "extents")).sent == 4096


async def test_many_generations_follow_each_other(rig: CopyRig) -> None:
    content = os.urandom(SIZE)
    done = await first(rig, content)
    for generation in range(2, 7):
        at = generation * MIB // 2
        content = patched(content, (at, os.urandom(100_000)))
        edit(rig.tape(), content)
        done = await copied(rig, following(rig, done, ((at, at + 100_000),)), "extents")
        assert done.sent < 120_000
        assert [copy.generation for copy in done.kept] == [generation - 1]


@pytest.mark.parametrize("what", ["agent's map", "manifest", "damaged map"])
async def test_without_agreeing_records_everything_is_sent(
    rig: CopyRig, expect_log: ExpectedLogs, what: str
) -> None:
    content = os.urandom(SIZE)
    before = await first(rig, content)
    (maps,) = (rig.agent / "maps").iterdir()
    if what == "manifest":
        rig.at(rig.layout().manifest).unlink()
    elif what == "agent's map":
        maps.unlink()
    else:
        maps.write_bytes(os.urandom(1000))
        expect_log(r"chunk maps .* are damaged", logging.WARNING)
    edit(rig.tape(), patched(content, (MIB, b"x")))
    done = await copied(rig, following(rig, before, ((MIB, MIB + 1),)), "whole")
    assert done.sent == SIZE


async def test_a_target_without_copy_data_gets_everything(rig: CopyRig) -> None:
    content = os.urandom(SIZE)
    options = ["ForceCommand internal-sftp -P copy-data"]
    with Sshd(rig.sshd.directory / "poor", options=options) as poor:
        rig.sshd = poor
        before = await first(rig, content)
        edit(rig.tape(), patched(content, (MIB, b"x")))
        done = await copied(rig, following(rig, before, ((MIB, MIB + 1),)), "whole")
        assert done.sent == SIZE


async def test_an_untrusted_base_is_read_and_then_built_on(rig: CopyRig) -> None:
    """As after a crash between rename and record: what stands there is known by its content."""
    content = os.urandom(SIZE)
    before = await first(rig, content)
    edit(rig.tape(), patched(content, (MIB, b"x")))
    job = following(rig, before, ((MIB, MIB + 1),))
    done = await copied(rig, replace(job, intent=before.copy), "extents")
    assert done.sent == 4096


async def test_an_identity_that_is_not_the_base_s_makes_extents_worthless(rig: CopyRig) -> None:
    content = os.urandom(SIZE)
    before = await first(rig, content)
    edit(rig.tape(), patched(content, (MIB, b"x"), (3 * MIB, b"unseen")))
    job = following(rig, before, ((MIB, MIB + 1),))
    other = identity_of(os.stat(rig.backing))
    job = replace(job, changes=(replace(job.changes[0], before=other),))
    await copied(rig, job, "digests")


async def test_a_sparse_tape_arrives_sparse(rig: CopyRig) -> None:
    with rig.tape().open("wb") as file:
        file.truncate(256 * MIB)
        file.seek(100 * MIB)
        file.write(os.urandom(MIB))
    done = await rig.copy(replace(rig.job(), keep=1))
    assert isinstance(done, CopyDone)
    assert done.sent <= MIB + 300_000
    assert rig.published().stat().st_blocks * 512 < 4 * MIB
    with rig.tape().open("r+b") as file:
        file.seek(200 * MIB)
        file.write(b"more")
    job = following(rig, done, ((200 * MIB, 200 * MIB + 4),))
    again = await copied(rig, job, "extents")
    assert again.sent == 4096
    assert rig.published().stat().st_blocks * 512 < 4 * MIB
