"""How the agent is asked for something, and how an operator is asked back before it is done."""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from copyagent.cli.console import print_answers
from copyagent.cli.patience import patience
from copyagent.control.client import ask
from copyagent.control.protocol import Request, command_of
from vtsfs.contract.errors import NotConfirmed
from vtsfs.contract.settings import Settings
from vtsfs.contract.settings_file import settings_as_far_as_known
from vtsfs.contract.units import format_count

#: Every command that acts can say what came of it as a document.
as_json_option: Callable[[Any], Any] = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document instead."
)


#: An act of an operator that needs no reason can be given one all the same.
because_option: Callable[[Any], Any] = click.option(
    "--because", default="", metavar="TEXT", help="Why; it goes on record."
)


def settings_to_ask_by(config: Path) -> Settings:
    """Return the settings, as far as they are needed to reach the agent; say if they are wrong.

    What is wrong with the file by now must not keep an operator from asking the agent that runs.
    """
    settings, problems = settings_as_far_as_known(config)
    if problems:
        told = format_count(len(problems), "problem")
        click.echo(
            f"{config} has {told} and cannot be in force as it is; see: copyagent check", err=True
        )
    return settings


def tell(config: Path, request: Request, *, as_json: bool) -> None:
    """Have the agent carry *request* out, and print its answers; raises what `ask` raises."""
    answers: Sequence[str] = asked(config, request)
    print_answers(answers, as_json=as_json)


def asked(config: Path, request: Request) -> Any:
    """Return the agent's answer to *request*; on a terminal it is shown that it takes long."""
    socket = settings_to_ask_by(config).control_socket()
    with patience(f"{command_of(request)}: the agent is at it"):
        return ask(socket, request)


def confirm(question: str, *, yes: bool) -> None:
    """Go on only with a yes: *yes* says so beforehand, and a script is not asked at all.

    Raises `NotConfirmed` for anything else, also if the input ends.
    """
    if yes or not sys.stdin.isatty():
        return
    if answer_to(f"{question} [y/N]: ").lower() not in {"y", "yes"}:
        raise NotConfirmed("not confirmed, so nothing was done; --yes says it beforehand")


def answer_to(question: str) -> str:
    """Ask on standard error and return the line that is typed; `NotConfirmed` where none comes."""
    click.echo(question, nl=False, err=True)
    line = sys.stdin.readline()
    if not line:
        click.echo("", err=True)
        raise NotConfirmed("the input ended before that was answered, so nothing was done")
    return line.strip()
