"""``copyagent ems``: the host links, looked at, tried out, and played again from a recording."""

from pathlib import Path

import click

from copyagent.cli.command_list import CommandList
from copyagent.cli.ems_status import show_links


@click.group(cls=CommandList)
def ems() -> None:
    """Look at the links to the NonStop hosts, try one, or play a recorded one."""


@ems.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead.")
@click.pass_obj
def status(config: Path, as_json: bool) -> None:
    """Show how the link to each host stands, and what was heard over it."""
    show_links(config, as_json=as_json)


@ems.command("test")
@click.argument("host", metavar="HOST")
@click.option(
    "--wait",
    type=click.FloatRange(0, 3600),
    default=10.0,
    metavar="SECONDS",
    help="How long to wait for an event (default: 10).",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead.")
@click.pass_obj
def trial(config: Path, host: str, *, wait: float, as_json: bool) -> None:
    """Log on to HOST, start its distributor, wait for an event, and log off.

    No agent is needed, and one that runs is not disturbed. Each step is shown as it is passed.
    """
    # What a link needs takes most of a second to import, which no other command should wait for.
    from copyagent.cli.ems_trial import run_trial

    run_trial(config, host, wait=wait, as_json=as_json)


@ems.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--overlay", type=click.Path(path_type=Path), metavar="HISTORY", help="The signals.")
@click.option("--host", metavar="HOST", help="The host whose session FILE is.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead.")
@click.pass_obj
def replay(
    config: Path, file: Path, *, overlay: Path | None, host: str | None, as_json: bool
) -> None:
    """Play a recorded session again, with what the overlay saw, and show what comes of it.

    Nothing is connected to, kept or told: the settings alone are read.
    """
    from copyagent.cli.ems_replay import run_replay

    run_replay(config, file, overlay, host, as_json=as_json)
