"""The session against the scripted host, over real TCP."""

import logging
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import trio

from copyagent.access import open_wire
from copyagent.core.host_events import (
    HostEvent,
    LinkLost,
    LinkTrouble,
    LinkUp,
    LoginRefused,
    MountRequested,
    Ring,
    TapeDismounted,
    Unrecognised,
    VolumeMounted,
)
from copyagent.ems.dialogue import LinkFailure
from copyagent.ems.link import run_link
from copyagent.ems.link_settings import LinkSettings
from tests.support.ems_host import EmsHost, HostOptions, Layout, open_ems_host
from tests.support.listening import Heard, link_settings, listening, one_session
from tests.support.waiting import wait_until_async

PASSWORD = HostOptions().password


def settings(host: EmsHost, *, password: str = PASSWORD, **changes: Any) -> LinkSettings:
    return link_settings(host.port, replace(host.options, password=password), **changes)


@asynccontextmanager
async def linked(host: EmsHost, link: LinkSettings | None = None) -> AsyncIterator[Heard]:
    async with listening(link or settings(host)) as heard:
        yield heard


async def session_with(host: EmsHost, link: LinkSettings | None = None) -> LinkFailure:
    return await one_session(link or settings(host), Heard())


@pytest.mark.parametrize("login", ["TACL", "TACLS", "SAFEGUARD"])
@pytest.mark.parametrize("has_services", [True, False])
async def test_events_of_a_host_arrive_typed(login: str, has_services: bool) -> None:
    options = HostOptions(login=login, has_services=has_services)
    async with open_ems_host(options, Layout(width=50)) as host, linked(host) as heard:
        await host.wait_printing()
        request = await host.mount_request(
            "X00001", ring=True, drive="$VTAPE0", comment="NO RING, PLEASE"
        )
        await host.volume_mounted(request, "X00001")
        await host.tape_dismounted("X00001", "$VTAPE0")
        await heard.until(lambda: len(heard.events) == 3, "three events")
        mount, mounted, dismount = heard.events
        assert isinstance(mount, MountRequested)
        assert (mount.volume, mount.ring, mount.drive) == ("X00001", Ring.WITH_RING, "$VTAPE0")
        assert isinstance(mounted, VolumeMounted)
        assert (mounted.request, mounted.node) == (request, "\\DEV2")
        assert isinstance(dismount, TapeDismounted)
        assert heard.reports == [LinkUp("DEV2")]
        assert heard.tally.tape_events == 3


async def test_block_mode_is_never_offered() -> None:
    async with open_ems_host() as host, linked(host):
        await host.wait_printing()
        replies = bytes(host.terminals[0].replies)
        assert b"\xff\xfc\x18" in replies
        assert b"\xff\xfb\x18" not in replies


async def test_it_takes_leave_when_it_is_stopped() -> None:
    async with open_ems_host() as host:
        async with linked(host):
            await host.wait_printing()
        await host.wait_until(lambda: not host.terminals)
        assert host.history[0].typed[-3:] == ["\x03BREAK", "STOP", "LOGOUT"]


async def test_nothing_is_typed_in_leaving_before_the_log_on_is_done() -> None:
    async with open_ems_host(HostOptions(silent_at="user")) as host:
        async with linked(host):
            await wait_until_async(
                lambda: host.history and len(host.history[0].typed) == 2, 10.0, "the user typed"
            )
        await host.wait_until(lambda: not host.terminals)
        assert host.history[0].typed == ["TACL", "LOGON VTS.EMS"]


async def test_leaving_a_host_that_does_not_hang_up_takes_no_longer_than_allowed() -> None:
    async with await _deaf_host() as listener:
        port = listener.socket.getsockname()[1]
        async with open_ems_host() as host:
            link = replace(settings(host), port=port, logout_timeout=0.3)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(session_with, host, link)
            stream = await listener.accept()
            async with stream:
                for prompt in ("TACL 1> ", "Password: ", "\r\nTACL 1> "):
                    await stream.send_all(prompt.encode())
                    await stream.receive_some(1000)
                started = trio.current_time()
                nursery.cancel_scope.cancel()
                with trio.CancelScope(shield=True), trio.fail_after(5):
                    while await stream.receive_some(1000):
                        pass
                    assert 0.2 < trio.current_time() - started < 2.0


