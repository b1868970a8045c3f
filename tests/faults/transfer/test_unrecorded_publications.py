"""A publication that was never recorded is remembered until something else is recorded.

It stands at the target, and what tells it from somebody else's file is an intent. The next attempt
has an intent of its own, and may end before it publishes anything.
"""

from dataclasses import replace
from pathlib import Path

import pytest

from copyagent.core.copying import CopyDone, CopyStopped, PublishedCopy
from copyagent.transfer import manifest
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
