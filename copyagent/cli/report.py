"""``copyagent report``: how soon copies followed dismounts, and the proof of each."""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from copyagent.cli import csv_rows
from copyagent.cli.asking import settings_to_ask_by
from copyagent.cli.console import LOOK_S, console, is_screen, line_of, printable
from copyagent.cli.display import folded, how_proven
from copyagent.cli.entry_text import entry_text
from copyagent.cli.history import Document, entries, tell_that_nothing_is_known
from copyagent.cli.patience import patience
from copyagent.cli.report_display import figures_shown
from copyagent.cli.spans import Span, span_of, span_options
from copyagent.control.client import ask
from copyagent.control.inquiries import History
from copyagent.control.protocol import Status, parse_where
from copyagent.core.history import Kind
from copyagent.core.proofs import OWING, SETTLING, Matching, Proof, evidence
from copyagent.core.service_level import Asked, Goal, ServiceLevel, parse_goal, percent_text
from vtsfs.contract.errors import Unprotected, UsageError, VtsError
from vtsfs.contract.naming import PoolId, TapeId
from vtsfs.contract.settings import Settings
from vtsfs.contract.units import format_duration, parse_duration

_T = TypeVar("_T")

#: The columns of ``--csv``: they stay, and what is new comes into ``more``.
COLUMNS = (
    *("kind", "number", "at", "tape", "target", "generation"),
    *("verdict", "row", "overlay", "host", "mounted", "opened", "ended", "sessions", "wrote"),
    *("bytes", "size", "modified", "changes", "again"),
    *("outcome", "took_s", "copy", "copy_generation", "published", "sha256", "root", "verified"),
    *("way", "sent", "attempts", "reason", "cause"),
    *("user", "action", "object", "because", "old", "new"),
    *("message", "severity", "text", "settings", "chain"),
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line says."""

    span: Span
    where: TapeId | PoolId | None
    goal: Goal

    def asked(self, now_ns: int) -> Asked:
        """Return the time that is asked about."""
        return Asked(self.span.from_ns, self.span.to_ns or now_ns, now_ns)


@click.command()
@click.argument("where", metavar="[TAPE|POOL]", required=False)
@span_options
@click.option(
    "--within", metavar="TIME", default="15m", help="How soon a copy has to follow (default 15m)."
)
@click.option("--goal", metavar="PERCENT", help="End with status 50 if less is copied in time.")
@click.option("--proofs", is_flag=True, help="Every dismount with its proof instead of figures.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON: a document, or one a proof.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the proofs as a table (RFC 4180).")
@click.pass_obj
def report(
    config: Path,
    *,
    where: str | None,
    since: str | None,
    begin: str | None,
    end: str | None,
    local: bool,
    within: str,
    goal: str | None,
    proofs: bool,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Tell how many dismounts were copied in time, which were not, and why; or prove each."""
    if as_json and as_csv:
        raise UsageError("--json and --csv are two forms of the same; choose one")
    if goal is not None and (proofs or as_csv):
        raise UsageError("--goal judges the figures; leave --proofs and --csv out for them")
    wanted = Wanted(
        span_of(since=since, begin=begin, end=end, local=local),
        None if where is None else parse_where(where),
        Goal(
            _read("--within", parse_duration, within),
            None if goal is None else _read("--goal", parse_goal, goal),
        ),
    )
    settings = settings_to_ask_by(config)
    if proofs or as_csv:
        _prove(settings, wanted, as_json=as_json, as_csv=as_csv)
    else:
        _judge(settings, wanted, as_json=as_json)


def _read(option: str, reader: Callable[[str], _T], text: str) -> _T:
    try:
        return reader(text)
    except ValueError as error:
        raise UsageError(f"{option} {error}") from error


def _judge(settings: Settings, wanted: Wanted, *, as_json: bool) -> None:
    """Print the figures; raise `Unprotected` if the goal is missed."""
    level = ServiceLevel(wanted.asked(time.time_ns()), wanted.goal)
    with patience("the history is read"):
        for entry, proofs in walk(settings, wanted, level.asked):
            if entry is not None:
                level.saw(entry)
            for proof in proofs:
                level.add(proof)
    if not level.kinds:
        tell_that_nothing_is_known(settings, wanted.where)
    document = {"system": settings.system.name, **level.document(_live(settings, wanted))}
    shown = wanted.span.show(document)
    if as_json:
        click.echo(json.dumps(shown, indent=1))
    else:
        screen = console()
        screen.print(figures_shown(shown, screen.width, wanted.goal))
    if level.met is False and wanted.goal.percent is not None:
        raise Unprotected(
            f"the goal of {percent_text(wanted.goal.percent)} % within "
            f"{format_duration(wanted.goal.within_s)} is missed"
        )


def _prove(settings: Settings, wanted: Wanted, *, as_json: bool, as_csv: bool) -> None:
    """Print every dismount with its proof, when it is there, and what else happened."""
    width = console().width if is_screen() else None
    if as_csv:
        click.echo(csv_rows.header(COLUMNS), nl=False)
    found = False
    for entry, proofs in walk(settings, wanted, wanted.asked(time.time_ns())):
        found = found or entry is not None
        for made in _lines(entry, proofs):
            line = wanted.span.show(made)
            if as_csv:
                click.echo(csv_rows.row(line, COLUMNS), nl=False)
            else:
                click.echo(line_of(line) if as_json else proof_text(line, width))
    if not found:
        tell_that_nothing_is_known(settings, wanted.where)


def _lines(entry: Document | None, proofs: list[Proof]) -> Iterator[Document]:
    """A copy that proves dismounts stands in their lines; everything else has a line of its own."""
    yield from map(evidence, proofs)
    if entry is None or entry["kind"] in OWING:
        return
    if entry["kind"] != Kind.COPIED or not proofs:
        yield entry


def walk(
    settings: Settings, wanted: Wanted, asked: Asked
) -> Iterator[tuple[Document | None, list[Proof]]]:
    """Go through the time asked about, with what each entry proves; then through what is left.

    After that time it is looked only for what settles the dismounts in it, until nothing is open.
    """
    matching = Matching()
    within = History(wanted.where, since_ns=asked.from_ns, until_ns=asked.to_ns)
    for entry in entries(settings, within):
        yield entry, list(matching.take(entry))
    if matching.open and wanted.span.to_ns:
        after = History(wanted.where, since_ns=asked.to_ns, kinds=SETTLING)
        for entry in entries(settings, after, tell=False):
            yield None, list(matching.settle(entry))
            if not matching.open:
                break
    yield None, list(matching.rest())


def _live(settings: Settings, wanted: Wanted) -> dict[tuple[str, str], str]:
    """Return why what is open is open, in the agent's present words; nothing if it cannot say."""
    if wanted.span.to_ns:
        return {}
    try:
        status: Any = ask(settings.control_socket(), Status(), timeout=LOOK_S)
    except VtsError:
        return {}
    return {
        (entry["tape"], entry["target"]): ": ".join(filter(None, (entry["state"], entry["why"])))
        for entry in status["attention"]
    }


def proof_text(line: Document, width: int | None) -> str:
    """Show one line of ``--proofs`` for people: on *width* columns, or (None) on one line."""
    if line["kind"] not in OWING:
        return entry_text(line, width)
    to = f" to {line['target']}" if line["target"] else ""
    text = (
        f"{line.get('ended') or line['at']} {line['tape']} {line['kind']} "
        f"({line.get('verdict', '')}), generation {line['generation']}{to}: {line['outcome']}"
    )
    if line["copy"] is not None:
        sha256 = f", sha256 {line['sha256']}" if line["sha256"] else ""
        text += (
            f" {line['published']}, after {format_duration(line['took_s'])}, "
            f"{how_proven(line['verified'])}{sha256}, chunk map {line['root']}"
        )
    elif line["cause"]:
        text += f": {line['cause']}"
    text = printable(text)
    return text if width is None else folded(text, width)
