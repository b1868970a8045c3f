"""``copyagent doctor``: everything that copies need of a target is tried out."""

from pathlib import Path

import click


@click.command()
@click.argument("target", metavar="[TARGET]", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead.")
@click.pass_obj
def doctor(config: Path, target: str | None, *, as_json: bool) -> None:
    """Try everything that a copy needs of TARGET, or of all targets, step by step.

    No agent is needed, and one that runs is not disturbed. What is written is taken away again.
    """
    # The SSH library takes most of a second to import.
    from copyagent.cli.doctor_run import run_doctor

    run_doctor(config, target, as_json=as_json)
