"""Bulk data by our own packets, between those of asyncssh: the same bytes, whatever comes between."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
import trio
import trio.testing

from copyagent.ssh.bridge import in_asyncio
from copyagent.ssh.express import Express, express_of, is_suitable
from copyagent.ssh.sftp import SftpTarget
from copyagent.transfer.target import LinkLost, TargetFile
from tests.support.copy_rig import CopyRig
from tests.support.sshd import Sshd
from tests.support.tcp_proxy import TcpProxy, open_proxy

pytestmark = pytest.mark.ssh

MIB = 1024 * 1024


async def write(file: TargetFile, content: bytes, block: int) -> None:
    async with file.writing(patience_s=10, acknowledged=lambda _start, _end: None) as writer:
        for offset in range(0, len(content), block):
            await writer.put(offset, memoryview(content)[offset : offset + block])


async def read(file: TargetFile, size: int, block: int) -> bytes:
    """Read with several requests in flight."""
    found: dict[int, bytes] = {}

    async def fetch(offset: int) -> None:
        found[offset] = await file.read(offset, min(block, size - offset))

    async with trio.open_nursery() as nursery:
        for offset in range(0, size, block):
            nursery.start_soon(fetch, offset)
    return b"".join(found[offset] for offset in sorted(found))


async def there_and_back(rig: CopyRig, target: SftpTarget, size: int) -> None:
    content = os.urandom(size)
    file = await target.create(f"{rig.vault}/tape")
    # Blocks of an odd size, so that packets, requests and batches end at different bytes.
    await write(file, content, 250_007)
    assert (rig.vault / "tape").read_bytes() == content
    assert await read(file, size, target.max_block) == content
    await file.close()


def through(rig: CopyRig, proxy: TcpProxy) -> None:
    """Let the server's key be known on the proxy's port."""
    line = rig.sshd.known_hosts.read_text()
    rig.sshd.known_hosts.write_text(line.replace(f":{rig.sshd.port} ", f":{proxy.port} "))


def connection_of(target: SftpTarget) -> Any:
    return target._connection


async def test_it_is_used(rig: CopyRig) -> None:
    async with rig.connect() as target:
        express = express_of(connection_of(target))
        assert isinstance(express, Express)
        assert express_of(connection_of(target)) is express
        await there_and_back(rig, target, 9 * MIB + 1)


@pytest.fixture
def impatient(scratch: Any) -> Iterator[Sshd]:
    with Sshd(scratch / "impatient", options=["RekeyLimit 1M"]) as sshd:
        yield sshd


async def test_the_server_exchanges_keys_all_the_time(
    scratch: Any, bridge: None, impatient: Sshd
) -> None:
    rig = CopyRig(scratch / "rig", impatient)
    async with rig.connect() as target:
        first = connection_of(target)._send_encryption
        await there_and_back(rig, target, 12 * MIB)
        assert connection_of(target)._send_encryption is not first


@pytest.mark.parametrize("why", ["bytes", "seconds"])
async def test_we_exchange_keys_all_the_time(rig: CopyRig, why: str) -> None:
    async with rig.connect() as target:
        connection = connection_of(target)
        if why == "bytes":
            connection._rekey_bytes = MIB
        else:
            connection._rekey_seconds = 0.02
            connection._rekey_time = 0.0
        keys = {id(connection._send_encryption): connection._send_encryption}
        for _ in range(3):
            await there_and_back(rig, target, 4 * MIB)
            await target.remove(f"{rig.vault}/tape")
            keys[id(connection._send_encryption)] = connection._send_encryption
        assert len(keys) > 2


@pytest.mark.parametrize("cipher", ["aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com"])
async def test_other_ciphers_bring_the_same_bytes(rig: CopyRig, cipher: str) -> None:
    async with rig.connect(algorithms={"ciphers": [cipher]}) as target:
        connection = connection_of(target)
        assert connection.get_extra_info("send_cipher") == cipher
        assert (express_of(connection) is None) is ("chacha" in cipher)
        await there_and_back(rig, target, 5 * MIB + 3)


async def test_little_is_prepared_for_a_slow_line(rig: CopyRig) -> None:
    """What waits stays as it is until the socket has room: memory is bounded by what is in flight."""
    async with open_proxy(rig.sshd.port, rate=16 * MIB) as proxy:
        through(rig, proxy)
        async with rig.connect(port=proxy.port) as target:
            transport = connection_of(target)._transport
            most = 0

            def note(_start: int, _end: int) -> None:
                nonlocal most
                most = max(most, transport.get_write_buffer_size())

            content = os.urandom(6 * MIB)
            file = await target.create(f"{rig.vault}/tape")
            async with file.writing(patience_s=10, acknowledged=note) as writer:
                for offset in range(0, len(content), target.max_block):
                    await writer.put(offset, content[offset : offset + target.max_block])
            assert most < MIB
    assert (rig.vault / "tape").read_bytes() == content


async def test_a_small_request_does_not_wait_for_another_channels_gigabytes(rig: CopyRig) -> None:
    async with open_proxy(rig.sshd.port, rate=8 * MIB) as proxy:
        through(rig, proxy)
        async with rig.connect(port=proxy.port) as target, target.side() as side:
            file = await target.create(f"{rig.vault}/tape")
            acknowledged, answered_at = 0, 0
            begun = trio.Event()

            def note(start: int, end: int) -> None:
                nonlocal acknowledged
                acknowledged += end - start
                if acknowledged >= 2 * MIB:
                    begun.set()

            async def ask() -> None:
                nonlocal answered_at
                await begun.wait()
                await side.lstat("/")
                answered_at = acknowledged

            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask)
                async with file.writing(patience_s=10, acknowledged=note) as writer:
                    for offset in range(0, 10 * MIB, MIB // 8):
                        await writer.put(offset, bytes(MIB // 8))
            assert 2 * MIB <= answered_at < 6 * MIB


async def test_a_damaged_answer_ends_the_connection(rig: CopyRig) -> None:
    async with rig.connect() as target:
        connection = connection_of(target)
        genuine = connection.data_received

        def damaged(data: bytes, datatype: None = None) -> None:
            genuine(data[:-1] + bytes([data[-1] ^ 1]), datatype)

        await target.lstat("/")
        connection.data_received = damaged
        with pytest.raises(LinkLost, match="MAC"):
            await target.lstat("/")


async def test_answers_may_come_byte_by_byte(rig: CopyRig) -> None:
    async with rig.connect() as target:
        connection = connection_of(target)
        genuine = connection.data_received

        def crumbs(data: bytes, datatype: None = None) -> None:
            for at in range(len(data)):
                genuine(data[at : at + 1], datatype)

        connection.data_received = crumbs
        await there_and_back(rig, target, 40_000)


async def test_a_library_that_is_not_as_we_know_it_goes_its_own_way(rig: CopyRig) -> None:
    stranger: Any = object()
    assert not is_suitable(stranger)
    async with rig.connect() as target:
        connection = connection_of(target)
        assert is_suitable(connection)
        connection._transport, kept = None, connection._transport
        assert not is_suitable(connection)
        connection._transport = kept


async def test_a_transport_that_has_become_empty_is_not_written_to_in_its_own_call(
    rig: CopyRig,
) -> None:
    """If that failed, asyncio would tell the connection of its end twice, and complain itself."""
    async with rig.connect() as target:
        connection = connection_of(target)
        express = express_of(connection)
        assert express is not None
        file = await target.create(f"{rig.vault}/tape")

        async def resume() -> None:
            before = connection._send_seq
            connection.resume_writing()
            assert connection._send_seq == before

        connection._kex_complete = False  # nothing can be sent for now
        async with trio.open_nursery() as nursery:
            nursery.start_soon(file.write, 0, bytes(1000))
            await trio.testing.wait_all_tasks_blocked(0.01)
            assert any(way.size for way in express._turns)
            connection._kex_complete = True
            await in_asyncio(resume)
        await file.close()
    assert (rig.vault / "tape").read_bytes() == bytes(1000)
