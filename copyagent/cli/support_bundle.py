"""``copyagent support-bundle``: all that helps to understand a site, in one file without secrets."""

from pathlib import Path

import click

from copyagent.cli.asking import as_json_option


@click.command("support-bundle")
@click.option(
    "--output", metavar="FILE", type=click.Path(path_type=Path), help="Where to (default: here)."
)
@as_json_option
@click.pass_obj
def support_bundle(config: Path, *, output: Path | None, as_json: bool) -> None:
    """Put what helps to understand this site into one file, without keys, passwords or tapes.

    Works without an agent, and with settings that are wrong. Look into it before it is sent.
    """
    # What it collects with is wanted by no other command.
    from copyagent.cli.support_run import run_support_bundle

    run_support_bundle(config, output, as_json=as_json)
