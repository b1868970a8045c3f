"""``copyagent fetch``: a copy is brought back."""

from pathlib import Path

import click

from copyagent.cli.asking import as_json_option
from vtsfs.contract.errors import UsageError
from vtsfs.contract.naming import TapeId


@click.command()
@click.argument("tape")
@click.option("--generation", type=click.IntRange(0), metavar="N", help="This one, not the latest.")
@click.option("--from", "target", metavar="TARGET", help="From this target.")
@click.option(
    "--to",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Into this directory (default: where you are).",
)
@click.option("--replace", is_flag=True, help="Put it in the tape's own place.")
@click.option("--because", metavar="TEXT", help="Why, with --replace; it goes on record.")
@as_json_option
@click.pass_obj
def fetch(
    config: Path,
    tape: str,
    *,
    generation: int | None,
    target: str | None,
    to: Path | None,
    replace: bool,
    because: str | None,
    as_json: bool,
) -> None:
    """Bring a copy of TAPE back from a target, compared with what was published there."""
    # The SSH library takes most of a second to import.
    from copyagent.cli.fetch_run import Wanted, run_fetch

    if replace and to is not None:
        raise UsageError("--replace puts the copy in the tape's own place; leave --to out")
    if replace != bool(because and because.strip()):
        raise UsageError("--replace and --because TEXT go together")
    name = TapeId.parse(tape)
    run_fetch(config, Wanted(name, generation, target, to, because or "", as_json))
