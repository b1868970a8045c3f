"""``copyagent ems``: the host links, looked at, tried out, and played again from a recording."""

import click

from copyagent.cli.ems_replay import replay
from copyagent.cli.ems_status import status
from copyagent.cli.ems_trial import trial


@click.group()
def ems() -> None:
    """Look at the links to the NonStop hosts, try one, or play a recorded one."""


ems.add_command(status)
ems.add_command(trial, "test")
ems.add_command(replay)
