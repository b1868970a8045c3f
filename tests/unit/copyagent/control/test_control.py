"""Both sides of the control socket together, over a real one."""

import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from copyagent.control.admission import Doorkeeper
from copyagent.control.client import ask
from copyagent.control.errands import Release
from copyagent.control.protocol import (
    MAX_REQUEST,
    Explain,
    Request,
    Status,
    encode_request,
)
from copyagent.control.server import Limits, serve
from tests.support.expected_logs import ExpectedLogs
from vtsfs.contract.errors import (
    AgentBusy,
    AgentUnreachable,
    FeedError,
    RequestFailed,
    SettingsError,
    StateError,
    VtsError,
)
from vtsfs.contract.naming import TapeId
from vtsfs.runtime.peers import Peer, user_name

TAPE = TapeId("VAULT00", "BILL", "X00001")
AGENT = Doorkeeper(owner=os.geteuid())
Serving = Callable[..., AbstractAsyncContextManager[Path]]


async def echo(request: Request, peer: Peer) -> object:
    await trio.lowlevel.checkpoint()
    return [repr(request), peer.pid]


@pytest.fixture
def serving(scratch: Path) -> Serving:
    @asynccontextmanager
    async def start(
        handle: Callable[[Request, Peer], Any] = echo,
        doorkeeper: Doorkeeper = AGENT,
        limits: Limits = Limits(),  # noqa: B008  # frozen
        name_of: Callable[[int], str] = user_name,
    ) -> AsyncIterator[Path]:
        path = scratch / "agent.sock"
        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                run = partial(serve, path, handle, doorkeeper, limits=limits, name_of=name_of)
                await nursery.start(run)
                yield path
                nursery.cancel_scope.cancel()
        assert not path.exists()

    return start


async def asked(path: Path, request: Request, **options: float) -> Any:
    return await trio.to_thread.run_sync(partial(ask, path, request, **options))


async def said(path: Path, *pieces: bytes, end: bool = True) -> bytes:
    """Send *pieces* as they are and return everything that comes back."""
    received = b""
    async with await trio.open_unix_socket(path) as stream:
        try:
            for piece in pieces:
                await stream.send_all(piece)
            if end:
                await stream.send_eof()
        except trio.BrokenResourceError:
            pass
        try:
            while piece := await stream.receive_some():
                received += piece
        except trio.BrokenResourceError:
            pass  # the agent closed without reading the rest
    return received


async def test_question_and_answer(serving: Serving) -> None:
    async with serving() as path:
        assert await asked(path, Explain(TAPE)) == [repr(Explain(TAPE)), os.getpid()]
        assert await asked(path, Status()) == ["Status()", os.getpid()]


async def test_a_large_answer(serving: Serving) -> None:
    async def handle(request: Request, peer: Peer) -> object:
        return "x" * 5_000_000

    async with serving(handle) as path:
        assert len(await asked(path, Status())) == 5_000_000


@pytest.mark.parametrize("error", [RequestFailed("not held"), StateError("disk full")])
async def test_the_agents_error_is_the_commands(serving: Serving, error: VtsError) -> None:
    async def handle(request: Request, peer: Peer) -> object:
        raise error

    async with serving(handle) as path:
        with pytest.raises(type(error), match=str(error)):
            await asked(path, Status())


async def test_a_bug_in_answering_ends_nothing(serving: Serving, expect_log: ExpectedLogs) -> None:
    expect_log("request explain failed", logging.ERROR)

    async def handle(request: Request, peer: Peer) -> object:
        if isinstance(request, Explain):
            raise ZeroDivisionError("bug")
        return await echo(request, peer)

    async with serving(handle) as path:
        with pytest.raises(VtsError, match=r"ZeroDivisionError.*journal") as failed:
            await asked(path, Explain(TAPE))
        assert failed.value.exit_code == 70
        assert await asked(path, Status())


