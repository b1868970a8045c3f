"""``copyagent check-health``: how things stand, as monitoring systems ask for it.

Its exit statuses are those of monitoring plugins and not those of our table: 0 OK, 1 WARNING,
2 CRITICAL, 3 UNKNOWN, whatever happens, a wrong command line included.
"""

import json
import sys
from pathlib import Path
from typing import Any

import click

from copyagent.cli.console import LOOK_S
from copyagent.cli.snapshot import last_known
from copyagent.control.client import ask
from copyagent.control.protocol import Status
from copyagent.core.health_check import Health, Level, Limits, judge, not_answering, not_known
from vtsfs.contract.errors import AgentUnreachable, SettingsError, UsageError, VtsError
from vtsfs.contract.settings_file import settings_as_far_as_known
from vtsfs.contract.units import parse_duration


class _Plugin(click.Command):
    """A command whose caller understands four exit statuses and one line, and nothing else."""

    def make_context(self, *args: Any, **options: Any) -> click.Context:
        """Read the command line; what is wrong with it is UNKNOWN, too."""
        try:
            return super().make_context(*args, **options)
        except click.UsageError as error:
            _print(not_known(error.format_message()), as_json=False)
            sys.exit(Level.UNKNOWN)


@click.command("check-health", cls=_Plugin)
@click.option("--warning-age", metavar="DURATION", help="Age of the oldest copy owed: WARNING.")
@click.option("--critical-age", metavar="DURATION", help="Age of the oldest copy owed: CRITICAL.")
@click.option("--timeout", metavar="DURATION", default=f"{LOOK_S:g}s", show_default=True,
              help="How long the agent may take to answer.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead.")
@click.pass_obj
def check_health(
    config: Path, warning_age: str | None, critical_age: str | None, timeout: str, as_json: bool
) -> None:
    """Tell a monitoring system how things stand.

    Ends with 0 OK, 1 WARNING, 2 CRITICAL or 3 UNKNOWN. Without ages, each pool's behind_after counts:
    half of it is a warning.
    """
    try:
        limits = Limits(
            _seconds("--warning-age", warning_age), _seconds("--critical-age", critical_age)
        )
        health = _look(config, limits, _seconds("--timeout", timeout) or LOOK_S)
    except VtsError as error:
        problems = error.problems if isinstance(error, SettingsError) else ()
        health = not_known("; ".join(problems) or str(error))
    _print(health, as_json=as_json)
    sys.exit(health.level)


def _look(config: Path, limits: Limits, timeout: float) -> Health:
    settings, _ = settings_as_far_as_known(config)
    try:
        status = ask(settings.control_socket(), Status(), timeout=timeout)
    except AgentUnreachable as error:
        return not_answering(str(error), last_known(settings))
    try:
        return judge(status, limits)
    except (KeyError, TypeError, ValueError) as error:
        return not_known(f"the agent is of another release: its status cannot be read ({error!r})")


def _seconds(option: str, text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as error:
        raise UsageError(f"{option} {error}") from error


def _print(health: Health, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(health.document(), indent=1))
        return
    for line in health.lines():
        click.echo(line)
