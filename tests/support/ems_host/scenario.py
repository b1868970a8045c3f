"""Scenarios: what a host does one night, as readable data, and what the agent is to make of it.

One file of ``scripts/`` each. *shows* says what it is good for, *host* how the host differs from an
ordinary one (`HostOptions`), *script* has control lines (`tests.support.ems_host.control`), and
*heard* the host events that an agent which listens from the beginning has to have heard at the end,
in order: the event's type, then those of its fields that matter, as ``name=value``; a mode such as
``ring`` by its words with underscores. Who listens later, or loses the link, must have heard the
same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields
from enum import Enum
from pathlib import Path

import yaml

from tests.support.ems_host.control import obey, set_option
from tests.support.ems_host.options import HostOptions
from tests.support.ems_host.server import EmsHost

SCRIPTS = Path(__file__).with_name("scripts")


class ScenarioFailed(AssertionError):
    """A line of a scenario's script could not be carried out."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One file of ``scripts/``; see there."""

    name: str
    shows: str
    host: dict[str, str]
    script: tuple[str, ...]
    heard: tuple[str, ...]

    def options(self) -> HostOptions:
        """Make the options of its host."""
        options = HostOptions()
        for name, value in self.host.items():
            set_option(options, name, value)
        return options


def load_scenario(path: Path) -> Scenario:
    """Read a scenario; raises ValueError for one that is not complete."""
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    wrong = set(document) ^ {"shows", "host", "script", "heard"}
    if wrong - {"host"}:
        raise ValueError(f"{path}: missing or unknown: {', '.join(sorted(wrong))}")
    return Scenario(
        path.stem,
        str(document["shows"]).strip(),
        {name: _word(value) for name, value in (document.get("host") or {}).items()},
        _lines(document["script"]),
        _lines(document["heard"]),
    )


def _word(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value)


def _lines(text: str) -> tuple[str, ...]:
    lines = [line.strip() for line in text.splitlines()]
    return tuple(line for line in lines if line and not line.startswith("#"))


def all_scenarios() -> list[Scenario]:
    """Read every scenario, by name."""
    return [load_scenario(path) for path in sorted(SCRIPTS.glob("*.yaml"))]


async def play(
    host: EmsHost,
    scenario: Scenario,
    before_line: Callable[[], Awaitable[None]] | None = None,
) -> None:
    """Carry out a scenario's script, *before_line* before each of its lines."""
    for line in scenario.script:
        if before_line is not None:
            await before_line()
        answer = await obey(host, line)
        if answer is not None and not answer.startswith("ok"):
            raise ScenarioFailed(f"{scenario.name}: {answer}")


def told(event: object, line: str) -> str:
    """Write *event* as *line* of a scenario writes it: with the fields that are named there."""
    names = [word.split("=", 1)[0] for word in line.split()[1:]]
    known = {field.name for field in fields(event)}  # type: ignore[arg-type] # any dataclass
    shown = [f"{name}={_told(getattr(event, name))}" for name in names if name in known]
    return " ".join([type(event).__name__, *shown])


def _told(value: object) -> str:
    if isinstance(value, Enum):
        return value.name.lower()
    return str(value).replace(" ", "_")
