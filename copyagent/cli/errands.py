"""``copyagent release``, ``relocate``, ``adopt`` and ``rollback``: decisions that are an operator's."""

from pathlib import Path

import click

from copyagent.cli.asking import as_json_option, because_option, confirm, tell
from copyagent.control.errands import Adopt, Release, Relocate, RollBack
from copyagent.control.protocol import parse_where
from vtsfs.contract.naming import TapeId

_BECAUSE = click.option("--because", required=True, metavar="TEXT", help="Why; it goes on record.")
_YES = click.option("--yes", is_flag=True, help="Do not ask.")
_TARGET = click.option("--target", metavar="TARGET", help="At this target alone.")


@click.command()
@click.argument("tape")
@_BECAUSE
@click.option(
    "--overwrite-target",
    is_flag=True,
    help="Also replace a file at the target that was not copied from here, as it is there now.",
)
@_YES
@as_json_option
@click.pass_obj
def release(
    config: Path, tape: str, because: str, *, overwrite_target: bool, yes: bool, as_json: bool
) -> None:
    """Let a held TAPE be copied after all, on your responsibility."""
    name = TapeId.parse(tape)
    if overwrite_target:
        confirm(f"Replace what the target has as {name}? It is gone then.", yes=yes)
    tell(config, Release(name, because, overwrite_target), as_json=as_json)


@click.command()
@click.argument("tape")
@_BECAUSE
@_YES
@as_json_option
@click.pass_obj
def relocate(config: Path, tape: str, because: str, *, yes: bool, as_json: bool) -> None:
    """Move the file with TAPE's label, which the target has elsewhere, to where TAPE belongs.

    Then it is compared, and only what differs is sent.
    """
    name = TapeId.parse(tape)
    confirm(f"Move the target's file of that label to the place of {name}?", yes=yes)
    tell(config, Relocate(name, because), as_json=as_json)


@click.command()
@click.argument("where", metavar="TAPE|POOL")
@_TARGET
@because_option
@as_json_option
@click.pass_obj
def adopt(config: Path, where: str, target: str | None, *, because: str, as_json: bool) -> None:
    """Take what the target has as the copy of TAPE, or of all tapes of POOL, if it is equal.

    For a target that got its first tapes on disks or by another program. Nothing is sent; what is
    not equal is held.
    """
    tell(config, Adopt(parse_where(where), target, because), as_json=as_json)


@click.command()
@click.argument("tape")
@click.option("--generation", required=True, type=click.IntRange(0), metavar="N", help="Which one.")
@_BECAUSE
@_TARGET
@_YES
@as_json_option
@click.pass_obj
def rollback(
    config: Path,
    tape: str,
    generation: int,
    because: str,
    *,
    target: str | None,
    yes: bool,
    as_json: bool,
) -> None:
    """Give TAPE's name at the target back to a former generation that is kept there.

    The present one is kept in its place. Nothing newer is copied until the tape is released, or a
    newer generation is complete.
    """
    name = TapeId.parse(tape)
    confirm(f"Put generation {generation} of {name} in the present one's place?", yes=yes)
    tell(config, RollBack(name, generation, because, target), as_json=as_json)
