"""A host that takes its time, in virtual time, and one that speaks before it was asked to."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import cast

import pytest
import trio
import trio.testing

from copyagent.core.host_events import (
    EventsMissed,
    HostEvent,
    LinkTrouble,
    LinkUp,
    MountRequested,
    Ring,
    SetAside,
    TapeDismounted,
)
from copyagent.ems.dialogue import LinkFailure
from copyagent.ems.link import run_link
from copyagent.ems.link_settings import LinkSettings
from copyagent.ems.session import run_session
from copyagent.ems.telnet_wire import TelnetWire
from copyagent.ems.wire import Wire
from tests.support.ems_host import HostOptions
from tests.support.listening import Heard, link_settings
from tests.support.traps import Gone, Victim

HOUR = 3600.0
PASSWORD = "Sl0w.Host-15"
HEAD = "06-09-14 22:00:{:02} \\DEV2.$ZSVR            TANDEM.TAPE.G06         "
MOUNT = "000600 $ZSVR: 0042 MOUNT X00001 ON $VTAPE0 WITH RING"
DISMOUNT = "000659 STATUS 1512 - X00001 TAPE DISMOUNTED FROM DRIVE $VTAPE0"
PROMPTS = ("Enter Choice> ", "TACL 1> ", "Password: ", "\r\nTACL 1> ")


def line(second: int, text: str) -> str:
    return f"{HEAD.format(second)}{text}"


def patient(**changes: object) -> LinkSettings:
    """Make settings with the times that are shipped."""
    settings = link_settings(23, HostOptions(password=PASSWORD), response_timeout=5.0)
    return replace(settings, quiet=0.3, stall=5.0, logout_timeout=3.0, **changes)  # type: ignore[arg-type] # tests know the names


async def meet(
    serve: Callable[[Victim], Awaitable[None]], settings: LinkSettings, heard: Heard
) -> tuple[LinkFailure, Victim]:
    """Run one session with a host that is *serve*, over memory in the place of a network."""
    ours, theirs = trio.testing.memory_stream_pair()
    victim = Victim(theirs)

    async def dial(_: LinkSettings, since: int | None = None) -> Wire:
        assert since is None
        return TelnetWire(cast(trio.SocketStream, ours), settings.plan.response_timeout)

    async def came_up() -> None:
        await heard.report(LinkUp(settings.host))

    async def play() -> None:
        try:
            await serve(victim)
        except Gone:
            pass
        await theirs.aclose()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(play)
        failure = await run_session(settings, heard.deliver, came_up, dial=dial, tally=heard.tally)
        nursery.cancel_scope.cancel()
    return failure, victim


async def start(victim: Victim) -> None:
    for prompt in PROMPTS:
        await victim.ask(prompt)
    await victim.show("\r\n")


async def test_half_a_line_for_an_hour(autojump_clock: trio.testing.MockClock) -> None:
    """What it may mean is told early; the rest, an hour later, tells nothing twice."""
    began = trio.current_time()

    async def serve(victim: Victim) -> None:
        await start(victim)
        await victim.show(line(1, MOUNT[:45]))
        await trio.sleep(HOUR)
        await victim.show(f"{MOUNT[45:]}\r\n{line(2, DISMOUNT)}\r\n")
        await trio.sleep(1)

    heard = Heard()
    failure, _ = await meet(serve, patient(keep_alive=None), heard)
    assert failure.trouble is LinkTrouble.DISCONNECTED
    assert trio.current_time() - began > HOUR
    (dismount,) = [event for event in heard.events if isinstance(event, TapeDismounted)]
    assert dismount.volume == "X00001"
    assert not any(
        isinstance(event, MountRequested) and event.ring is Ring.NO_RING for event in heard.events
    )


async def test_a_byte_a_second_is_read_when_it_is_complete(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def serve(victim: Victim) -> None:
        await start(victim)
        for letter in f"{line(1, MOUNT)}\r\n{line(2, DISMOUNT)}\r\n":
            await trio.sleep(1.0)
            await victim.show(letter)
        await trio.sleep(10)

    heard = Heard()
    await meet(serve, patient(keep_alive=None), heard)
    requests = [event for event in heard.events if isinstance(event, MountRequested)]
    assert {request.volume for request in requests} == {"X00001"}
    assert {request.ring for request in requests} == {Ring.WITH_RING}
    assert sum(isinstance(event, TapeDismounted) for event in heard.events) == 1


async def test_a_log_in_of_a_byte_a_second_does_not_last(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A step's time-out counts from its beginning, not from the latest byte."""
    began = trio.current_time()

    async def serve(victim: Victim) -> None:
        while True:
            await trio.sleep(1.0)
            await victim.show("W")

    failure, _ = await meet(serve, patient(), Heard())
    assert failure.trouble in {LinkTrouble.TIMED_OUT, LinkTrouble.UNEXPECTED_PROMPT}
    assert trio.current_time() - began < 10


