"""The feed over a real Unix socket."""

import json
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.signal_sink import a_signal, identity
from vtsfs.contract.feed import MAX_LINE, Hello
from vtsfs.contract.signals import PROTOCOL, Kind, Signal
from vtsfs.outbox.feed import Desk, Feed
from vtsfs.outbox.outbox import Callbacks, Outbox
from vtsfs.runtime.sockets import LineReader, unix_listener

MOUNTED = a_signal(Kind.MOUNTED, "s1", before=identity(1), after=identity(1))
DISMOUNTED = a_signal(Kind.DISMOUNTED, "s1", before=identity(1), after=identity(2))
MOST_QUEUED = 10


class Client:
    """The other end of a connection."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._lines = LineReader(stream, MAX_LINE)

    async def line(self) -> dict[str, Any] | None:
        with trio.fail_after(10):
            line = await self._lines.read_line()
        return None if line is None else json.loads(line)

    async def hello(self) -> Hello:
        return Hello.from_json(json.dumps(await self.line()))

    async def signal(self) -> Signal:
        line = await self.line()
        assert line is not None
        return Signal.from_mapping(line["signal"])

    async def send(self, **message: object) -> None:
        await self.stream.send_all(json.dumps(message).encode() + b"\n")


class World:
    """An outbox, its feed, and a way to connect."""

    def __init__(self, path: Path, outbox: Outbox, feed: Feed) -> None:
        self.path = path
        self.outbox = outbox
        self.feed = feed

    @asynccontextmanager
    async def connect(self) -> AsyncIterator[Client]:
        async with await trio.open_unix_socket(str(self.path)) as stream:
            yield Client(stream)


@asynccontextmanager
async def world(
    directory: Path, *, trusted: frozenset[int] = frozenset({os.geteuid()}), outbox_in: str = "."
) -> AsyncIterator[World]:
    callbacks = Callbacks(lambda _marks: [], lambda _cause: None, lambda _path: None, lambda: "now")
    outbox = Outbox(directory / outbox_in / "o", callbacks, most_queued=MOST_QUEUED)
    feed = Feed(Desk("VAULT00", "1.2.3", outbox, trusted, lambda: {"vault": "VAULT00"}))
    async with trio.open_nursery() as nursery, unix_listener(directory / "feed") as listener:
        await nursery.start(outbox.run)
        nursery.start_soon(trio.serve_listeners, feed.serve, [listener])
        yield World(directory / "feed", outbox, feed)
        await outbox.close(clean=True)
        nursery.cancel_scope.cancel()


async def test_what_was_committed_and_what_comes(scratch: Path) -> None:
    async with world(scratch) as here:
        await here.outbox.commit([MOUNTED])
        async with here.connect() as client:
            hello = await client.hello()
            assert (hello.vault, hello.highest, hello.unclean) == ("VAULT00", 1, False)
            await client.send(subscribe=0)
            assert (await client.signal()).kind is Kind.MOUNTED
            await here.outbox.commit([DISMOUNTED])
            assert (await client.signal()).seq == 2
            assert here.outbox.delivered == 2
            await client.send(ack=2)
            await client.send(status=True)
            assert await client.line() == {"status": {"vault": "VAULT00"}}
            await here.outbox.commit([MOUNTED])
            assert (await client.signal()).seq == 3
            assert here.outbox.meta is not None
            assert here.outbox.meta.floor == 2


async def test_several_subscribers_read_the_same(scratch: Path) -> None:
    async with world(scratch) as here:
        await here.outbox.commit([MOUNTED, DISMOUNTED])
        async with here.connect() as first, here.connect() as second:
            for client in (first, second):
                await client.hello()
                await client.send(subscribe=1)
                assert (await client.signal()).seq == 2
            assert here.feed.subscribers == 2
        with trio.fail_after(10):
            while here.feed.subscribers:
                await trio.lowlevel.checkpoint()


@pytest.mark.parametrize("request_", [{"ack": 1}, {"swept": True}])
async def test_a_stranger_may_look_and_nothing_else(
    scratch: Path, request_: dict[str, object]
) -> None:
    async with world(scratch, trusted=frozenset()) as here:
        await here.outbox.commit([MOUNTED])
        async with here.connect() as client:
            await client.hello()
            await client.send(subscribe=0)
            await client.signal()
            assert here.outbox.delivered == 0
            await client.send(**request_)
            line = await client.line()
            assert line is not None
            assert "may look" in line["error"]
            assert await client.line() is None
        assert here.outbox.depth == 1


@pytest.mark.parametrize(
    "garbage",
    [
        b"no json\n",
        b"[]\n",
        b"{}\n",
        b'{"ack": "1"}\n',
        b'{"ack": true}\n',
        b'{"ack": 1.0}\n',
        b'{"subscribe": false}\n',
        b'{"ack": 1' + b"0" * 4000 + b"}\n",
        b'"\\ud800"\n',
        b"\x00\xff\n",
        b"[" * 4000 + b"\n",
        b"x" * 9000,
    ],
    ids=lambda garbage: repr(garbage[:20]),
)
async def test_garbage_ends_that_connection_alone(scratch: Path, garbage: bytes) -> None:
    async with world(scratch) as here, here.connect() as good:
        await good.hello()
        async with here.connect() as bad:
            await bad.hello()
            await bad.stream.send_all(garbage)
            with trio.fail_after(10):
                try:
                    while await bad.stream.receive_some(65536):
                        pass
                except trio.BrokenResourceError:
                    pass
        await good.send(status=True)
        assert await good.line() == {"status": {"vault": "VAULT00"}}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)
ASKED = st.dictionaries(st.sampled_from(["ack", "swept", "subscribe", "status"]), JSON, max_size=2)
LINES = st.binary(max_size=60) | (JSON | ASKED).map(lambda value: json.dumps(value).encode())


@given(st.lists(LINES, min_size=5, max_size=15))
@settings(
    max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_whatever_comes_in_the_next_one_is_served(scratch: Path, lines: list[bytes]) -> None:
    async def main() -> None:
        async with world(scratch) as here:
            await here.outbox.commit([MOUNTED])
            for line in lines:
                async with here.connect() as odd:
                    await odd.hello()
                    await odd.stream.send_all(line + b"\n")
            async with here.connect() as good:
                await good.hello()
                await good.send(status=True)
                assert await good.line() == {"status": {"vault": "VAULT00"}}

    trio.run(main)


async def test_one_who_never_reads_holds_up_nobody(scratch: Path) -> None:
    many = a_signal(Kind.CHANGED, extents=tuple((n * 2, n * 2 + 1) for n in range(60_000)))
    async with world(scratch) as here, here.connect() as deaf, here.connect() as good:
        deaf.stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await deaf.send(subscribe=0)
        await good.hello()
        await good.send(subscribe=0)
        for _ in range(5):
            with trio.fail_after(10):
                await here.outbox.commit([many])
            assert (await good.signal()).kind is Kind.CHANGED


async def test_signals_that_may_be_missing_end_the_connection(scratch: Path) -> None:
    async with world(scratch) as here:
        async with here.connect() as client:
            assert not (await client.hello()).unclean
            here.outbox._begin_failing("no room")
            assert await client.line() is None
        async with here.connect() as client:
            assert (await client.hello()).unclean


async def test_without_an_outbox_there_is_a_status(scratch: Path) -> None:
    async with world(scratch, outbox_in="missing") as here:
        async with here.connect() as client:
            await client.send(status=True)
            assert await client.line() == {"status": {"vault": "VAULT00"}}
            (scratch / "missing").mkdir()
            assert await client.line() is None, "there is a hello to be had now"
        async with here.connect() as client:
            assert (await client.hello()).unclean


def overflow(outbox: Outbox) -> None:
    """Hand over more than is kept while nothing can be written."""
    for _ in range(MOST_QUEUED + 1):
        outbox.post([MOUNTED])


async def test_signals_that_were_dropped_end_the_connection(scratch: Path) -> None:
    async with world(scratch) as here:
        async with here.connect() as client:
            assert not (await client.hello()).unclean
            overflow(here.outbox)
            assert await client.line() is None
        async with here.connect() as client:
            assert (await client.hello()).unclean


async def test_a_sweep_from_before_the_loss_is_not_the_one_after_it(scratch: Path) -> None:
    async with world(scratch) as here:
        async with here.connect() as client:
            await client.hello()
            overflow(here.outbox)
            # In the connection before it learns that it is over.
            here.outbox.swept()
            assert here.outbox.needs_sweep
            assert await client.line() is None
        await here.outbox.commit([DISMOUNTED])
        async with here.connect() as client:
            assert (await client.hello()).unclean
            await client.send(swept=True)
            await client.send(status=True)
            assert await client.line() == {"status": {"vault": "VAULT00"}}
            assert not here.outbox.needs_sweep


async def test_a_long_loss_ends_connections_as_it_begins_and_as_it_is_over(scratch: Path) -> None:
    async with world(scratch) as here:
        renewals = 0
        last = here.outbox.renewed
        for _ in range(MOST_QUEUED + 100):
            here.outbox.post([MOUNTED])
            if here.outbox.renewed is not last:
                last, renewals = here.outbox.renewed, renewals + 1
        assert renewals == 1
        async with here.connect() as client:
            assert (await client.hello()).unclean
            await here.outbox.commit([DISMOUNTED])
            assert await client.line() is None, "what it was sweeping began before the last loss"
        async with here.connect() as client:
            assert (await client.hello()).unclean


async def test_an_agent_may_name_the_protocol_it_takes_and_no_other_than_is_spoken(
    scratch: Path,
) -> None:
    async with world(scratch) as here:
        await here.outbox.commit([MOUNTED])
        async with here.connect() as client:
            assert (await client.hello()).common == PROTOCOL
            await client.send(subscribe=0, protocol=PROTOCOL)
            assert (await client.signal()).kind is Kind.MOUNTED
        async with here.connect() as client:
            await client.hello()
            await client.send(subscribe=0, protocol=PROTOCOL + 1)
            line = await client.line()
            assert line is not None
            assert line["error"].endswith("this overlay speaks 1; have both of one release")
            assert await client.line() is None
