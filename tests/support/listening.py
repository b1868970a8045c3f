"""An agent's end of a host link, without the agent: what the link hands over is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import trio

from copyagent.access import dial_of
from copyagent.core.host_events import HostEvent, LinkUp
from copyagent.ems.dialogue import LinkFailure, LoginPlan
from copyagent.ems.link import run_link
from copyagent.ems.link_settings import LinkSettings, LinkTally
from copyagent.ems.login_types import DEFAULT_DISTRIBUTOR, LOGIN_TYPES
from copyagent.ems.secret import Secret
from copyagent.ems.session import run_session
from tests.support.ems_host.options import HostOptions
from tests.support.waiting import wait_until_async


def link_settings(port: int, options: HostOptions | None = None, **changes: Any) -> LinkSettings:
    """Make settings, with short times, of a Telnet link to a host with *options* on *port*."""
    host = options or HostOptions()
    plan = LoginPlan(
        LOGIN_TYPES[host.login],
        host.user,
        Secret(host.password),
        DEFAULT_DISTRIBUTOR,
        response_timeout=changes.pop("response_timeout", 0.5),
    )
    link = LinkSettings(
        "DEV2",
        "127.0.0.1",
        plan,
        port,
        quiet=0.1,
        stall=0.4,
        first_delay=0.02,
        longest_delay=0.1,
        refused_delay=0.1,
        logout_timeout=0.5,
    )
    return replace(link, **changes)


@dataclass
class Heard:
    """What the link handed over: host events, and reports of its state."""

    events: list[HostEvent] = field(default_factory=list)
    reports: list[HostEvent] = field(default_factory=list)
    tally: LinkTally = field(default_factory=LinkTally)

    async def deliver(self, events: Sequence[HostEvent]) -> None:
        """Keep what the host said."""
        self.events.extend(events)

    async def report(self, event: HostEvent) -> None:
        """Keep what the link says of itself."""
        self.reports.append(event)

    def reported(self, kind: type[HostEvent]) -> int:
        """Count the reports of one *kind*."""
        return sum(isinstance(report, kind) for report in self.reports)

    async def until(self, holds: Callable[[], object], what: str, within: float = 10.0) -> None:
        """Wait until *holds* is true; say what was heard if it does not come true."""
        await wait_until_async(holds, within, f"{what}; heard {self.events}, {self.reports}")

    async def until_events(self, count: int) -> None:
        """Wait until so many events were handed over in all."""
        await self.until(lambda: len(self.events) == count, f"{count} events")


async def one_session(settings: LinkSettings, heard: Heard, within: float = 10.0) -> LinkFailure:
    """Run one connection to its end, which has to come *within* seconds; return why it ended."""

    async def came_up() -> None:
        await heard.report(LinkUp(settings.host))

    with trio.fail_after(within):
        return await run_session(
            settings, heard.deliver, came_up, dial=dial_of(settings), tally=heard.tally
        )


@asynccontextmanager
async def listening(
    settings: LinkSettings, heard: Heard | None = None, **more: Any
) -> AsyncIterator[Heard]:
    """Keep a link up for as long as the block lasts; *more* is handed to `run_link`."""
    heard = heard or Heard()
    async with trio.open_nursery() as nursery:

        async def run() -> None:
            await run_link(
                settings,
                heard.deliver,
                heard.report,
                dial=dial_of(settings),
                chance=lambda: 0.5,
                tally=heard.tally,
                **more,
            )

        nursery.start_soon(run)
        yield heard
        nursery.cancel_scope.cancel()
