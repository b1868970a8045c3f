"""The log-in over a real Telnet connection."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
import trio

from copyagent.core.host_events import LinkTrouble
from copyagent.ems.dialogue import LinkFailure, LoginPlan
from copyagent.ems.link_settings import LinkSettings
from copyagent.ems.log_on import LogOn
from copyagent.ems.login_types import LOGIN_TYPES, with_steps_replaced
from copyagent.ems.secret import Secret
from copyagent.ems.telnet_wire import TelnetWire, open_telnet
from tests.support.ems_host import HostOptions, open_ems_host

OPTIONS = HostOptions()


def plan_of(login: str) -> LoginPlan:
    return LoginPlan(LOGIN_TYPES[login], OPTIONS.user, Secret(OPTIONS.password), "EMSDIST")


@asynccontextmanager
async def wire_to(port: int, plan: LoginPlan) -> AsyncIterator[TelnetWire]:
    wire = await open_telnet(LinkSettings("DEV2", "127.0.0.1", plan, port))
    assert isinstance(wire, TelnetWire)
    try:
        yield wire
    finally:
        await wire.close()


@pytest.mark.parametrize("login", LOGIN_TYPES)
async def test_each_step_is_told_and_without_a_distributor_the_prompt_is_the_end(
    login: str,
) -> None:
    plan = replace(plan_of(login), distributor="")
    passed: list[str] = []
    async with (
        open_ems_host(HostOptions(login=login)) as host,
        wire_to(host.port, plan) as wire,
    ):
        log_on = LogOn(wire, plan, passed.append)
        with trio.fail_after(4.0):
            assert await log_on.run() == ""
        assert log_on.is_logged_on
    assert passed == [step.title for step in LOGIN_TYPES[login].steps]


@asynccontextmanager
async def saying(data: bytes) -> AsyncIterator[int]:
    """Run a host that says this and listens; gives its port."""

    async def serve(stream: trio.SocketStream) -> None:
        await stream.send_all(data)
        async for _ in stream:
            pass

    async with trio.open_nursery() as nursery:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        nursery.start_soon(trio.serve_listeners, serve, listeners)
        try:
            yield int(listeners[0].socket.getsockname()[1])
        finally:
            nursery.cancel_scope.cancel()


async def outcome(data: bytes, plan: LoginPlan) -> str | LinkFailure:
    async with saying(data) as port, wire_to(port, plan) as wire:
        return await LogOn(wire, plan).run()


async def test_an_expression_without_end_costs_a_second_and_the_session() -> None:
    login = with_steps_replaced(LOGIN_TYPES["TACL"], {"service": "(a+)+b"}, {})
    failure = await outcome(b"a" * 500, replace(plan_of("TACL"), login=login))
    assert isinstance(failure, LinkFailure)
    assert failure.trouble is LinkTrouble.UNEXPECTED_PROMPT
    assert "service prompt takes too long" in failure.sentence("DEV2")
    assert "(a+)+b" in failure.sentence("DEV2")


@pytest.mark.parametrize("login", LOGIN_TYPES)
async def test_our_own_expressions_are_quick_whatever_a_host_says(login: str) -> None:
    lines = [c * 1023 + "!" for c in "a 1>:.-\t*\\"] + ["a " * 512, "1>" * 512, "password " * 113]
    talk = "".join(f"{line}\r\nEnter Choice> {line}\r\n" for line in lines) + lines[-1]
    plan = replace(plan_of(login), response_timeout=0.02)
    failure = await outcome(talk.encode(), plan)
    assert isinstance(failure, LinkFailure)
    assert "takes too long" not in failure.step
