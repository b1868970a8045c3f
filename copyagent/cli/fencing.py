"""``copyagent fence``, ``unfence`` and ``take-over``: an operator's acts at a target as a whole.

They are done from here, over a connection of their own, and told to the agent afterwards, if one
runs: a target can be fenced without it.
"""

import time
from pathlib import Path

import click

from copyagent.cli.asking import as_json_option, confirm
from copyagent.cli.console import print_answers
from copyagent.cli.done_already import own_name, put_on_record
from copyagent.cli.patience import patience
from copyagent.cli.target_names import target_named
from copyagent.control.errands import AtTarget
from vtsfs.contract.settings import Settings
from vtsfs.contract.settings_file import read_settings

_BECAUSE = click.option("--because", required=True, metavar="TEXT", help="Why; it goes on record.")


@click.command()
@click.argument("target", metavar="TARGET")
@_BECAUSE
@as_json_option
@click.pass_obj
def fence(config: Path, target: str, because: str, *, as_json: bool) -> None:
    """Let nothing be published at TARGET until it is unfenced, by any source system.

    For a target that is put into service itself. A file IN-SERVICE in its staging directory, made
    by hand, does the same.
    """
    settings = read_settings(config)
    act = AtTarget("fence", target_named(settings, target), because)
    _carry_out(settings, act, as_json=as_json)


@click.command()
@click.argument("target", metavar="TARGET")
@_BECAUSE
@as_json_option
@click.pass_obj
def unfence(config: Path, target: str, because: str, *, as_json: bool) -> None:
    """Let copies to TARGET be published again."""
    settings = read_settings(config)
    act = AtTarget("unfence", target_named(settings, target), because)
    _carry_out(settings, act, as_json=as_json)


@click.command("take-over")
@click.argument("target", metavar="TARGET")
@click.option("--because", required=True, metavar="TEXT", help="Why; it goes on record.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@as_json_option
@click.pass_obj
def take_over(config: Path, target: str, because: str, *, yes: bool, as_json: bool) -> None:
    """Let this agent work in TARGET's staging directory in place of another of its name.

    For a system that was replaced by another machine. The other agent waits from then on.
    """
    settings = read_settings(config)
    name = target_named(settings, target)
    question = f"Is the other agent of {settings.system.name} gone for good, and {name} this one's?"
    confirm(question, yes=yes)
    _carry_out(settings, AtTarget("take-over", name, because), as_json=as_json)


def _carry_out(settings: Settings, act: AtTarget, *, as_json: bool) -> None:
    # The SSH library takes most of a second to import.
    from copyagent.cli.fencing_run import do_there

    at = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    with patience(f"{act.action}: {act.target} is asked"):
        done = do_there(settings, act, f"{at}, {own_name()}: {act.because}\n")
    answers = list(done.lines)
    if done.changed:
        # What changed nothing is no act: it is neither told nor on record.
        answers += put_on_record(settings, act)
    print_answers(answers, as_json=as_json)
