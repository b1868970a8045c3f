"""Every scenario of the stand-in host, over every way in: heard is what stands beside its script."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trio

from copyagent.core.host_events import CaughtUp, HostEvent, SetAside, TapeNotice, Unrecognised
from copyagent.ems.link_settings import LinkSettings, settings_of_link
from copyagent.ems.secret import Secret
from copyagent.ssh.bridge import open_bridge
from tests.support.ems_host import EmsHost, open_ems_host, ssh_front
from tests.support.ems_host.scenario import Scenario, all_scenarios, play, told
from tests.support.listening import Heard, link_settings, listening
from vtsfs.contract.settings_ems import EmsHost as HostEntry

SCENARIOS = {scenario.name: scenario for scenario in all_scenarios()}
#: What is heard besides statements, and may become more as more is understood.
ASIDES = (CaughtUp, SetAside, TapeNotice, Unrecognised)
#: A terminal over SSH brings the same text; these are the ones in which the session matters.
BY_SSH = ("night_of_backups", "link_lost_in_the_middle", "half_a_line")
#: Who prints into a file logs nobody on, and no link can be lost.
NOT_BY_FILE = {
    "drops_at_log_in",
    "link_lost_in_the_middle",
    "log_rolled_over",
    "summer_time_ends",
    "time_refused",
}


def test_there_are_scenarios() -> None:
    assert len(SCENARIOS) >= 14
    assert all(scenario.shows for scenario in SCENARIOS.values())


def statements(heard: Heard) -> list[HostEvent]:
    return [event for event in heard.events if not isinstance(event, ASIDES)]


def as_told(heard: Heard, scenario: Scenario) -> list[str]:
    """Write what was heard as the scenario does, one line too many included."""
    events = statements(heard)
    lines = [*scenario.heard, *[""] * (len(events) - len(scenario.heard))]
    return [told(event, line) for event, line in zip(events, lines, strict=False)]


async def hear(host: EmsHost, settings: LinkSettings, scenario: Scenario) -> None:
    async with listening(settings) as heard:
        if settings.access == "file":
            await heard.until(lambda: heard.reports, "the file is read")
        await play(host, scenario)
        # One more, so that one event too many would have come by then.
        await host.tape_dismounted("THEEND", "$VTAPE9")
        await heard.until(
            lambda: any(getattr(e, "volume", "") == "THEEND" for e in heard.events), scenario.name
        )
        heard.events = [e for e in heard.events if getattr(e, "volume", "") != "THEEND"]
        assert as_told(heard, scenario) == list(scenario.heard)


@pytest.mark.parametrize("name", SCENARIOS)
async def test_over_telnet(name: str) -> None:
    scenario = SCENARIOS[name]
    async with open_ems_host(scenario.options()) as host:
        await hear(host, link_settings(host.port, host.options), scenario)


@asynccontextmanager
async def by_ssh(host: EmsHost, directory: Path) -> AsyncIterator[LinkSettings]:
    sshd = ssh_front(directory, host.shell_port)
    await trio.to_thread.run_sync(sshd.start)
    try:
        entry = HostEntry(
            access="ssh",
            address=sshd.address,
            port=sshd.port,
            known_hosts=sshd.known_hosts,
            key=sshd.key,
            ssh_user=sshd.user,
        )
        link = settings_of_link("DEV2", entry, Secret(""), {})
        yield replace(link, quiet=0.1, stall=0.4, first_delay=0.02, longest_delay=0.1)
    finally:
        await trio.to_thread.run_sync(sshd.stop)


@pytest.mark.ssh
@pytest.mark.parametrize("name", BY_SSH)
async def test_over_ssh(name: str, scratch: Path) -> None:
    scenario = SCENARIOS[name]
    async with open_bridge(), open_ems_host(scenario.options()) as host:
        async with by_ssh(host, scratch / "ssh") as settings:
            await hear(host, settings, scenario)


async def hear_by_file(scenario: Scenario, directory: Path, cut_by: str = "") -> None:
    """Have a file printed by whoever waits for nobody; *cut_by* is told it in the middle."""
    lines = [line for line in scenario.script if line.split()[0] != "wait"]
    if cut_by:
        lines.insert(len(lines) // 2, cut_by)
    async with open_ems_host(scenario.options()) as host:
        host.file = directory / f"{scenario.name}.txt"
        host.file.touch()
        settings = replace(link_settings(0, host.options), access="file", file=host.file)
        await hear(host, settings, replace(scenario, script=tuple(lines)))


@pytest.mark.parametrize("cut_by", ["", "rotate"])
async def test_by_file(cut_by: str, tmp_path: Path) -> None:
    """At once, since a file is looked at once a second only; renamed in the middle or not."""
    async with trio.open_nursery() as nursery:
        for name in SCENARIOS.keys() - NOT_BY_FILE:
            nursery.start_soon(hear_by_file, SCENARIOS[name], tmp_path, cut_by)