async def _deaf_host() -> trio.SocketListener:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    return listener


async def test_a_dropped_link_is_reported_once_and_comes_back() -> None:
    async with open_ems_host() as host, linked(host) as heard:
        await host.wait_printing()
        await heard.until(lambda: heard.reported(LinkUp) == 1, "link up")
        host.options.accepts = False
        await host.drop()
        await heard.until(lambda: host.connections >= 4, "three more attempts")
        assert heard.reported(LinkLost) == 1
        host.options.accepts = True
        await heard.until(lambda: heard.reported(LinkUp) == 2, "link up again")
        await host.tape_dismounted("X00001", "$VTAPE0")
        await heard.until(lambda: heard.events, "an event over the new session")
        lost = heard.reports[1]
        assert isinstance(lost, LinkLost)
        assert lost.trouble is LinkTrouble.DISCONNECTED
        assert "DEV2" in lost.why
        await host.drop()
        await heard.until(lambda: heard.reported(LinkUp) == 3, "link up a third time")
        assert [type(report) for report in heard.reports] == [LinkUp, *[LinkLost, LinkUp] * 2]


async def test_the_prompt_that_nowait_gives_back_is_no_end() -> None:
    nowait = "EMSDIST /NAME, NOWAIT/ TYPE PRINTING, COLLECTOR $0, TEXTOUT [#MYTERM]"
    async with open_ems_host() as host:
        plain = settings(host)
        link = replace(plain, plan=replace(plain.plan, distributor=nowait))
        async with linked(host, link) as heard:
            await heard.until(lambda: heard.reported(LinkUp), "link up")
            for count in (1, 2, 3):
                await host.tape_dismounted("X00001", "$T")
                await host.raw("TACL 3> ")
                await heard.until_events(count)
            assert [type(event) for event in heard.events] == [TapeDismounted] * 3
            assert heard.reports == [LinkUp("DEV2")]


async def test_a_refused_log_on_is_told_apart_and_the_password_nowhere(
    caplog: pytest.LogCaptureFixture,
) -> None:
    options = HostOptions(echoes_password=True)
    async with open_ems_host(options) as host:
        link = settings(host, password="wr0ng-Password", refused_delay=30.0)
        async with linked(host, link) as heard:
            await heard.until(lambda: heard.reports, "a report")
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert host.connections == 1
            (refused,) = heard.reports
            assert isinstance(refused, LoginRefused)
            assert "VTS.EMS" in refused.why
    logged = " ".join(record.getMessage() for record in caplog.records)
    assert "wr0ng" not in logged + repr(heard) + repr(link)
    assert "log-on refused" in logged


@pytest.mark.parametrize(
    ("step", "trouble"),
    [
        ("banner", LinkTrouble.TIMED_OUT),
        ("service", LinkTrouble.TIMED_OUT),
        ("user", LinkTrouble.TIMED_OUT),
        ("password", LinkTrouble.TIMED_OUT),
    ],
)
async def test_a_host_that_stops_answering_is_given_up(step: str, trouble: LinkTrouble) -> None:
    async with open_ems_host(HostOptions(silent_at=step)) as host:
        failure = await session_with(host)
        assert failure.trouble is trouble
        assert PASSWORD not in repr(failure)


async def test_a_refused_distributor() -> None:
    async with open_ems_host(HostOptions(refuses_distributor=True)) as host:
        failure = await session_with(host)
        assert failure.trouble is LinkTrouble.DISTRIBUTOR_FAILED
        assert "illegal parameter" in failure.came
        await host.wait_until(lambda: not host.terminals)
        assert host.history[0].typed[-1] == "LOGOUT"


