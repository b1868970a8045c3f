"""``copyagent ems test``: one link tried out, step by step, beside whatever agent runs."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import trio

from copyagent.access import dial_of, link_of
from copyagent.cli.console import printable
from copyagent.cli.events import event_text
from copyagent.cli.hosts import host_named
from copyagent.core.host_events import HostEvent, LinkTrouble
from copyagent.core.host_report import event_document, zone_of
from copyagent.core.journal import Journal
from copyagent.core.time import Moment
from copyagent.ems.dialogue import LinkFailure
from copyagent.ems.link_settings import LinkSettings
from copyagent.ems.trial import Trial, last_events, try_link
from copyagent.ssh.bridge import open_bridge
from vtsfs.contract.errors import (
    DistributorFailed,
    HostKeyRejected,
    LinkFailed,
    LinkTimedOut,
    LogOnRefused,
    PromptUnexpected,
)
from vtsfs.contract.settings import Settings
from vtsfs.contract.settings_file import read_settings
from vtsfs.contract.units import format_count

#: Version of the document that ``--json`` prints.
SCHEMA = 1

#: How many of the events that came are shown.
MOST_SHOWN = 10

ERRORS = {
    LinkTrouble.UNREACHABLE: LinkFailed,
    LinkTrouble.TIMED_OUT: LinkTimedOut,
    LinkTrouble.HOST_KEY_REJECTED: HostKeyRejected,
    LinkTrouble.NO_AGREEMENT: LinkFailed,
    LinkTrouble.LOGIN_REFUSED: LogOnRefused,
    LinkTrouble.NO_TERMINAL: DistributorFailed,
    LinkTrouble.UNEXPECTED_PROMPT: PromptUnexpected,
    LinkTrouble.DISTRIBUTOR_FAILED: DistributorFailed,
    LinkTrouble.DISCONNECTED: LinkFailed,
    LinkTrouble.SILENT: LinkTimedOut,
    LinkTrouble.FILE_UNREADABLE: LinkFailed,
}

Document = dict[str, Any]


@dataclass(slots=True)
class _Log:
    """The steps as they are passed; shown at once unless JSON is wanted."""

    quiet: bool
    begun: float = field(default_factory=time.monotonic)
    steps: list[Document] = field(default_factory=list)

    def __call__(self, step: str) -> None:
        at = round(time.monotonic() - self.begun, 3)
        self.steps.append({"at_s": at, "step": step})
        if not self.quiet:
            click.echo(f"{at:+9.3f} s  {printable(step)}")


def run_trial(config: Path, host: str, *, wait: float, as_json: bool) -> None:
    """Try the link to *host*, waiting up to *wait* seconds; raise the error that ends it."""
    settings = read_settings(config)
    name = host_named(settings, host)
    link, log = link_of(settings, name), _Log(quiet=as_json)
    if not as_json:
        where = link.file if link.access == "file" else f"{link.address} port {link.port}"
        click.echo(f"{name}: {link.access} {where}")
    made = trio.run(_run, link, wait, log, strict_exception_groups=True)
    document = trial_document(settings, name, log.steps, made)
    if as_json:
        click.echo(json.dumps(document, indent=1))
    else:
        for line in _lines(document, wait):
            click.echo(line)
    if made.failure is not None:
        raise ERRORS[made.failure.trouble](made.failure.sentence(name))


async def _run(link: LinkSettings, wait: float, log: _Log) -> Trial:
    dial = dial_of(link)
    if link.access == "ssh":
        async with open_bridge():
            return await try_link(link, dial=dial, wait=wait, told=log)
    if link.file is None or link.access != "file":
        return await try_link(link, dial=dial, wait=wait, told=log)
    made = await try_link(link, dial=dial, wait=0, told=log)
    if made.failure is None:
        try:
            made.tally.events, made.events = last_events(link.host, link.file)
        except OSError as error:
            step = f"{link.file}: {error.strerror}"
            made.failure = LinkFailure(LinkTrouble.FILE_UNREADABLE, step)
    return made


def trial_document(settings: Settings, name: str, steps: list[Document], made: Trial) -> Document:
    """Return how a trial of the link to host *name* went."""
    failure = made.failure
    return {
        "schema": SCHEMA,
        "host": name,
        "access": settings.ems.hosts[name].access,
        "ok": failure is None,
        "steps": steps,
        "events": made.tally.events,
        "garbage_lines": made.tally.garbage_lines,
        "garbage": made.tally.latest_garbage,
        "latest": _events(settings, name, made.events[-MOST_SHOWN:]),
        "failure": None
        if failure is None
        else {
            "trouble": failure.trouble.value,
            "step": failure.step,
            "expected": failure.expected or None,
            "came": failure.came or None,
            "text": failure.sentence(name),
        },
    }


def _events(settings: Settings, name: str, events: list[HostEvent]) -> list[Document]:
    journal = Journal()
    for event in events:
        journal.add(event, [], Moment(0.0, time.time_ns()))
    return [event_document(entry, zone_of(settings, name)) for entry in journal.entries]


def _lines(document: Document, wait: float) -> Iterator[str]:
    for line in document["garbage"]:
        yield f"    not an event: {printable(line)}"
    for event in document["latest"]:
        yield f"    {event_text(event, None)}"
    if not document["ok"]:
        return
    count, about = document["events"], len(document["latest"])
    if document["access"] == "file":
        yield f"the end of the file holds {format_count(count, 'event')}"
    elif count:
        yield f"events flow: {count} came, {about or 'none'} of them about tapes"
    else:
        yield f"no event within {wait:g} s; the link works, and the host had nothing to say"