async def test_an_answer_that_takes_too_long_is_given_up(serving: Serving) -> None:
    async def handle(request: Request, peer: Peer) -> object:
        await trio.sleep_forever()

    async with serving(handle, limits=Limits(carry_out=0.05)) as path:
        with pytest.raises(RequestFailed, match="took longer than"):
            await asked(path, Status())


async def test_a_line_that_is_too_long(serving: Serving) -> None:
    async with serving() as path:
        answer = await said(path, b"x" * (MAX_REQUEST + 1))
        assert b'"code":32' in answer
        assert b"more than 65536 bytes" in answer
        assert await asked(path, Status())


async def test_one_who_says_nothing_or_half_a_line_is_sent_away(serving: Serving) -> None:
    async with serving(limits=Limits(receive=0.05)) as path:
        for pieces in ((), (b'{"version":1,',)):
            assert b"no request came" in await said(path, *pieces, end=False)


async def test_one_who_trickles_does_not_hold_the_others_up(serving: Serving) -> None:
    async with serving(limits=Limits(receive=0.5)) as path:
        async with await trio.open_unix_socket(path) as slow, trio.open_nursery() as nursery:

            async def trickle() -> None:
                for byte in encode_request(Status()):
                    try:
                        await slow.send_all(bytes([byte]))
                    except trio.BrokenResourceError:
                        return
                    await trio.sleep(0.05)

            nursery.start_soon(trickle)
            assert await asked(path, Status())
            assert b"no request came" in await slow.receive_some(1000)


async def test_an_end_without_a_request(serving: Serving) -> None:
    async with serving() as path:
        assert b"no request came" in await said(path)
        assert b"within a line" in await said(path, b"{")


async def test_one_who_goes_away_before_the_answer(serving: Serving) -> None:
    gone = trio.Event()

    async def handle(request: Request, peer: Peer) -> object:
        await gone.wait()
        return "x" * 5_000_000

    async with serving(handle) as path:
        async with await trio.open_unix_socket(path) as stream:
            await stream.send_all(encode_request(Status()))
        gone.set()
        assert len(await asked(path, Status())) == 5_000_000


async def test_one_who_does_not_read_is_dropped(serving: Serving) -> None:
    async def handle(request: Request, peer: Peer) -> object:
        return "x" * 5_000_000

    async with serving(handle, limits=Limits(connections=1, send=0.5)) as path:
        async with await trio.open_unix_socket(path) as stream:
            await stream.send_all(encode_request(Status()))
            while True:
                try:
                    assert len(await asked(path, Status())) == 5_000_000
                    break
                except RequestFailed:
                    await trio.sleep(0.01)


async def test_too_many_at_once_are_told(serving: Serving) -> None:
    async with serving(limits=Limits(connections=2)) as path:
        async with (
            await trio.open_unix_socket(path),
            await trio.open_unix_socket(path),
        ):
            with pytest.raises(RequestFailed, match="too many connections"):
                await asked(path, Status())
        while True:
            try:
                assert await asked(path, Status())
                break
            except RequestFailed:
                await trio.sleep(0.01)


async def test_a_second_agent_is_refused(serving: Serving) -> None:
    async with serving() as path:
        with pytest.raises(AgentBusy):
            await serve(path, echo, AGENT)


async def test_a_user_database_that_hangs_costs_the_name_and_no_more(serving: Serving) -> None:
    over = threading.Event()

    def name_of(uid: int) -> str:
        over.wait(20)
        return "nobody waits for it"

    async def handle(request: Request, peer: Peer) -> object:
        return peer.user

    try:
        async with serving(handle, limits=Limits(receive=0.1), name_of=name_of) as path:
            for _ in range(3):
                assert await asked(path, Status()) == str(os.geteuid())
    finally:
        over.set()


async def test_whoever_acts_is_named(serving: Serving) -> None:
    async def handle(request: Request, peer: Peer) -> object:
        return peer.user

    async with serving(handle, name_of=lambda uid: f"user {uid}") as path:
        assert await asked(path, Release(TAPE, "x")) == f"user {os.geteuid()}"


