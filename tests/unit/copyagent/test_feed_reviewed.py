"""What a connection to the overlay must not bring about: each once did."""

import json
from pathlib import Path

import trio

from copyagent.core.events import FeedLost, FeedOpened, SignalSeen
from copyagent.feed_client import FeedClient
from tests.unit.copyagent.test_feed_client import HELLO, follow
from vtsfs.contract.feed import Hello
from vtsfs.runtime.sockets import LineReader, unix_listener


async def test_the_overlay_s_refusal_is_the_cause(tmp_path: Path) -> None:
    async def overlay(stream: trio.SocketStream) -> None:
        await stream.send_all(HELLO.to_json().encode() + b'\n{"error": "user x may look"}\n')
        await trio.sleep_forever()

    events = await follow(tmp_path / "s", overlay, lambda seen: len(seen) == 2)
    assert isinstance(events[1], FeedLost)
    assert "user x may look" in events[1].cause


async def test_an_infinite_number_ends_the_connection_alone(tmp_path: Path) -> None:
    line = json.dumps({"signal": {"extents": None, "kind": "changed", "wall_ns": float("inf")}})
    names = dict.fromkeys(("vault", "pool", "label", "boot_id"), "x")
    line = json.dumps({"signal": names | json.loads(line)["signal"]})

    async def overlay(stream: trio.SocketStream) -> None:
        await stream.send_all(HELLO.to_json().encode() + b"\n" + line.encode() + b"\n")
        await trio.sleep_forever()

    events = await follow(tmp_path / "s", overlay, lambda seen: len(seen) == 2)
    assert isinstance(events[1], FeedLost)


async def test_no_outbox_is_acknowledged_for_another(tmp_path: Path) -> None:
    """The outbox was replaced while a commit of what the old one told was under way."""
    heard: list[object] = []
    client: FeedClient

    async def overlay(stream: trio.SocketStream) -> None:
        hello = Hello("VAULT00", "new", floor=0, highest=9, unclean=False, version="0.1.0")
        await stream.send_all(hello.to_json().encode() + b"\n")
        lines = LineReader(stream, 1000)
        while (line := await lines.read_line()) is not None:
            heard.append(json.loads(line))

    opened = trio.Event()

    async def post(event: FeedOpened | FeedLost | SignalSeen) -> None:
        if isinstance(event, FeedOpened):
            opened.set()

    client = FeedClient("VAULT00", tmp_path / "s", post)
    with trio.fail_after(10):
        async with unix_listener(tmp_path / "s") as listener, trio.open_nursery() as nursery:
            nursery.start_soon(trio.serve_listeners, overlay, [listener])
            nursery.start_soon(client.run)
            await opened.wait()
            client.acknowledge("old", 500)
            client.acknowledge("new", 2)
            while not heard:
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
    assert heard == [{"ack": 2}]
