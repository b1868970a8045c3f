"""The agent's end of a vault's feed: connects, subscribes, acknowledges, and begins again."""

import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import trio

from copyagent.core.events import FeedLost, FeedOpened, SignalSeen
from vtsfs.contract.errors import FeedError
from vtsfs.contract.feed import MAX_LINE, Hello
from vtsfs.contract.signals import LATER, MALFORMED, Signal
from vtsfs.runtime.sockets import LineReader

_log = logging.getLogger(__name__)

#: An overlay that is not attached is asked for this often (seconds): cheap, and operators wait.
RETRY_S = 1.0

#: One that refuses us does so until somebody changes the settings; each try costs a sweep.
REFUSED_S = 60.0

Post = Callable[[FeedOpened | FeedLost | SignalSeen], Awaitable[None]]


@dataclass(slots=True)
class FeedClient:
    """Follows the feed of one vault on the Unix socket *path*; everything goes to *post*.

    `subscribe`, `acknowledge` and `swept` only note what is to be sent: they never wait for the
    overlay, and what belongs to a connection that is gone by now is dropped with it. Numbers mean
    something in one outbox only: what is meant for another than the one connected is dropped, too.
    """

    vault: str
    path: Path
    post: Post
    _outgoing: trio.MemorySendChannel[dict[str, object]] | None = field(default=None, init=False)
    _outbox_id: str = field(default="", init=False)
    _hello: Hello | None = field(default=None, init=False)
    _unknown: set[str] = field(default_factory=set, init=False)
    _pause_s: float = field(default=RETRY_S, init=False)

    async def run(self) -> None:
        """Follow the feed until cancelled."""
        while True:
            self._pause_s = RETRY_S
            cause = await self._follow()
            await self.post(FeedLost(self.vault, cause))
            await trio.sleep(self._pause_s)

    def subscribe(self, outbox_id: str, after: int) -> None:
        """Ask for every signal of that outbox after number *after*."""
        if outbox_id == self._outbox_id and self._hello is not None:
            spoken = self._hello.common
            other = {} if spoken == self._hello.protocol else {"protocol": spoken}
            self._send({"subscribe": after, **other})

    def acknowledge(self, outbox_id: str, seq: int) -> None:
        """Say that the effects of everything up to *seq* of that outbox are durable here."""
        if outbox_id == self._outbox_id:
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
            self._outgoing, self._outbox_id, self._hello = None, "", None
        return cause

    async def _read(self, lines: LineReader) -> None:
        first = await lines.read_line()
        if first is None:
            return
        hello = Hello.from_json(first)
        if hello.vault != self.vault:
            raise FeedError(f"{self.path} belongs to vault {hello.vault}, not {self.vault}")
        self._outbox_id, self._hello = hello.outbox_id, hello
        await self.post(FeedOpened(hello))
        while (line := await lines.read_line()) is not None:
            await self.post(SignalSeen(hello.outbox_id, self._signal(line)))

    def _signal(self, line: bytes) -> Signal:
        try:
            data = json.loads(line)
            if "error" in data:
                self._pause_s = REFUSED_S
                raise FeedError(f"the overlay refuses: {data['error']}")
            signal = Signal.from_mapping(data["signal"])
        except MALFORMED as error:
            raise FeedError(f"not a signal: {error!r}") from error
        if signal.cause.startswith(LATER):
            self._tell_unknown(signal)
        return signal

    def _tell_unknown(self, signal: Signal) -> None:
        if signal.cause not in self._unknown:
            self._unknown.add(signal.cause)
            _log.warning(
                "the overlay of %s, release %s, reports what this agent does not know (%s): such tapes "
                "are compared as a whole; start the agent again in the overlay's release",
                self.vault,
                "unknown" if self._hello is None else self._hello.version,
                signal.cause.removeprefix(LATER),
            )


async def _write(
    stream: trio.SocketStream, lines: trio.MemoryReceiveChannel[dict[str, object]]
) -> None:
    async for line in lines:
        await stream.send_all(json.dumps(line).encode() + b"\n")