@given(st.lists(st.lists(st.binary(max_size=100), max_size=3), min_size=1, max_size=5))
@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
def test_random_bytes_never_end_the_server(
    serving: Serving, conversations: list[list[bytes]]
) -> None:
    async def main() -> None:
        async with serving() as path:
            for pieces in conversations:
                assert b'"ok":false' in await said(path, *pieces)
            assert await asked(path, Status())

    trio.run(main)


ASK = """
import os, sys
from pathlib import Path
from copyagent.control.client import ask
from copyagent.control.errands import Release
from copyagent.control.protocol import Status
from vtsfs.contract.errors import VtsError
from vtsfs.contract.naming import TapeId

def tried(request):
    try:
        ask(Path(sys.argv[1]), request)
        return "answered"
    except VtsError as error:
        return type(error).__name__

for who in sys.argv[2:]:
    uid, gid, *groups = map(int, who.split(","))
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.setgroups(groups)
        os.setgid(gid)
        os.setuid(uid)
        release = Release(TapeId.parse("/VAULT00/BILL/X00001"), "x")
        print(who, tried(Status()), tried(release))
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(child, 0)
"""

#: How each fared who asked, first to look and then to act: user, group, further groups.
Fates = dict[str, tuple[str, str]]


async def fates(path: Path, *peers: str) -> Fates:
    done = await trio.run_process(
        [sys.executable, "-c", ASK, str(path), *peers],
        capture_stdout=True,
        stderr=subprocess.STDOUT,
    )
    lines = (line.split() for line in done.stdout.decode().splitlines())
    return {who: (look, act) for who, look, act in lines}


BOTH, LOOKS, NEITHER = ("answered", "answered"), ("answered", "Refused"), ("Refused", "Refused")
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


@as_root
async def test_peers_are_known_by_the_kernel(
    serving: Serving, scratch: Path, expect_log: ExpectedLogs
) -> None:
    expect_log(r"\(uid \d+\) was refused: ")
    await trio.Path(scratch).chmod(0o755)
    keeper = Doorkeeper(owner=4000, service_user=4001, service_group=4242, operators=4343)
    async with serving(doorkeeper=keeper) as path:
        assert await fates(
            path,
            "0,0",
            "4000,65534",
            "4001,65534",
            "5000,4343",
            "5001,65534,7,4343",
            "5002,4242",
            "5003,65534,4242,7",
            "5004,65534,4242,4343",
            "5005,65534,7,8",
            "65534,65534",
        ) == {
            "0,0": BOTH,
            "4000,65534": BOTH,
            "4001,65534": BOTH,
            "5000,4343": BOTH,
            "5001,65534,7,4343": BOTH,
            "5002,4242": LOOKS,
            "5003,65534,4242,7": LOOKS,
            "5004,65534,4242,4343": BOTH,
            "5005,65534,7,8": NEITHER,
            "65534,65534": NEITHER,
        }


@as_root
async def test_where_one_group_is_enough_the_sockets_mode_keeps_the_others_out(
    serving: Serving, scratch: Path, expect_log: ExpectedLogs
) -> None:
    expect_log(r"\(uid 5002\) was refused: release")
    await trio.Path(scratch).chmod(0o755)
    async with serving(doorkeeper=Doorkeeper(owner=0, service_group=4242)) as path:
        assert await fates(path, "5002,4242", "5005,65534") == {
            "5002,4242": LOOKS,
            "5005,65534": NEITHER,
        }


@as_root
async def test_the_sockets_own_permissions(serving: Serving) -> None:
    for keeper, mode, group in (
        (AGENT, 0o600, os.getegid()),
        (Doorkeeper(owner=0, service_group=4242), 0o660, 4242),
        (Doorkeeper(owner=0, operators=4343), 0o660, 4343),
        (Doorkeeper(owner=0, service_group=4242, operators=4343), 0o666, 4242),
    ):
        async with serving(doorkeeper=keeper) as path:
            assert path.stat().st_mode & 0o777 == mode
            assert path.stat().st_gid == group


