"""A former generation that gives way is removed, also if the agent dies as it is about to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from copyagent.core.copying import CopyDone
from copyagent.ssh.sftp import SftpTarget
from copyagent.transfer.keeping import Kept
from copyagent.transfer.source import open_tape
from copyagent.transfer.target import TargetRefused
from tests.support.copy_rig import CopyRig
from tests.unit.copyagent.transfer.test_forwarding import History

pytestmark = pytest.mark.ssh


class Killed(BaseException):
    """The agent is no more."""


@asynccontextmanager
async def dying(rig: CopyRig) -> AsyncIterator[SftpTarget]:
    """Connect, and die before a former generation is removed."""

    class Dying(SftpTarget):
        async def remove(self, path: str) -> None:
            if path.endswith(".kept"):
                raise Killed
            await super().remove(path)

    async with rig.connect() as target:
        target.__class__ = Dying
        yield target


def kept_there(rig: CopyRig) -> set[str]:
    return {path.name for path in Path(rig.layout().kept_directory).iterdir()}


async def test_what_gives_way_goes_with_the_next_attempt(rig: CopyRig) -> None:
    rig.write(b"generation 1")
    done = await rig.copy(replace(rig.job(), keep=1))
    assert isinstance(done, CopyDone), done
    rig.write(b"generation 2")
    done = await rig.copy(replace(rig.job(generation=2), base=done.copy, keep=1))
    assert isinstance(done, CopyDone), done
    rig.write(b"generation 3")
    job = replace(rig.job(generation=3), base=done.copy, kept=done.kept, keep=1)
    with pytest.raises(BaseExceptionGroup) as died:
        await rig.copy(job, connecting=lambda: dying(rig))
    assert died.group_contains(Killed)
    assert len(kept_there(rig)) == 2
    again = await rig.copy(replace(job, intent=rig.journal.intended[-1]))
    assert isinstance(again, CopyDone), again
    assert again.sent == 0
    assert kept_there(rig) == {copy.name for copy in again.kept}
    (former,) = again.kept
    assert Path(rig.layout().kept(former.name)).read_bytes() == b"generation 2"


@asynccontextmanager
async def refusing(rig: CopyRig) -> AsyncIterator[SftpTarget]:
    """Connect to a server that removes no former generation."""

    class Refusing(SftpTarget):
        async def remove(self, path: str) -> None:
            if path.endswith(".kept"):
                raise TargetRefused(f"removing {path}", "permission denied")
            await super().remove(path)

    async with rig.connect() as target:
        target.__class__ = Refusing
        yield target


async def test_what_cannot_be_removed_stays_on_record_until_it_can(rig: CopyRig) -> None:
    rig.write(b"generation 1")
    done = await rig.copy(replace(rig.job(), keep=1))
    assert isinstance(done, CopyDone), done
    for generation, kept in ((2, [1]), (3, [2, 1]), (4, [3, 2, 1]), (5, [4])):
        rig.write(f"generation {generation}".encode())
        job = rig.job(generation=generation)
        job = replace(job, base=done.copy, kept=done.kept, keep=1)
        how = partial(refusing, rig) if generation < 5 else rig.connect
        done = await rig.copy(job, connecting=how)
        assert isinstance(done, CopyDone), done
        assert [copy.generation for copy in done.kept] == kept
        assert kept_there(rig) == {copy.name for copy in done.kept}


async def test_room_is_not_counted_before_it_is_there(rig: CopyRig) -> None:
    history = History(rig, keep=2)
    for _ in range(3):
        await history.copy(history.change((0, b"x")))
    assert history.done is not None
    with open_tape(rig.backing, rig.job().tape) as source:
        async with refusing(rig) as target:
            attempt = rig.attempt(source, target)
            kept = Kept(attempt, history.done.kept)
            await kept.make_room(1)
            assert kept.copies == history.done.kept
        async with rig.connect() as target:
            kept = Kept(rig.attempt(source, target), history.done.kept)
            await kept.make_room(1)
            assert kept.copies == history.done.kept[:-1]
