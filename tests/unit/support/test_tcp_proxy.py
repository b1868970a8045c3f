from collections.abc import AsyncIterator

import pytest
import trio

from tests.support.tcp_proxy import open_proxy


@pytest.fixture
async def echo() -> AsyncIterator[int]:
    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            async for data in stream:
                await stream.send_all(data)

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        yield listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()


async def test_bytes_pass_both_ways_with_their_delay(echo: int) -> None:
    async with open_proxy(echo, delay_s=0.1) as proxy:
        async with await trio.open_tcp_stream("127.0.0.1", proxy.port) as stream:
            started = trio.current_time()
            await stream.send_all(b"hello")
            assert await stream.receive_some() == b"hello"
            assert trio.current_time() - started >= 0.2
        assert (proxy.sent, proxy.received, proxy.connections) == (5, 5, 1)


async def test_a_slow_line_takes_its_time(echo: int) -> None:
    async with open_proxy(echo, rate=100_000) as proxy:
        async with await trio.open_tcp_stream("127.0.0.1", proxy.port) as stream:
            started = trio.current_time()
            await stream.send_all(bytes(20_000))
            received = 0
            while received < 20_000:
                received += len(await stream.receive_some())
            assert trio.current_time() - started >= 0.2


async def test_a_cut_drops_what_is_beyond_it_and_spares_the_next_connection(echo: int) -> None:
    async with open_proxy(echo) as proxy:
        proxy.cut_after(3)
        async with await trio.open_tcp_stream("127.0.0.1", proxy.port) as stream:
            with trio.fail_after(5):
                await stream.send_all(b"hello")
                try:
                    assert await stream.receive_some() == b""
                except trio.BrokenResourceError:
                    pass
        async with await trio.open_tcp_stream("127.0.0.1", proxy.port) as stream:
            await stream.send_all(b"again")
            assert await stream.receive_some() == b"again"


async def test_a_stall_lets_nothing_through_and_ends_nothing(echo: int) -> None:
    async with open_proxy(echo) as proxy:
        proxy.stall_after(3)
        async with await trio.open_tcp_stream("127.0.0.1", proxy.port) as stream:
            await stream.send_all(b"hello")
            with trio.fail_after(5):
                await proxy.stalled.wait()
            with trio.move_on_after(0.1) as waited:
                await stream.receive_some()
            assert waited.cancelled_caught


@pytest.mark.parametrize("which", ["deaf", "mute"])
async def test_one_direction_can_fall_silent(echo: int, which: str) -> None:
    async with open_proxy(echo) as proxy:
        async with await trio.open_tcp_stream("127.0.0.1", proxy.port) as stream:
            await stream.send_all(b"hello")
            assert await stream.receive_some() == b"hello"
            setattr(proxy, which, True)
            await stream.send_all(b"again")
            with trio.move_on_after(0.1) as waited:
                await stream.receive_some()
            assert waited.cancelled_caught
        assert (proxy.sent, proxy.received) == (10, 10 if which == "mute" else 5)


async def test_the_rate_is_kept_over_all_connections_and_reached(echo: int) -> None:
    size, rate = 2_000_000, 10_000_000

    async def through(port: int) -> None:
        async with await trio.open_tcp_stream("127.0.0.1", port) as stream:

            async def read() -> None:
                received = 0
                while received < size:
                    received += len(await stream.receive_some())

            async with trio.open_nursery() as nursery:
                nursery.start_soon(read)
                await stream.send_all(bytes(size))

    async with open_proxy(echo, rate=rate) as proxy:
        started = trio.current_time()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(through, proxy.port)
            nursery.start_soon(through, proxy.port)
        took = trio.current_time() - started
    assert 0.35 < took < 2.0