async def test_a_distributor_that_ends_is_noticed() -> None:
    async with open_ems_host() as host, linked(host) as heard:
        await heard.until(lambda: heard.reported(LinkUp), "link up")
        await host.tape_dismounted("X00001", "$VTAPE0")
        await host.raw("ABENDED: \\DEV2.$Y123\r\nTACL 2> ")
        await heard.until(lambda: heard.reported(LinkLost), "link lost")
        lost = heard.reports[1]
        assert isinstance(lost, LinkLost)
        assert lost.trouble is LinkTrouble.DISTRIBUTOR_FAILED
        assert [type(event) for event in heard.events] == [TapeDismounted]


async def test_the_connection_may_end_at_any_byte_of_the_log_in() -> None:
    async with open_ems_host(HostOptions(echoes_password=True)) as host:
        link = settings(host)
        async with linked(host):
            await host.wait_printing()
            length = host.terminals[0].sent
        kinds = set()
        for cut in range(1, length + 1):
            host.options.cut_after = cut
            failure = await session_with(host, link)
            kinds.add(failure.trouble)
            assert PASSWORD[:5] not in failure.sentence("DEV2")
        assert kinds == {LinkTrouble.DISCONNECTED}
        await host.wait_until(lambda: not host.terminals)


async def test_the_last_event_of_a_burst_does_not_wait_for_the_next() -> None:
    async with open_ems_host() as host, linked(host) as heard:
        await host.wait_printing()
        await host.tape_dismounted("X00001", "$VTAPE0")
        with trio.fail_after(5):
            await heard.until(lambda: heard.events, "the event")


async def test_an_event_that_stalls_between_its_lines_is_not_lost() -> None:
    async with open_ems_host() as host, linked(host) as heard:
        await host.wait_printing()
        first, second = Layout(width=72).lines(
            "06-09-14 22:00:01", 601, "$ZSVR: 0042 MOUNT X00001 ON $VTAPE0 NO RING"
        )
        await host.raw(f"{first}\r\n")
        await heard.until(lambda: heard.events, "the first part")
        await host.raw(f"{second}\r\n")
        await heard.until(lambda: len(heard.events) == 2, "the whole")
        early, whole = heard.events
        assert isinstance(early, Unrecognised)
        assert isinstance(whole, MountRequested)
        assert (whole.volume, whole.ring) == ("X00001", Ring.NO_RING)


async def test_a_host_that_does_not_end_its_last_line_is_heard_once() -> None:
    async with open_ems_host() as host, linked(host) as heard:
        await host.wait_printing()
        (line,) = Layout(width=200).lines(
            "06-09-14 22:00:01", 659, "STATUS 1512 - X00001 TAPE DISMOUNTED FROM DRIVE $T"
        )
        await host.raw(line)
        await heard.until(lambda: heard.events, "the event")
        await host.raw("\r\n")
        await host.tape_dismounted("X00002", "$T")
        await heard.until(lambda: len(heard.events) >= 2, "the next event")
        volumes = [event.volume for event in heard.events if isinstance(event, TapeDismounted)]
        assert volumes == ["X00001", "X00002"]


async def test_an_event_cut_off_by_the_end_of_the_link_is_still_read() -> None:
    async with open_ems_host() as host, linked(host) as heard:
        await host.wait_printing()
        await host.tape_dismounted("X00001", "$VTAPE0")
        await host.drop()
        await heard.until(lambda: heard.events, "the event")


async def test_garbage_is_counted_and_shown_without_the_password() -> None:
    async with open_ems_host() as host, linked(host) as heard:
        await host.wait_printing()
        await host.raw(f"junk {PASSWORD}\r\n\xff\xff\x00\x1b[2J\r\n")
        await host.tape_dismounted("X00001", "$VTAPE0")
        await heard.until(lambda: heard.events, "the event after it")
        assert heard.tally.garbage_lines >= 2
        assert "(not shown)" in heard.tally.latest_garbage
        assert PASSWORD not in repr(heard.tally)


async def test_bytes_at_random_neither_end_the_agent_nor_hide_the_next_event() -> None:
    noise = random.Random(20060914)
    async with open_ems_host() as host, linked(host) as heard:
        await host.wait_printing()
        for volume in range(20):
            # No prompt by chance, which would rightly end the session.
            junk = noise.randbytes(700).replace(b">", b"<")
            await host.raw(junk.decode("latin-1") + "\xff\xf0\r\n")
            await host.tape_dismounted(f"X{volume:05d}", "$VTAPE0")
        await heard.until(lambda: len(heard.events) == 20, "twenty events")
        assert heard.reported(LinkLost) == 0


