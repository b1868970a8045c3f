"""An attempt goes on where the last one ended: real servers that are cut off, killed, and damaged."""

import logging
import os
import random
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from copyagent.core.copying import CopyDone, CopyFailed, CopyJob, CopyOutcome
from copyagent.transfer import resuming
from copyagent.transfer.pacing import Pace, Pacer
from copyagent.transfer.progress import CopyProgress, Phase
from copyagent.transfer.resuming import StageNote, StageNotes
from tests.support.copy_rig import CopyRig, yes
from tests.support.expected_logs import ExpectedLogs
from tests.support.sshd import Sshd
from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Identity

MIB = 1 << 20
SIZE = 40 * MIB
TAPE = TapeId("VAULT00", "BILL", "X00001")


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let small tapes be noted, too."""
    monkeypatch.setattr(resuming, "EVERY_BYTES", 2 * MIB)


@pytest.fixture
async def rig(scratch: Path, sshd: Sshd, bridge: None) -> CopyRig:
    """Make a rig that sends slowly enough for what is sent to become durable meanwhile."""
    rig = CopyRig(scratch, sshd)
    rig.pace = Pace(sending=(Pacer(64 * MIB),))
    return rig


def noted(rig: CopyRig) -> StageNote | None:
    return StageNotes(rig.agent / "stages").read(TAPE, "drsite")


def durable(rig: CopyRig) -> int:
    note = noted(rig)
    return 0 if note is None else sum(end - start for start, end in note.durable)


def once_durable(rig: CopyRig, size: int, act: Callable[[], object]) -> None:
    """Call *act* once, when at least *size* bytes are noted as durable."""
    todo = [act]

    def on_progress(step: CopyProgress) -> None:
        if step.phase is Phase.SENDING and todo and durable(rig) >= size:
            todo.pop()()

    rig.on_progress = on_progress


@pytest.fixture
async def cut(rig: CopyRig) -> tuple[bytes, CopyJob]:
    """Cut the first copy of a tape off in the middle."""
    content = os.urandom(SIZE)
    rig.write(content)
    job = replace(rig.job(), keep=1)
    await cut_off(rig, job)
    return content, job


async def cut_off(rig: CopyRig, job: CopyJob, size: int = 10 * MIB) -> None:
    once_durable(rig, size, rig.sshd.kill)
    failed = await rig.copy(job)
    assert isinstance(failed, CopyFailed), failed
    assert failed.unreachable
    assert durable(rig) >= size
    rig.sshd.start()
    rig.on_progress = lambda _: None


def complete(rig: CopyRig, outcome: CopyOutcome, content: bytes) -> CopyDone:
    assert isinstance(outcome, CopyDone), outcome
    assert rig.published().read_bytes() == content
    assert rig.staged() == []
    assert noted(rig) is None
    return outcome


@pytest.mark.ssh
@pytest.mark.parametrize("copy_data", [True, False])
async def test_only_what_was_not_durable_is_sent(rig: CopyRig, copy_data: bool) -> None:
    content = os.urandom(SIZE)
    rig.write(content)
    options = [] if copy_data else ["ForceCommand internal-sftp -P copy-data"]
    with Sshd(rig.sshd.directory / "other", options=options) as sshd:
        rig.sshd = sshd
        await cut_off(rig, rig.job())
        was = durable(rig)
        done = complete(rig, await rig.copy(), content)
    assert SIZE - was <= done.sent <= SIZE - was + 64 * 1024
    assert done.resumed == done.skipped == SIZE - done.sent
    assert done.copy.sole == copy_data, "what may still be written is never built in"


@pytest.mark.ssh
async def test_what_was_acknowledged_need_not_be_sent_again_though_it_was_not_durable_yet(
    rig: CopyRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resuming, "EVERY_BYTES", 2 * SIZE)
    content = os.urandom(SIZE)
    rig.write(content)
    todo: list[Callable[[], object]] = [rig.sshd.kill]

    def on_progress(step: CopyProgress) -> None:
        if step.phase is Phase.SENDING and todo and step.done >= 24 * MIB:
            todo.pop()()

    rig.on_progress = on_progress
    failed = await rig.copy()
    assert isinstance(failed, CopyFailed), failed
    was = durable(rig)
    assert was >= 24 * MIB
    rig.sshd.start()
    done = complete(rig, await rig.copy(), content)
    assert done.sent <= SIZE - was + 64 * 1024


@pytest.mark.ssh
async def test_what_was_acknowledged_and_lost_with_the_target_is_found_and_sent_again(
    rig: CopyRig, monkeypatch: pytest.MonkeyPatch, expect_log: ExpectedLogs
) -> None:
    """A power cut at the target takes what was not durable there."""
    expect_log("are not what they should be")
    monkeypatch.setattr(resuming, "EVERY_BYTES", 2 * SIZE)
    content = os.urandom(SIZE)
    rig.write(content)
    once_sent = [rig.sshd.kill]

    def on_progress(step: CopyProgress) -> None:
        if step.phase is Phase.SENDING and once_sent and step.done >= 24 * MIB:
            once_sent.pop()()

    rig.on_progress = on_progress
    assert isinstance(await rig.copy(), CopyFailed)
    (stage,) = Path(rig.layout().directory).glob("*.stage")
    with stage.open("r+b") as file:
        file.seek(8 * MIB)
        file.write(bytes(8 * MIB))
    rig.sshd.start()
    done = complete(rig, await rig.copy(), content)
    assert done.sent + 5 * MIB >= SIZE - 24 * MIB + 8 * MIB
    assert done.sent < SIZE


@pytest.mark.ssh
async def test_a_cancelled_copy_is_resumed(rig: CopyRig) -> None:
    content = os.urandom(SIZE)
    rig.write(content)
    with trio.CancelScope() as scope:
        once_durable(rig, 10 * MIB, scope.cancel)
        await rig.copy()
    assert scope.cancelled_caught
    done = complete(rig, await rig.copy(), content)
    assert done.sent <= SIZE - 10 * MIB


@pytest.mark.ssh
async def test_cut_off_again_and_again_it_gets_there(rig: CopyRig) -> None:
    content = os.urandom(SIZE)
    rig.write(content)
    for size in (8, 16, 24):
        await cut_off(rig, rig.job(), size * MIB)
        assert len(rig.staged()) <= 2
    done = complete(rig, await rig.copy(), content)
    assert done.sent <= SIZE - 24 * MIB


@pytest.mark.ssh
async def test_another_generation_begins_anew(rig: CopyRig, cut: tuple[bytes, CopyJob]) -> None:
    content = os.urandom(SIZE)
    rig.write(content)
    done = complete(rig, await rig.copy(rig.job(generation=2)), content)
    assert (done.sent, done.resumed) == (SIZE, 0)


@pytest.mark.ssh
async def test_the_same_generation_of_another_file_begins_anew(
    rig: CopyRig, cut: tuple[bytes, CopyJob]
) -> None:
    rig.write(content := os.urandom(SIZE))
    done = complete(rig, await rig.copy(), content)
    assert done.resumed == 0


@pytest.mark.ssh
@pytest.mark.parametrize("what", ["damaged", "truncated", "gone", "note damaged", "note gone"])
async def test_a_stage_is_never_trusted(
    rig: CopyRig, cut: tuple[bytes, CopyJob], expect_log: ExpectedLogs, what: str
) -> None:
    content, job = cut
    (name,) = rig.staged()
    stage = rig.at(rig.layout().directory) / name
    (note,) = (rig.agent / "stages").iterdir()
    match what:
        case "damaged":
            expect_log("sent again", logging.WARNING)
            with stage.open("r+b") as file:
                for at in random.Random(1).sample(range(8 * MIB), 3):
                    file.seek(at)
                    file.write(bytes([content[at] ^ 1]))
        case "truncated":
            os.truncate(stage, MIB)
        case "gone":
            stage.unlink()
        case "note damaged":
            note.write_bytes(b"{}")
        case _:
            note.unlink()
    complete(rig, await rig.copy(job, verify="size"), content)


@pytest.mark.ssh
async def test_a_delta_that_was_cut_off_is_resumed(rig: CopyRig) -> None:
    old = os.urandom(SIZE)
    rig.write(old)
    base = await rig.copy(replace(rig.job(), keep=1))
    assert isinstance(base, CopyDone)
    content = old[:MIB] + os.urandom(30 * MIB) + old[31 * MIB :]
    with rig.tape().open("r+b") as file:
        file.write(content)
    job = replace(rig.job(generation=2), base=base.copy, keep=1)
    await cut_off(rig, job, 20 * MIB)  # 10 of them were there already
    done = complete(rig, await rig.copy(job), content)
    assert done.way == "digests"
    assert done.sent <= 20 * MIB
    assert [copy.generation for copy in done.kept] == [1]


@pytest.mark.ssh
async def test_a_finished_stage_that_was_not_published_is_published(rig: CopyRig) -> None:
    """Cut off at the moment of publication; whether it happened is another question."""
    content = os.urandom(SIZE)
    rig.write(content)

    def permit() -> bool:
        rig.sshd.kill()
        return True

    rig.permit = permit
    failed = await rig.copy()
    assert isinstance(failed, CopyFailed)
    assert not rig.published().exists()
    (before,) = rig.staged()
    rig.sshd.start()
    rig.permit = yes
    done = complete(
        rig, await rig.copy(replace(rig.job(), intent=rig.journal.intended[0])), content
    )
    assert done.sent == 0
    assert done.resumed == SIZE
    assert done.copy.sole
    assert before not in rig.staged()


@pytest.mark.ssh
async def test_a_copy_that_nobody_wants_any_more_leaves_no_stage(rig: CopyRig) -> None:
    rig.write(os.urandom(SIZE))
    once_durable(rig, 4 * MIB, lambda: rig.write(b"another"))
    await rig.copy()
    assert rig.staged() == []
    assert noted(rig) is None


@pytest.mark.ssh
async def test_stages_of_tapes_that_nobody_copies_any_more_are_collected(rig: CopyRig) -> None:
    directory = rig.at(rig.layout().directory)
    rig.write(b"tape")
    assert isinstance(await rig.copy(), CopyDone)
    names = {}
    for what in ("forgotten", "noted", "being built", "fresh"):
        path = rig.at(rig.layout(what).stage(1, "old"))
        path.write_bytes(b"half")
        names[what] = path.name
        if what != "fresh":
            os.utime(path, (0, time.time() - 100_000))
    note = StageNote(1, Identity(1, 2, 3, 4, 5), (names["noted"],))
    StageNotes(rig.agent / "stages").write(rig.layout("noted").tape, "drsite", note)
    rig.premises.building.add(names["being built"])
    other = directory / "notes.txt"
    other.write_bytes(b"the operator's")
    os.utime(other, (0, 0))
    rig.write(b"more", "X00002")
    assert isinstance(await rig.copy(rig.job("X00002")), CopyDone)
    assert rig.staged() == sorted([names["noted"], names["being built"], names["fresh"]])
    assert other.exists()
    assert rig.premises.building == {names["being built"]}


def test_notes_are_read_back_and_damage_is_none(tmp_path: Path) -> None:
    notes = StageNotes(tmp_path / "stages")
    assert notes.read(TAPE, "drsite") is None
    note = StageNote(3, Identity(1, 2, 3, 4, 5), ("a", "b"), ((0, 4096),), closed=True)
    notes.write(TAPE, "drsite", note)
    assert notes.read(TAPE, "drsite") == note
    assert notes.read(TAPE, "other") is None
    path = notes.path(TAPE, "drsite")
    data = path.read_bytes()
    for damaged in (b"", b"{}", b"[]", data[:-3], b"\xff", data.replace(b"1", b"x")):
        path.write_bytes(damaged)
        with suppress(ValueError):
            assert notes.read(TAPE, "drsite") is None
    notes.forget(TAPE, "drsite")
    notes.forget(TAPE, "drsite")
    assert notes.read(TAPE, "drsite") is None


def test_notes_of_copies_that_nobody_makes_any_more_are_forgotten(tmp_path: Path) -> None:
    notes = StageNotes(tmp_path / "stages")
    notes.forget_old(0)
    note = StageNote(3, Identity(1, 2, 3, 4, 5), ("a",))
    for target in ("old", "new"):
        notes.write(TAPE, target, note)
    written_ns = 5_000 * 86_400 * 1_000_000_000
    for target, age_days in (("old", 31), ("new", 29)):
        at_ns = written_ns - age_days * 86_400 * 1_000_000_000
        os.utime(notes.path(TAPE, target), ns=(at_ns, at_ns))
    notes.forget_old(written_ns)
    assert notes.read(TAPE, "old") is None
    assert notes.read(TAPE, "new") == note
