"""Whatever is being asked when a link or a server half dies: it is noticed, and soon.

The keep-alive is 3 % of its default here, and so are the times that follow from it.
"""

import os
import signal
from collections.abc import Awaitable, Callable
from functools import partial

import pytest
import trio

from copyagent.ssh.connections import open_connections
from copyagent.ssh.sftp import SftpTarget
from copyagent.transfer.target import LinkLost, TargetError, TargetFile
from tests.support.copy_rig import CopyRig
from tests.support.processes import ProcessId, descendants, send_signal
from tests.support.sshd import Sshd
from tests.support.tcp_proxy import TcpProxy, open_proxy

pytestmark = pytest.mark.ssh

Call = Callable[[], Awaitable[object]]

KEEPALIVE_S = 0.3

#: By default this is a minute, for a keep-alive of ten seconds; with room for a busy machine.
SOON_S = 6 * KEEPALIVE_S + 2.0


async def _write_on(file: TargetFile) -> None:
    async with file.writing(patience_s=4 * KEEPALIVE_S, acknowledged=lambda _s, _e: None) as writer:
        while True:
            await writer.put(0, bytes(100_000))


async def _side(target: SftpTarget) -> None:
    async with target.side():
        pass


def phases(target: SftpTarget, file: TargetFile, place: str) -> dict[str, Call]:
    """Return everything that can be asked of a target's server process."""
    return {
        "lstat": partial(target.lstat, place),
        "list": partial(target.list_entries, place),
        "space": partial(target.space, place),
        "create": partial(target.create, f"{place}/new"),
        "open": partial(target.open, f"{place}/tape"),
        "copy_data": partial(target.copy_data, file, 0, 1, file, 5),
        "link": partial(target.link, f"{place}/tape", f"{place}/second"),
        "rename": partial(target.rename, f"{place}/tape", f"{place}/third"),
        "remove": partial(target.remove, f"{place}/fourth"),
        "write": partial(_write_on, file),
        "size": file.size,
        "set_size": partial(file.set_size, 10),
        "sync": file.sync,
        "close": file.close,
    }


def more_phases(target: SftpTarget) -> dict[str, Call]:
    """Return what needs sshd itself, besides the server process that is asked."""
    return {"side": partial(_side, target), "run": partial(target.run, "true", 60.0)}


async def expect_lost(asked: dict[str, Call]) -> None:
    """Ask everything at once; each must be told that the link is lost."""
    told: dict[str, TargetError] = {}

    async def ask(name: str, call: Call) -> None:
        try:
            await call()
        except TargetError as error:
            told[name] = error

    with trio.fail_after(SOON_S):
        async with trio.open_nursery() as nursery:
            for name, call in asked.items():
                nursery.start_soon(ask, name, call)
    assert told.keys() == asked.keys()
    others = {name: error for name, error in told.items() if not error.unreachable}
    assert others == {}


def server_process(sshd: Sshd) -> ProcessId:
    leaves = [one for one in sshd.sessions() if not descendants(one.pid)]
    assert len(leaves) == 1
    return leaves[0]


async def test_a_server_process_that_stands_still(rig: CopyRig) -> None:
    async with rig.connect(keepalive=f"{KEEPALIVE_S}s") as target:
        file = await target.create(f"{rig.vault}/tape")
        process = server_process(rig.sshd)
        send_signal(process, signal.SIGSTOP)
        try:
            await expect_lost(phases(target, file, str(rig.vault)))
        finally:
            send_signal(process, signal.SIGCONT)


async def test_an_sshd_that_stands_still(rig: CopyRig) -> None:
    async with rig.connect(keepalive=f"{KEEPALIVE_S}s") as target:
        file = await target.create(f"{rig.vault}/tape")
        rig.sshd.freeze()
        try:
            await expect_lost(phases(target, file, str(rig.vault)) | more_phases(target))
        finally:
            rig.sshd.thaw()


@pytest.mark.parametrize("how", ["deaf", "mute", "both"])
async def test_a_line_that_is_silent(rig: CopyRig, how: str) -> None:
    async with open_proxy(rig.sshd.port) as proxy:
        pin(rig, proxy)
        async with rig.connect(port=proxy.port, keepalive=f"{KEEPALIVE_S}s") as target:
            file = await target.create(f"{rig.vault}/tape")
            proxy.deaf, proxy.mute = how != "mute", how != "deaf"
            await expect_lost(phases(target, file, str(rig.vault)) | more_phases(target))


async def test_a_line_that_fell_silent_while_nobody_asked(rig: CopyRig) -> None:
    """The keep-alive has ended it by the time it is asked; another one is made at once."""
    async with open_proxy(rig.sshd.port) as proxy, open_connections() as connections:
        pin(rig, proxy)
        settings = rig.settings(port=proxy.port, keepalive=f"{KEEPALIVE_S}s")
        async with connections.connect(settings) as target:
            await target.lstat("/")
        proxy.mute = True
        # What is tried is that nothing happens for so long: the keep-alive has given up by then.
        await trio.sleep(4 * KEEPALIVE_S)
        proxy.mute = False
        with trio.fail_after(SOON_S):
            async with connections.connect(settings) as target:
                await target.lstat("/")
        assert proxy.connections == 2


async def test_reading_what_does_not_come(rig: CopyRig) -> None:
    """Whoever reads watches the progress himself; the keep-alive ends it in any case."""
    (rig.vault / "tape").write_bytes(os.urandom(1000))
    async with open_proxy(rig.sshd.port) as proxy:
        pin(rig, proxy)
        async with rig.connect(port=proxy.port, keepalive=f"{KEEPALIVE_S}s") as target:
            file = await target.open(f"{rig.vault}/tape")
            proxy.mute = True
            with trio.fail_after(SOON_S), pytest.raises(LinkLost):
                await file.read(0, 1000)


def pin(rig: CopyRig, proxy: TcpProxy) -> None:
    line = rig.sshd.known_hosts.read_text()
    rig.sshd.known_hosts.write_text(line + line.replace(f":{rig.sshd.port} ", f":{proxy.port} "))
