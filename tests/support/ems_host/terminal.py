"""One connection to the scripted host: what is typed, line by line, and what is shown.

It shares no code with the agent's side of the link, so that one misreading of Telnet cannot hide
in both. A connection that comes by SSH brings no Telnet with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import trio

from tests.support.ems_host.options import HostOptions

IAC = 255
BREAK_LINE = "\x03BREAK"
BREAK_KEY = 3
TERMINAL_TYPE, ECHO, SGA, NAWS = 24, 1, 3, 31


class HungUp(Exception):
    """The connection is over, whoever ended it."""


@dataclass(slots=True)
class Terminal:
    """Carry one connection, the *number*-th of the host. *prints* while a distributor does."""

    stream: trio.SocketStream
    options: HostOptions
    number: int = 0
    is_telnet: bool = True
    prints: bool = False
    typed: list[str] = field(default_factory=list)
    sent: int = 0
    replies: bytearray = field(default_factory=bytearray)
    lock: trio.Lock = field(default_factory=trio.Lock)
    _buffer: bytearray = field(default_factory=bytearray)

    async def negotiate(self) -> None:
        """Ask for what a Telnet server asks for, a subnegotiation of an unknown kind included."""
        if self.is_telnet and self.options.negotiates:
            await self.send_bytes(bytes((IAC, 253, TERMINAL_TYPE, IAC, 251, ECHO, IAC, 251, SGA)))
            await self.send_bytes(bytes((IAC, 253, NAWS, IAC, 250, 99, 1, IAC, IAC, 2, IAC, 240)))

    async def send(self, text: str) -> None:
        """Send text as it is, or hang up where *cut_after* says so."""
        await self.send_bytes(text.encode("latin-1"))

    async def send_bytes(self, data: bytes) -> None:
        """Send bytes as they are; HungUp where the connection is over, or has to be now."""
        async with self.lock:
            await self.send_locked(data)

    async def send_locked(self, data: bytes) -> None:
        """Send, by who holds `lock` already."""
        cut = self.options.cut_after
        if cut is not None:
            data = data[: max(0, cut - self.sent)]
        self.sent += len(data)
        try:
            if self.options.byte_delay:
                for byte in data:
                    await trio.sleep(self.options.byte_delay)
                    await self.stream.send_all(bytes((byte,)))
            else:
                await self.stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise HungUp from error
        if cut is not None and self.sent >= cut:
            await self.stream.aclose()
            raise HungUp

    async def reach(self, step: str) -> None:
        """Come to a step of the session: be late, fall silent or hang up, as the options say."""
        options = self.options
        if options.delay:
            await trio.sleep(options.delay)
        concerned = self.number >= options.silent_sessions
        if concerned and options.drops_at == step:
            raise HungUp
        while concerned and options.silent_at == step:
            await self._receive()

    async def read_line(self, *, secret: bool = False) -> str:
        """Read what is typed up to Enter, or the Break key; *secret* is not echoed."""
        while True:
            line = self._take_line()
            if line is not None:
                break
            await self._receive()
        self.typed.append(line)
        if self.options.echoes and not secret and line != BREAK_LINE:
            await self.send(f"{line}\r\n")
        return line

    async def _receive(self) -> None:
        try:
            data = await self.stream.receive_some(4096)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise HungUp from error
        if not data:
            raise HungUp
        self._buffer += data

    def _take_line(self) -> str | None:
        return self._take_telnet_line() if self.is_telnet else self._take_plain_line()

    def _take_plain_line(self) -> str | None:
        """Take a line that ends with CR, LF or both, or the Break key at its beginning."""
        if self._buffer[:1] == bytes((BREAK_KEY,)):
            del self._buffer[:1]
            return BREAK_LINE
        ends = [at for at in (self._buffer.find(b"\r"), self._buffer.find(b"\n")) if at >= 0]
        if not ends:
            return None
        end = min(ends)
        line = bytes(self._buffer[:end])
        both = self._buffer[end : end + 2] == b"\r\n"
        del self._buffer[: end + (2 if both else 1)]
        return line.decode("latin-1")

    def _take_telnet_line(self) -> str | None:
        """Take the next line out of the buffer, Telnet commands before it put aside."""
        plain = bytearray()
        position = 0
        while position < len(self._buffer):
            byte = self._buffer[position]
            if byte == IAC:
                if position + 1 >= len(self._buffer):
                    return None
                verb = self._buffer[position + 1]
                length = 3 if verb in {251, 252, 253, 254} else 2
                if position + length > len(self._buffer):
                    return None
                command = bytes(self._buffer[position : position + length])
                if verb == 243:
                    del self._buffer[: position + 2]
                    return BREAK_LINE
                if verb == IAC:
                    plain.append(IAC)
                else:
                    self.replies += command
                    del self._buffer[position : position + length]
                    continue
                position += length
                continue
            if byte == 10:
                del self._buffer[: position + 1]
                return plain.decode("latin-1").rstrip("\r")
            plain.append(byte)
            position += 1
        return None
