"""Logging in by key takes one request; what a server does not want it still says."""

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from copyagent.ssh.brief_log_in import ask_nothing
from copyagent.transfer.target import LoginRefused
from tests.support.copy_rig import CopyRig
from tests.support.sshd import Sshd, make_key

pytestmark = pytest.mark.ssh

#: What sshd logs of each request, by its method (auth2.c).
ASKED = re.compile(r"userauth-request for user \S+ service ssh-connection method (\S+)")


async def test_the_key_is_all_that_is_said(scratch: Path, bridge: None) -> None:
    with Sshd(scratch / "sshd", options=["LogLevel DEBUG1"]) as sshd:
        async with CopyRig(scratch, sshd).connect() as target:
            assert await target.lstat("/") is not None
        assert ASKED.findall(sshd.log()) == ["publickey"]


async def test_a_key_that_is_not_wanted_is_refused(scratch: Path, bridge: None) -> None:
    other = make_key(scratch / "other")
    with Sshd(scratch / "sshd", options=["LogLevel DEBUG1"]) as sshd:
        with pytest.raises(LoginRefused):
            async with CopyRig(scratch, sshd).connect(key=str(other)):
                pass
        assert ASKED.findall(sshd.log()) == ["publickey"]


def test_where_the_library_is_another_one_it_asks() -> None:
    strange = SimpleNamespace(_auth_methods=[b"none"])
    ask_nothing(cast("Any", strange))
    assert strange._auth_methods == [b"none"]
