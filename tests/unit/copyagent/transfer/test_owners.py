"""Whose a published tape is, and who may read it."""

import os
import stat

import pytest

from copyagent.core.copying import CopyDone
from tests.support.copy_rig import CopyRig

pytestmark = pytest.mark.ssh


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o444])
async def test_it_has_the_sources_mode_and_the_owner_who_logs_in(rig: CopyRig, mode: int) -> None:
    tape = rig.write(b"tape")
    tape.chmod(mode)
    if os.geteuid() == 0:
        os.chown(tape, 4711, 4712)
    assert isinstance(await rig.copy(), CopyDone)
    found = rig.published().stat()
    assert stat.S_IMODE(found.st_mode) == mode
    assert (found.st_uid, found.st_gid) == (os.geteuid(), os.getegid())