async def test_a_log_in_of_random_bytes_is_given_up_in_time() -> None:
    noise = random.Random(2)
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")

    async def serve(stream: trio.SocketStream) -> None:
        try:
            while True:
                await stream.send_all(noise.randbytes(1000))
                await trio.sleep(0.01)
        except trio.BrokenResourceError:
            pass

    async with open_ems_host() as host, listener, trio.open_nursery() as nursery:
        nursery.start_soon(trio.serve_listeners, serve, [listener])
        link = replace(settings(host), port=listener.socket.getsockname()[1])
        started = trio.current_time()
        failure = await session_with(host, link)
        assert failure.trouble in {LinkTrouble.TIMED_OUT, LinkTrouble.UNEXPECTED_PROMPT}
        assert trio.current_time() - started < 3.0
        nursery.cancel_scope.cancel()


async def test_a_dismount_in_a_flood_is_heard_while_the_flood_goes_on() -> None:
    other = Layout(process="$FTI1", ssid="TANDEM.MHS.G01")
    flood = "".join(
        f"{line}\r\n" for line in other.lines("06-09-14 22:00:01", 23, "problem with a device " * 6)
    )
    async with open_ems_host() as host, linked(host) as heard:
        await host.wait_printing()
        await host.raw(flood * 5000)
        await host.tape_dismounted("X00001", "$VTAPE0")
        async with trio.open_nursery() as nursery:

            async def go_on() -> None:
                while True:
                    await host.raw(flood * 50)

            nursery.start_soon(go_on)
            await heard.until(lambda: heard.events, "the dismount")
            nursery.cancel_scope.cancel()
        await heard.until(lambda: heard.tally.events > 5000, "the flood read")


async def test_a_silent_host_counts_as_dead_where_that_is_asked_for() -> None:
    async with open_ems_host() as host:
        failure = await session_with(host, settings(host, silence=0.3))
        assert failure.trouble is LinkTrouble.SILENT


async def test_a_quiet_link_is_kept_alive() -> None:
    async with open_ems_host() as host, linked(host, settings(host, keep_alive=0.05)) as heard:
        await heard.until(lambda: heard.reported(LinkUp), "link up")
        await heard.until(
            lambda: host.terminals[0].replies.count(b"\xff\xf1") >= 3, "three NOPs at the host"
        )
        await host.tape_dismounted("X00001", "$VTAPE0")
        await heard.until(lambda: heard.events, "an event after them")


async def test_several_links_do_not_mind_each_other() -> None:
    async with open_ems_host() as one, open_ems_host(layout=Layout(node="\\DEV3")) as two:
        link = replace(settings(two), host="DEV3")
        async with linked(one) as heard_one, linked(two, link) as heard_two:
            await one.wait_printing()
            await two.wait_printing()
            await two.tape_dismounted("X00002", "$T")
            await one.drop()
            await heard_two.until(lambda: heard_two.events, "the other host's event")
            (event,) = heard_two.events
            assert (event.host, event.node) == ("DEV3", "\\DEV3")
            assert heard_one.events == []


async def test_what_the_receiver_raises_ends_the_link_and_closes_the_connection() -> None:
    async def deliver(events: Sequence[HostEvent]) -> None:
        raise LookupError(events[0].host)

    async def ignore(event: HostEvent) -> None:
        logging.getLogger(__name__).debug("%s", event)

    async with open_ems_host() as host, trio.open_nursery() as nursery:

        async def print_when_watched() -> None:
            await host.wait_printing()
            await host.tape_dismounted("X00001", "$T")

        nursery.start_soon(print_when_watched)
        with pytest.raises(LookupError, match="DEV2"), trio.fail_after(10):
            await run_link(settings(host), deliver, ignore, dial=open_wire, chance=lambda: 0.0)
        await host.wait_until(lambda: not host.terminals)
