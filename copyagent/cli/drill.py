"""``copyagent drill``: a target gets what its people need to prove what they have."""

from pathlib import Path

import click

from copyagent.cli.asking import as_json_option
from vtsfs.contract.naming import PoolId


@click.command()
@click.argument("target")
@click.option(
    "--pool", "pools", metavar="POOL", multiple=True, help="Only this pool; can be repeated."
)
@click.option("--because", default="a drill", metavar="TEXT", help="Why; it goes on record.")
@as_json_option
@click.pass_obj
def drill(
    config: Path, target: str, *, pools: tuple[str, ...], because: str, as_json: bool
) -> None:
    """Write a list of its tapes, and their digests for sha256sum -c, into TARGET's staging directory.

    And tell which tapes the target has not as they are now.
    """
    # The SSH library takes most of a second to import.
    from copyagent.cli.drill_run import Wanted, run_drill

    run_drill(config, Wanted(target, tuple(map(PoolId.parse, pools)), because, as_json))
