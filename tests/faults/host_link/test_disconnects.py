"""A host that hangs up: at every byte of the log-in, with a reset, or at once."""

import socket
from functools import partial

import pytest
import trio

from copyagent.core.host_events import LinkTrouble, LinkUp
from copyagent.ems.dialogue import LinkFailure
from tests.support.ems_host import HostOptions, open_ems_host
from tests.support.listening import Heard, link_settings, listening, one_session
from tests.support.traps import Victim, open_trap

LOGINS = ["TACL", "TACLS", "XYGATE", "SAFEGUARD"]


@pytest.mark.parametrize("login", LOGINS)
async def test_at_every_byte_of_the_log_in(login: str) -> None:
    options = HostOptions(login=login)
    heard = Heard()
    async with open_ems_host(options) as host:
        settings = link_settings(host.port, options)
        async with listening(settings) as watching:
            await host.wait_printing()
            await watching.until(lambda: watching.reports, "it is up")
            complete = host.history[0].sent
        assert complete > 200
        for length in range(1, complete + 1):
            options.cut_after = length
            failure = await one_session(settings, heard)
            assert failure.trouble is LinkTrouble.DISCONNECTED, (length, failure)
            assert options.password not in repr(failure)
        options.cut_after = None
        async with listening(settings) as after:
            await host.wait_printing()
            await after.until(lambda: any(isinstance(r, LinkUp) for r in after.reports), "it is up")
    assert heard.events == []


async def test_accepting_and_closing_at_once() -> None:
    async def close(_: Victim) -> None:
        pass

    async with open_trap(close) as trap, listening(link_settings(trap.port)) as heard:
        await heard.until(lambda: len(trap.victims) > 5, "it is tried again")
    assert trap.typed == []
    assert not any(isinstance(report, LinkUp) for report in heard.reports)


@pytest.mark.parametrize("prompts", range(4))
async def test_a_reset_instead_of_an_answer(prompts: int) -> None:
    shown = ["Enter Choice> ", "TACL 1> ", "Password: "][:prompts]

    async def reset(victim: Victim) -> None:
        for prompt in shown:
            await victim.ask(prompt)
        victim.reset()

    async with open_trap(reset) as trap:
        failure = await one_session(link_settings(trap.port), Heard())
    assert failure.trouble is LinkTrouble.DISCONNECTED
    assert len(trap.typed) == prompts


async def test_nobody_listens() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        failure = await one_session(link_settings(taken.getsockname()[1]), Heard())
    assert failure.trouble is LinkTrouble.UNREACHABLE


async def test_many_sessions_leave_nothing_behind() -> None:
    """Descriptors and tasks of lost sessions are given back."""
    options = HostOptions(drops_at="user")
    async with open_ems_host(options) as host:
        session = partial(one_session, link_settings(host.port, options), Heard())
        await session()
        before = trio.lowlevel.current_statistics().tasks_living
        for _ in range(20):
            failure: LinkFailure = await session()
            assert failure.trouble is LinkTrouble.DISCONNECTED
        await host.wait_until(lambda: not host.terminals)
        assert trio.lowlevel.current_statistics().tasks_living <= before
