"""The agent's end of a vault's feed: connects, subscribes, acknowledges, and begins again."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import trio

from copyagent.core.events import FeedLost, FeedOpened, SignalSeen
from vtsfs.contract.errors import FeedError
from vtsfs.contract.feed import MAX_LINE, Hello
from vtsfs.contract.signals import Signal
from vtsfs.runtime.sockets import LineReader

#: An overlay that is not attached is asked for this often (seconds): cheap, and operators wait.
RETRY_S = 1.0

Post = Callable[[FeedOpened | FeedLost | SignalSeen], Awaitable[None]]


@dataclass(slots=True)
class FeedClient:
    """Follows the feed of one vault on the Unix socket *path*; everything goes to *post*.

    `subscribe`, `acknowledge` and `swept` only note what is to be sent: they never wait for the
    overlay, and what belongs to a connection that is gone by now is dropped with it.
    """

    vault: str
    path: Path
    post: Post
    _outgoing: trio.MemorySendChannel[dict[str, object]] | None = field(default=None, init=False)

    async def run(self) -> None:
        """Follow the feed until cancelled."""
        while True:
            cause = await self._follow()
            await self.post(FeedLost(self.vault, cause))
            await trio.sleep(RETRY_S)

    def subscribe(self, after: int) -> None:
        """Ask for every signal after number *after*."""
        self._send({"subscribe": after})

    def acknowledge(self, seq: int) -> None:
        """Say that the effects of everything up to *seq* are durable here."""
        self._send({"ack": seq})

    def swept(self) -> None:
        """Say that every tape was compared: what the overlay may have missed is found."""
        self._send({"swept": True})

    def _send(self, line: dict[str, object]) -> None:
        if self._outgoing is not None:
            self._outgoing.send_nowait(line)

    async def _follow(self) -> str:
        """Follow one connection to its end; return why it ended."""
        try:
            stream = await trio.open_unix_socket(self.path)
        except OSError as error:
            return f"the overlay does not answer ({error.strerror or error})"
        sender, receiver = trio.open_memory_channel[dict[str, object]](float("inf"))
        self._outgoing = sender
        cause = "the overlay ended"
        try:
            async with stream, trio.open_nursery() as nursery:
                nursery.start_soon(_write, stream, receiver)
                await self._read(LineReader(stream, MAX_LINE))
                nursery.cancel_scope.cancel()
        except* (FeedError, trio.BrokenResourceError, trio.ClosedResourceError) as group:
            cause = f"the feed broke: {group.exceptions[0]}"
        finally:
            self._outgoing = None
        return cause

    async def _read(self, lines: LineReader) -> None:
        first = await lines.read_line()
        if first is None:
            return
        hello = Hello.from_json(first)
        if hello.vault != self.vault:
            raise FeedError(f"{self.path} belongs to vault {hello.vault}, not {self.vault}")
        await self.post(FeedOpened(hello))
        while (line := await lines.read_line()) is not None:
            await self.post(SignalSeen(hello.outbox_id, _signal(line)))


async def _write(
    stream: trio.SocketStream, lines: trio.MemoryReceiveChannel[dict[str, object]]
) -> None:
    async for line in lines:
        await stream.send_all(json.dumps(line).encode() + b"\n")


def _signal(line: bytes) -> Signal:
    try:
        return Signal.from_mapping(json.loads(line)["signal"])
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise FeedError(f"not a signal: {error!r}") from error
