"""``copyagent reload``: the running agent reads its settings again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from copyagent.cli.asking import as_json_option, asked
from copyagent.cli.console import print_lines
from copyagent.control.reloads import Reload
from copyagent.core.copying import NO_REASON
from vtsfs.contract.errors import SettingsError

_RESULTS = {
    "applied": "in force now",
    "dry run": "not in force; this only tells what it would mean",
    "unchanged": "in force already; nothing was to be done",
}


@click.command()
@click.option("--dry-run", is_flag=True, help="Only tell what would change, and what that means.")
@click.option("--because", default=NO_REASON, metavar="TEXT", help="Why; it goes on record.")
@as_json_option
@click.pass_obj
def reload(config: Path, because: str, *, dry_run: bool, as_json: bool) -> None:
    """Have the agent read its settings file again.

    What has changed is told, and what follows from it; what only a restart brings in is named. If
    anything is wrong with the file, all of it is told and the former settings stay in force.
    """
    try:
        document = asked(config, Reload(because, dry_run))
    except SettingsError as error:
        problems = (
            *str(error).splitlines(),
            "nothing was changed: the former settings stay in force",
        )
        raise SettingsError(str(error), problems) from error
    print_lines(document, lines_of(document), as_json=as_json)


def lines_of(document: dict[str, Any]) -> Iterator[str]:
    """Write what the agent answered to a reload for people."""
    yield f"{document['file']}: {_outcome(document)}"
    for change in document["changes"]:
        yield f"  {change['key']}: {_words(change)} ({change['takes_effect']})"
    if document["consequences"]:
        yield "What that means:"
    for line in document["consequences"]:
        yield f"  {line}"
    begun = [name for name in document["begun_anew"] if not _is_told(name, document)]
    if begun:
        yield f"  begun anew: {', '.join(begun)}"


def _outcome(document: dict[str, Any]) -> str:
    result, waiting = document["result"], document["waiting"]
    if result == "dry run" and not document["changes"]:
        return "no setting differs from those in force; nothing would change"
    if result == "applied" and waiting and len(waiting) == len(document["changes"]):
        return "read; all that has changed waits until the agent is started again"
    if result == "applied" and waiting:
        return "in force now, but for what waits until the agent is started again"
    return str(_RESULTS.get(result, result))


def _is_told(name: str, document: dict[str, Any]) -> bool:
    host = name.rpartition(" to ")[2]
    return any(f"host {host} " in f"{line} " for line in document["consequences"])


def _words(change: dict[str, Any]) -> str:
    old, new = change["old"], change["new"]
    if isinstance(old, dict) or isinstance(new, dict):
        return "gone" if isinstance(old, dict) else "new"
    return f"{_value(old)} -> {_value(new)}"


def _value(value: object) -> str:
    match value:
        case None:
            return "(not set)"
        case bool():
            return "true" if value else "false"
        case list() if not value:
            return "[]"
        case list():
            return f"[{', '.join(map(str, value))}]"
        case _:
            return str(value)
