"""``copyagent tapes`` and ``queue``: every tape with its state, and what is pending in its order."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from copyagent.cli.asking import asked, settings_to_ask_by
from copyagent.cli.console import LOOK_S, console, is_screen, line_of, print_document, printable
from copyagent.cli.display import folded, state_of
from copyagent.control.client import ask
from copyagent.control.listings import MOST_QUEUED, Queue, Tapes
from copyagent.core.shown_states import states_named
from vtsfs.contract.naming import PoolId, TapeId
from vtsfs.contract.units import format_size

Document = dict[str, Any]

#: So much of each target's queue is shown unless more is asked for.
USUAL = 100

#: The least columns on which a queue is a table.
ROOMY = 120


@click.command()
@click.option(
    "--state", "states", multiple=True, metavar="STATE", help="Only in this state; can be repeated."
)
@click.option(
    "--pool", "pools", multiple=True, metavar="POOL", help="Only of this pool; can be repeated."
)
@click.option("--target", default="", metavar="TARGET", help="Only at this target.")
@click.option("--unprotected", is_flag=True, help="Only what the target lacks.")
@click.option("--kept-back", is_flag=True, help="Only what an operator holds, also ahead of time.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document a line instead.")
@click.pass_obj
def tapes(
    config: Path,
    *,
    states: tuple[str, ...],
    pools: tuple[str, ...],
    target: str,
    unprotected: bool,
    kept_back: bool,
    as_json: bool,
) -> None:
    """List the tapes: the state of each at each target, since when, why, and what is next."""
    settings = settings_to_ask_by(config)
    for state in states:
        states_named(state)
    chosen = tuple(PoolId.parse(pool) for pool in pools)
    width, count = console().width if is_screen() else None, 0
    for copy in listed(
        settings.control_socket(), Tapes(states, chosen, target, unprotected, kept_back=kept_back)
    ):
        click.echo(line_of(copy) if as_json else copy_text(copy, width))
        count += 1
    if not as_json and not count:
        click.echo("no tape is unprotected" if unprotected else "there is no such tape")


def listed(socket: Path, request: Tapes) -> Iterator[Document]:
    """Go through all that fits *request*, a page at a time; raises what `ask` raises."""
    following: Tapes | None = request
    while following is not None:
        page = ask(socket, following, timeout=LOOK_S)
        yield from page["tapes"]
        after = page["next"]
        following = None if after is None else replace(following, after=TapeId.parse(after))


def copy_text(copy: Document, width: int | None) -> str:
    """Show one tape at one target: on *width* columns as a paragraph, without a width on one line."""
    since = f" since {copy['since']}" if copy["since"] else ""
    head = f"{copy['tape']} to {copy['target']}: {state_of(copy)}{since}: {copy['why']}"
    if width is None:
        return f"{head} | next: {copy['next']}"
    return "\n".join((folded(head, width), folded(f"    next: {copy['next']}", width)))


@click.command()
@click.option("--target", default="", metavar="TARGET", help="Only this target's.")
@click.option(
    "--first", "-n", metavar="N", type=click.IntRange(1, MOST_QUEUED), help="At most N a target."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document instead.")
@click.pass_obj
def queue(config: Path, *, target: str, first: int | None, as_json: bool) -> None:
    """Show what is being copied and what is next, in the order of its turn, with what it waits for."""
    document = asked(config, Queue(target, first or (MOST_QUEUED if as_json else USUAL)))
    width = console().width if is_screen() else None
    print_document(document, shown_queue(document, width), as_json=as_json)


def shown_queue(document: Document, width: int | None) -> RenderableType:
    """Show a queue document: for each target how much there is, and its first copies in a table.

    On fewer than `ROOMY` columns each copy is a paragraph: a table would cut names and times.
    """
    return Group(*_queues(document, width))


def _queues(document: Document, width: int | None) -> Iterator[RenderableType]:
    for number, target in enumerate(document["targets"]):
        if number:
            yield Text("")
        size = format_size(target["bytes"])
        counts = f"{target['running']} running, {target['pending']} pending"
        yield Text(f"{target['target']}: {counts}, at most {size} to send")
        if target["copies"]:
            if width is None or width >= ROOMY:
                yield _table(target["copies"])
            else:
                yield Text("\n".join(_paragraph(copy, width) for copy in target["copies"]))
        if target["left_out"]:
            yield Text(f"  ... and {target['left_out']} more (--first N shows more of them)")


def _table(copies: list[Document]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "Tape", "State", "Attempt", "Due", "To send", "Why"):
        table.add_column(column, overflow="fold", justify="right" if not column else "left")
    for copy in copies:
        table.add_row(
            _place(copy),
            copy["tape"],
            state_of(copy),
            _attempt(copy),
            copy["due"] or "now",
            format_size(copy["bytes"]),
            copy["why"],
        )
    return table


def _paragraph(copy: Document, width: int) -> str:
    due, size = copy["due"] or "now", format_size(copy["bytes"])
    head = f"{_place(copy)}  {copy['tape']}: attempt {_attempt(copy)}, due {due}, {size} to send"
    return "\n".join(
        (folded(head, width), folded(f"    {state_of(copy)}: {printable(copy['why'])}", width))
    )


def _place(copy: Document) -> str:
    return ">" if copy["place"] == 0 else str(copy["place"])


def _attempt(copy: Document) -> str:
    # An attempt that runs is the next after those that have failed.
    return f"{copy.get('attempts', 0) + 1}/{copy.get('attempts_of', '?')}"
