"""The HTTP server over real sockets: it answers, many at once, and nobody can hold it up."""

import random
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio

from copyagent.metrics.catalogue import MESSAGES, STARTED
from copyagent.metrics.exposition import Sheet
from copyagent.metrics.server import Limits, offer
from tests.support.expected_logs import ExpectedLogs
from vtsfs.contract.errors import StateError

SCRAPE = b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n"
QUICK = Limits(connections=4, receive=0.2, read=5.0, send=0.3, drain=0.2)


@dataclass
class Place:
    """A server at a port or a socket; *readings* counts how often figures were read for it."""

    at: Path | tuple[str, int]
    readings: int = 0
    failures: list[str] = field(default_factory=list)
    wait: trio.Event | None = None
    begun: trio.Event = field(default_factory=trio.Event)
    rows: int = 0
    error: Exception | None = None

    async def source(self) -> Sheet:
        self.readings += 1
        self.begun.set()
        if self.wait is not None:
            await self.wait.wait()
        if self.error is not None:
            raise self.error
        sheet = Sheet()
        sheet.put(STARTED, self.readings)
        for number in range(self.rows):
            sheet.put(MESSAGES, 1, str(number), "x" * 200)
        return sheet

    async def failed(self, cause: str) -> None:
        self.failures.append(cause)

    async def connect(self) -> trio.SocketStream:
        if isinstance(self.at, Path):
            return await trio.open_unix_socket(self.at)
        return await trio.open_tcp_stream(*self.at)

    async def ask(self, request: bytes = SCRAPE) -> tuple[int, bytes]:
        """Send *request* and return the status and the text of the answer."""
        async with await self.connect() as stream:
            await stream.send_all(request)
            return await answered(stream)


async def answered(stream: trio.SocketStream) -> tuple[int, bytes]:
    told = b""
    while piece := await stream.receive_some(65536):
        told += piece
    head, _, text = told.partition(b"\r\n\r\n")
    return int(head.split()[1]), text


@asynccontextmanager
async def serving(place: Place, limits: Limits = QUICK) -> AsyncIterator[Place]:
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: offer(place.at, place.source, place.failed, limits=limits))
            while True:
                try:
                    (await place.connect()).socket.close()
                    break
                except OSError:
                    await trio.sleep(0.005)
            yield place
            nursery.cancel_scope.cancel()


