"""``copyagent generations``: what of a tape each target has, the present and the former ones."""

import json
from pathlib import Path

import click

from copyagent.control.protocol import parse_where
from vtsfs.contract.errors import UsageError
from vtsfs.contract.naming import TapeId


@click.command()
@click.argument("tape")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead.")
@click.pass_obj
def generations(config: Path, tape: str, as_json: bool) -> None:
    """List the generations of TAPE that its targets have, newest first."""
    # The SSH library, which is needed when no agent answers, takes most of a second to import.
    from copyagent.cli.generations_run import generations_of, shown

    where = parse_where(tape)
    if not isinstance(where, TapeId):
        raise UsageError(f"{tape} is a pool; name one tape, such as {tape}/X00001")
    document = generations_of(config, where)
    click.echo(json.dumps(document, indent=1) if as_json else shown(document))
