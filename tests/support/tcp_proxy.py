"""A TCP proxy on loopback that cuts, stalls, silences, delays or slows down what passes.

Byte counts are over all connections of the proxy: *sent* by clients, *received* by them. A plan goes
by what was sent; it is carried out once and is then over, so that a second connection gets through.

By hand, or in a process of its own: ``python -m tests.support.tcp_proxy PORT --delay 0.05 --rate
25e6`` prints the port it listens on.
"""

import argparse
import math
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import trio

_CHUNK = 16 * 1024

#: How much a line holds that cannot send it at once, in seconds: what routers' buffers do.
_QUEUE_S = 0.02

#: What the kernel may hold for us on either side, in bytes, so that it is the line that limits.
_KERNEL = 128 * 1024


@dataclass
class Line:
    """One direction of a line: *delay_s* for every byte, *rate* bytes a second for all together."""

    delay_s: float
    rate: float
    free_s: float = -math.inf

    async def carry(self, size: int) -> float:
        """Return when the line has room for *size* bytes: the time at which they arrive.

        Each piece begins where the one before ended, so that a late wake-up loses no rate.
        """
        now = trio.current_time()
        self.free_s = max(self.free_s, now) + size / self.rate
        if self.free_s - _QUEUE_S > now:
            await trio.sleep_until(self.free_s - _QUEUE_S)
        return self.free_s + self.delay_s


class TcpProxy:
    """See `open_proxy`. *deaf*: nothing goes to the server any more; *mute*: nothing comes back."""

    def __init__(self, server_port: int, *, delay_s: float = 0.0, rate: float = math.inf) -> None:
        self._server_port = server_port
        self._up = Line(delay_s, rate)
        self._down = Line(delay_s, rate)
        self._plan: tuple[int, str] | None = None
        self.port = 0
        self.sent = 0
        self.received = 0
        self.connections = 0
        #: How often the clients spoke after they had heard something: about as often as they waited.
        self.turns = 0
        self._heard = True
        self.stalled = trio.Event()
        self.deaf = False
        self.mute = False

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
        if self._up.rate < math.inf:
            for stream in (client, server):
                stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _KERNEL)
        async with client, server, trio.open_nursery() as nursery:
            nursery.start_soon(self._upstream, client, server, nursery.cancel_scope)
            nursery.start_soon(self._downstream, server, client, nursery.cancel_scope)

    async def _upstream(
        self, client: trio.SocketStream, server: trio.SocketStream, done: trio.CancelScope
    ) -> None:
        async with _delayed(server) as send:
            try:
                while data := await client.receive_some(_CHUNK):
                    if not await self._passes(data):
                        break
                    self.sent += len(data)
                    self.turns += self._heard
                    self._heard = False
                    due = await self._up.carry(len(data))
                    if not self.deaf:
                        send.send_nowait((due, data))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass
        done.cancel()

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
        async with _delayed(client) as send:
            try:
                while data := await server.receive_some(_CHUNK):
                    if self.stalled.is_set():
                        await trio.sleep_forever()
                    self.received += len(data)
                    self._heard = True
                    due = await self._down.carry(len(data))
                    if not self.mute:
                        send.send_nowait((due, data))
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                pass
        done.cancel()


@asynccontextmanager
async def _delayed(
    stream: trio.SocketStream,
) -> AsyncIterator[trio.MemorySendChannel[tuple[float, bytes]]]:
    """Give what takes pieces with the time at which each is to arrive at *stream*'s other end.

    What is on the way is bounded by the line's rate and delay.
    """

    async def arrive(arriving: trio.MemoryReceiveChannel[tuple[float, bytes]]) -> None:
        async with arriving:
            async for due, data in arriving:
                if due > trio.current_time():
                    await trio.sleep_until(due)
                try:
                    await stream.send_all(data)
                except (trio.BrokenResourceError, trio.ClosedResourceError):
                    break
            async for _ in arriving:
                pass

    async with trio.open_nursery() as nursery:
        send, receive = trio.open_memory_channel[tuple[float, bytes]](math.inf)
        nursery.start_soon(arrive, receive)
        async with send:
            yield send


@asynccontextmanager
async def open_proxy(
    server_port: int, *, delay_s: float = 0.0, rate: float = math.inf
) -> AsyncIterator[TcpProxy]:
    """Listen on a free port of loopback for as long as the block lasts; see `TcpProxy.port`.

    *delay_s* is added to every byte, either way; *rate* limits each way, in bytes per second, for
    all connections together.
    """
    proxy = TcpProxy(server_port, delay_s=delay_s, rate=rate)
    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        proxy.port = listeners[0].socket.getsockname()[1]
        nursery.start_soon(trio.serve_listeners, proxy.serve, listeners)
        yield proxy
        nursery.cancel_scope.cancel()


async def _serve(server_port: int, delay_s: float, rate: float) -> None:
    async with open_proxy(server_port, delay_s=delay_s, rate=rate) as proxy:
        print(proxy.port, flush=True)
        await trio.sleep_forever()


def main() -> None:
    """Run one until it is killed."""
    parser = argparse.ArgumentParser(description="A line with a delay and a rate.")
    parser.add_argument("port", type=int)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--rate", type=float, default=math.inf)
    asked = parser.parse_args()
    trio.run(_serve, asked.port, asked.delay, asked.rate)


if __name__ == "__main__":
    main()