def free_port() -> tuple[str, int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host, port = probe.getsockname()
        return host, port


@pytest.fixture(params=["port", "socket"])
def place(request: pytest.FixtureRequest, scratch: Path) -> Place:
    return Place(free_port() if request.param == "port" else scratch / "metrics.sock")


async def test_a_scrape_is_answered_and_a_young_one_handed_out_again(place: Place) -> None:
    async with serving(place):
        first = await place.ask()
        assert first[0] == 200
        assert b"\nvts_autocopy_start_time_seconds 1.0\n" in first[1]
        assert await place.ask() == first
        assert place.readings == 1


async def test_what_is_no_scrape_is_refused_and_nothing_read_for_it(place: Place) -> None:
    async with serving(place):
        assert (await place.ask(b"GET / HTTP/1.1\r\n\r\n"))[0] == 404
        assert (await place.ask(b"DELETE /metrics HTTP/1.1\r\n\r\n"))[0] == 405
        assert (await place.ask(b"\x16\x03\x01\x02\x00 TLS\r\n\r\n"))[0] == 400
        assert (await place.ask(b"GET /metrics HTTP/1.1\r\nX: " + b"x" * 60_000))[0] == 431
        assert place.readings == 0


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_is_sent_the_next_scrape_is_answered(place: Place, seed: int) -> None:
    chance = random.Random(seed)
    async with serving(place):
        for _ in range(40):
            junk = bytearray(
                chance.choice((SCRAPE, b"", b"\r\n" * 9, b"HEAD /metrics HTTP/1.1\r\n\r\n"))
            )
            for _ in range(chance.randrange(6)):
                junk.insert(chance.randrange(len(junk) + 1), chance.randrange(256))
            async with await place.connect() as stream:
                await stream.send_all(junk)
                await stream.send_eof()
                status, _ = await answered(stream)
                assert status in {200, 400, 404, 405, 505}
        assert (await place.ask())[0] == 200


async def test_who_sends_too_slowly_is_told_so(place: Place) -> None:
    async with serving(place):
        assert (await place.ask(b"GET /metrics"))[0] == 408


async def test_who_ends_in_the_middle_gets_a_refusal(place: Place) -> None:
    async with serving(place), await place.connect() as stream:
        await stream.send_all(b"GET /metrics HT")
        await stream.send_eof()
        assert (await answered(stream))[0] == 400


async def test_several_at_once_cost_one_reading(place: Place) -> None:
    place.wait = trio.Event()
    found: list[tuple[int, bytes]] = []

    async def ask() -> None:
        found.append(await place.ask())

    async with serving(place), trio.open_nursery() as nursery:
        for _ in range(3):
            nursery.start_soon(ask)
        await place.begun.wait()
        await trio.testing.wait_all_tasks_blocked(0.02)
        place.wait.set()
    assert [status for status, _ in found] == [200, 200, 200]
    assert place.readings == 1


async def test_too_many_connections_are_sent_away_and_others_served(place: Place) -> None:
    place.wait = trio.Event()
    async with serving(place), trio.open_nursery() as nursery:
        for _ in range(QUICK.connections):
            nursery.start_soon(place.ask)
        await trio.testing.wait_all_tasks_blocked(0.02)
        assert (await place.ask())[0] == 503
        place.wait.set()


async def test_who_does_not_read_is_cut_off_and_others_are_served(scratch: Path) -> None:
    place = Place(scratch / "metrics.sock", rows=4000)
    async with serving(place):
        whole = await place.ask()
        silent = [await place.connect() for _ in range(QUICK.connections)]
        for stream in silent:
            await stream.send_all(SCRAPE)
        await trio.testing.wait_all_tasks_blocked(0.02)
        for _ in range(200):
            if (await place.ask())[0] == 200:
                break
            await trio.sleep(0.02)
        else:
            pytest.fail("who does not read keeps its connection")
        lengths = [len((await answered(stream))[1]) for stream in silent]
        assert min(lengths) < len(whole[1])
        for stream in silent:
            await stream.aclose()


async def test_a_reading_that_takes_too_long_is_given_up(place: Place) -> None:
    place.wait = trio.Event()
    async with serving(place, Limits(read=0.1)):
        assert (await place.ask())[0] == 503
        place.wait.set()
        assert (await place.ask())[0] == 200


@pytest.mark.parametrize("error", [ValueError("a bug"), StateError("the agent ended")])
async def test_what_goes_wrong_in_a_reading_ends_that_scrape_alone(
    place: Place, error: Exception, expect_log: ExpectedLogs
) -> None:
    expect_log("figures cannot be read", level=40)
    place.error = error
    async with serving(place):
        status, text = await place.ask()
        assert (status, text) == (500, b"the agent failed to tell; see its journal\n")
        place.error = None
        assert (await place.ask())[0] == 200


async def test_a_place_that_is_taken_is_told_and_tried_again(
    scratch: Path, autojump_clock: trio.testing.MockClock
) -> None:
    path = scratch / "metrics.sock"
    path.write_text("in the way")
    place = Place(path)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: offer(place.at, place.source, place.failed))
        await trio.sleep(1)
        assert len(place.failures) == 1
        assert "no socket" in place.failures[0]
        path.unlink()
        await trio.sleep(60)
        assert path.is_socket()
        assert len(place.failures) == 1
        nursery.cancel_scope.cancel()


async def test_a_port_that_is_taken_is_told(autojump_clock: trio.testing.MockClock) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        host, port = taken.getsockname()
        place = Place((host, port))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: offer(place.at, place.source, place.failed))
            await trio.sleep(61)
            nursery.cancel_scope.cancel()
        assert len(place.failures) == 3


async def test_a_socket_is_for_its_owner_alone_where_there_is_no_group(scratch: Path) -> None:
    place = Place(scratch / "metrics.sock")
    async with serving(place):
        assert (scratch / "metrics.sock").stat().st_mode & 0o777 == 0o600
