"""What answers in place of an SFTP server is told as what it is, with what to do about it."""

from pathlib import Path

import pytest

from copyagent.transfer.target import TargetUnreachable
from tests.support.copy_rig import CopyRig
from tests.support.sshd import Sshd

pytestmark = pytest.mark.ssh


async def test_who_talks_before_the_server_does_is_heard_out(scratch: Path, bridge: None) -> None:
    """A line in a shell's start-up file is mended there, and nothing has to be done here then."""
    with Sshd(scratch / "sshd", options=["ForceCommand echo Welcome to the night shift"]) as sshd:
        with pytest.raises(TargetUnreachable, match="what the server says is no SFTP") as told:
            async with CopyRig(scratch, sshd).connect():
                pass
    assert "start-up files" in told.value.next_step


async def test_a_server_process_that_ends_at_once_may_be_there_next_time(
    scratch: Path, bridge: None
) -> None:
    with Sshd(scratch / "sshd", options=["ForceCommand exec false"]) as sshd:
        with pytest.raises(TargetUnreachable, match="the connection ended when SFTP was started"):
            async with CopyRig(scratch, sshd).connect():
                pass
