import socket

import pytest
import trio

from copyagent.core.host_events import LinkTrouble
from copyagent.ems.dialogue import LinkFailure
from copyagent.ems.tcp import connect, no_answer


@pytest.mark.parametrize("name", ["dev2..example", "x" * 300])
async def test_what_cannot_be_a_host_name_is_no_crash(name: str) -> None:
    failure = await connect(name, 23)
    assert isinstance(failure, LinkFailure)
    assert failure.step == f"{name} port 23: not the form of a host name"


async def test_a_name_without_address_says_so() -> None:
    with trio.fail_after(30):
        failure = await connect("no-such-host.invalid", 23)
    assert isinstance(failure, LinkFailure)
    assert failure.step.startswith("no-such-host.invalid port 23: ")
    assert "(" not in failure.step, "no Python in what operators read"


def test_no_answer_names_the_place() -> None:
    assert no_answer("dev2", 23) == LinkFailure(LinkTrouble.UNREACHABLE, "dev2 port 23: no answer")


async def test_the_kernel_is_asked_to_notice_a_dead_host() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        stream = await connect("localhost", server.getsockname()[1])
        assert isinstance(stream, trio.SocketStream)
        async with stream:
            assert stream.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert stream.getsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE) == 1
            assert stream.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 60_000
