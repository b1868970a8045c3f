"""A TCP proxy on loopback that cuts, stalls or delays what a client sends to a server.

Byte counts are over all connections of the proxy: *sent* by clients, *received* by them. A plan goes
by what was sent; it is carried out once and is then over, so that a second connection gets through.
"""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

_CHUNK = 16 * 1024

#: Pieces that a slow line holds.
_ON_THE_WAY = 4096


class TcpProxy:
    """See `open_proxy`.

    *delay_s* is added to every byte on its way to the server; *rate* limits that way, in bytes per
    second over each connection.
    """

    def __init__(self, server_port: int, *, delay_s: float = 0.0, rate: float = math.inf) -> None:
        self._server_port = server_port
        self._delay_s = delay_s
        self._rate = rate
        self._plan: tuple[int, str] | None = None
        self.port = 0
        self.sent = 0
        self.received = 0
        self.connections = 0
        self.stalled = trio.Event()

    def cut_after(self, more: int) -> None:
        """Reset the connection when *more* bytes from now have passed; the rest is dropped."""
        self._plan = (self.sent + more, "cut")

    def stall_after(self, more: int) -> None:
        """Let nothing pass any more, either way, after *more* bytes; the connection stays open."""
        self._plan = (self.sent + more, "stall")

    def spare(self) -> None:
        """Forget the plan, if it was not carried out."""
        self._plan = None

    async def serve(self, client: trio.SocketStream) -> None:
        """Carry one connection until either side ends it."""
        self.connections += 1
        try:
            server = await trio.open_tcp_stream("127.0.0.1", self._server_port)
        except OSError:
            await trio.aclose_forcefully(client)
            return
        async with client, server, trio.open_nursery() as nursery:
            nursery.start_soon(self._upstream, client, server, nursery.cancel_scope)
            nursery.start_soon(self._downstream, server, client, nursery.cancel_scope)

    async def _upstream(
        self, client: trio.SocketStream, server: trio.SocketStream, done: trio.CancelScope
    ) -> None:
        async with trio.open_nursery() as nursery:
            on_the_way, arriving = trio.open_memory_channel[tuple[float, bytes]](_ON_THE_WAY)
            nursery.start_soon(self._arrive, arriving, server)
            async with on_the_way:
                try:
                    while data := await client.receive_some(_CHUNK):
                        if not await self._passes(data):
                            break
                        self.sent += len(data)
                        await on_the_way.send((trio.current_time() + self._delay_s, data))
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    pass
        done.cancel()

    async def _arrive(
        self,
        arriving: trio.MemoryReceiveChannel[tuple[float, bytes]],
        server: trio.SocketStream,
    ) -> None:
        async with arriving:
            async for due, data in arriving:
                await trio.sleep_until(due)
                await trio.sleep(len(data) / self._rate)
                try:
                    await server.send_all(data)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    return

    async def _passes(self, data: bytes) -> bool:
        if self._plan is None or self.sent + len(data) <= self._plan[0]:
            return True
        what = self._plan[1]
        self._plan = None
        if what == "stall":
            self.stalled.set()
            await trio.sleep_forever()
        return False

    async def _downstream(
        self, server: trio.SocketStream, client: trio.SocketStream, done: trio.CancelScope
    ) -> None:
        try:
            while data := await server.receive_some(_CHUNK):
                if self.stalled.is_set():
                    await trio.sleep_forever()
                self.received += len(data)
                await client.send_all(data)
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        done.cancel()


@asynccontextmanager
async def open_proxy(
    server_port: int, *, delay_s: float = 0.0, rate: float = math.inf
) -> AsyncIterator[TcpProxy]:
    """Listen on a free port of loopback for as long as the block lasts; see `TcpProxy.port`."""
    proxy = TcpProxy(server_port, delay_s=delay_s, rate=rate)
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        proxy.port = listeners[0].socket.getsockname()[1]
        nursery.start_soon(trio.serve_listeners, proxy.serve, listeners)
        yield proxy
        nursery.cancel_scope.cancel()
