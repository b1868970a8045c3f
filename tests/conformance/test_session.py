"""The session to a host is the same by whichever way in: over Telnet, over SSH, from a file."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import trio

from copyagent.access import dial_of
from copyagent.core.host_events import (
    CaughtUp,
    EventsMissed,
    HostEvent,
    LinkLost,
    LinkTrouble,
    LinkUp,
    LoginRefused,
    OthersHeard,
    SetAside,
    TapeDismounted,
)
from copyagent.core.host_memory import HostMemory
from copyagent.ems.link import run_link
from copyagent.ems.link_settings import LinkSettings, LinkTally
from copyagent.ems.login_types import login_of
from copyagent.ssh.bridge import open_bridge
from tests.support.ems_host import EmsHost, HostOptions, open_ems_host, ssh_front
from tests.support.listening import link_settings
from tests.support.sshd import Sshd
from tests.support.waiting import wait_until_async
from vtsfs.contract.settings_ems import EmsHost as HostEntry

PASSWORD = HostOptions().password


@dataclass
class Way:
    """A scripted host and the settings of a link to it, by one way in."""

    name: str
    host: EmsHost
    settings: LinkSettings
    sshd: Sshd | None = None

    @property
    def logs_on(self) -> bool:
        return self.name in {"telnet", "ssh, TACL asks"}


@dataclass
class Heard:
    """What a link, begun again and again, has handed over."""

    memory: HostMemory = field(default_factory=HostMemory)
    tally: LinkTally = field(default_factory=LinkTally)
    events: list[HostEvent] = field(default_factory=list)
    reports: list[HostEvent] = field(default_factory=list)

    async def deliver(self, events: Any) -> None:
        self.events += [e for e in events if not isinstance(e, CaughtUp | OthersHeard | SetAside)]

    async def report(self, event: HostEvent) -> None:
        self.reports.append(event)

    async def until(self, holds: Callable[[], object], what: str) -> None:
        await wait_until_async(holds, 10.0, f"{what}; heard {self.events}, {self.reports}")

    async def until_dismounted(self, *volumes: str) -> None:
        await self.until(lambda: self.dismounted == list(volumes), f"{volumes} dismounted")

    @property
    def dismounted(self) -> list[str | None]:
        return [event.volume for event in self.events if isinstance(event, TapeDismounted)]

    def reported(self, kind: type[HostEvent]) -> int:
        return sum(isinstance(report, kind) for report in self.reports)


async def _by_ssh(stack: AsyncExitStack, host: EmsHost, scratch: Path, name: str) -> Way:
    host.options.shell_logged_on = name != "ssh, TACL asks"
    sshd = ssh_front(scratch / "sshd", host.shell_port)
    await trio.to_thread.run_sync(stack.enter_context, sshd)
    entry = {
        "access": "ssh",
        "address": sshd.address,
        "ssh_user": sshd.user,
        "key": str(sshd.key),
        "known_hosts": str(sshd.known_hosts),
    }
    if not host.options.shell_logged_on:
        entry |= {"user": host.options.user, "password_file": "/etc/vts-autocopy/dev2"}
    # A program has to be started behind the SSH server before anything is shown.
    plain = link_settings(sshd.port, host.options, response_timeout=1.0)
    settings = replace(
        plain,
        plan=replace(plain.plan, login=login_of(HostEntry.model_validate(entry), {})),
        access="ssh",
        known_hosts=sshd.known_hosts,
        key=sshd.key,
        ssh_user=sshd.user,
    )
    return Way(name, host, settings, sshd)


TELNET = "telnet"
SSH = pytest.param("ssh", marks=pytest.mark.ssh)
SSH_THEN_TACL = pytest.param("ssh, TACL asks", marks=pytest.mark.ssh)


@pytest.fixture
async def way(request: pytest.FixtureRequest, scratch: Path) -> AsyncIterator[Way]:
    async with AsyncExitStack() as stack:
        host = await stack.enter_async_context(open_ems_host())
        if request.param == "file":
            host.file = scratch / "ems.log"
            host.file.touch()
            plain = link_settings(host.port, host.options)
            yield Way("file", host, replace(plain, access="file", file=host.file))
        elif request.param == "telnet":
            yield Way("telnet", host, link_settings(host.port, host.options))
        else:
            await stack.enter_async_context(open_bridge())
            yield await _by_ssh(stack, host, scratch, request.param)


by_terminal = pytest.mark.parametrize("way", [TELNET, SSH], indirect=True)
by_any_log_on = pytest.mark.parametrize("way", [TELNET, SSH, SSH_THEN_TACL], indirect=True)
by_any_way = pytest.mark.parametrize("way", [TELNET, SSH, "file"], indirect=True)


class Link:
    """A link that runs in the background until `stop`."""

    def __init__(self, nursery: trio.Nursery, way: Way, heard: Heard) -> None:
        self._scope = trio.CancelScope()
        self._ended = trio.Event()
        nursery.start_soon(self._run, way, heard)

    async def _run(self, way: Way, heard: Heard) -> None:
        with self._scope:
            await run_link(
                way.settings,
                heard.deliver,
                heard.report,
                dial=dial_of(way.settings),
                chance=lambda: 0.5,
                tally=heard.tally,
                memory=heard.memory,
            )
        self._ended.set()

    async def stop(self) -> None:
        self._scope.cancel()
        with trio.fail_after(10):
            await self._ended.wait()


@by_any_way
async def test_events_arrive_typed(way: Way) -> None:
    heard = Heard()
    async with trio.open_nursery() as nursery:
        link = Link(nursery, way, heard)
        await heard.until(lambda: heard.reported(LinkUp), "link up")
        for volume in ("X00001", "X00002"):
            await way.host.tape_dismounted(volume, "$VTAPE0")
        await heard.until_dismounted("X00001", "X00002")
        assert heard.reports == [LinkUp("DEV2")]
        await link.stop()


@by_any_way
async def test_what_happened_meanwhile_is_caught_up_without_a_gap(way: Way) -> None:
    host, heard = way.host, Heard()
    async with trio.open_nursery() as nursery:
        link = Link(nursery, way, heard)
        await heard.until(lambda: heard.reported(LinkUp), "link up")
        await host.tape_dismounted("X00001", "$VTAPE0")
        await heard.until_dismounted("X00001")
        await link.stop()
        await host.tape_dismounted("X00002", "$VTAPE0")
        link = Link(nursery, way, heard)
        await heard.until_dismounted("X00001", "X00002")
        await host.tape_dismounted("X00003", "$VTAPE0")
        await heard.until_dismounted("X00001", "X00002", "X00003")
        assert [event for event in heard.events if isinstance(event, EventsMissed)] == []
        await link.stop()


@by_terminal
async def test_it_takes_leave_when_it_is_stopped(way: Way) -> None:
    heard = Heard()
    async with trio.open_nursery() as nursery:
        link = Link(nursery, way, heard)
        await way.host.wait_printing()
        await link.stop()
    await way.host.wait_until(lambda: not way.host.terminals)
    assert way.host.history[0].typed[-3:] == ["\x03BREAK", "STOP", "LOGOUT"]


@by_terminal
async def test_a_dropped_link_comes_back(way: Way) -> None:
    heard = Heard()
    async with trio.open_nursery() as nursery:
        link = Link(nursery, way, heard)
        await way.host.wait_printing()
        await heard.until(lambda: heard.reported(LinkUp) == 1, "link up")
        await way.host.drop()
        await heard.until(lambda: heard.reported(LinkUp) == 2, "link up again")
        (lost,) = [report for report in heard.reports if isinstance(report, LinkLost)]
        assert lost.trouble is LinkTrouble.DISCONNECTED
        await way.host.tape_dismounted("X00001", "$VTAPE0")
        await heard.until_dismounted("X00001")
        await link.stop()


@by_any_log_on
async def test_the_password_is_typed_only_where_it_is_asked_for(way: Way) -> None:
    heard = Heard()
    async with trio.open_nursery() as nursery:
        link = Link(nursery, way, heard)
        await way.host.wait_printing()
        typed = way.host.history[0].typed
        assert (PASSWORD in typed) is way.logs_on
        assert sum(PASSWORD in line for line in typed) <= 1
        await link.stop()


@by_any_log_on
async def test_a_refused_log_on_is_told_apart(way: Way) -> None:
    if not way.logs_on:
        way.settings = replace(way.settings, ssh_user="nobody")
    way.host.options.refuses_log_on = True
    heard = Heard()
    async with trio.open_nursery() as nursery:
        link = Link(nursery, way, heard)
        await heard.until(lambda: heard.reports, "a report")
        assert isinstance(heard.reports[0], LoginRefused)
        assert PASSWORD not in repr(heard)
        await link.stop()


@by_terminal
async def test_a_host_that_stops_answering_is_given_up(way: Way) -> None:
    way.host.options.silent_at = "banner"
    heard = Heard()
    async with trio.open_nursery() as nursery:
        link = Link(nursery, way, heard)
        await heard.until(lambda: heard.reports, "a report")
        lost = heard.reports[0]
        assert isinstance(lost, LinkLost)
        assert lost.trouble is LinkTrouble.TIMED_OUT
        await link.stop()


@by_terminal
async def test_a_refused_distributor(way: Way) -> None:
    way.host.options.refuses_distributor = True
    heard = Heard()
    async with trio.open_nursery() as nursery:
        link = Link(nursery, way, heard)
        await heard.until(lambda: heard.reports, "a report")
        lost = heard.reports[0]
        assert isinstance(lost, LinkLost)
        assert lost.trouble is LinkTrouble.DISTRIBUTOR_FAILED
        await link.stop()


@by_any_way
async def test_a_silent_host_counts_as_dead_where_that_is_asked_for(way: Way) -> None:
    way.settings = replace(way.settings, silence=0.3)
    heard = Heard()
    async with trio.open_nursery() as nursery:
        link = Link(nursery, way, heard)
        await heard.until(lambda: heard.reported(LinkLost), "link lost")
        lost = next(report for report in heard.reports if isinstance(report, LinkLost))
        assert lost.trouble is LinkTrouble.SILENT
        await link.stop()


@pytest.mark.parametrize("way", ["file"], indirect=True)
@pytest.mark.parametrize("is_kept", [True, False])
async def test_a_file_rotated_meanwhile_is_caught_up_if_the_old_one_is_kept(
    way: Way, is_kept: bool
) -> None:
    host, heard = way.host, Heard()
    assert host.file is not None
    async with trio.open_nursery() as nursery:
        link = Link(nursery, way, heard)
        await heard.until(lambda: heard.reported(LinkUp), "link up")
        await host.tape_dismounted("X00001", "$VTAPE0")
        await heard.until_dismounted("X00001")
        await link.stop()
        await host.tape_dismounted("X00002", "$VTAPE0")
        host.file.rename(host.file.with_name("ems.log.1"))
        await host.tape_dismounted("X00003", "$VTAPE0")
        if not is_kept:
            host.file.with_name("ems.log.1").unlink()
        link = Link(nursery, way, heard)
        if is_kept:
            await heard.until_dismounted("X00001", "X00002", "X00003")
        for _ in range(20):
            # An event well past the break settles what may have been missed.
            await host.tape_dismounted("X00004", "$VTAPE0")
        await heard.until(lambda: heard.dismounted.count("X00004") == 20, "twenty more")
        missed = [event for event in heard.events if isinstance(event, EventsMissed)]
        assert len(missed) == (0 if is_kept else 1)
        await link.stop()
