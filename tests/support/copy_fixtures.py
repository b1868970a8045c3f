"""Fixtures of the tests that copy to a real server."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from copyagent.ssh.bridge import open_bridge
from tests.support.copy_rig import CopyRig
from tests.support.sshd import Sshd


@pytest.fixture
async def bridge() -> AsyncIterator[None]:
    """Run the test with asyncio at hand."""
    async with open_bridge():
        yield


@pytest.fixture
async def rig(scratch: Path, sshd: Sshd, bridge: None) -> CopyRig:
    return CopyRig(scratch, sshd)
