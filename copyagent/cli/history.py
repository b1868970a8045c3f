"""``copyagent history``: what became of copies, from the agent's record of it."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import click

from copyagent.cli import csv_rows
from copyagent.cli.asking import settings_to_ask_by
from copyagent.cli.console import LOOK_S, console, is_screen, line_of
from copyagent.cli.entry_text import entry_text
from copyagent.cli.spans import span_of, span_options
from copyagent.control.client import ask
from copyagent.control.inquiries import History
from copyagent.control.protocol import parse_where
from vtsfs.contract.errors import AgentUnreachable, StateError, UsageError
from vtsfs.contract.naming import PoolId, TapeId
from vtsfs.contract.near_names import hint
from vtsfs.contract.settings import Settings

#: Shown unless something else is asked for.
USUAL = 100

#: The columns of ``--csv``: they stay, and what is new comes into ``more``.
COLUMNS = (
    *("number", "at", "kind", "tape", "target", "generation", "settings"),
    *("verdict", "row", "overlay", "host", "mounted", "opened", "ended", "sessions", "wrote"),
    *("bytes", "changes", "again", "action", "copy_to", "held_at"),
    *("size", "modified", "way", "sent", "skipped", "resumed", "took_s", "attempts"),
    *("sha256", "root", "verified", "published", "reason", "cause"),
    *("message", "severity", "text", "user", "object", "because", "old", "new", "how"),
    *("count", "first", "last", "until", "chain"),
)

Document = dict[str, Any]


@click.command()
@click.argument("where", metavar="[TAPE|POOL]", required=False)
@span_options
@click.option("--failed", is_flag=True, help="Only what went wrong: given up, held, doubted.")
@click.option("--last", "-n", metavar="N", type=click.IntRange(1), help="Only the newest N.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document a line instead.")
@click.option("--csv", "as_csv", is_flag=True, help="Print comma-separated values (RFC 4180).")
@click.option("--verify", is_flag=True, help="Check that no entry was changed or is missing.")
@click.option("--known", multiple=True, metavar="NUMBER:HASH", help="Noted down at a check before.")
@click.option("--file", type=click.Path(path_type=Path), help="Check this copy of a state file.")
@click.option("--event-log", type=click.Path(path_type=Path), help="Compare with this event log.")
@click.option("--settings", metavar="SHA256", help="Print settings that were in force, redacted.")
@click.pass_obj
def history(
    config: Path,
    *,
    where: str | None,
    since: str | None,
    begin: str | None,
    end: str | None,
    local: bool,
    failed: bool,
    last: int | None,
    as_json: bool,
    as_csv: bool,
    verify: bool,
    known: tuple[str, ...],
    file: Path | None,
    event_log: Path | None,
    settings: str | None,
) -> None:
    """Show what became of copies: when, how, how much was sent, how it was proven."""
    if verify or settings is not None:
        from copyagent.cli import history_verify

        if verify:
            history_verify.verify_history(
                config, file=file, event_log=event_log, known=known, as_json=as_json
            )
        else:
            history_verify.show_settings(config, settings or "")
        return
    if known or file is not None or event_log is not None:
        raise UsageError("--known, --file and --event-log belong to --verify")
    if as_json and as_csv:
        raise UsageError("--json and --csv are two forms of the same; choose one")
    span = span_of(since=since, begin=begin, end=end, local=local)
    request = History(
        where=None if where is None else parse_where(where),
        since_ns=span.from_ns,
        until_ns=span.to_ns,
        failed=failed,
        last=last or (0 if span.bounded else USUAL),
    )
    width = console().width if is_screen() else None
    if as_csv:
        click.echo(csv_rows.header(COLUMNS), nl=False)
    found, loaded = False, settings_to_ask_by(config)
    for entry in map(span.show, entries(loaded, request)):
        found = True
        if as_csv:
            click.echo(csv_rows.row(entry, COLUMNS), nl=False)
        else:
            click.echo(line_of(entry) if as_json else entry_text(entry, width))
    if not found:
        tell_that_nothing_is_known(loaded, request.where)


def tell_that_nothing_is_known(settings: Settings, where: TapeId | PoolId | None) -> None:
    """Say that nothing is on record of *where*; raise `UsageError` if that is a name of nothing."""
    if where is None:
        return
    pool = where.pool_id if isinstance(where, TapeId) else where
    watched = sorted({str(entry.pool) for entry in settings.autocopy})
    if str(pool) not in watched:
        raise UsageError(
            f"nothing is on record of {where}, and no pool {pool} is watched"
            f"{hint(str(pool), watched)}"
        )
    click.echo(f"nothing is on record of {where} in that time", err=True)


def entries(settings: Settings, request: History, *, tell: bool = True) -> Iterator[Document]:
    """Go through all that fits *request*, a page at a time.

    Where no agent answers, its state file is read, which is told unless *tell* is false; raises
    `AgentUnreachable` if this user may not.
    """
    ask_for = _pages(settings, request, tell=tell)
    following: History | None = request
    while following is not None:
        page = ask_for(following)
        yield from page["entries"]
        after = page["next"]
        following = None if after is None else replace(following, after=after, last=0)


def _pages(settings: Settings, request: History, *, tell: bool) -> Callable[[History], Document]:
    """Return how a page is asked for: of the agent or, if none answers, of its state file."""
    try:
        first = ask(settings.control_socket(), request, timeout=LOOK_S)
    except AgentUnreachable as error:
        from copyagent.history_pages import history_page
        from copyagent.state.history_file import find_in_file, state_file

        find = partial(find_in_file, state_file(settings))
        try:
            first = history_page(find, request)
        except StateError as unread:
            raise AgentUnreachable(f"{error}; {unread}") from unread
        if tell:
            click.echo("No agent answers: read from its state file.", err=True)
        return lambda asked: first if asked is request else history_page(find, asked)

    def page(asked: History) -> Document:
        found: Document = (
            first if asked is request else ask(settings.control_socket(), asked, timeout=LOOK_S)
        )
        return found

    return page
