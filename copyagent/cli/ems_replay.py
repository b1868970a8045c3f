"""``copyagent ems replay``: a recorded history through the parser and an engine of its own."""

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from copyagent.cli.console import console, is_screen, printable
from copyagent.cli.display import folded, verdict_lines
from copyagent.cli.hosts import host_named
from copyagent.core.host_report import zone_of
from copyagent.core.rehearsal import Happening, Rehearsal, Step
from copyagent.core.timeline import Instant, beginning
from copyagent.ems.recording import Recording, read_recording
from vtsfs.contract.errors import UsageError
from vtsfs.contract.settings import Settings
from vtsfs.contract.settings_file import read_settings
from vtsfs.contract.units import format_count

#: Version of the document that ``--json`` prints.
SCHEMA = 1

Document = dict[str, Any]


def run_replay(
    config: Path, file: Path, overlay: Path | None, host: str | None, *, as_json: bool
) -> None:
    """Play *file*, and *overlay* with it; raise `UsageError` for what cannot be played."""
    settings = read_settings(config)
    name = _host(settings, host)
    session = _read(settings, file, name)
    history = Recording() if overlay is None else _read(settings, overlay, None)
    rehearsal = Rehearsal(settings, _in_order([*session.happened, *history.happened]))
    rehearsal.play()
    document = replay_document(settings, rehearsal, session, name)
    if as_json:
        click.echo(json.dumps(document, indent=1))
        return
    width = console().width if is_screen() else None
    for line in _lines(document):
        click.echo(printable(line) if width is None else folded(printable(line), width))


def _host(settings: Settings, name: str | None) -> str | None:
    """The host may be left out where there is only one."""
    if name is not None:
        return host_named(settings, name)
    hosts = list(settings.ems.hosts)
    return hosts[0] if len(hosts) == 1 else None


def _read(settings: Settings, file: Path, host: str | None) -> Recording:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    zone = None if host is None else zone_of(settings, host)
    recording = read_recording(data, str(file), host, zone)
    unknown = {h.host for _, h in recording.happened if hasattr(h, "host")} - set(
        settings.ems.hosts
    )
    if unknown:
        raise UsageError(f"{file}: ems.hosts of the settings has no {', '.join(sorted(unknown))}")
    return recording


def _in_order(happened: list[tuple[Instant | None, Any]]) -> list[Happening]:
    """Put everything on one line of time; what has no time of its own follows what stands above."""
    begun = beginning(at for at, _ in happened if at is not None)
    placed, last = [], begun
    for at, event in happened:
        if at is not None:
            last = at.ns if at.dated else begun + at.ns
        placed.append(Happening(last, event))
    return placed


def _clock(settings: Settings, session: Recording, host: str | None) -> str:
    """Say where the times of the events are from: a guess that puts both witnesses wrong is seen."""
    if not session.guessed or host is None:
        return "arrival"
    zone = settings.ems.hosts[host].timezone
    return f"the host's own, as {zone}" if zone else "the host's own, taken for UTC"


def replay_document(
    settings: Settings, rehearsal: Rehearsal, session: Recording, host: str | None
) -> Document:
    """Return all that came of a recording; *session* was the one of *host*, if of one alone."""
    return {
        "schema": SCHEMA,
        "system": settings.system.name,
        "begins": rehearsal.begins,
        "clock": _clock(settings, session, host),
        "steps": [_step(step) for step in rehearsal.steps],
        "other_events": dict(sorted(session.others.items())),
        "garbage_lines": session.garbage_count,
        "garbage": session.garbage,
        "tapes": rehearsal.tapes(),
    }


def _step(step: Step) -> Document:
    return {"at_s": round(step.at, 3), "what": step.what, "text": step.text} | (
        {"details": step.details} if step.details else {}
    )


def _lines(document: Document) -> Iterator[str]:
    yield f"{document['system']}: a recording from {document['begins'] or 'no time'}"
    if document["clock"] != "arrival":
        yield f"No arrival is recorded: the clock is {document['clock']}."
    yield ""
    for step in document["steps"]:
        yield f"{step['at_s']:+12.3f} {step['what']:<8} {step['text']}"
        if step["what"] == "host" and step["details"]["text"] is not None:
            said = step["details"]
            yield f"{'':22}{said['printed_at']} {said['event']:06} {said['text']}"
        if step["what"] == "verdict":
            for line in verdict_lines(step["details"])[1:]:
                yield f"{'':20}{line}"
    yield ""
    steps = Counter(step["what"] for step in document["steps"])
    others = ", ".join(f"{count} {name}" for name, count in document["other_events"].items())
    yield (
        f"{format_count(steps['host'], 'event')} read, {format_count(steps['overlay'], 'signal')}, "
        f"{format_count(steps['verdict'], 'verdict')}; events of other subsystems: "
        f"{others or 'none'}; {format_count(document['garbage_lines'], 'line')} belonged to no event"
    )
    for line in document["garbage"]:
        yield f"    not an event: {line}"
    for tape in document["tapes"]:
        verdict = tape["verdict"]["verdict"] if tape["verdict"] else "no verdict"
        states = ", ".join(f"{copy['state']} at {copy['target']}" for copy in tape["copies"])
        yield f"{tape['tape']}: {verdict}; {states}"
