"""A connection is handed on to the next copy, unless there is the least doubt about it."""

import signal
import socket
from collections.abc import AsyncIterator

import pytest
import trio

from copyagent.ssh.connections import Connections, open_connections
from copyagent.transfer.target import HostKeyRejected, LinkLost, TargetError, TargetMissing
from tests.support.copy_rig import CopyRig
from tests.support.processes import send_signal
from tests.support.waiting import wait_until_async

pytestmark = pytest.mark.ssh


@pytest.fixture
async def connections(bridge: None) -> AsyncIterator[Connections]:
    async with open_connections() as opened:
        yield opened


def log_ins(rig: CopyRig) -> int:
    return rig.sshd.log().count("Accepted publickey")


async def use(connections: Connections, rig: CopyRig, **changes: object) -> None:
    async with connections.connect(rig.settings(**changes)) as target:
        await target.list_names(str(rig.vault))


async def test_the_next_copy_needs_no_log_in(connections: Connections, rig: CopyRig) -> None:
    for _ in range(5):
        await use(connections, rig)
    assert log_ins(rig) == 1


async def test_each_copy_has_a_server_process_of_its_own(
    connections: Connections, rig: CopyRig
) -> None:
    for number in range(3):
        async with connections.connect(rig.settings()) as target:
            file = await target.create(f"{rig.vault}/{number}")
            await file.write(0, b"x")
            await file.close()
    assert rig.sshd.log().count("Starting session: subsystem 'sftp'") == 3


async def test_copies_at_the_same_time_share_nothing(
    connections: Connections, rig: CopyRig
) -> None:
    async with connections.connect(rig.settings()), connections.connect(rig.settings()):
        assert log_ins(rig) == 2
    async with connections.connect(rig.settings()), connections.connect(rig.settings()):
        pass
    assert log_ins(rig) == 2


async def test_other_settings_get_another_connection(
    connections: Connections, rig: CopyRig
) -> None:
    await use(connections, rig)
    await use(connections, rig, keepalive="4s")
    await use(connections, rig)
    assert log_ins(rig) == 2


async def test_a_refusal_is_no_reason_to_log_in_again(
    connections: Connections, rig: CopyRig
) -> None:
    for _ in range(2):
        with pytest.raises(TargetMissing):
            async with connections.connect(rig.settings()) as target:
                await target.open(f"{rig.vault}/missing")
    assert log_ins(rig) == 1


async def test_an_unanswered_request_ends_the_connection(
    connections: Connections, rig: CopyRig
) -> None:
    async with connections.connect(rig.settings()) as target:
        file = await target.create(f"{rig.vault}/tape")
        with trio.CancelScope() as scope:
            scope.cancel()
            await file.write(0, bytes(200_000))
    await use(connections, rig)
    assert log_ins(rig) == 2


async def test_a_command_that_was_given_up_ends_the_connection(
    connections: Connections, rig: CopyRig
) -> None:
    with pytest.raises(LinkLost):
        async with connections.connect(rig.settings()) as target:
            await target.run("sleep 20", 0.1)
    await use(connections, rig)
    assert log_ins(rig) == 2


async def test_a_restarted_server_burns_no_attempt(connections: Connections, rig: CopyRig) -> None:
    await use(connections, rig)
    rig.sshd.restart()
    await use(connections, rig)
    assert log_ins(rig) == 2


async def test_a_connection_that_fell_silent_burns_no_attempt(
    connections: Connections, rig: CopyRig
) -> None:
    await use(connections, rig, keepalive="500ms")
    frozen = rig.sshd.sessions()
    assert frozen
    for process in frozen:
        send_signal(process, signal.SIGSTOP)
    try:
        with trio.fail_after(5):
            await use(connections, rig, keepalive="500ms")
    finally:
        for process in frozen:
            send_signal(process, signal.SIGCONT)
    assert log_ins(rig) == 2


async def test_a_target_that_is_gone_is_said_to_be_gone(
    connections: Connections, rig: CopyRig
) -> None:
    await use(connections, rig)
    rig.sshd.stop()
    with pytest.raises(TargetError, match="cannot be reached"):
        await use(connections, rig)


async def test_other_pinned_host_keys_count_at_once(connections: Connections, rig: CopyRig) -> None:
    await use(connections, rig)
    rig.sshd.known_hosts.write_bytes(rig.sshd.wrong_known_hosts().read_bytes())
    with pytest.raises(HostKeyRejected):
        await use(connections, rig)


async def test_a_key_file_that_is_gone_counts_at_once(
    connections: Connections, rig: CopyRig
) -> None:
    await use(connections, rig)
    rig.sshd.key.unlink()
    with pytest.raises(TargetError, match="cannot be used"):
        await use(connections, rig)


async def test_nothing_waits_for_ever(bridge: None, rig: CopyRig) -> None:
    async with open_connections(idle_s=0.2) as connections:
        await use(connections, rig)
        assert rig.sshd.sessions()
        await wait_until_async(lambda: not rig.sshd.sessions(), 5, "the idle connection ends")
        await use(connections, rig)
    assert log_ins(rig) == 2


async def test_a_connection_has_its_time(bridge: None, rig: CopyRig) -> None:
    async with open_connections(life_s=0.0) as connections:
        await use(connections, rig)
        await use(connections, rig)
    assert log_ins(rig) == 2


async def test_none_is_left_at_the_end(bridge: None, rig: CopyRig) -> None:
    async with open_connections() as connections:
        await use(connections, rig)
    await wait_until_async(lambda: not rig.sshd.sessions(), 5, "the connection has ended")


async def test_waiting_for_a_silent_port_is_cancelled_promptly(
    connections: Connections, rig: CopyRig
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        began = trio.current_time()
        with trio.move_on_after(0.2) as scope:
            await use(connections, rig, port=mute.getsockname()[1])
    assert scope.cancelled_caught
    assert trio.current_time() - began < 2


async def test_what_was_begun_at_the_same_time_and_ended_well_is_no_doubt(
    connections: Connections, rig: CopyRig
) -> None:
    (rig.vault / "tape").write_bytes(b"held")
    async with connections.connect(rig.settings()) as target, trio.open_nursery() as nursery:
        nursery.start_soon(target.run, "true", 10)
        nursery.start_soon(target.hold, f"{rig.vault}/tape")
        nursery.start_soon(target.run, "sleep 0.1", 10)
    await use(connections, rig)
    assert log_ins(rig) == 1


async def test_how_large_requests_may_be_is_asked_once_and_not_waited_for(
    connections: Connections, rig: CopyRig
) -> None:
    async with connections.connect(rig.settings()) as target:
        assert target.max_block == 32_768
        await target.lstat(str(rig.vault))
        assert target.max_block == 261_120
    async with connections.connect(rig.settings()) as target:
        assert target.max_block == 261_120
