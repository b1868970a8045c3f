"""Much is written at once: over one channel, over several on a long line, and never for ever."""

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest
import trio

from copyagent.ssh.sftp import SftpTarget
from copyagent.transfer.target import LinkLost, TargetFile
from tests.support.copy_rig import CopyRig
from tests.support.processes import descendants, send_signal
from tests.support.sshd import Sshd
from tests.support.tcp_proxy import TcpProxy, open_proxy

pytestmark = pytest.mark.ssh

MIB = 1024 * 1024


@asynccontextmanager
async def through(
    rig: CopyRig, sshd: Sshd, *, delay_s: float = 0.0
) -> AsyncIterator[tuple[SftpTarget, TcpProxy]]:
    """Connect to *sshd* over a line with a delay."""
    async with open_proxy(sshd.port, delay_s=delay_s) as proxy:
        pinned = sshd.directory / "pinned"
        line = sshd.known_hosts.read_text().replace(f":{sshd.port} ", f":{proxy.port} ")
        pinned.write_text(line)
        async with rig.connect(
            port=proxy.port, known_hosts=str(pinned), key=str(sshd.key)
        ) as target:
            yield target, proxy


async def write(file: TargetFile, content: bytes, block: int, patience_s: float = 10) -> int:
    """Write *content*; return how many bytes were acknowledged."""
    acknowledged = 0

    def note(start: int, end: int) -> None:
        nonlocal acknowledged
        acknowledged += end - start

    async with file.writing(patience_s=patience_s, acknowledged=note) as writer:
        for offset in range(0, len(content), block):
            await writer.put(offset, memoryview(content)[offset : offset + block])
    return acknowledged


def servers(sshd: Sshd) -> int:
    return sshd.log().count("Starting session: subsystem 'sftp'")


async def test_a_short_line_needs_one_server_process(rig: CopyRig) -> None:
    content = os.urandom(24 * MIB)
    async with rig.connect() as target:
        file = await target.create(f"{rig.vault}/tape")
        assert await write(file, content, target.max_block) == len(content)
        await file.close()
    assert (rig.vault / "tape").read_bytes() == content
    assert servers(rig.sshd) == 1


async def test_a_long_line_is_filled_over_several_channels(rig: CopyRig) -> None:
    content = os.urandom(28 * MIB)
    async with through(rig, rig.sshd, delay_s=0.08) as (target, _):
        file = await target.create(f"{rig.vault}/tape")
        assert await write(file, content, target.max_block) == len(content)
        wide = servers(rig.sshd)
        assert wide >= 2
        again = os.urandom(8 * MIB)
        assert await write(file, again, target.max_block) == len(again)
        await file.sync()
        await file.close()
    assert (rig.vault / "tape").read_bytes() == again + content[len(again) :]


async def test_closing_is_answered_by_every_server_process(rig: CopyRig) -> None:
    """One that stands still may yet write: then the file is not closed."""
    async with through(rig, rig.sshd, delay_s=0.08) as (target, _):
        file = await target.create(f"{rig.vault}/tape")
        await write(file, bytes(28 * MIB), target.max_block)
        processes = [one for one in rig.sshd.sessions() if not descendants(one.pid)]
        assert len(processes) >= 2
        last = max(processes, key=lambda one: one.pid)
        send_signal(last, signal.SIGSTOP)
        try:
            with trio.move_on_after(1.0) as waited:
                await file.close()
            assert waited.cancelled_caught
        finally:
            send_signal(last, signal.SIGCONT)


async def test_a_server_that_allows_one_session_is_written_over_it(
    rig: CopyRig, scratch: Path
) -> None:
    content = os.urandom(12 * MIB)
    with Sshd(scratch / "narrow", options=["MaxSessions 1"]) as narrow:
        async with through(rig, narrow, delay_s=0.08) as (target, _):
            file = await target.create(f"{rig.vault}/tape")
            assert await write(file, content, target.max_block) == len(content)
            await file.close()
        assert servers(narrow) == 1
    assert (rig.vault / "tape").read_bytes() == content


@pytest.mark.parametrize("which", ["deaf", "mute"])
async def test_a_line_that_is_silent_in_one_direction_is_given_up(rig: CopyRig, which: str) -> None:
    async with through(rig, rig.sshd) as (target, proxy):
        file = await target.create(f"{rig.vault}/tape")
        setattr(proxy, which, True)
        began = trio.current_time()
        with pytest.raises(LinkLost, match=r"no request was answered for 0\.3 s"):
            await write(file, bytes(8 * MIB), target.max_block, patience_s=0.3)
        assert trio.current_time() - began < 3


async def test_a_slow_line_is_told_of_all_the_time(rig: CopyRig) -> None:
    """What was acknowledged is not kept back until the window has room."""
    heard: list[float] = []
    async with open_proxy(rig.sshd.port, rate=2 * MIB) as proxy:
        pinned = rig.sshd.known_hosts.read_text()
        rig.sshd.known_hosts.write_text(pinned.replace(f":{rig.sshd.port} ", f":{proxy.port} "))
        async with rig.connect(port=proxy.port) as target:
            file = await target.create(f"{rig.vault}/tape")
            async with file.writing(
                patience_s=10, acknowledged=lambda _start, _end: heard.append(trio.current_time())
            ) as writer:
                for offset in range(0, 3 * MIB, 100_000):
                    await writer.put(offset, bytes(100_000))
            await file.close()
    gaps = [later - sooner for sooner, later in pairwise(heard)]
    assert max(gaps) < 1.0
