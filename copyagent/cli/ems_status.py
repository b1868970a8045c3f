"""``copyagent ems status``: how each host link stands."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from copyagent.cli.asking import settings_to_ask_by
from copyagent.cli.console import LOOK_S, console, is_screen, printable
from copyagent.cli.display import folded
from copyagent.cli.snapshot import last_known
from copyagent.control.client import ask
from copyagent.control.protocol import Status
from vtsfs.contract.errors import AgentUnreachable
from vtsfs.contract.units import format_count, format_duration

#: How many of the latest lines that were no events are shown.
GARBAGE_SHOWN = 3

Document = dict[str, Any]


def show_links(config: Path, *, as_json: bool) -> None:
    """Show the links of the agent that runs, or the last known ones; then the status is 40."""
    settings = settings_to_ask_by(config)
    try:
        document = ask(settings.control_socket(), Status(), timeout=LOOK_S)
    except AgentUnreachable as error:
        known = last_known(settings)
        if known is None:
            raise
        _show(known, as_json=as_json, stale=True)
        raise AgentUnreachable(f"{error}; what is shown is of {known['at']}") from error
    _show(document, as_json=as_json)


def _show(document: Document, *, as_json: bool, stale: bool = False) -> None:
    if as_json:
        told = {key: document[key] for key in ("schema", "system", "at", "hosts")}
        click.echo(json.dumps(told | ({"stale": True} if stale else {}), indent=1))
        return
    if stale:
        click.echo(f"The agent is NOT running. Its last known state, of {document['at']}:\n")
    width = console().width if is_screen() else None
    if not document["hosts"]:
        click.echo("No host is listened to: ems.hosts of the settings names none.")
    for host in document["hosts"]:
        for line in link_lines(host):
            click.echo(printable(line) if width is None else folded(printable(line), width))


def link_lines(host: Document) -> Iterator[str]:
    """Show the link to one host as a heading and lines below it.

    A document of an older agent has fewer keys.
    """
    state = "up" if host["up"] else "DOWN"
    way = f" ({host['access']} {host['address']})" if "access" in host else ""
    yield f"{host['host']}{way}: {state} since {host['since'] or 'the beginning'}"
    if host["trouble"]:
        yield f"    trouble: {host['trouble']}"
    if host.get("alarm"):
        yield f"    {_alarm(host)}"
    yield f"    last event: {_last_event(host)}"
    yield f"    heard: {_heard(host)}"
    if host.get("other_events"):
        others = host["other_events"].items()
        listed = ", ".join(f"{count} {name or '(more)'}" for name, count in others)
        yield f"    other subsystems: {listed}"
    if "gaps" in host:
        yield f"    the link: {_history(host)}"
    if (host.get("asked") or {}).get("latest"):
        yield f"    asked by VTSPolicy: {_asked(host['asked'])}"
    if host.get("notify"):
        yield f"    told to the host: {_notify(host['notify'])}"
    for line in (host.get("garbage") or [])[-GARBAGE_SHOWN:]:
        yield f"    not an event: {line}"


def _alarm(host: Document) -> str:
    if host["up"]:
        return f"its loss was told {host['alarm']}; it counts as back once it has stayed up"
    return f"lost since {host['lost_since']}; the alarm was given {host['alarm']}"


def _last_event(host: Document) -> str:
    if not host["last_event"]:
        return "none"
    ago = "" if host.get("silent_s") is None else f", {format_duration(host['silent_s'])} ago"
    clock = ""
    if host.get("last_printed_at"):
        utc = host.get("last_printed_at_utc")
        clock = f"; the host's clock showed {host['last_printed_at']}{f' ({utc})' if utc else ''}"
    return f"{host['last_event']}{ago}{clock}"


def _heard(host: Document) -> str:
    unread, garbage = host.get("unrecognised", 0), host.get("garbage_lines", 0)
    return (
        f"{format_count(host['events'], 'event')} about tapes, {unread} not understood; "
        f"{format_count(garbage, 'line')} belonged to no event"
    )


def _history(host: Document) -> str:
    told = [format_count(host.get("connections", 0), "connection")]
    told.append(f"lost {format_count(host['losses'], 'time')}")
    gaps = format_count(host["gaps"], "gap")
    if host["last_gap"]:
        gaps += f", the last {host['last_gap']}: {host['last_gap_why']}"
    told.append(gaps)
    if host["up"]:
        told.append("caught up" if host["caught_up"] else "NOT caught up yet")
    return "; ".join(told)


def _asked(asked: Document) -> str:
    refused = asked["refused"] + asked["too_many"]
    told = f"{asked['obeyed']} obeyed, {refused} refused, {asked['left_alone']} left alone"
    told += f", {asked['elsewhere']} for other systems"
    return f"{told}; the latest, {asked['latest_at']}: {asked['latest']}"


def _notify(notify: Document) -> str:
    told = f"{notify['told']} told, {notify['waiting']} waiting, {notify['dropped']} given up"
    return f"{told}; {notify['trouble']}" if notify["trouble"] else told
