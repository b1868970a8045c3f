"""The host's end of each way in, for tests of the wires: bytes are said there and keys are read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from copyagent.ems.dialogue import LoginPlan
from copyagent.ems.link_settings import LinkSettings
from copyagent.ems.login_types import DEFAULT_DISTRIBUTOR, LOGIN_TYPES
from copyagent.ems.secret import Secret
from tests.support.ems_host import ssh_front
from tests.support.sshd import Sshd


def link_settings(address: str = "127.0.0.1", port: int = 23, **changes: Any) -> LinkSettings:
    """Make settings of a link that is quick to give up."""
    plan = LoginPlan(
        LOGIN_TYPES["TACL"], "VTS.EMS", Secret("s3cret-Pass"), DEFAULT_DISTRIBUTOR, 0.3
    )
    return LinkSettings("DEV2", address, plan, port, **changes)


def ssh_settings(sshd: Sshd, **changes: Any) -> LinkSettings:
    """Make settings of a link to *sshd*, logged in by its key."""
    values: dict[str, Any] = {
        "port": sshd.port,
        "access": "ssh",
        "known_hosts": sshd.known_hosts,
        "key": sshd.key,
        "ssh_user": sshd.user,
    }
    return link_settings(sshd.address, **(values | changes))


class FarEnd:
    """What a host does with a line, whichever way it is had: *settings* lead to it."""

    def __init__(self, listener: trio.SocketListener, settings: LinkSettings) -> None:
        self.settings = settings
        self._listener = listener
        self._stream: trio.SocketStream | None = None

    async def answer(self) -> None:
        """Take the connection that was made to it."""
        with trio.fail_after(10):
            self._stream = await self._listener.accept()

    @property
    def stream(self) -> trio.SocketStream:
        assert self._stream is not None, "nobody has connected"
        return self._stream

    async def say(self, data: bytes) -> None:
        await self.stream.send_all(data)

    async def heard(self, end: bytes) -> bytes:
        """Read what was typed up to *end*."""
        data = b""
        with trio.fail_after(10):
            while not data.endswith(end):
                piece = await self.stream.receive_some(4096)
                assert piece, f"the line ended after {data!r}"
                data += piece
        return data

    async def hang_up(self) -> None:
        await self.stream.aclose()

    def drop(self) -> None:
        """Let go of the connection, if there is one."""
        if self._stream is not None:
            self._stream.socket.close()


@asynccontextmanager
async def telnet_end() -> AsyncIterator[FarEnd]:
    """Wait for a Telnet connection."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    end = FarEnd(listener, link_settings(port=listener.socket.getsockname()[1]))
    async with listener:
        try:
            yield end
        finally:
            end.drop()


@asynccontextmanager
async def ssh_end(directory: Path) -> AsyncIterator[FarEnd]:
    """Wait for a log-in at an SSH server, whose terminal is joined to the far end."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listener:
        sshd = ssh_front(directory / "sshd", listener.socket.getsockname()[1])
        await trio.to_thread.run_sync(sshd.start)
        end = FarEnd(listener, ssh_settings(sshd))
        try:
            yield end
        finally:
            end.drop()
            sshd.kill()
