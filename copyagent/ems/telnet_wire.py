"""A Telnet connection to a host, as a `Wire`."""

from __future__ import annotations

from typing import Final

import trio

from copyagent.ems.dialogue import LinkFailure
from copyagent.ems.link_settings import LinkSettings
from copyagent.ems.tcp import connect, no_answer
from copyagent.ems.telnet import BREAK, NOP, TelnetDecoder, encode_line

RECEIVE_BYTES: Final = 65536
"""Taken at a time: a host that floods us must let others have their turn in between."""


class TelnetWire:
    """A `Wire` over a Telnet connection that stays a plain network virtual terminal."""

    is_terminal = True

    def __init__(self, stream: trio.SocketStream, write_timeout: float) -> None:
        self._stream = stream
        self._write_timeout = write_timeout
        self._telnet = TelnetDecoder()
        self.is_open = True
        self.gap = ""
        self.ended: LinkFailure | None = None

    async def receive(self, deadline: float) -> str | None:
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

    async def type_line(self, line: str) -> None:
        await self.send(encode_line(line))

    async def interrupt(self) -> None:
        await self.send(BREAK)

    async def ping(self) -> None:
        await self.send(NOP)

    async def send(self, data: bytes) -> None:
        """Send bytes of the Telnet protocol; the next `receive` tells should that fail."""
        try:
            with trio.fail_after(self._write_timeout):
                await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
            # What was sent in part cannot be continued: the connection is of no more use.
            self.is_open = False
            await trio.aclose_forcefully(self._stream)

    async def close(self) -> None:
        self.is_open = False
        await trio.aclose_forcefully(self._stream)


async def open_telnet(settings: LinkSettings) -> TelnetWire | LinkFailure:
    """Connect within the settings' ``connect_timeout``, or say why it cannot be done."""
    with trio.move_on_after(settings.connect_timeout):
        stream = await connect(settings.address, settings.port)
        if isinstance(stream, LinkFailure):
            return stream
        return TelnetWire(stream, settings.plan.response_timeout)
    return no_answer(settings.address, settings.port)
