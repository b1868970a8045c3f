"""Copies to a real sshd: what arrives, what is kept, and what stops a copy."""

import hashlib
import os
import stat

import pytest

from copyagent.core.copying import CopyDone
from copyagent.transfer.progress import Phase
from tests.support.copy_rig import CopyRig

pytestmark = pytest.mark.ssh


async def test_a_tape_arrives_whole(rig: CopyRig) -> None:
    content = os.urandom(9_000_001)
    path = rig.write(content)
    path.chmod(0o640)
    os.utime(path, ns=(1_600_000_000_123_456_789, 1_500_000_000_987_654_321))

    done = await rig.copy()

    assert isinstance(done, CopyDone), done
    published = rig.published()
    assert published.read_bytes() == content
    assert stat.S_IMODE(published.stat().st_mode) == 0o640
    assert int(published.stat().st_mtime) == 1_500_000_000
    assert done.sent == len(content)
    assert done.copy.verified == "command"
    assert done.copy.sha256 == hashlib.sha256(content).hexdigest()
    assert done.copy.stamp.token.startswith(f"{published.stat().st_ino} ")
    assert rig.staged() == []
    phases = list(dict.fromkeys(step.phase for step in rig.seen))
    assert phases == [Phase.CONNECTING, Phase.SENDING, Phase.VERIFYING, Phase.PUBLISHING]
    assert max(step.done for step in rig.seen) == len(content)
