"""Asking a target whether it lets us in: the answers that a copy would have got."""

import pytest

from copyagent.core.copying import CopyFailed, CopyWaits, WaitReason
from copyagent.transfer.probing import probe
from tests.support.copy_rig import CopyRig

pytestmark = pytest.mark.ssh


async def test_a_target_that_is_there_has_nothing_to_say(rig: CopyRig) -> None:
    assert await probe(rig.connect) is None


async def test_one_that_does_not_answer_is_a_failure_for_all(rig: CopyRig) -> None:
    rig.sshd.stop()
    outcome = await probe(rig.connect)
    assert isinstance(outcome, CopyFailed)
    assert outcome.unreachable
    assert not outcome.permanent
    assert "cannot be reached" in outcome.cause


async def test_one_with_another_host_key_is_waited_for(rig: CopyRig) -> None:
    pinned = rig.sshd.known_hosts.read_text().split()
    rig.sshd.known_hosts.write_text(f"{pinned[0]} ssh-ed25519 {OTHER_KEY}\n")
    outcome = await probe(rig.connect)
    assert isinstance(outcome, CopyWaits)
    assert outcome.reason is WaitReason.HOST_KEY


#: A public key that no server here has.
OTHER_KEY = "AAAAC3NzaC1lZDI1NTE5AAAAIIsJdRpZ0u2N7sZ8dE4xqWb0XwCzq0q7m3F1cJ1yqv1K"
