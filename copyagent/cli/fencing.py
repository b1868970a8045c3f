"""``copyagent fence``, ``unfence`` and ``take-over``: an operator's acts at a target as a whole.

They are done from here, over a connection of their own, and told to the agent afterwards, if one
runs: a target can be fenced without it.
"""

import os
import time
from pathlib import Path
from pwd import getpwuid

import click

from copyagent.cli.asking import confirmed
from copyagent.cli.target_names import target_named
from copyagent.control.client import ask
from copyagent.control.errands import NO_REASON, AtTarget
from vtsfs.contract.errors import AgentUnreachable
from vtsfs.contract.settings import Settings
from vtsfs.contract.settings_file import read_settings

_BECAUSE = click.option("--because", default=NO_REASON, metavar="TEXT", help="Why; on record.")


@click.command()
@click.argument("target", metavar="TARGET")
@_BECAUSE
@click.pass_obj
def fence(config: Path, target: str, because: str) -> None:
    """Let nothing be published at TARGET until it is unfenced, by any source system.

    For a target that is put into service itself. A file IN-SERVICE in its staging directory, made
    by hand, does the same.
    """
    settings = read_settings(config)
    _carry_out(settings, AtTarget("fence", target_named(settings, target), because))


@click.command()
@click.argument("target", metavar="TARGET")
@_BECAUSE
@click.pass_obj
def unfence(config: Path, target: str, because: str) -> None:
    """Let copies to TARGET be published again."""
    settings = read_settings(config)
    _carry_out(settings, AtTarget("unfence", target_named(settings, target), because))


@click.command("take-over")
@click.argument("target", metavar="TARGET")
@click.option("--because", required=True, metavar="TEXT", help="Why; it goes on record.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def take_over(config: Path, target: str, because: str, *, yes: bool) -> None:
    """Let this agent work in TARGET's staging directory in place of another of its name.

    For a system that was replaced by another machine. The other agent waits from then on.
    """
    settings = read_settings(config)
    name = target_named(settings, target)
    question = f"Is the other agent of {settings.system.name} gone for good, and {name} this one's?"
    if confirmed(question, yes=yes):
        _carry_out(settings, AtTarget("take-over", name, because))


def _carry_out(settings: Settings, act: AtTarget) -> None:
    # The SSH library takes most of a second to import.
    from copyagent.cli.fencing_run import do_there

    at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    for line in do_there(settings, act, f"{at}, {_user()}: {act.because}\n"):
        click.echo(line)
    try:
        answers = ask(settings.control_socket(), act)
    except AgentUnreachable as error:
        click.echo(f"done, but not in the event log: {error}", err=True)
        return
    for line in answers:
        click.echo(line)


def _user() -> str:
    try:
        return getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