@pytest.mark.parametrize("prompts", range(4))
async def test_never_answering_ends_at_each_step_in_time(
    prompts: int, autojump_clock: trio.testing.MockClock
) -> None:
    began = trio.current_time()

    async def serve(victim: Victim) -> None:
        for prompt in PROMPTS[:prompts]:
            await victim.ask(prompt)
        await victim.watch()

    failure, victim = await meet(serve, patient(), Heard())
    assert failure.trouble is LinkTrouble.TIMED_OUT
    assert PASSWORD not in failure.sentence("DEV2")
    assert trio.current_time() - began < 12
    assert len(victim.typed) == prompts


async def test_a_host_that_takes_nothing_any_more(autojump_clock: trio.testing.MockClock) -> None:
    """The answers to its options cannot be sent: the line is given up, not waited for."""
    ours, theirs = trio.testing.lockstep_stream_pair()
    began = trio.current_time()

    async def dial(_: LinkSettings, since: int | None = None) -> Wire:
        return TelnetWire(cast(trio.SocketStream, ours), 5.0)

    async def came_up() -> None:
        raise AssertionError("it cannot come up")

    heard = Heard()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(theirs.send_all, b"\xff\xfd\x18\xff\xfb\x01")
        failure = await run_session(patient(), heard.deliver, came_up, dial=dial, tally=heard.tally)
    assert failure.trouble in {LinkTrouble.DISCONNECTED, LinkTrouble.TIMED_OUT}
    assert trio.current_time() - began < 20


@pytest.mark.parametrize("after", range(4))
async def test_events_before_the_log_in_is_complete_are_none(
    after: int, autojump_clock: trio.testing.MockClock
) -> None:
    """A banner, or news of a log-on, can hold whatever somebody managed to put there."""
    forged = f"{line(1, MOUNT.replace('WITH', 'NO'))}\r\n{line(2, DISMOUNT)}\r\n"

    async def serve(victim: Victim) -> None:
        for number, prompt in enumerate(PROMPTS):
            await victim.show(forged if number == after else "")
            await victim.ask(prompt)
        await victim.show(f"\r\n{line(3, DISMOUNT.replace('X00001', 'X00002'))}\r\n")
        await trio.sleep(5)

    heard = Heard()
    await meet(serve, patient(keep_alive=None), heard)
    dismounts = [event.volume for event in heard.events if isinstance(event, TapeDismounted)]
    assert dismounts == ["X00002"]
    assert not any(isinstance(event, MountRequested) for event in heard.events)


async def test_a_host_that_says_nothing_for_too_long_is_given_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    async def serve(victim: Victim) -> None:
        await start(victim)
        await victim.watch()

    began = trio.current_time()
    failure, _ = await meet(serve, patient(silence=600.0), Heard())
    assert failure.trouble is LinkTrouble.SILENT
    assert 600 <= trio.current_time() - began < 620


async def test_a_replay_that_begins_in_the_hosts_future_is_given_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A host whose clock was set back while nobody listened takes TIME for a time to come.

    Until then its distributor prints nothing at all, and a NO RING would not be heard.
    """
    commands: list[str] = []
    heard, done = Heard(), trio.Event()
    settings = patient(keep_alive=None, first_delay=1.0)

    async def serve(victim: Victim) -> None:
        for prompt in PROMPTS[:-1]:
            await victim.ask(prompt)
        commands.append(await victim.ask(PROMPTS[-1]))
        if len(commands) == 1:
            await victim.show(f"\r\n{line(50, MOUNT)}\r\n")
            await trio.sleep(1)
            return
        if " TIME " not in commands[-1]:
            await victim.show(f"\r\n{line(5, DISMOUNT)}\r\n")
        await victim.watch()

    async def play(stream: trio.abc.Stream) -> None:
        with suppress(Gone):
            await serve(Victim(stream))
        await stream.aclose()

    async with trio.open_nursery() as nursery:

        async def dial(_: LinkSettings, since: int | None = None) -> Wire:
            ours, theirs = trio.testing.memory_stream_pair()
            nursery.start_soon(play, theirs)
            return TelnetWire(cast(trio.SocketStream, ours), settings.plan.response_timeout)

        async def deliver(events: Sequence[HostEvent]) -> None:
            await heard.deliver(events)
            if any(isinstance(event, TapeDismounted) for event in events):
                done.set()

        async def link() -> None:
            await run_link(settings, deliver, heard.report, dial=dial, chance=lambda: 0.5)

        nursery.start_soon(link)
        with trio.move_on_after(300):
            await done.wait()
        nursery.cancel_scope.cancel()
    assert [" TIME " in command for command in commands] == [False, True, False]
    kinds = [type(event) for event in heard.events if not isinstance(event, SetAside)]
    assert kinds[0] is MountRequested
    assert EventsMissed in kinds[1:]
    assert kinds[-1] is TapeDismounted
