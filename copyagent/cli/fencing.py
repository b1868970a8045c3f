"""``copyagent fence``, ``unfence`` and ``take-over``: an operator's acts at a target as a whole.

They are done from here, over a connection of their own, and told to the agent afterwards, if one
runs: a target can be fenced without it.
"""

import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from pwd import getpwuid

import click
import trio

from copyagent.cli.asking import confirmed
from copyagent.cli.target_names import target_named
from copyagent.control.client import ask
from copyagent.control.errands import NO_REASON, AtTarget
from vtsfs.contract.errors import AgentUnreachable, RequestFailed
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
    name = target_named(settings, target)
    told = f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime())} UTC, {_user()}: {because}\n"

    async def act(settings: Settings, name: str) -> list[str]:
        from copyagent.transfer import fencing

        made = await _there(settings, name, lambda t, ls: fencing.put_up(t, ls, told))
        return [f"{path}: nothing is published in this vault now" for path in made]

    _carry_out(settings, "fence", name, because, act)


@click.command()
@click.argument("target", metavar="TARGET")
@_BECAUSE
@click.pass_obj
def unfence(config: Path, target: str, because: str) -> None:
    """Let copies to TARGET be published again."""
    settings = read_settings(config)
    name = target_named(settings, target)

    async def act(settings: Settings, name: str) -> list[str]:
        from copyagent.transfer import fencing

        removed = await _there(settings, name, fencing.take_down)
        return [f"{path}: removed" for path in removed] or [f"{name} was not fenced"]

    _carry_out(settings, "unfence", name, because, act)


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
    if not confirmed(question, yes=yes):
        return

    async def act(settings: Settings, name: str) -> list[str]:
        from copyagent.transfer import fencing
        from copyagent.transfer.agent_mark import AgentMark

        mark = AgentMark.of(settings)
        others = await _there(settings, name, lambda t, ls: fencing.take_over(t, ls, mark))
        return others or [f"{name}: the staging directory is this agent's"]

    _carry_out(settings, "take-over", name, because, act)


async def _there(
    settings: Settings, name: str, act: Callable[..., Awaitable[list[str]]]
) -> list[str]:
    """Log in to target *name* and *act* on it, given its staging directories."""
    # The SSH library takes most of a second to import.
    from copyagent.ssh.bridge import open_bridge
    from copyagent.ssh.sftp import connect
    from copyagent.transfer.fencing import layouts_of
    from copyagent.transfer.target import TargetError

    async with open_bridge():
        try:
            async with connect(settings.targets[name]) as target:
                return await act(target, layouts_of(settings, name))
        except TargetError as error:
            raise RequestFailed(f"{name}: {error}; {error.next_step}") from error


def _carry_out(
    settings: Settings,
    action: str,
    name: str,
    because: str,
    act: Callable[[Settings, str], Awaitable[list[str]]],
) -> None:
    for line in trio.run(act, settings, name, strict_exception_groups=True):
        click.echo(line)
    try:
        answers = ask(settings.control_socket(), AtTarget(action, name, because))
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
