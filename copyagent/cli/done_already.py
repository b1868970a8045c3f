"""What a command has done itself, at a target or here, is told to the agent for the record."""

import os

import click

from copyagent.control.client import ask
from copyagent.control.errands import AtTarget, Drilled
from vtsfs.contract.errors import AgentUnreachable
from vtsfs.contract.settings import Settings
from vtsfs.runtime.clock import wall_ns
from vtsfs.runtime.late_acts import LateAct, leave, place_of
from vtsfs.runtime.peers import user_name


def put_on_record(settings: Settings, act: AtTarget | Drilled) -> list[str]:
    """Tell the agent of *act* and return its answers; where none answers, leave word for the next."""
    try:
        answers: list[str] = ask(settings.control_socket(), act)
        return answers
    except AgentUnreachable as error:
        try:
            leave(place_of(settings), _late(act))
        except OSError as unwritable:
            click.echo(f"done, but NOT on record: {error}; {unwritable}", err=True)
        else:
            click.echo(f"done; it goes on record when an agent runs: {error}", err=True)
        return []


def _late(act: AtTarget | Drilled) -> LateAct:
    if isinstance(act, Drilled):
        return LateAct(own_name(), "drill", act.target, act.because, wall_ns(), new=act.digests)
    return LateAct(own_name(), act.words, act.about or act.target, act.because, wall_ns())


def own_name() -> str:
    """Name who runs this as the control socket would, whatever the environment says."""
    return user_name(os.getuid())
