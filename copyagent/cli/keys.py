"""``copyagent keys``: the key with which this system logs in at a target."""

from pathlib import Path

import click

from copyagent.cli.asking import as_json_option
from copyagent.cli.command_list import CommandList
from vtsfs.contract.errors import UsageError


@click.group(cls=CommandList)
def keys() -> None:
    """Make the key for a target, and pin the target's own."""


@keys.command()
@click.argument("target", metavar="TARGET")
@click.option(
    "--type",
    "kind",
    type=click.Choice(["ed25519", "ecdsa", "rsa"]),
    default="ed25519",
    help="What kind of key to make (default: ed25519).",
)
@click.option("--allow-commands", is_flag=True, help="Let the key run commands at the target.")
@click.option(
    "--accept-fingerprint",
    metavar="SHA256:...",
    help="Pin the target's host key without asking, if it has this fingerprint.",
)
@click.option("--test", "tested", is_flag=True, help="Then examine the target, as doctor does.")
@as_json_option
@click.pass_obj
def init(
    config: Path,
    target: str,
    *,
    kind: str,
    allow_commands: bool,
    accept_fingerprint: str | None,
    tested: bool,
    as_json: bool,
) -> None:
    """Make the key of TARGET unless it is there, show what the target needs, pin its host key.

    Nothing that is there is overwritten.
    """
    # The SSH library takes most of a second to import.
    from copyagent.cli.keys_init import Wanted, run_init

    if tested and as_json:
        raise UsageError("--json prints what was set up, doctor --json what was tried; choose one")
    run_init(config, Wanted(target, kind, allow_commands, accept_fingerprint, tested, as_json))
