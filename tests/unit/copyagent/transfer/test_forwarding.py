"""Kept generations as stages: when one is brought forward, when it must not be, and what comes out."""

import logging
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from copyagent.core.changes import Change
from copyagent.core.copying import CopyDone, CopyFailed, CopyJob
from tests.support.copy_rig import CopyRig, yes
from tests.support.expected_logs import ExpectedLogs
from tests.support.sshd import Sshd

pytestmark = pytest.mark.ssh

MIB = 1 << 20
SIZE = 6 * MIB + 12_345


class History:
    """One tape at one target through its generations, as the agent would remember them."""

    def __init__(self, rig: CopyRig, keep: int = 1) -> None:
        self.rig, self.keep = rig, keep
        self.content = b""
        self.contents: dict[int, bytes] = {}
        self.changes: list[Change] = []
        self.done: CopyDone | None = None

    def change(self, *edits: tuple[int, bytes], size: int | None = None) -> CopyJob:
        """Make the next generation; order its copy."""
        before = self.done.copy.source if self.done else None
        data = bytearray(self.content)
        data.extend(bytes(max(0, max(at + len(piece) for at, piece in edits) - len(data))))
        for at, piece in edits:
            data[at : at + len(piece)] = piece
        if size is not None:
            data[size:] = bytes(max(0, size - len(data)))
        extents = [(at, at + len(piece)) for at, piece in edits]
        if size is not None and size != len(self.content):
            extents.append((min(size, len(self.content)), max(size, len(self.content))))
        self.content = bytes(data)
        with self.rig.tape().open("r+b" if self.rig.tape().exists() else "wb") as file:
            file.write(self.content)
            file.truncate(len(self.content))
        generation = self.done.copy.generation + 1 if self.done else 1
        self.contents[generation] = self.content
        job = self.rig.job(generation=generation)
        self.changes.append(Change(generation, before, job.identity, tuple(extents)))
        return self.order(job)

    def order(self, job: CopyJob) -> CopyJob:
        job = replace(job, keep=self.keep, changes=tuple(self.changes))
        if self.done is None:
            return job
        return replace(job, base=self.done.copy, kept=self.done.kept)

    async def copy(self, job: CopyJob) -> CopyDone:
        done = await self.rig.copy(job)
        assert isinstance(done, CopyDone), done
        assert self.rig.published().read_bytes() == self.content
        assert self.rig.staged() == []
        assert len(done.kept) <= self.keep
        for copy in done.kept:
            kept = Path(self.rig.layout().kept(copy.name))
            assert kept.read_bytes() == self.contents[copy.generation]
        assert len(self.kept()) == len(done.kept)
        self.done = done
        return done

    def kept(self) -> list[Path]:
        return sorted(Path(self.rig.layout().kept_directory).iterdir())


async def two_generations(rig: CopyRig, keep: int = 1) -> History:
    history = History(rig, keep)
    await history.copy(history.change((0, os.urandom(SIZE))))
    await history.copy(history.change((MIB, os.urandom(100_000))))
    return history


def inode(path: Path) -> int:
    return path.stat().st_ino


async def test_the_generation_that_would_go_becomes_the_stage(rig: CopyRig) -> None:
    history = await two_generations(rig)
    (kept,) = history.kept()
    was = inode(kept)
    done = await history.copy(history.change((4 * MIB, os.urandom(50_000))))
    assert inode(rig.published()) == was
    assert 50_000 <= done.sent <= 60_000, "what changed before is copied at the target"
    assert done.way == "extents"
    assert [copy.generation for copy in done.kept] == [2]
    for number in range(4, 8):
        done = await history.copy(history.change((number * 700_000, os.urandom(5000))))
        assert done.sent <= 5000 + 2 * 4096


async def test_with_more_to_keep_the_oldest_goes_forward(rig: CopyRig) -> None:
    history = await two_generations(rig, keep=2)
    first = inode(history.kept()[0])
    third = await history.copy(history.change((0, b"third")))
    assert [copy.generation for copy in third.kept] == [2, 1], "there was still a place"
    fourth = await history.copy(history.change((5, b"fourth")))
    assert [copy.generation for copy in fourth.kept] == [3, 2]
    assert inode(rig.published()) == first


