"""A Telnet connection to a host, as text: the sockets of the host link are here.

Losing the connection is no exception but the end of the text: to the session it makes no
difference who closed it, and there is one path for it.
"""

from __future__ import annotations

import os
import socket
from typing import Final

import trio

from copyagent.core.host_events import LinkTrouble
from copyagent.ems.dialogue import LinkFailure
from copyagent.ems.telnet import TelnetDecoder

RECEIVE_BYTES: Final = 65536


class Wire:
    """Carry text over a Telnet connection."""

    def __init__(self, stream: trio.SocketStream, write_timeout: float) -> None:
        self._stream = stream
        self._write_timeout = write_timeout
        self._telnet = TelnetDecoder()
        self.is_open = True

    async def receive(self, deadline: float) -> str | None:
        """Wait for text until *deadline* on trio's clock.

        Empty when none came, or when what came was not text; None once the connection is gone.
        """
        data: bytes | None = None
        try:
            with trio.move_on_at(deadline):
                data = await self._stream.receive_some(RECEIVE_BYTES)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            data = b""
        if data is None:
            return ""
        if not data:
            self.is_open = False
            return None
        decoded = self._telnet.feed(data)
        # Outside of the deadline: an answer cut short would make the host's next bytes data.
        if decoded.reply:
            await self.send(decoded.reply)
        return decoded.text.decode("latin-1")

    async def send(self, data: bytes) -> None:
        """Send; should the connection be gone or take nothing, the next `receive` tells."""
        try:
            with trio.fail_after(self._write_timeout):
                await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
            # What was sent in part cannot be continued: the connection is of no more use.
            self.is_open = False
            await trio.aclose_forcefully(self._stream)

    async def close(self) -> None:
        """Close at once, whatever has not been sent."""
        self.is_open = False
        await trio.aclose_forcefully(self._stream)


async def open_wire(
    address: str, port: int, *, connect_timeout: float, write_timeout: float
) -> Wire | LinkFailure:
    """Connect within *connect_timeout* seconds, or say why it cannot be done."""
    where = f"{address} port {port}"
    try:
        with trio.move_on_after(connect_timeout):
            stream = await trio.open_tcp_stream(address, port)
            _detect_dead_peer(stream)
            return Wire(stream, write_timeout)
    except OSError as error:
        return LinkFailure(LinkTrouble.UNREACHABLE, f"{where}: {_cause(error)}")
    except UnicodeError:
        return LinkFailure(LinkTrouble.UNREACHABLE, f"{where}: not the form of a host name")
    return LinkFailure(LinkTrouble.UNREACHABLE, f"{where}: no answer")


def _cause(error: OSError) -> str:
    # trio gathers the errors of every address it tried under one that only says so.
    inner: BaseException | None = error.__cause__
    while isinstance(inner, BaseExceptionGroup):
        inner = inner.exceptions[0]
    best = inner if isinstance(inner, OSError) else error
    # The text trio gives repeats address and port; a resolver's errors are numbered below zero.
    if best.errno is not None and best.errno > 0:
        return os.strerror(best.errno)
    return best.strerror or str(best)


def _detect_dead_peer(stream: trio.SocketStream) -> None:
    """Let the kernel find within a minute or so that the other side is gone (tcp(7))."""
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 30)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 10)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 60_000)
