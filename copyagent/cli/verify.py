"""``copyagent verify``: are published copies still what was published?"""

from pathlib import Path

import click

from copyagent.control.protocol import parse_where
from vtsfs.contract.errors import UsageError


@click.command()
@click.argument("where", metavar="[TAPE|POOL]", required=False)
@click.option("--target", metavar="TARGET", help="Only the copies at this target.")
@click.option("--sample", metavar="SHARE", help="Read only so much of each, such as 5%, at random.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document a line instead.")
@click.pass_obj
def verify(
    config: Path, *, where: str | None, target: str | None, sample: str | None, as_json: bool
) -> None:
    """Read published copies back and compare them with what was published.

    Of a TAPE, of all tapes of a POOL, or of all watched pools. Nothing at the target is changed.
    """
    # The SSH library takes most of a second to import.
    from copyagent.cli.verify_run import Wanted, run_verify

    share = None if sample is None else share_of(sample)
    parsed = None if where is None else parse_where(where)
    run_verify(config, Wanted(parsed, target, share, as_json))


def share_of(text: str) -> float:
    """Read a share such as ``5%``; raise `UsageError` for anything else."""
    try:
        share = float(text.removesuffix("%")) / 100 if text.endswith("%") else 0.0
    except ValueError:
        share = 0.0
    if not 0 < share <= 1:
        raise UsageError(f"--sample should be a share such as 5%, not {text!r}")
    return share
