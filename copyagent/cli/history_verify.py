"""``copyagent history --verify`` and ``--settings``: whether the record is what was written.

The state file is read by the command itself, never asked of the agent: it needs none, and whoever
checks an agent had better not ask it.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import click

from copyagent.cli.console import console, is_screen
from copyagent.cli.display import folded
from copyagent.core.chain import Mark, marks_at_end, parse_mark
from copyagent.core.chain_check import Checked
from copyagent.core.dates import iso
from copyagent.core.report import SCHEMA
from copyagent.state.history_check import check_file, settings_in_file
from copyagent.state.history_file import state_file
from vtsfs.contract.errors import StateError, Unprotected, UsageError
from vtsfs.contract.messages import HISTORY_NOTED, OPERATOR_ACTION
from vtsfs.contract.settings_file import read_settings
from vtsfs.contract.units import format_count

#: Messages that carry a mark, and the column of a line in which their number stands.
_MARKED: Final = frozenset({str(OPERATOR_ACTION.id), str(HISTORY_NOTED.id)})
_ID_COLUMN: Final = 2

#: Faults that are printed; ``--json`` has some more.
_SHOWN: Final = 20


def verify_history(
    config: Path,
    *,
    file: Path | None,
    event_log: Path | None,
    known: Sequence[str],
    as_json: bool,
) -> None:
    """Check the history and print what was found; raise `Unprotected` if it is not what it was.

    *file* is a copy of a state file, for which no settings are needed. *known* are marks that were
    noted down; those in *event_log*, or in the settings' own event log, are compared as well.
    """
    marks = [_mark(text) for text in known]
    if file is None:
        settings = read_settings(config)
        file, event_log = state_file(settings), event_log or settings.paths.event_log
        logged = marks_of(event_log) if event_log.exists() else []
    else:
        logged = marks_of(event_log) if event_log is not None else []
    found = check_file(file, marks + logged)
    if as_json:
        click.echo(json.dumps(document(found, file), indent=1))
    else:
        width = console().width if is_screen() else None
        for line in _lines(found, file, event_log if logged else None):
            click.echo(line if width is None else folded(line, width))
    if not found.intact:
        raise Unprotected(
            f"the history in {file} is not as it was written: "
            f"{format_count(found.fault_count, 'fault')}. Keep a copy of the file and of the event log before anything else, and see who could write to them"
        )


def show_settings(config: Path, digest: str) -> None:
    """Print the redacted settings whose digest begins with *digest*."""
    found = settings_in_file(state_file(read_settings(config)), digest.lower())
    if found is None:
        raise UsageError(
            f"no settings, or more than one, are on record as {digest!r}; a digest stands at each entry "
            "of: copyagent history --json"
        )
    note = f"SHA-256 of the file: {found[0]}; comments and what may be secret are left out"
    click.echo(note, err=True)
    click.echo(found[1], nl=False)


def marks_of(event_log: Path) -> list[Mark]:
    """Return the marks that stand at the ends of lines of *event_log*; raise `StateError`."""
    marks = []
    try:
        with event_log.open(encoding="utf-8", errors="replace") as lines:
            for line in lines:
                columns = line.split("|", _ID_COLUMN + 1)
                if len(columns) > _ID_COLUMN and columns[_ID_COLUMN] in _MARKED:
                    marks += marks_at_end(line)
    except OSError as error:
        raise StateError(f"the event log {event_log} cannot be read: {error.strerror}") from error
    return marks


def document(found: Checked, file: Path) -> dict[str, Any]:
    """Return what was *found* as ``--json`` prints it."""
    return {
        "schema": SCHEMA,
        "file": str(file),
        "intact": found.intact,
        "count": found.count,
        "first": found.first,
        "last": found.last,
        "first_at": iso(found.first_ns),
        "last_at": iso(found.last_ns),
        "newest": str(found.newest),
        "chained_later": found.late,
        "pruned": found.pruned,
        "marks": found.marks,
        "marks_pruned": found.pruned_marks,
        "fault_count": found.fault_count,
        "faults": found.faults,
    }


def _lines(found: Checked, file: Path, event_log: Path | None) -> list[str]:
    word = "intact" if found.intact else "NOT intact"
    if not found.count:
        lines = [f"{file}: {word}: no entries"]
    else:
        span = f"{found.first} to {found.last}, from {iso(found.first_ns)} to {iso(found.last_ns)}"
        lines = [f"{file}: {word}: {format_count(found.count, 'entry', 'entries')}, {span}"]
    lines += found.faults[:_SHOWN]
    if found.fault_count > _SHOWN:
        lines.append(f"and {format_count(found.fault_count - _SHOWN, 'more fault')}")
    if found.pruned:
        lines.append(f"Entries up to {found.pruned} were pruned, and that is on record.")
    if found.late >= found.first > 0:
        lines.append(
            f"Entries up to {found.late} are of a release without a chain: what was changed in them "
            "before they were taken over does not show."
        )
    if found.marks or found.pruned_marks:
        place = f", those of {event_log} among them," if event_log is not None else ""
        gone = f"; of pruned entries: {found.pruned_marks}" if found.pruned_marks else ""
        lines.append(f"Values noted down before{place} agree: {found.marks}{gone}.")
    if found.intact and found.count:
        lines.append(
            f"To note down: {found.newest}. Later: copyagent history --verify --known {found.newest}"
        )
    return lines


def _mark(text: str) -> Mark:
    mark = parse_mark(text)
    if mark is None:
        raise UsageError(
            f"--known takes NUMBER:HASH, of the hash at least 16 hexadecimal digits, not {text!r}"
        )
    return mark
