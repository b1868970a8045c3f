"""A command's own way to a target: what its failures are for whoever called it."""

import pytest

from copyagent.cli.own_line import OwnLine, as_ours, own_line, run_with_asyncio
from copyagent.transfer import target
from tests.support.copy_rig import CopyRig
from tests.support.example_settings import EXAMPLE, example_settings
from vtsfs.contract.errors import (
    HostKeyRejected,
    LinkFailed,
    LogOnRefused,
    RequestFailed,
    VtsError,
)
from vtsfs.contract.settings import Settings


@pytest.mark.parametrize(
    ("failure", "ours"),
    [
        (target.TargetUnreachable("no answer"), LinkFailed),
        (target.LinkLost("gone"), LinkFailed),
        (target.LoginRefused("not you"), LogOnRefused),
        (target.HostKeyRejected("another key"), HostKeyRejected),
        (target.TargetRefused("reading it", "permission denied"), RequestFailed),
    ],
)
def test_a_failure_ends_with_its_exit_status_and_the_next_step(
    failure: target.TargetError, ours: type[VtsError]
) -> None:
    async def fail() -> None:
        raise failure

    with pytest.raises(ours) as raised:
        run_with_asyncio(fail)
    assert type(raised.value) is ours
    assert failure.next_step in str(raised.value)
    assert str(as_ours(failure)) == str(raised.value)


def test_what_goes_well_gives_its_result() -> None:
    async def work() -> int:
        return 7

    assert run_with_asyncio(work) == 7


def settings_of(rig: CopyRig) -> Settings:
    """Name the rig's server as target, limited to 1 MiB/s."""
    sshd = rig.sshd
    text = EXAMPLE.replace(
        "    user: vts\n",
        f"    user: {sshd.user}\n    port: {sshd.port}\n    bandwidth: 1 MiB/s\n"
        "    keepalive: 5s\n",
    )
    text = text.replace("ROOT/known_hosts", str(sshd.known_hosts))
    return example_settings(rig.backing.parent, text.replace("ROOT/key", str(sshd.key)))


@pytest.mark.ssh
async def test_a_line_knows_its_patience_and_its_limits(rig: CopyRig) -> None:
    async with own_line(settings_of(rig), "drsite") as line:
        assert isinstance(line, OwnLine)
        assert line.patience_s == 20.0
        assert line.pace.block(10**9) == 256 * 1024
        assert await line.target.lstat("/") is not None
