"""Whatever comes in on the control socket is answered, and never by a bug of ours (status 70)."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from copyagent.answers import answer
from copyagent.control.admission import Doorkeeper
from copyagent.control.protocol import NAMES, Request, Status, encode_request
from copyagent.control.server import Limits, serve
from copyagent.core.book import Book
from copyagent.core.engine import Engine
from copyagent.core.time import Moment
from copyagent.runner import Runner
from copyagent.ssh.sftp import connect
from copyagent.state.store import open_store
from tests.support.example_settings import example_settings
from vtsfs.contract.naming import TapeId
from vtsfs.runtime.clock import wall_ns
from vtsfs.runtime.eventlog import EventLog
from vtsfs.runtime.peers import Peer

TAPE = TapeId("VAULT00", "BILL", "X00001")

#: What is wrong in every way that JSON allows, and what is nearly right.
TEXTS = st.sampled_from(
    [
        "", " ", ".", "/", "\x00", "\x1b[2J", "\ud800", "\udcff", "\u202e", "x" * 2000,
        "drsite", "nowhere", "VAULT00", "/VAULT00/BILL", "/VAULT00/NONE", str(TAPE),
        "/VAULT00/BILL/X\n", "/VAULT00/BILL/\ud800", "/VAULT00/BILL/NONE", "all", "missing", "fence",
        "%s{tape}|", "2026-11-23T00:00:00Z",
    ]
)  # fmt: skip
NUMBERS = st.sampled_from([0, 1, -1, 2**31, 2**62, 2**63, 2**64, 10**400, 0.5, -0.0]) | st.floats()
VALUES = st.recursive(
    TEXTS | NUMBERS | st.none() | st.booleans() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=4,
)
KEYS = st.sampled_from(
    [
        "tape", "where", "target", "because", "about", "action", "which", "generation", "failed",
        "overwrite_target", "dry_run", "until_ns", "for_s", "finish", "host", "after", "since_ns",
        "unknown", "overlay", "most", "wait", "last", "published_ns", "detail", "licence", "kinds",
        "states", "pools", "unprotected", "digests", "text", "first",
    ]
)  # fmt: skip
RIGHT = {"tape": str(TAPE), "where": "/VAULT00/BILL", "because": "a reason", "about": "drsite"}
RIGHT |= {"target": "drsite", "action": "fence", "detail": "differs", "licence": "x"}
ARGS = st.dictionaries(KEYS, VALUES, max_size=4)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Make a request whose arguments are partly those of its command."""
    command = draw(st.sampled_from(sorted(NAMES.values())))
    args: dict[str, Any] = {
        key: RIGHT[key] for key in draw(st.sets(st.sampled_from(sorted(RIGHT))))
    }
    document = {"version": 1, "command": command, "args": args | draw(ARGS)}
    return json.dumps(document).encode() + b"\n"


RUBBISH = st.one_of(
    st.binary(max_size=200),
    st.binary(max_size=50).map(lambda raw: raw + b"\n"),
    VALUES.map(lambda value: json.dumps(value).encode() + b"\n"),
    st.sampled_from(
        [b"[" * 60_000 + b"\n", b'{"a":' * 9000 + b"\n", b"1" * 60_000 + b"\n", b"\n", b"\x00\n"]
    ),
    st.integers(0, 60).map(lambda at: encode_request(Status())[:at]),
)


@asynccontextmanager
async def agent(root: Path) -> AsyncIterator[Path]:
    """Serve a socket behind which a real engine, with a real state, answers."""
    store, _ = open_store(root / "agent.sqlite", "now")
    site = example_settings(root)
    log = EventLog(site.paths.event_log, site.system, program="copyagent")

    def now() -> Moment:
        return Moment(trio.current_time(), wall_ns())

    book = Book(site)
    book.record(TAPE)
    runner = Runner(Engine(book), store, log, connect, now)

    async def handle(request: Request, peer: Peer) -> object:
        return await answer(runner, request, peer.user)

    path, limits = root / "agent.sock", Limits(receive=5, carry_out=5, send=5)
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(runner.run)
            keeper = Doorkeeper(owner=0)
            await nursery.start(partial(serve, path, handle, keeper, limits=limits))
            yield path
            nursery.cancel_scope.cancel()
    finally:
        log.close()
        store.close()


async def said(path: Path, data: bytes) -> dict[str, Any]:
    """Send *data* and the end; return the answer, which has to be one."""
    received = b""
    async with await trio.open_unix_socket(path) as stream:
        try:
            await stream.send_all(data)
            await stream.send_eof()
        except trio.BrokenResourceError:
            pass  # it was answered before all was read
        try:
            while piece := await stream.receive_some():
                received += piece
        except trio.BrokenResourceError:
            pass  # the agent closed without reading the rest
    assert received.endswith(b"\n")
    document: dict[str, Any] = json.loads(received)
    return document


@given(st.lists(requests() | RUBBISH, min_size=10, max_size=30))
@settings(
    max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_every_line_is_answered_and_the_agent_goes_on(scratch: Path, lines: list[bytes]) -> None:
    async def main() -> None:
        with trio.fail_after(60):
            async with agent(scratch) as path:
                for line in lines:
                    answer = await said(path, line)
                    assert answer["ok"] is True or answer["error"]["code"] in {2, 32, 42}, (
                        line,
                        answer,
                    )
                assert (await said(path, encode_request(Status())))["ok"]

    trio.run(main)


async def test_many_at_once_are_answered_or_told_to_come_again(scratch: Path) -> None:
    answers: list[dict[str, Any]] = []
    with trio.fail_after(60):
        async with agent(scratch) as path:

            async def one(number: int) -> None:
                data = encode_request(Status()) if number % 2 else b"{" * number
                answers.append(await said(path, data))

            async with trio.open_nursery() as nursery:
                for number in range(1, 61):
                    nursery.start_soon(one, number)
            assert (await said(path, encode_request(Status())))["ok"]
    assert len(answers) == 60
    assert {a["error"]["code"] for a in answers if not a["ok"]} <= {32, 42}


@pytest.mark.parametrize("data", [b"\xff" * 70_000, b"x" * 66_000])
async def test_who_sends_without_end_is_cut_off(scratch: Path, data: bytes) -> None:
    with trio.fail_after(30):
        async with agent(scratch) as path:
            answer = await said(path, data)
            assert "more than 65536 bytes" in answer["error"]["message"]
