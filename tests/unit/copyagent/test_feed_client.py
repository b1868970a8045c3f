"""The agent's end of the feed, against a real Unix socket that speaks the protocol or does not."""

import json
from collections.abc import Awaitable, Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import trio

from copyagent.core.events import FeedLost, FeedOpened, SignalSeen
from copyagent.feed_client import FeedClient
from tests.support.expected_logs import ExpectedLogs
from vtsfs.contract.feed import Hello
from vtsfs.contract.signals import PROTOCOL, Kind, Signal
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


async def test_an_overlay_of_a_later_protocol_is_asked_for_the_one_that_both_speak(
    tmp_path: Path,
) -> None:
    asked: list[object] = []

    async def overlay(stream: trio.SocketStream) -> None:
        later = replace(HELLO, protocol=7, oldest=1, version="7.0.0")
        await stream.send_all(later.to_json().encode() + b"\n")
        asked.append(json.loads(await LineReader(stream, 1000).read_line() or b"null"))
        await stream.send_all(b'{"signal":%s}\n' % SIGNAL.to_json().encode())
        await trio.sleep_forever()

    await follow(tmp_path / "s", overlay, lambda seen: len(seen) == 2)
    assert asked == [{"subscribe": 7, "protocol": PROTOCOL}]


async def test_an_overlay_without_a_common_protocol_is_told_with_what_to_do(tmp_path: Path) -> None:
    async def overlay(stream: trio.SocketStream) -> None:
        later = replace(HELLO, protocol=7, oldest=6, version="7.0.0")
        await stream.send_all(later.to_json().encode() + b"\n")
        await trio.sleep_forever()

    (lost,) = await follow(tmp_path / "s", overlay, lambda seen: len(seen) == 1)
    assert isinstance(lost, FeedLost)
    assert "release 7.0.0 and speaks feed protocol 7, this agent 1" in lost.cause
    assert "start the agent again, or attach the vault anew" in lost.cause


async def test_what_only_a_later_release_reports_is_a_change_of_the_whole_tape(
    tmp_path: Path, expect_log: ExpectedLogs
) -> None:
    expect_log(r"release 0\.1\.0, reports what this agent does not know \(cloned write\)")
    known = json.loads(SIGNAL.to_json())
    unknown = [
        {**known, "seq": 4, "kind": "cloned", "extents": "?", "opened": 7, "from": "X00002"},
        {**known, "seq": 5, "kind": "cloned", "extents": [[0, 1]]},
        {key: known[key] for key in ("vault", "pool", "label", "boot_id", "wall_ns", "mono_ns")}
        | {"seq": 6, "kind": "cloned", "access": "write"},
    ]

    async def overlay(stream: trio.SocketStream) -> None:
        await stream.send_all(HELLO.to_json().encode() + b"\n")
        for signal in unknown:
            await stream.send_all(json.dumps({"signal": signal}).encode() + b"\n")
        await trio.sleep_forever()

    _, *seen = await follow(tmp_path / "s", overlay, lambda seen: len(seen) == 4)
    for number, event in enumerate(seen, 4):
        assert isinstance(event, SignalSeen)
        signal = event.signal
        assert (signal.kind, signal.extents, signal.session) == (Kind.CHANGED, None, "")
        assert (str(signal.tape), signal.seq) == ("/VAULT00/BILL/X00001", number)
