import os
from pathlib import Path

import pytest
import trio

from tests.support.signal_sink import FixedClock, Sink
from vtsfs.contract.errors import AttachError
from vtsfs.contract.naming import NamePatterns
from vtsfs.fuse import session
from vtsfs.fuse.boundary import UnforeseenErrors
from vtsfs.fuse.operations import Operations
from vtsfs.overlay.overlay import Overlay, VaultView


@pytest.mark.mount
@pytest.mark.skipif(os.geteuid() != 0, reason="fusermount3 explains itself on standard error")
async def test_a_mount_point_that_is_not_there(tmp_path: Path) -> None:
    async with trio.open_nursery() as nursery:
        view = VaultView("VAULT00", tmp_path, NamePatterns())
        overlay = Overlay(view, Sink(), FixedClock(), nursery)
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(AttachError, match="VAULT00 cannot be mounted"):
            session.attach(
                Operations(overlay, UnforeseenErrors(print)), "VAULT00", tmp_path / "none"
            )
        assert len(os.listdir("/proc/self/fd")) == before
        overlay.close()