FLOOD = """
import os, socket, sys
path, uid, gid = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
os.setgroups([])
os.setgid(gid)
os.setuid(uid)
open_ = []
for _ in range(40):
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(path)
    open_.append(connection)
print("there", flush=True)
sys.stdin.read()
"""


@as_root
async def test_one_who_looks_and_never_asks_does_not_lock_root_out(
    serving: Serving, scratch: Path
) -> None:
    await trio.Path(scratch).chmod(0o755)
    keeper = Doorkeeper(owner=0, service_group=4242)
    limits = Limits(connections=8, reserved=2, of_one=4, receive=30)
    async with serving(doorkeeper=keeper, limits=limits) as path, trio.open_nursery() as nursery:
        run = partial(trio.run_process, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for uid in ("5002", "5003", "5004"):
            flood = await nursery.start(run, [sys.executable, "-c", FLOOD, path, uid, "4242"])
            assert await flood.stdout.receive_some() == b"there\n"
        assert await asked(path, Status())
        nursery.cancel_scope.cancel()


def test_no_agent(scratch: Path) -> None:
    path = scratch / "agent.sock"
    with pytest.raises(AgentUnreachable, match=r"No such file.*copyagent run"):
        ask(path, Status())
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with pytest.raises(AgentUnreachable, match="Connection refused"):
        ask(path, Status())


def test_an_agent_that_hangs(scratch: Path) -> None:
    with socket.socket(socket.AF_UNIX) as hanging:
        hanging.bind(str(scratch / "s"))
        hanging.listen()
        with pytest.raises(AgentUnreachable, match=r"did not answer status within 0\.05 s"):
            ask(scratch / "s", Status(), timeout=0.05)


def test_an_agent_whose_queue_is_full(scratch: Path) -> None:
    with socket.socket(socket.AF_UNIX) as hanging, socket.socket(socket.AF_UNIX) as first:
        hanging.bind(str(scratch / "s"))
        hanging.listen(0)
        first.connect(str(scratch / "s"))
        with pytest.raises(AgentUnreachable, match=r"did not answer status within 0\.05 s"):
            ask(scratch / "s", Status(), timeout=0.05)


async def answered_with(scratch: Path, answer: bytes) -> None:
    """Ask somebody who is no agent and says *answer* to everything."""
    listener = trio.socket.socket(socket.AF_UNIX)
    with listener:
        await listener.bind(str(scratch / "s"))
        listener.listen()
        async with trio.open_nursery() as nursery:

            async def speak() -> None:
                connection, _ = await listener.accept()
                async with trio.SocketStream(connection) as stream:
                    await stream.receive_some()
                    try:
                        await stream.send_all(answer)
                    except trio.BrokenResourceError:
                        pass

            nursery.start_soon(speak)
            try:
                await asked(scratch / "s", Release(TAPE, "x"), timeout=10)
            finally:
                nursery.cancel_scope.cancel()


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", AgentUnreachable),
        (b'{"ok":true', AgentUnreachable),
        (b"220 hello\n", FeedError),
        (b'{"ok":"yes","result":1}\n', FeedError),
        (b"x" * (17 << 20), FeedError),
    ],
    ids=["nothing", "cut off", "somebody else", "another form", "endless"],
)
async def test_one_who_is_no_agent(scratch: Path, answer: bytes, error: type[VtsError]) -> None:
    with pytest.RaisesGroup(error, flatten_subgroups=True, allow_unwrapped=True):
        await answered_with(scratch, answer)


def test_a_path_that_is_too_long() -> None:
    with pytest.raises(SettingsError, match="107"):
        ask(Path("/" + "x" * 200), Status())
