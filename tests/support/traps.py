"""Hosts that mean harm: each connection is served by whatever a test puts there."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from types import TracebackType
from typing import Self

import trio

from tests.support.ems_host.terminal import IAC


class Gone(Exception):
    """The other side has closed the connection."""


class Victim:
    """One connection that somebody made to a trap. *typed* are the lines that came, as they came."""

    def __init__(self, stream: trio.abc.Stream) -> None:
        self._stream = stream
        self._bytes = bytearray()
        self.typed: list[str] = []

    async def show(self, text: str | bytes) -> None:
        """Send text, or bytes of Telnet."""
        data = text.encode("latin-1") if isinstance(text, str) else text
        try:
            await self._stream.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise Gone from error

    async def read(self) -> str:
        """Read one typed line, Telnet commands left out; Gone once there can be none."""
        while b"\n" not in self._bytes:
            try:
                data = await self._stream.receive_some(4096)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise Gone from error
            if not data:
                raise Gone
            self._bytes += data
        line, _, rest = bytes(self._bytes).partition(b"\n")
        self._bytes = bytearray(rest)
        self.typed.append(_without_telnet(line).decode("latin-1").rstrip("\r\0"))
        return self.typed[-1]

    async def ask(self, prompt: str) -> str:
        """Show *prompt* and read the answer."""
        await self.show(prompt)
        return await self.read()

    def reset(self) -> None:
        """Have the connection end with a TCP reset (SO_LINGER 0, socket(7)), at once."""
        assert isinstance(self._stream, trio.SocketStream)
        self._stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def watch(self) -> None:
        """Read what is typed for as long as the other side is there."""
        while True:
            await self.read()


def _without_telnet(line: bytes) -> bytes:
    plain = bytearray()
    position = 0
    while position < len(line):
        if line[position] == IAC:
            verb = line[position + 1] if position + 1 < len(line) else 0
            position += 3 if 251 <= verb <= 254 else 2
            continue
        plain.append(line[position])
        position += 1
    return bytes(plain)


Serve = Callable[[Victim], Awaitable[None]]


class Trap:
    """A server on *port* whose visitors are *victims*; *serve* can be changed at any time."""

    def __init__(self, serve: Serve) -> None:
        self.serve = serve
        self.port = 0
        self.victims: list[Victim] = []
        self._scopes: list[trio.CancelScope] = []

    def drop(self) -> None:
        """End every connection."""
        for scope in self._scopes:
            scope.cancel()

    @property
    def typed(self) -> list[str]:
        """All lines that any visitor typed."""
        return [line for victim in self.victims for line in victim.typed]

    async def handle(self, stream: trio.SocketStream) -> None:
        """Serve one connection (for `trio.serve_listeners`)."""
        victim = Victim(stream)
        self.victims.append(victim)
        scope = trio.CancelScope()
        self._scopes.append(scope)
        try:
            with scope, suppress(Gone):
                await self.serve(victim)
        finally:
            self._scopes.remove(scope)
            await trio.aclose_forcefully(stream)


class TrapThread:
    """A trap in a thread of its own, for tests that wait for processes; a context manager.

    What *serve* is set to is for connections from then on; `drop` ends those that are there.
    """

    def __init__(self, serve: Serve) -> None:
        self.trap = Trap(serve)
        self._ready = threading.Event()
        self._thread = threading.Thread(target=trio.run, args=(self._run,), name="trap")
        self._token: trio.lowlevel.TrioToken | None = None
        self._scope = trio.CancelScope()

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.trap.port

    def serve(self, serve: Serve) -> None:
        """Serve everybody who comes from now on so, and send away who is there."""
        self.trap.serve = serve
        self.drop()

    def drop(self) -> None:
        """Close every connection."""
        assert self._token is not None
        trio.from_thread.run_sync(self.trap.drop, trio_token=self._token)

    async def _run(self) -> None:
        with self._scope:
            self._token = trio.lowlevel.current_trio_token()
            async with open_trap(self.trap.serve, self.trap):
                self._ready.set()
                await trio.sleep_forever()

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait(10)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._token is not None
        trio.from_thread.run_sync(self._scope.cancel, trio_token=self._token)
        self._thread.join(10)


@asynccontextmanager
async def open_trap(serve: Serve, trap: Trap | None = None) -> AsyncIterator[Trap]:
    """Listen on 127.0.0.1 for as long as the block lasts."""
    trap = trap or Trap(serve)
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        trap.port = int(listeners[0].socket.getsockname()[1])
        nursery.start_soon(trio.serve_listeners, trap.handle, listeners)
        yield trap
        nursery.cancel_scope.cancel()
