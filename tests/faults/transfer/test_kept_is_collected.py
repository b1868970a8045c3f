"""A former generation that gives way is removed, also if the agent dies as it is about to."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from copyagent.core.copying import CopyDone
from copyagent.ssh.sftp import SftpTarget
from tests.support.copy_rig import CopyRig

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
