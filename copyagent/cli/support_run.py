"""``copyagent support-bundle``: what is collected of which site, and what never is."""

import json
import os
import time
from functools import partial
from pathlib import Path

import click

from copyagent.cli import support_parts as parts
from copyagent.cli.patience import patience
from copyagent.cli.support_archive import Archive, as_secrets
from vtsfs.contract.errors import SettingsError
from vtsfs.contract.settings import Settings, examine_settings
from vtsfs.contract.settings_check import check_settings_file
from vtsfs.contract.settings_file import read_text
from vtsfs.contract.units import format_count, format_size

SCHEMA = 1

#: What is never put in, whoever asks.
NEVER = (
    ("keys, passwords, known_hosts", "nobody needs them to help; they stay where they are"),
    ("tapes, and chunk maps of them", "their content is nobody's business"),
    ("the state and the outboxes themselves", "only what is asked for of them is in it"),
    ("the journal", "add it if it is asked for: journalctl -u 'vts*' -u 'copyagent*' --since -2d"),
)


def run_support_bundle(config: Path, output: Path | None, *, as_json: bool) -> None:
    """Collect what there is, write it to *output*, or here, and tell what was left out."""
    with patience("collecting"):
        archive = _collect(config)
    path = output or Path(f"{archive.directory}.tar.gz")
    archive.write(path)
    if as_json:
        document = {
            "schema": SCHEMA,
            "file": str(path.absolute()),
            "parts": [part.name for part in archive.parts],
            "left_out": [{"name": name, "why": why} for name, why in archive.left_out],
        }
        click.echo(json.dumps(document, indent=1))
        return
    size = format_size(path.stat().st_size)
    click.echo(f"{path.absolute()}: {format_count(len(archive.parts), 'part')}, {size}")
    for name, why in archive.left_out[: -len(NEVER)]:
        click.echo(f"  left out: {name}: {why}")
    click.echo(
        "It holds names of tapes, systems and users; see its MANIFEST.txt before it is sent."
    )


def _collect(config: Path) -> Archive:
    text, settings, problems = _settings(config)
    now = int(time.time())
    system = settings.system.name if settings is not None else os.uname().nodename.partition(".")[0]
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    secrets = as_secrets(parts.secrets_of(settings, text))
    archive = Archive(f"vts-autocopy-support-{system}-{stamp}", now, secrets)
    archive.add("versions.json", "releases of the programs and what they stand on", parts.versions)
    about = f"{config}, without comments and secrets"
    archive.add("settings.yaml", about, partial(parts.redacted_settings, text))
    archive.add("check.txt", "what copyagent check says", lambda: "\n".join(problems) + "\n")
    if settings is not None:
        _add_site(archive, settings, config)
    else:
        archive.leave_out("everything else", "the settings cannot be read, so nothing can be found")
    for name, why in NEVER:
        archive.leave_out(name, why)
    return archive


def _add_site(archive: Archive, settings: Settings, config: Path) -> None:
    for name, about, collect in (
        ("status.json", "copyagent status: pools, links, what is unprotected", parts.status),
        ("explain.jsonl", "copyagent explain of tapes that need attention", parts.explained),
        ("events.jsonl", "what hosts and overlays told last", parts.events),
        ("history.jsonl", "the last entries of the history", parts.history),
        ("event.log", "the end of the event log", parts.event_log),
        ("mountinfo.txt", "the kernel's mounts about the vaults", parts.mounts),
        ("files.jsonl", "our files with owner, mode and size, and the room left", parts.sizes),
    ):
        archive.add(name, about, partial(collect, settings))
    archive.add("overlays.json", "vtsfs status", partial(parts.overlays, config))


def _settings(config: Path) -> tuple[str, Settings | None, tuple[str, ...]]:
    """Return the file's text, what it says as far as it can be used, and what is wrong with it."""
    try:
        text = read_text(config)
    except SettingsError as error:
        return "", None, error.problems
    settings, _ = examine_settings(text, str(config))
    _, problems = check_settings_file(config)
    return text, settings, problems or (f"{config}: in order",)
