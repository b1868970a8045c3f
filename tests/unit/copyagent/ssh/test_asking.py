"""How long a request may take, and what it means that it was not carried out."""

import math
import signal
from collections.abc import AsyncIterator

import pytest
import trio
import trio.testing

from copyagent.ssh import sftp_packets as packets
from copyagent.ssh.asking import Asker, Step
from copyagent.ssh.dialling import hang_up
from copyagent.ssh.sftp_channel import ChannelLost, SftpChannel
from copyagent.ssh.sftp_file import SftpFile
from copyagent.ssh.target_log_in import log_in_to
from copyagent.ssh.writing import Lane
from copyagent.transfer.target import LinkLost, TargetLacks, TargetMissing, TargetRefused
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
    handle = await ask("opening", request, packets.handle)
    file = SftpFile(ask, "tape", handle, no_more, writable=True)
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


async def test_what_is_asked_at_once_is_done_in_order(rig: CopyRig, channel: SftpChannel) -> None:
    ask = Asker(channel, "there", 5)
    path = str(rig.vault / "made")
    make = Step("making it", packets.make_directory(path.encode(), 0o700), packets.done, path)
    look = Step("looking", packets.lstat(path.encode()), packets.attributes, path)
    before, made, after, again, last = await ask.in_order(look, make, look, make, look)
    assert isinstance(before, TargetMissing)
    assert made is None
    assert isinstance(after, packets.Attributes)
    assert isinstance(again, TargetRefused), "and what comes after a failure is done all the same"
    assert last == after


async def test_of_what_is_asked_at_once_nothing_is_if_the_server_lacks_something(
    rig: CopyRig, channel: SftpChannel
) -> None:
    path = str(rig.vault / "made")
    make = Step("making it", packets.make_directory(path.encode(), 0o700), packets.done, path)
    strange = packets.limits()._replace(needs=b"never@example.com")
    with pytest.raises(TargetLacks, match=r"never@example\.com"):
        await Asker(channel, "there", 5).in_order(make, Step("asking", strange, packets.done, path))
    assert channel.quiet
    assert not (rig.vault / "made").exists()


async def test_what_nobody_waits_for_is_settled_in_the_end(
    rig: CopyRig, channel: SftpChannel
) -> None:
    path = str(rig.vault).encode()
    handle = await Asker(channel, "there", 5)(
        "opening", packets.open_directory(path), packets.handle
    )
    channel.post_idly(packets.close(handle))
    assert not channel.quiet
    with trio.fail_after(5):
        await channel.settle()
    assert channel.quiet


async def test_what_somebody_has_given_up_waiting_for_is_not_settled(channel: SftpChannel) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await channel.ask(packets.lstat(b"/"))
    channel.post_idly(packets.lstat(b"/"))
    with trio.fail_after(5):
        await channel.settle()
    assert not channel.quiet


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
