"""``copyagent audit``: a pool compared with its copies."""

from pathlib import Path

import click

from vtsfs.contract.naming import PoolId


@click.command()
@click.argument("pool")
@click.option("--target", metavar="TARGET", help="Only the copies at this target.")
@click.option("--content", is_flag=True, help="Read every tape here and there, and compare.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document a line instead.")
@click.pass_obj
def audit(config: Path, pool: str, *, target: str | None, content: bool, as_json: bool) -> None:
    """Compare POOL here with its copies, and say which command would mend what is wrong.

    Nothing is changed, here or there.
    """
    # The SSH library takes most of a second to import.
    from copyagent.cli.audit_run import Wanted, run_audit

    run_audit(config, Wanted(PoolId.parse(pool), target, content, as_json))
