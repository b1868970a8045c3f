"""Server processes that freeze with requests in flight, and wake up when later generations are there.

Nothing that they then execute may change what is published, nor what is kept.
"""

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from copyagent.core.copying import CopyDone, CopyFailed, CopyJob
from copyagent.transfer import cloning, resuming
from copyagent.transfer.pacing import Pace, Pacer
from copyagent.transfer.progress import CopyProgress, Phase
from tests.support.copy_rig import CopyRig, yes
from tests.support.processes import ProcessId, is_alive, send_signal
from tests.support.sshd import Sshd
from tests.support.waiting import wait_until_async

pytestmark = pytest.mark.ssh

MIB = 1 << 20


class Frozen:
    """Server processes that were stopped, to be woken later."""

    def __init__(self, rig: CopyRig) -> None:
        self.rig = rig
        self.processes: list[ProcessId] = []

    def freeze(self) -> None:
        """Stop all who serve SFTP now, and sshd's session processes around them."""
        self.processes = self.rig.sshd.sessions()
        for process in self.processes:
            send_signal(process, signal.SIGSTOP)

    async def wake(self) -> None:
        """Let them execute what they had received; return when they have ended for want of us."""
        for process in self.processes:
            send_signal(process, signal.SIGCONT)
        await wait_until_async(
            lambda: not any(map(is_alive, self.processes)), 10, "the woken processes have ended"
        )


@pytest.fixture
def frozen(rig: CopyRig) -> Frozen:
    return Frozen(rig)


async def fail_frozen(rig: CopyRig, job: CopyJob) -> CopyFailed:
    """Make an attempt in which the server freezes."""
    failed = await rig.copy(job, keepalive="300ms", patience_s=1.0)
    assert isinstance(failed, CopyFailed), failed
    assert failed.unreachable
    rig.on_progress = lambda _: None
    rig.permit = yes
    return failed


def on_sent(rig: CopyRig, size: int, act: Callable[[], None]) -> None:
    todo = [act]

    def on_progress(step: CopyProgress) -> None:
        if step.phase is Phase.SENDING and step.done >= size and todo:
            todo.pop()()

    rig.on_progress = on_progress


async def generation(rig: CopyRig, job: CopyJob) -> CopyDone:
    done = await rig.copy(job)
    assert isinstance(done, CopyDone), done
    assert rig.published().read_bytes() == rig.tape().read_bytes()
    return done


def following(rig: CopyRig, done: CopyDone) -> CopyJob:
    number = done.copy.generation + 1
    return replace(rig.job(generation=number), base=done.copy, kept=done.kept, keep=1)


def kept(rig: CopyRig, done: CopyDone) -> bytes:
    (copy,) = done.kept
    return Path(rig.layout().kept(copy.name)).read_bytes()


@pytest.mark.parametrize("copy_data", [True, False])
async def test_writes_in_flight_come_after_two_later_generations(
    scratch: Path, bridge: None, monkeypatch: pytest.MonkeyPatch, copy_data: bool
) -> None:
    monkeypatch.setattr(resuming, "EVERY_BYTES", 2 * MIB)
    options = [] if copy_data else ["ForceCommand internal-sftp -P copy-data"]
    with Sshd(scratch / "sshd", options=options) as sshd:
        rig = CopyRig(scratch, sshd)
        rig.pace = Pace(sending=(Pacer(64 * MIB),))
        frozen = Frozen(rig)
        first = os.urandom(24 * MIB)
        rig.write(first)
        on_sent(rig, 12 * MIB, frozen.freeze)
        job = replace(rig.job(), keep=1)
        await fail_frozen(rig, job)
        done = await generation(rig, job)
        assert done.resumed > 0
        rig.pace = Pace()
        edited = first[:MIB] + b"second" + first[MIB + 6 :]
        rig.write(edited)
        again = await generation(rig, following(rig, done))
        await frozen.wake()
        assert rig.published().read_bytes() == edited
        assert kept(rig, again) == first
        third = edited[: 2 * MIB] + b"third" + edited[2 * MIB + 5 :]
        rig.write(third)
        last = await generation(rig, following(rig, again))
        assert kept(rig, last) == edited


