"""``copyagent cancel`` and ``hold``: a copy is stopped, or kept back."""

from pathlib import Path

import click

from copyagent.cli.asking import as_json_option, tell
from copyagent.control.stopping import Cancel, Hold
from vtsfs.contract.naming import TapeId

_BECAUSE = click.option("--because", required=True, metavar="TEXT", help="Why; it goes on record.")
_TARGET = click.option("--target", default="", metavar="TARGET", help="At this target alone.")


@click.command()
@click.argument("tape")
@_BECAUSE
@_TARGET
@as_json_option
@click.pass_obj
def cancel(config: Path, tape: str, because: str, target: str, *, as_json: bool) -> None:
    """Stop the copy of TAPE that runs or waits, before it is published.

    The tape is then unprotected, until it is retried or a newer generation is complete.
    """
    tell(config, Cancel(TapeId.parse(tape), because, target), as_json=as_json)


@click.command()
@click.argument("tape")
@_BECAUSE
@_TARGET
@as_json_option
@click.pass_obj
def hold(config: Path, tape: str, because: str, target: str, *, as_json: bool) -> None:
    """Keep the copies of TAPE back until it is released, now and for all that is written to it.

    What is copied already stays as it is. Only release ends it, no newer generation does.
    """
    tell(config, Hold(TapeId.parse(tape), because, target), as_json=as_json)
