"""A publication that was never recorded is remembered until something else is recorded.

It stands at the target, and what tells it from somebody else's file is an intent. The next attempt
has an intent of its own, and may end before it publishes anything.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from copyagent.core.copying import CopyDone, CopyFailed, CopyStopped, PublishedCopy
from copyagent.ssh.sftp import SftpTarget
from copyagent.transfer import manifest
from copyagent.transfer.target import Draft, TargetFile, TargetFull
from tests.support.copy_rig import CopyRig, yes

pytestmark = pytest.mark.ssh


async def publish_unrecorded(rig: CopyRig) -> PublishedCopy:
    """Leave what an attempt leaves that is cut off right after its rename; return the intent."""
    done = await rig.copy()
    assert isinstance(done, CopyDone), done
    layout, intent = rig.layout(), rig.journal.intended[-1]
    Path(layout.manifest).unlink()
    Path(layout.intent).write_bytes(manifest.encode(layout.tape, intent))
    return intent


@pytest.mark.parametrize("agent_knows", [True, False])
async def test_it_is_known_after_an_attempt_that_published_nothing(
    rig: CopyRig, agent_knows: bool
) -> None:
    """*agent_knows*: its own record of the intent is there, too."""
    rig.write(b"the first generation")
    intent = await publish_unrecorded(rig)
    rig.write(b"the second, of which nothing comes")
    rig.permit = lambda: False
    second = replace(rig.job(generation=2), intent=intent if agent_knows else None)
    assert isinstance(await rig.copy(second), CopyStopped)
    rig.permit = yes
    rig.write(b"the third generation, another again")
    third = replace(rig.job(generation=3), intent=rig.journal.intended[-1])
    done = await rig.copy(third)
    assert isinstance(done, CopyDone), done
    assert rig.published().read_bytes() == rig.tape().read_bytes()


@asynccontextmanager
async def filling_up(rig: CopyRig, kind: str) -> AsyncIterator[SftpTarget]:
    """Connect to a disk that is full when a record of *kind* is written: half of it arrives.

    What was asked for after the write is done all the same, as a server does.
    """

    class Full(SftpTarget):
        async def put_in_place(self, drafts: Mapping[str, Draft], directory: TargetFile) -> None:
            cut = {
                path: replace(draft, content=draft.content[:40]) if path.endswith(kind) else draft
                for path, draft in drafts.items()
            }
            await super().put_in_place(cut, directory)
            if cut != drafts:
                raise TargetFull(f"writing the {kind}: no space left at the target")

    async with rig.connect() as target:
        target.__class__ = Full
        yield target


@pytest.mark.parametrize("agent_knows", [True, False])
async def test_a_damaged_manifest_leaves_the_intent_to_tell(
    rig: CopyRig, agent_knows: bool
) -> None:
    """*agent_knows*: its own record of the copy is there; else its state was lost."""
    rig.write(b"the first generation")
    done = await rig.copy(connecting=partial(filling_up, rig, ".manifest"))
    assert isinstance(done, CopyDone), done
    layout = rig.layout()
    assert manifest.decode(layout.tape, Path(layout.manifest).read_bytes()) is None
    assert Path(layout.intent).exists()
    rig.write(b"the second generation")
    second = replace(rig.job(generation=2), base=done.copy if agent_knows else None)
    assert isinstance(await rig.copy(second), CopyDone)
    assert rig.published().read_bytes() == rig.tape().read_bytes()
    assert manifest.decode(layout.tape, Path(layout.manifest).read_bytes()) is not None
    assert not Path(layout.intent).exists()


async def test_nothing_is_published_on_a_damaged_intent(rig: CopyRig) -> None:
    rig.write(b"the first generation")
    done = await rig.copy()
    assert isinstance(done, CopyDone), done
    rig.write(b"the second generation")
    second = replace(rig.job(generation=2), base=done.copy)
    failed = await rig.copy(second, connecting=partial(filling_up, rig, ".intent"))
    assert isinstance(failed, CopyFailed), failed
    assert rig.published().read_bytes() == b"the first generation"
    assert not Path(rig.layout().intent).exists()
    assert len(rig.journal.intended) == 1, "nor is the agent's own intent made"
    assert isinstance(await rig.copy(second), CopyDone)