async def test_a_rename_in_flight_comes_after_a_later_generation(
    rig: CopyRig, frozen: Frozen
) -> None:
    """Frozen between the answer to the permission and the rename: it is executed when it wakes."""
    rig.write(b"first")
    done = await generation(rig, replace(rig.job(), keep=1))
    rig.write(b"second")
    job = following(rig, done)

    def permit() -> bool:
        frozen.freeze()
        return True

    rig.permit = permit
    await fail_frozen(rig, job)
    rig.write(b"third")
    third = replace(rig.job(generation=3), base=done.copy, keep=1, intent=rig.journal.intended[-1])
    again = await generation(rig, third)
    await frozen.wake()
    assert rig.published().read_bytes() == b"third"
    assert kept(rig, again) == b"first"
    rig.write(b"fourth")
    last = await generation(rig, following(rig, again))
    assert kept(rig, last) == b"third"


async def test_a_link_in_flight_comes_after_a_later_generation(
    rig: CopyRig, frozen: Frozen
) -> None:
    """It gives the published file of that moment one more name, which nobody ever writes to."""
    size = 6 * MIB
    contents = [os.urandom(size)]
    rig.write(contents[0])
    done = await generation(rig, replace(rig.job(), keep=1))
    rig.write(contents[0][:-5] + b"other")
    rig.journal.on_intend = frozen.freeze
    await fail_frozen(rig, following(rig, done))
    rig.journal.on_intend = lambda: None
    intent = rig.journal.intended[-1]
    for number in range(3, 8):
        content = os.urandom(100) + contents[-1][100:]
        rig.write(content)
        job = replace(rig.job(generation=number), base=done.copy, kept=done.kept, keep=1)
        done = await generation(rig, replace(job, intent=intent if number == 3 else None))
        if number == 4:
            await frozen.wake()
        assert rig.published().read_bytes() == content
        assert kept(rig, done) == contents[-1]
        contents.append(content)


async def test_copy_data_in_flight_comes_after_a_later_generation(
    rig: CopyRig, frozen: Frozen, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cloning, "SLICE", MIB)
    content = os.urandom(64 * MIB)
    rig.write(content)
    done = await generation(rig, replace(rig.job(), keep=1))
    second = b"second" + content[6:]
    rig.write(second)

    async def freeze_while_copying() -> None:
        def some_is_copied() -> bool:
            directory = Path(rig.layout().directory)
            return any(p.stat().st_size > 8 * MIB for p in directory.glob("*.stage"))

        await wait_until_async(some_is_copied, 10, "some is copied")
        frozen.freeze()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(freeze_while_copying)
        await fail_frozen(rig, following(rig, done))
    third = b"the third generation" + content[20:]
    rig.write(third)
    job = replace(rig.job(generation=3), base=done.copy, kept=done.kept, keep=1)
    again = await generation(rig, job)
    await frozen.wake()
    assert rig.published().read_bytes() == third
    assert kept(rig, again) == content


async def test_a_generation_brought_forward_that_froze_is_dropped(
    rig: CopyRig, frozen: Frozen
) -> None:
    size = 24 * MIB
    content = os.urandom(size)
    rig.write(content)
    done = await generation(rig, replace(rig.job(), keep=1))
    content = b"second" + content[6:]
    rig.write(content)
    done = await generation(rig, following(rig, done))
    old = content
    content = content[:MIB] + os.urandom(8 * MIB) + content[9 * MIB :]
    rig.write(content)
    on_sent(rig, 2 * MIB, frozen.freeze)
    rig.pace = Pace(sending=(Pacer(64 * MIB),))
    job = following(rig, done)
    await fail_frozen(rig, job)
    again = await generation(rig, job)
    assert kept(rig, again) == old
    await frozen.wake()
    assert rig.published().read_bytes() == content
    assert kept(rig, again) == old
    assert rig.staged() == []
