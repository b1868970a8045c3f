"""How long a request may take, and what it means that it was not carried out."""

import math
import signal
from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing

from copyagent.ssh import sftp_packets as packets
from copyagent.ssh.asking import Asker
from copyagent.ssh.dialling import hang_up
from copyagent.ssh.sftp_channel import ChannelLost, SftpChannel
from copyagent.ssh.sftp_file import SftpFile
from copyagent.ssh.target_log_in import log_in_to
from copyagent.ssh.writing import Lane
from copyagent.transfer.target import LinkLost, TargetLacks, TargetMissing
from tests.support.copy_rig import CopyRig
from tests.support.processes import descendants, send_signal
from tests.support.tcp_proxy import open_proxy

pytestmark = pytest.mark.ssh

MIB = 1024 * 1024


@pytest.fixture
async def channel(rig: CopyRig) -> AsyncIterator[SftpChannel]:
    connection = await log_in_to(rig.settings())
    yield await SftpChannel.open(connection)
    await hang_up(connection, politely=True)


async def no_more() -> Lane | None:
    return None


async def test_by_default_64_mib_are_given_up_within_a_minute(channel: SftpChannel) -> None:
    ask = Asker(channel, "there", 10.0)
    assert ask.patience_for(0) == 40
    assert ask.patience_for(64 * MIB) < 60


async def test_what_the_server_does_not_offer_is_not_asked(channel: SftpChannel) -> None:
    ask = Asker(channel, "there", 10.0)
    del channel.offers[packets.FSYNC]
    with pytest.raises(TargetLacks, match=r"trying: the server has no fsync@openssh\.com"):
        await ask("trying", packets.fsync(b"no handle at all"), packets.done)
    assert channel.quiet


async def test_the_quickest_answer_is_the_round_trip(channel: SftpChannel) -> None:
    ask = Asker(channel, "there", 10.0)
    assert ask.round_trip_s == math.inf
    with pytest.raises(TargetMissing):
        await ask("looking", packets.lstat(b"/no such name"), packets.attributes)
    await ask("looking", packets.lstat(b"/"), packets.attributes)
    assert 0 < ask.round_trip_s < 5
    assert ask.over(channel).round_trip_s == ask.round_trip_s


async def test_making_much_durable_may_take_longer(rig: CopyRig, channel: SftpChannel) -> None:
    ask = Asker(channel, "there", 0.05)
    (rig.vault / "tape").touch()
    request = packets.open_file(str(rig.vault / "tape").encode(), packets.OPEN_WRITE, 0o600)
    file = SftpFile(ask, "tape", await ask("opening", request, packets.handle), no_more)
    (process,) = (one for one in rig.sshd.sessions() if not descendants(one.pid))
    send_signal(process, signal.SIGSTOP)
    try:
        with pytest.raises(LinkLost, match=r"making tape durable: there .* within 0\.2 s"):
            await file.sync()
        file.grew_by(2 * MIB)
        with pytest.raises(LinkLost, match=r"within 0\.7 s"):
            await file.sync()
    finally:
        send_signal(process, signal.SIGCONT)


async def test_an_answer_nobody_waits_for_is_dropped(channel: SftpChannel) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await channel.ask(packets.lstat(b"/"))
    assert not channel.quiet
    answer = await channel.ask(packets.lstat(b"/"))
    assert packets.attributes(answer).mode
    assert channel.quiet


async def test_a_killed_server_process_fails_all_that_wait(
    rig: CopyRig, channel: SftpChannel
) -> None:
    (process,) = (one for one in rig.sshd.sessions() if not descendants(one.pid))
    send_signal(process, signal.SIGSTOP)
    lost = 0

    async def ask() -> None:
        nonlocal lost
        with pytest.raises(ChannelLost):
            await channel.ask(packets.lstat(b"/"))
        lost += 1

    with trio.fail_after(5):
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(ask)
            await trio.testing.wait_all_tasks_blocked(0.01)
            send_signal(process, signal.SIGKILL)
    assert lost == 3
    with pytest.raises(ChannelLost):
        await channel.ask(packets.lstat(b"/"))
    assert not channel.quiet


async def test_no_fillers_are_sent(rig: CopyRig) -> None:
    """asyncssh would double the packets, of which the smallest has some 36 bytes."""
    async with open_proxy(rig.sshd.port) as proxy:
        line = rig.sshd.known_hosts.read_text()
        rig.sshd.known_hosts.write_text(line.replace(f":{rig.sshd.port} ", f":{proxy.port} "))
        async with rig.connect(port=proxy.port) as target:
            before = proxy.sent
            for _ in range(10):
                await target.lstat("/")
            assert (proxy.sent - before) / 10 < 80
