"""``copyagent check``: whether the settings file can be taken, before it is."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from copyagent.checking import NOTHING_YET, Checked, look_at
from copyagent.cli.asking import as_json_option
from copyagent.cli.console import LOOK_S, print_lines
from copyagent.control.client import ask
from copyagent.control.protocol import Status
from vtsfs.contract.errors import AgentUnreachable, SettingsError, VtsError
from vtsfs.contract.settings import Settings
from vtsfs.runtime.peers import user_name

#: What is said of the agent that runs, by how it stands to the file.
_AGENT = {
    "same": "the agent that runs has these settings",
    "other": "the agent that runs has other settings: these are not in force yet: copyagent reload "
    "(copyagent reload --dry-run tells what that would mean)",
    "none": "no agent runs; one that is started takes them",
    "unknown": "it is not known what the agent that runs has",
}


@click.command()
@as_json_option
@click.pass_obj
def check(config: Path, *, as_json: bool) -> None:
    """Check the settings and the files they name.

    All problems are told at once; nothing is changed and no target or host is connected to. An agent
    does not start with, and a reload does not take, what has a problem here.
    """
    checked = look_at(config)
    document = _document(checked)
    problems = (*checked.problems, *checked.away)
    if as_json or not problems:
        print_lines(document, lines_of(document), as_json=as_json)
    if problems:
        raise SettingsError("\n".join(problems), problems)


def lines_of(document: dict[str, Any]) -> Iterator[str]:
    """Write what was found in a file that is in order for people."""
    counts = ", ".join(
        f"{count} {what[:-1] if count == 1 else what}" for what, count in document["counts"].items()
    )
    yield f"{document['file']}: in order ({counts})"
    if not document["counts"]["vaults"]:
        yield f"vaults: {NOTHING_YET}"
        return
    yield _AGENT[document["agent"]]
    if document["waiting_for_restart"]:
        keys = ", ".join(document["waiting_for_restart"])
        yield f"not in force before the agent is started again: {keys}"
    for each in document["not_checked"]:
        yield f"not looked at: {each}"


def _document(checked: Checked) -> dict[str, Any]:
    settings = checked.settings
    agent, waiting = _agent(settings)
    return {
        "schema": 1,
        "file": str(checked.path),
        "sha256": settings.digest if settings is not None else None,
        "in_order": not checked.problems and not checked.away,
        "problems": list(checked.problems),
        "away": list(checked.away),
        "counts": _counts(settings) if settings is not None else {},
        "agent": agent,
        "waiting_for_restart": waiting,
        "not_checked": list(_unchecked(settings)) if settings is not None else [],
    }


def _counts(settings: Settings) -> dict[str, int]:
    return {
        "vaults": len(settings.vaults),
        "watched pools": len({entry.pool for entry in settings.autocopy}),
        "targets": len(settings.targets),
        "hosts": len(settings.ems.hosts),
    }


def _unchecked(settings: Settings) -> Iterator[str]:
    if settings.targets:
        yield "whether targets answer and take copies: copyagent doctor"
    if settings.ems.hosts:
        hosts = ", ".join(f"copyagent ems test {name}" for name in settings.ems.hosts)
        yield f"whether hosts accept the log-on: {hosts}"
    yield "whether the vaults are under the overlay: vtsfs status"
    user = settings.service.user
    if user is not None and user != (here := user_name(os.geteuid())):
        yield f"what {user}, as whom the agent runs, may read: this was looked at as {here}"


def _agent(settings: Settings | None) -> tuple[str, list[str]]:
    """Return how the agent that runs stands to the file, and what waits for its restart."""
    if settings is None:
        return "unknown", []
    try:
        status = ask(settings.control_socket(), Status(), timeout=LOOK_S)
    except AgentUnreachable:
        return "none", []
    except VtsError:
        return "unknown", []
    in_force = status.get("settings", {})
    if in_force.get("sha256") != settings.digest:
        return "other", []
    return "same", list(in_force.get("waiting_for_restart", []))