@pytest.mark.parametrize(
    ("edits", "size"),
    [
        ([(2 * MIB, bytes(MIB))], None),
        ([(0, b"x")], 3 * MIB),
        ([(0, b"x")], MIB + 50_000),
        ([(0, b"x")], SIZE + 2 * MIB),
        ([(SIZE, os.urandom(MIB))], None),
        ([(SIZE, bytes(MIB))], None),
    ],
    ids=[
        "zeros",
        "shrunk",
        "shrunk into the former change",
        "grown by a hole",
        "appended",
        "zeros appended",
    ],
)
async def test_every_kind_of_change(
    rig: CopyRig, edits: list[tuple[int, bytes]], size: int | None
) -> None:
    history = await two_generations(rig)
    await history.copy(history.change(*edits, size=size))
    await history.copy(history.change((3, b"once more"), size=SIZE))
    await history.copy(history.change((MIB, b"and back"), size=SIZE + MIB))


async def test_without_extents_digests_say_what_it_lacks(rig: CopyRig) -> None:
    history = await two_generations(rig)
    (kept,) = history.kept()
    was = inode(kept)
    history.change((4 * MIB, b"x"))
    history.changes.clear()
    done = await history.copy(history.order(rig.job(generation=3)))
    assert inode(rig.published()) == was
    assert done.sent == 256 * 1024


async def test_a_server_without_copy_data_gets_what_the_kept_one_lacks(rig: CopyRig) -> None:
    with Sshd(rig.sshd.directory / "p", options=["ForceCommand internal-sftp -P copy-data"]) as old:
        rig.sshd = old
        history = await two_generations(rig)
        done = await history.copy(history.change((4 * MIB, b"x")))
    assert 100_000 < done.sent < 120_000


@pytest.mark.parametrize(
    "spoil",
    ["linked", "edited", "touched", "replaced", "gone", "not sole", "another inode's link"],
)
async def test_what_is_not_surely_ours_alone_is_not_written(
    rig: CopyRig, expect_log: ExpectedLogs, spoil: str
) -> None:
    if spoil in {"touched", "replaced", "another inode's link"}:
        expect_log("is not as it was kept, and is dropped", logging.WARNING)
    history = await two_generations(rig)
    assert history.done is not None
    (kept,) = history.kept()
    other = rig.vault / "other"
    was = inode(kept)
    before = kept.read_bytes()
    match spoil:
        case "linked":
            other.hardlink_to(kept)
        case "edited":
            dated = kept.stat()
            with kept.open("r+b") as file:
                file.write(b"edited")
            os.utime(kept, ns=(dated.st_atime_ns, dated.st_mtime_ns))
        case "touched":
            os.utime(kept, (1, 1))
        case "replaced":
            kept.rename(other)
            kept.write_bytes(before)
        case "gone":
            kept.unlink()
            was = 0  # its number may be used again
        case "not sole":
            copies = tuple(replace(copy, sole=False) for copy in history.done.kept)
            history.done = replace(history.done, kept=copies)
        case _:
            kept.unlink()
            kept.hardlink_to(rig.published())
            was = 0
    published, content = inode(rig.published()), rig.published().read_bytes()
    await history.copy(history.change((4 * MIB, os.urandom(50_000))))
    assert inode(rig.published()) not in {was, published}
    (now,) = history.kept()
    assert (inode(now), now.read_bytes()) == (published, content)
    if spoil == "linked":
        assert other.read_bytes() == before


def crash() -> bool:
    raise KeyboardInterrupt


@pytest.mark.parametrize("moment", ["killed", "crashed", "refused"])
async def test_an_attempt_that_fails_costs_the_kept_one_and_nothing_else(
    rig: CopyRig, moment: str
) -> None:
    history = await two_generations(rig)
    job = history.change((4 * MIB, os.urandom(50_000)))
    old = history.contents[2]

    def kill() -> bool:
        rig.sshd.kill()
        return True

    acts: dict[str, Callable[[], bool]] = {
        "killed": kill,
        "crashed": crash,
        "refused": lambda: False,
    }
    rig.permit = acts[moment]
    if moment == "crashed":
        with pytest.raises(KeyboardInterrupt):
            await rig.copy(job)
    else:
        failed = await rig.copy(job)
        assert isinstance(failed, CopyFailed) == (moment == "killed")
    assert rig.published().read_bytes() == old
    if moment == "killed":
        rig.sshd.start()
        job = replace(job, intent=rig.journal.intended[-1])
    rig.permit = yes
    done = await history.copy(job)
    assert [copy.generation for copy in done.kept] == [2]
    assert done.sent <= 60_000
