"""Every scenario of the stand-in host, over a real link: heard is what stands beside its script."""

import pytest

from copyagent.core.host_events import CaughtUp, HostEvent, SetAside, TapeNotice, Unrecognised
from tests.support.ems_host import open_ems_host
from tests.support.ems_host.scenario import Scenario, all_scenarios, play, told
from tests.support.listening import Heard, link_settings, listening

SCENARIOS = all_scenarios()
#: What is heard besides statements, and may become more as more is understood.
ASIDES = (CaughtUp, SetAside, TapeNotice, Unrecognised)


def statements(heard: Heard) -> list[HostEvent]:
    return [event for event in heard.events if not isinstance(event, ASIDES)]


def as_told(heard: Heard, scenario: Scenario) -> list[str]:
    """Write what was heard as the scenario does, one line too many included."""
    events = statements(heard)
    lines = [*scenario.heard, *[""] * (len(events) - len(scenario.heard))]
    return [told(event, line) for event, line in zip(events, lines, strict=False)]


def test_there_are_scenarios() -> None:
    assert len(SCENARIOS) >= 14
    assert all(scenario.shows for scenario in SCENARIOS)


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
async def test_a_scenario_is_heard_as_it_was_written(scenario: Scenario) -> None:
    async with open_ems_host(scenario.options()) as host:
        settings = link_settings(host.port, host.options)
        async with listening(settings) as heard:
            await play(host, scenario)
            # One more, so that one event too many would have come by then.
            await host.tape_dismounted("THEEND", "$VTAPE9")
            await heard.until(
                lambda: any(getattr(e, "volume", "") == "THEEND" for e in heard.events),
                scenario.name,
            )
            heard.events.pop()
            assert as_told(heard, scenario) == list(scenario.heard)
