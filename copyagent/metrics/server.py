"""Offers the figures by HTTP on a loopback port or a Unix socket.

Two ways were weighed. The library's own server in a thread has no limits of time and knows no Unix
sockets; a framework brings a dependency for one path. So it is a few lines of trio, each step with a
limit: nothing that is sent here, or not read, keeps the agent from its work.
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import trio

from copyagent.metrics.exposition import Sheet, encode
from copyagent.metrics.request import (
    END,
    MAX_HEAD,
    Refusal,
    Scrape,
    answer,
    read_request,
    refuse,
)
from vtsfs.contract.errors import VtsError
from vtsfs.runtime.sockets import unix_listener

#: How often it is tried again to listen where that failed, in seconds.
AGAIN_S = 30.0

#: Figures this young, in seconds, are handed out again: many who ask cost no more than one.
FRESH_S = 1.0

#: Bytes of what is left of a refused request that are read, so that the refusal arrives.
_DRAINED = 1 << 20

_logger = logging.getLogger(__name__)

Stream = trio.SocketStream
Source = Callable[[], Awaitable[Sheet]]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of the agent those who scrape may use: connections at once, seconds for each step."""

    connections: int = 16
    receive: float = 5.0
    read: float = 30.0
    send: float = 10.0
    drain: float = 1.0


@dataclass(slots=True)
class Offer:
    """Answers every scrape with what *source* returns."""

    source: Source
    limits: Limits = field(default_factory=Limits)
    _connections: int = 0
    _sheet: Sheet = field(default_factory=Sheet)
    _read_at: float = float("-inf")
    _reading: trio.Lock = field(default_factory=trio.Lock)

    async def converse(self, stream: Stream) -> None:
        """Answer one connection; every way it can break ends only itself."""
        self._connections += 1
        try:
            async with stream:
                told = await self._answer(stream)
                with trio.move_on_after(self.limits.send):
                    await stream.send_all(told)
                    await stream.send_eof()
                    await self._drain(stream)
        except (trio.BrokenResourceError, trio.ClosedResourceError, OSError) as error:
            _logger.debug("a scrape's connection broke: %s", error)
        finally:
            self._connections -= 1

    async def _answer(self, stream: Stream) -> bytes:
        if self._connections > self.limits.connections:
            return refuse(Refusal(503, "too many ask at once; try again in a moment"))
        asked: Scrape | Refusal = Refusal(408, "no request came in time")
        with trio.move_on_after(self.limits.receive):
            asked = await _receive(stream)
        if isinstance(asked, Refusal):
            return refuse(asked)
        try:
            with trio.move_on_after(self.limits.read):
                return await self._told(asked)
        except VtsError as error:
            _logger.error("the figures cannot be read: %s", error, exc_info=error.__cause__)
            return refuse(Refusal(500, "the agent failed to tell; see its journal", asked.body))
        return refuse(Refusal(503, "the agent is too busy to tell; see its journal", asked.body))

    async def _told(self, asked: Scrape) -> bytes:
        try:
            sheet = await self._read()
            text, content_type = await trio.to_thread.run_sync(encode, sheet, asked.accept)
        except VtsError:
            raise
        except Exception as error:  # a bug in telling must not end the copying
            raise VtsError(f"an unforeseen error, {error!r}; report this to the makers") from error
        return answer(200, content_type, text, body=asked.body)

    async def _read(self) -> Sheet:
        """One reading at a time, and none where one was made just now."""
        async with self._reading:
            if trio.current_time() - self._read_at >= FRESH_S:
                self._sheet = await self.source()
                self._read_at = trio.current_time()
            return self._sheet

    async def _drain(self, stream: Stream) -> None:
        """Closing on unread bytes resets the connection, and the answer may be lost with it."""
        left = _DRAINED
        with trio.move_on_after(self.limits.drain):
            while left > 0 and (piece := await stream.receive_some(65536)):
                left -= len(piece)


async def offer(
    place: Path | tuple[str, int],
    source: Source,
    failed: Callable[[str], Awaitable[object]],
    *,
    group: str | int | None = None,
    limits: Limits = Limits(),  # frozen
) -> None:
    """Offer the figures of *source* at *place*, a socket or an address and port, until cancelled.

    If that cannot be listened on, *failed* is told why, and it is tried again: the agent copies,
    whether somebody looks or not. A socket belongs to *group* with mode 0660, or to the owner alone.
    """
    served = Offer(source, limits)
    while True:
        async with AsyncExitStack() as stack:
            try:
                listener = await _listen(place, group, stack)
            except (OSError, VtsError) as error:
                await failed(str(error))
            else:
                await trio.serve_listeners(served.converse, [listener])
        await trio.sleep(AGAIN_S)


async def _listen(
    place: Path | tuple[str, int], group: str | int | None, stack: AsyncExitStack
) -> trio.SocketListener:
    if isinstance(place, Path):
        mode = 0o600 if group is None else 0o660
        return await stack.enter_async_context(unix_listener(place, mode=mode, group=group))
    (listener,) = await trio.open_tcp_listeners(place[1], host=place[0])
    return await stack.enter_async_context(listener)


async def _receive(stream: Stream) -> Scrape | Refusal:
    head = bytearray()
    while END not in head:
        if len(head) > MAX_HEAD:
            return Refusal(431, f"a request may have {MAX_HEAD} bytes")
        piece = await stream.receive_some(4096)
        if not piece:
            return Refusal(400, "the request ends before its end")
        head += piece
    return read_request(bytes(head.partition(END)[0]))
