"""The target's power is cut: what had not reached its disk is gone, and the next attempt heals it."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from copyagent.core.copying import CopyDone, CopyFailed
from copyagent.transfer import resuming
from copyagent.transfer.pacing import Pace, Pacer
from copyagent.transfer.progress import CopyProgress, Phase
from copyagent.transfer.resuming import StageNotes
from tests.support.copy_rig import CopyRig, yes
from tests.support.disks import Disk
from tests.support.mountpoint import unmounted_after

pytestmark = [pytest.mark.ssh, pytest.mark.mount]

MIB = 1 << 20
SIZE = 24 * MIB


class Power:
    """The target's disk, whose power can be cut: what is not on it is forgotten."""

    def __init__(self, rig: CopyRig) -> None:
        self.rig = rig
        self.disk = Disk(rig.vault.parent / "image", rig.vault, megabytes=128)
        self.disk.mount()

    def cut(self) -> None:
        """Kill the server and go on with the disk as it was at that moment."""
        image = self.disk.image
        shutil.copyfile(image, image.with_suffix(".later"))
        self.rig.sshd.kill()
        self.disk.unmount()
        image.with_suffix(".later").rename(image)
        command = ["mount", "-o", "loop", str(image), str(self.rig.vault)]
        subprocess.run(command, check=True, capture_output=True)
        self.rig.sshd.start()
        self.rig.on_progress = lambda _: None
        self.rig.permit = yes


@pytest.fixture
def power(rig: CopyRig, monkeypatch: pytest.MonkeyPatch) -> Iterator[Power]:
    monkeypatch.setattr(resuming, "EVERY_BYTES", 2 * MIB)
    # What was only acknowledged is noted at a failure as well, but no power cut spares it.
    monkeypatch.setattr(resuming, "LEAST_SALVAGED", SIZE)
    with unmounted_after(rig.vault):
        yield Power(rig)


def durable(rig: CopyRig) -> int:
    note = StageNotes(rig.agent / "stages").read(rig.layout().tape, "drsite")
    return 0 if note is None else sum(end - start for start, end in note.durable)


def once_durable(rig: CopyRig, size: int, act: Callable[[], None]) -> None:
    todo = [act]

    def on_progress(step: CopyProgress) -> None:
        if step.phase is Phase.SENDING and todo and durable(rig) >= size:
            todo.pop()()

    rig.on_progress = on_progress


async def test_what_was_noted_as_durable_is_there_after_a_power_cut(
    rig: CopyRig, power: Power
) -> None:
    content = os.urandom(SIZE)
    rig.write(content)
    rig.pace = Pace(sending=(Pacer(32 * MIB),))
    once_durable(rig, 8 * MIB, power.cut)
    failed = await rig.copy()
    assert isinstance(failed, CopyFailed), failed
    was = durable(rig)
    done = await rig.copy()
    assert isinstance(done, CopyDone), done
    assert rig.published().read_bytes() == content
    assert done.sent <= SIZE - was + 64 * 1024, "nothing had to be healed"


async def test_a_power_cut_at_a_publication_leaves_either_generation(
    rig: CopyRig, power: Power
) -> None:
    """Before the rename, and just after the last answer: the old one or the new one, whole."""
    old = os.urandom(SIZE)
    rig.write(old)
    first = await rig.copy(replace(rig.job(), keep=1))
    assert isinstance(first, CopyDone)
    new = old[:MIB] + b"second" + old[MIB + 6 :]
    rig.write(new)
    job = replace(rig.job(generation=2), base=first.copy, kept=first.kept, keep=1)

    def cut() -> bool:
        power.cut()
        return True

    rig.permit = cut
    failed = await rig.copy(job)
    assert isinstance(failed, CopyFailed), failed
    assert rig.published().read_bytes() == old
    done = await rig.copy(replace(job, intent=rig.journal.intended[-1]))
    assert isinstance(done, CopyDone), done
    power.cut()
    assert rig.published().read_bytes() == new
    (kept,) = done.kept
    assert Path(rig.layout().kept(kept.name)).read_bytes() == old


async def test_a_power_cut_while_a_kept_generation_is_written_takes_it_along(
    rig: CopyRig, power: Power
) -> None:
    content = os.urandom(SIZE)
    rig.write(content)
    done = await rig.copy(replace(rig.job(), keep=1))
    for generation in (2, 3):
        assert isinstance(done, CopyDone)
        old = content
        content = content[:MIB] + os.urandom(generation * MIB) + content[(generation + 1) * MIB :]
        rig.write(content)
        job = replace(rig.job(generation=generation), base=done.copy, kept=done.kept, keep=1)
        if generation == 3:
            rig.at_phase(Phase.VERIFYING, power.cut)
            assert isinstance(await rig.copy(job), CopyFailed)
            rig.on_progress = lambda _: None
            assert rig.published().read_bytes() == old
            kept = Path(rig.layout().kept_directory)
            assert list(kept.iterdir()) == [], "no name leads to what was half written"
        done = await rig.copy(job)
        assert isinstance(done, CopyDone), done
        assert rig.published().read_bytes() == content
