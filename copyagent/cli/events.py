"""``copyagent events``: what the hosts said, and how it was read."""

import select
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from copyagent.cli.asking import settings_to_ask_by
from copyagent.cli.console import LOOK_S, console, is_screen, line_of, printable
from copyagent.cli.display import folded
from copyagent.cli.hosts import host_named
from copyagent.control.client import ask
from copyagent.control.protocol import MAX_EVENTS, MAX_WAIT, Events
from copyagent.core.readings import signal_in_words
from vtsfs.contract.errors import UsageError
from vtsfs.contract.naming import TapeId
from vtsfs.contract.settings import Settings
from vtsfs.contract.signals import Signal
from vtsfs.contract.units import parse_duration

#: Shown unless something else is asked for; before what is to follow fewer do.
USUAL, USUAL_BEFORE = 100, 10

Document = dict[str, Any]


@click.command()
@click.option("--host", metavar="HOST", help="Only what this host said.")
@click.option("--tape", metavar="TAPE", help="Only what concerns this tape, or its label.")
@click.option("--since", metavar="AGE", help="Only what came in the last 30m, 1h, 2d...")
@click.option("--unknown", is_flag=True, help="Only what was not understood, and gaps.")
@click.option("--overlay", is_flag=True, help="Also what the overlays reported.")
@click.option("--last", "-n", metavar="N", type=click.IntRange(1, MAX_EVENTS), help="At most N.")
@click.option("--follow", is_flag=True, help="Go on with what comes, until interrupted.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document a line instead.")
@click.pass_obj
def events(
    config: Path,
    *,
    host: str | None,
    tape: str | None,
    since: str | None,
    unknown: bool,
    overlay: bool,
    last: int | None,
    follow: bool,
    as_json: bool,
) -> None:
    """Show what the NonStop hosts said, and how each event was read."""
    if overlay and follow:
        raise UsageError("--overlay shows what is kept, --follow what comes; choose one")
    settings = settings_to_ask_by(config)
    usual = MAX_EVENTS if since else USUAL_BEFORE if follow else USUAL
    request = Events(
        host=None if host is None else host_named(settings, host),
        tape=None if tape is None else TapeId.parse(tape),
        since_ns=0 if since is None else _ago(since),
        unknown=unknown,
        overlay=overlay,
        most=last or usual,
    )
    document = ask(settings.control_socket(), request, timeout=LOOK_S)
    if document["left_out"] and last is None and not follow:
        click.echo(f"{document['left_out']} older ones are not shown (--last N)", err=True)
    told = sorted(
        [*document["events"], *document.get("signals", ())], key=lambda entry: str(entry["at"])
    )
    _show(told, as_json=as_json)
    if follow:
        _follow(settings, request, document["newest"], as_json=as_json)


def _ago(age: str) -> int:
    try:
        return time.time_ns() - round(parse_duration(age) * 1e9)
    except ValueError as error:
        raise UsageError(f"--since {error}") from error


def _follow(settings: Settings, request: Events, newest: int, *, as_json: bool) -> None:
    """Ask for what is new, again and again; the agent answers when there is something."""
    while True:
        more = replace(request, after=newest, since_ns=0, most=MAX_EVENTS, wait=MAX_WAIT)
        document = ask(settings.control_socket(), more, timeout=MAX_WAIT + LOOK_S)
        missed = max(document["oldest"] - newest - 1, 0) + document["left_out"]
        if missed:
            click.echo(f"{missed} events came too fast to be shown", err=True)
        _show(document["events"], as_json=as_json)
        newest = document["newest"]
        if not _is_read():
            raise BrokenPipeError


def _is_read() -> bool:
    """Tell whether somebody still reads what is printed: a quiet host must not keep us here."""
    try:
        output = select.poll()
        output.register(sys.stdout, 0)
        return not any(event & select.POLLERR for _, event in output.poll(0))
    except (OSError, ValueError):
        return True  # no file at all


def _show(listed: list[Document], *, as_json: bool) -> None:
    width = console().width if is_screen() else None
    for event in listed:
        click.echo(line_of(event) if as_json else event_text(event, width))


def event_text(event: Document, width: int | None) -> str:
    """Show one event: when, from which host, how it was read, for which tapes, and as printed.

    On *width* columns it is a paragraph, without a width (None) one line.
    """
    if "signal" in event:
        return f"{event['at']} overlay: {signal_in_words(Signal.from_mapping(event['signal']))}"
    tapes = f" -> {', '.join(event['tapes'])}" if event["tapes"] else ""
    head = printable(f"{event['at']} {event['host']}: {event['reading']}{tapes}")
    printed = "" if event["text"] is None else printable(as_printed(event))
    if width is None:
        return f"{head} | {printed}" if printed else head
    return "\n".join(folded(line, width) for line in (head, f"    {printed}") if line.strip())


def as_printed(event: Document) -> str:
    """Write an event's header and text as the host's distributor prints them."""
    sender = ".".join(filter(None, (event["node"], event["process"])))
    utc = f" ({event['printed_at_utc']})" if event["printed_at_utc"] else ""
    mark = "*" if event["critical"] else ""
    number = f"{event['event']:06}"
    return f"{event['printed_at']}{utc} {sender} {mark}{event['ssid']} {number} {event['text']}"
