"""The feed's server: hands committed signals to whoever subscribes (protocol: contract/feed.py).

Each connection has tasks of its own; a slow or dead subscriber holds up nobody else, and host I/O
never. Signals are read from the outbox, not kept for subscribers in memory.
"""

import json
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import trio

from vtsfs.contract.errors import FeedError, OutboxError
from vtsfs.contract.feed import Hello
from vtsfs.contract.signals import PROTOCOL
from vtsfs.outbox.outbox import Outbox
from vtsfs.runtime.peers import Peer, peer_of
from vtsfs.runtime.sockets import LineReader
from vtsfs.runtime.tasks import Starter

_logger = logging.getLogger(__name__)

#: The longest request line, in bytes; requests are small.
MAX_REQUEST = 4096
#: The highest number a signal can have (SQLite's largest integer).
MAX_SEQ = 2**63 - 1
#: Signals read and sent in one go.
BATCH = 100
#: Connections of one user served at once; further ones are closed.
MAX_CONNECTIONS = 100
#: Seconds until a connection is accepted again where that failed.
ACCEPT_PAUSE_S = 1.0

Status = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Desk:
    """What a connection needs to know of the vault."""

    vault: str
    version: str
    outbox: Outbox
    #: Users who may acknowledge: root, the service's user, and our own.
    may_acknowledge: frozenset[int]
    status: Callable[[], Status]
    #: The directory that the overlay lies over, and the device of its mount; empty: not known.
    place: Callable[[], tuple[str, str]] = lambda: ("", "")


class Feed:
    """Serves one connection after the other: give `serve` to trio.serve_listeners."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        #: How many subscribers are connected now.
        self.subscribers = 0
        self._connections: Counter[int] = Counter()

    async def serve_all(self, listener: trio.SocketListener, begin: Starter) -> None:
        """Accept connections until cancelled; *begin* starts the task of each.

        What keeps one from being accepted (no descriptor, no memory) is logged when it begins.
        """
        failing = False
        while True:
            try:
                stream = await listener.accept()
            except OSError as error:
                if not failing:
                    _logger.error("the feed can accept nobody: %s", error.strerror or error)
                failing = True
                await trio.sleep(ACCEPT_PAUSE_S)
                continue
            failing = False
            begin.start_soon(self._serve_counted, stream)

    async def _serve_counted(self, stream: trio.SocketStream) -> None:
        """Those who only come, and do not go, must not use up the descriptors that tapes need."""
        try:
            uid = peer_of(stream).uid
        except OSError:
            uid = -1
        if self._connections[uid] >= MAX_CONNECTIONS:
            await stream.aclose()
            return
        self._connections[uid] += 1
        try:
            await self.serve(stream)
        finally:
            self._connections[uid] -= 1

    async def serve(self, stream: trio.SocketStream) -> None:
        """Serve one connection until it ends, breaks, or must begin anew; raises nothing of it."""
        try:
            async with stream:
                await _Connection(self, self._desk, stream).run()
        except* (trio.BrokenResourceError, trio.ClosedResourceError):
            pass
        except* (FeedError, OutboxError, OSError) as group:
            _logger.info("feed connection ended: %s", group.exceptions[0])


class _Connection:
    """One peer: its requests are read by one task, signals sent by another."""

    def __init__(self, feed: Feed, desk: Desk, stream: trio.SocketStream) -> None:
        self._feed = feed
        self._desk = desk
        self._stream = stream
        self._sending = trio.Lock()
        self._peer: Peer = peer_of(stream)
        self._trusted = self._peer.uid in desk.may_acknowledge
        self._subscribed = False
        #: Set when the peer must begin anew.
        self._over = desk.outbox.renewed

    async def run(self) -> None:
        outbox = self._desk.outbox
        # What the peer was greeted with holds until then; afterwards it must begin anew.
        self._over = over = outbox.committed if outbox.meta is None else outbox.renewed
        greeted = await self._greet()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._end_when, over, nursery.cancel_scope)
                lines = LineReader(self._stream, MAX_REQUEST)
                while (line := await lines.read_line()) is not None:
                    if greeted:
                        await self._answer(_parsed(line), nursery)
                    else:
                        await self._answer_without_outbox(_parsed(line))
                nursery.cancel_scope.cancel()
        finally:
            self._feed.subscribers -= self._subscribed

    async def _greet(self) -> bool:
        meta = self._desk.outbox.meta
        if meta is None:
            return False
        backing, device = self._desk.place()
        hello = Hello(
            vault=self._desk.vault,
            outbox_id=meta.outbox_id,
            floor=meta.floor,
            highest=meta.highest,
            unclean=self._desk.outbox.needs_sweep,
            version=self._desk.version,
            backing=backing,
            device=device,
        )
        await self._send_line(hello.to_json())
        return True

    async def _answer_without_outbox(self, request: object) -> None:
        """While there is no outbox to be had there is nothing to subscribe to, but a status."""
        if request != {"status": True}:
            await self._refuse(f"the outbox cannot be used: {self._desk.outbox.failure}")
        await self._send({"status": self._desk.status()})

    async def _end_when(self, over: trio.Event, scope: trio.CancelScope) -> None:
        await over.wait()
        scope.cancel()

    async def _answer(self, request: object, nursery: trio.Nursery) -> None:
        match request:
            case {"status": True}:
                await self._send({"status": self._desk.status()})
            case {"subscribe": int(seq), **more} if not self._subscribed and _is_number(seq):
                await self._only_spoken(more.get("protocol", PROTOCOL))
                self._subscribed = True
                self._feed.subscribers += 1
                nursery.start_soon(self._send_signals, seq)
            case {"ack": int(seq)} if _is_number(seq):
                await self._only_trusted()
                self._desk.outbox.acknowledge(seq)
            case {"swept": True}:
                await self._only_trusted()
                # It may have been sent in the moment in which more was missed.
                if not self._over.is_set():
                    self._desk.outbox.swept()
            case _:
                await self._refuse(f"not a request of this protocol: {str(request)[:80]!r}")

    async def _send_signals(self, seq: int) -> None:
        outbox = self._desk.outbox
        while True:
            committed = outbox.committed
            batch = await outbox.after(seq, BATCH, deliver=self._trusted)
            if not batch:
                await committed.wait()
                continue
            seq = batch[-1][0]
            for _, body in batch:
                await self._send_line(f'{{"signal":{body}}}')

    async def _only_spoken(self, protocol: object) -> None:
        if protocol != PROTOCOL:
            await self._refuse(
                f"protocol {str(protocol)[:20]!r} is asked for and this overlay speaks {PROTOCOL}; have "
                "both of one release"
            )

    async def _only_trusted(self) -> None:
        if not self._trusted:
            # By number: to ask the user database for his name would keep host I/O waiting.
            await self._refuse(f"uid {self._peer.uid} may look at this feed, not acknowledge")

    async def _refuse(self, text: str) -> None:
        await self._send({"error": text})
        raise FeedError(text)

    async def _send(self, message: dict[str, Any]) -> None:
        await self._send_line(json.dumps(message, separators=(",", ":")))

    async def _send_line(self, line: str) -> None:
        async with self._sending:
            await self._stream.send_all(line.encode() + b"\n")


def _is_number(seq: int) -> bool:
    """Tell whether it can be a signal's; JSON's true and false are whole numbers to Python."""
    return not isinstance(seq, bool) and 0 <= seq <= MAX_SEQ


def _parsed(line: bytes) -> object:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise FeedError(f"the peer sent no JSON: {line[:80]!r}") from error
