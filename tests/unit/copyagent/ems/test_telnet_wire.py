import socket

import trio

from copyagent.core.host_events import LinkTrouble
from copyagent.ems.dialogue import LinkFailure, LoginPlan
from copyagent.ems.link_settings import LinkSettings
from copyagent.ems.login_types import DEFAULT_DISTRIBUTOR, LOGIN_TYPES
from copyagent.ems.secret import Secret
from copyagent.ems.telnet_wire import TelnetWire, open_telnet


def link(address: str, port: int, *, connect_timeout: float = 5.0) -> LinkSettings:
    plan = LoginPlan(LOGIN_TYPES["TACL"], "VTS.EMS", Secret("x"), DEFAULT_DISTRIBUTOR, 0.3)
    return LinkSettings("DEV2", address, plan, port, connect_timeout=connect_timeout)


async def open_pair(listener: trio.SocketListener) -> tuple[TelnetWire, trio.SocketStream]:
    port = listener.socket.getsockname()[1]
    wire = await open_telnet(link("127.0.0.1", port))
    assert isinstance(wire, TelnetWire)
    return wire, await listener.accept()


async def listening() -> trio.SocketListener:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    return listener


async def test_text_comes_through_and_options_are_answered() -> None:
    async with await listening() as listener:
        wire, host = await open_pair(listener)
        async with host:
            await host.send_all(b"caf\xe9\r\n\xff\xfd\x18")
            text = ""
            with trio.fail_after(5):
                while not text.endswith("\n"):
                    text += await wire.receive(trio.current_time() + 1) or ""
                assert text == "caf\xe9\n"
                await wire.receive(trio.current_time() + 0.05)
                assert await host.receive_some(100) == b"\xff\xfc\x18"
        await wire.close()


async def test_a_data_mark_that_is_urgent_takes_nothing_with_it() -> None:
    async with await listening() as listener:
        wire, host = await open_pair(listener)
        async with host:
            await host.send_all(b"a\xff")
            await host.socket.send(b"\xf2", socket.MSG_OOB)
            await host.send_all(b"TACL 1> ")
            text = ""
            with trio.fail_after(5):
                while not text.endswith("> "):
                    text += await wire.receive(trio.current_time() + 1) or ""
            assert text == "aTACL 1> "
        await wire.close()


async def test_waiting_ends_with_nothing_and_loses_nothing() -> None:
    async with await listening() as listener:
        wire, host = await open_pair(listener)
        async with host:
            assert await wire.receive(trio.current_time() + 0.01) == ""
            await host.send_all(b"a\n")
            assert await wire.receive(trio.current_time() + 5) == "a\n"
        assert await wire.receive(trio.current_time() + 5) is None
        assert not wire.is_open
        await wire.close()


async def test_a_reset_reads_as_the_end_and_sending_is_harmless() -> None:
    async with await listening() as listener:
        wire, host = await open_pair(listener)
        host.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        await host.aclose()
        assert await wire.receive(trio.current_time() + 5) is None
        await wire.ping()
        await wire.ping()
        assert await wire.receive(trio.current_time() + 5) is None
        await wire.close()


async def test_a_host_that_takes_nothing_ends_the_connection() -> None:
    async with await listening() as listener:
        wire, host = await open_pair(listener)
        async with host:
            with trio.fail_after(10):
                await wire.send(b"x" * 50_000_000)
            assert not wire.is_open
            assert await wire.receive(trio.current_time() + 5) is None


async def test_a_host_that_is_not_there_is_named_with_the_cause() -> None:
    async with await listening() as listener:
        port = listener.socket.getsockname()[1]
    failure = await open_telnet(link("127.0.0.1", port))
    assert isinstance(failure, LinkFailure)
    assert failure.trouble is LinkTrouble.UNREACHABLE
    assert failure.step == f"127.0.0.1 port {port}: Connection refused"


async def test_a_host_that_does_not_answer_is_given_up() -> None:
    with socket.socket() as full:
        # A listener whose backlog is full drops further connections without a word.
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        with socket.socket() as one, socket.socket() as two:
            for filler in (one, two):
                filler.setblocking(False)
                filler.connect_ex(("127.0.0.1", port))
            failure = await open_telnet(link("127.0.0.1", port, connect_timeout=0.2))
    assert isinstance(failure, LinkFailure)
    assert failure.step == f"127.0.0.1 port {port}: no answer"
