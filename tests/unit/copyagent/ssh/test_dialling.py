import socket

import pytest
import trio

from copyagent.ssh.dialling import SshFailure, open_socket


async def test_a_listening_port_gives_a_socket_without_blocking() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with await open_socket("localhost", port) as link:
            assert link.getpeername() == ("127.0.0.1", port)
            assert not link.getblocking()


async def test_a_closed_port_says_that_it_refused() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(SshFailure, match=r"Connection refused$"):
        await open_socket("127.0.0.1", port)


async def test_a_name_without_address_says_so() -> None:
    with trio.fail_after(30), pytest.raises(SshFailure) as failed:
        await open_socket("no-such-host.invalid", 22)
    assert str(failed.value).startswith("no-such-host.invalid:22 cannot be reached: ")
    assert "(" not in str(failed.value), "no Python in what operators read"
