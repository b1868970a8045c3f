"""The agent's end of the feed, against a real Unix socket that speaks the protocol or does not."""

import json
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import trio

from copyagent.core.events import FeedLost, FeedOpened, SignalSeen
from copyagent.feed_client import FeedClient
from vtsfs.contract.feed import Hello
from vtsfs.contract.signals import Kind, Signal
from vtsfs.runtime.sockets import LineReader, unix_listener

HELLO = Hello("VAULT00", "box", floor=0, highest=3, unclean=False, version="0.1.0")
SIGNAL = Signal(Kind.REMOVED, "VAULT00", "BILL", "X00001", "boot", 1, 2, seq=3)

Events = list[FeedOpened | FeedLost | SignalSeen]
Overlay = Callable[[trio.SocketStream], Awaitable[None]]


async def follow(path: Path, overlay: Overlay, until: Callable[[Events], bool]) -> Events:
    """Run a client against *overlay* until *until* is true of the events that came."""
    events: Events = []
    arrived = trio.Event()
    client: FeedClient

    async def post(event: FeedOpened | FeedLost | SignalSeen) -> None:
        events.append(event)
        if isinstance(event, FeedOpened):
            client.subscribe(event.hello.outbox_id, 7)
        if until(events):
            arrived.set()

    client = FeedClient("VAULT00", path, post)
    with trio.fail_after(10):
        async with unix_listener(path) as listener, trio.open_nursery() as nursery:
            nursery.start_soon(partial(trio.serve_listeners, overlay, [listener]))
            nursery.start_soon(client.run)
            await arrived.wait()
            nursery.cancel_scope.cancel()
    return events


async def test_hello_subscription_and_signals(tmp_path: Path) -> None:
    asked: list[object] = []

    async def overlay(stream: trio.SocketStream) -> None:
        await stream.send_all(HELLO.to_json().encode() + b"\n")
        asked.append(json.loads(await LineReader(stream, 1000).read_line() or b"null"))
        await stream.send_all(b'{"signal":%s}\n' % SIGNAL.to_json().encode())
        await trio.sleep_forever()

    events = await follow(tmp_path / "s", overlay, lambda seen: len(seen) == 2)
    assert events == [FeedOpened(HELLO), SignalSeen("box", SIGNAL)]
    assert asked == [{"subscribe": 7}]


async def test_garbage_ends_the_connection_with_its_cause(tmp_path: Path) -> None:
    async def overlay(stream: trio.SocketStream) -> None:
        await stream.send_all(HELLO.to_json().encode() + b'\n{"signal": 5}\n')
        await trio.sleep_forever()

    events = await follow(tmp_path / "s", overlay, lambda seen: len(seen) == 2)
    assert isinstance(events[1], FeedLost)
    assert "not a signal" in events[1].cause


async def test_another_vaults_socket_is_refused(tmp_path: Path) -> None:
    async def overlay(stream: trio.SocketStream) -> None:
        other = Hello("VAULT01", "box", 0, 0, False, "0.1.0")
        await stream.send_all(other.to_json().encode() + b"\n")
        await trio.sleep_forever()

    events = await follow(tmp_path / "s", overlay, lambda seen: len(seen) == 1)
    assert isinstance(events[0], FeedLost)
    assert "VAULT01" in events[0].cause


async def test_an_overlay_that_is_not_there_is_reported(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    lost: list[str] = []
    mock_clock.autojump_threshold = 0.01

    async def post(event: FeedOpened | FeedLost | SignalSeen) -> None:
        assert isinstance(event, FeedLost)
        lost.append(event.cause)

    with trio.move_on_after(3.5):
        await FeedClient("VAULT00", tmp_path / "nobody", post).run()
    assert len(lost) == 4
    assert "does not answer" in lost[0]
