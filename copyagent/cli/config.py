"""``copyagent config``: the settings with their defaults and origins, and the schema of the file."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from copyagent.cli.asking import settings_to_ask_by
from copyagent.cli.command_list import CommandList
from vtsfs.contract.errors import UsageError
from vtsfs.contract.settings import DEFAULT_PATH, ENVIRONMENT, Settings
from vtsfs.contract.settings_lines import Key, lines_of, values_of, written
from vtsfs.contract.settings_schema import settings_schema


@dataclass(frozen=True, slots=True)
class Shown:
    """One setting: its value as the file writes it, and where that is from; line 0: the default."""

    key: Key
    value: Any
    line: int

    @property
    def origin(self) -> str:
        """Say where the value is from."""
        return f"line {self.line}" if self.line else "default"


@click.group("config", cls=CommandList)
def config_commands() -> None:
    """Show the settings, or the schema of their file."""


@config_commands.command()
@click.option("--effective", is_flag=True, help="Also what the file leaves to the defaults.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead.")
@click.option("--yaml", "as_yaml", is_flag=True, help="Print a settings file instead.")
@click.pass_obj
def show(config: Path, *, effective: bool, as_json: bool, as_yaml: bool) -> None:
    """Show every setting of the file, with the line it stands on.

    It is the file that is read; copyagent check tells whether the agent that runs has the same.
    """
    if as_json and as_yaml:
        raise UsageError("--json and --yaml print different documents; choose one")
    settings = settings_to_ask_by(config)
    found = [each for each in settings_shown(settings) if effective or each.line]
    if as_json:
        click.echo(json.dumps(_document(config, settings, found), indent=1))
    elif as_yaml:
        for line in yaml_lines(found, heading=f"{config}, {_named_by(config)}"):
            click.echo(line)
    else:
        click.echo(f"# {config}, {_named_by(config)}")
        for line in _table(found):
            click.echo(line)


@config_commands.command()
def schema() -> None:
    """Print the JSON Schema of the settings file, for editors and other programs."""
    click.echo(json.dumps(settings_schema(), indent=1))


def settings_shown(settings: Settings) -> Iterator[Shown]:
    """Go through all settings, those of the file and the defaults, in the order of the manual."""
    lines = lines_of(settings.text)
    for key, value in values_of(settings):
        yield Shown(key, value, lines.get(key, 0))


def yaml_lines(found: list[Shown], heading: str) -> Iterator[str]:
    """Write settings as a file that can be read again, each with where it is from as a comment."""
    yield f"# {heading}"
    before: Key = ()
    for each in found:
        *groups, name = each.key
        common = _common(tuple(groups), before)
        for depth in range(common, len(groups)):
            yield from _opened(groups, depth)
        yield f"{_indent(groups, before)}{written(name)}: {written(each.value)}  # {each.origin}"
        before = (*groups, name)


def _opened(groups: list[str], depth: int) -> Iterator[str]:
    """Begin a mapping, or a list; an entry of a list begins with its first key."""
    if not _is_entry(groups, depth):
        yield f"{'  ' * depth}{written(groups[depth])}:"


def _is_entry(groups: list[str], depth: int) -> bool:
    """Tell whether the name at *depth* is the number of a list's entry; some hosts are numbers."""
    return depth == 1 and groups[0] == "autocopy"


def _indent(groups: list[str], before: Key) -> str:
    first = not groups or before[: len(groups)] != tuple(groups)
    if groups and _is_entry(groups, len(groups) - 1):
        margin = "  " * (len(groups) - 1)
        return f"{margin}- " if first else f"{margin}  "
    return "  " * len(groups)


def _common(groups: Key, before: Key) -> int:
    count = 0
    for mine, other in zip(groups, before[:-1], strict=False):
        if mine != other:
            break
        count += 1
    return count


def _table(found: list[Shown]) -> Iterator[str]:
    rows = [(".".join(each.key), written(each.value), each.origin) for each in found]
    wide = max((len(f"{key}: {value}") for key, value, _ in rows if len(value) < 40), default=0)
    for key, value, origin in rows:
        yield f"{f'{key}: {value}':<{wide}}  # {origin}"


def _document(path: Path, settings: Settings, found: list[Shown]) -> dict[str, Any]:
    return {
        "schema": 1,
        "file": str(path),
        "named_by": _named_by(path),
        "sha256": settings.digest,
        "settings": [
            {
                "key": ".".join(each.key),
                "value": each.value,
                "from": "file" if each.line else "default",
                "line": each.line or None,
            }
            for each in found
        ],
    }


def _named_by(path: Path) -> str:
    """Say how it came about that this file is read."""
    if str(path) == os.environ.get(ENVIRONMENT):
        return f"named by {ENVIRONMENT}"
    return "the default place" if path == DEFAULT_PATH else "named by --config"
