"""Entries of the history in words: one line each, whatever they are about."""

from typing import Any

from copyagent.cli.console import printable
from copyagent.cli.display import folded, how_proven
from vtsfs.contract.units import format_count, format_duration, format_size

Document = dict[str, Any]


def entry_text(entry: Document, width: int | None) -> str:
    """Show one entry: on *width* columns as a paragraph, without a width (None) as one line.

    Of a kind that is not known it says what every entry has, and its cause.
    """
    line = printable(f"{entry['at']} {_said(entry)}")
    return line if width is None else folded(line, width)


def _said(entry: Document) -> str:
    match entry["kind"]:
        case "action":
            old, new = entry["old"] or "-", entry["new"] or "-"
            changed = f" ({old} -> {new})" if (old, new) != ("-", "-") else ""
            return (
                f"{entry['user']}: {entry['action']} {entry['object']}{changed}: {entry['because']}"
            )
        case "alarm":
            return f"{entry['severity']} {entry['message']}: {entry['text']}"
        case "loaded":
            settings = entry["settings"][:16]
            return f"settings {settings} in force ({entry['how']}, by {entry['user']})"
        case "stopped":
            return f"the agent ended {entry['how']}"
        case "pruned":
            return (
                f"entries {entry['first']} to {entry['last']} were pruned, {entry['count']}, the "
                f"newest of {entry['until']}"
            )
        case "chained":
            return (
                f"entries {entry['first']} to {entry['last']} are of a release without a chain, and "
                "were chained"
            )
        case "dismounted" | "changed":
            return f"{entry['tape']}: {_judged(entry)}"
    return (
        f"{entry['tape']} to {entry['target']}: {entry['kind']}, "
        f"generation {entry['generation']}{_facts(entry)}"
    )


def _judged(entry: Document) -> str:
    wrote = f", {format_size(entry['bytes'])} written" if entry["bytes"] else ""
    host = f" ({entry['mounted']})" if entry["mounted"] else ""
    changes = f" ({entry['changes']})" if entry.get("changes") else ""
    again = ", judged again" if entry["again"] else ""
    return (
        f"{entry['kind']}, generation {entry['generation']}, {entry['verdict']}{again}: "
        f"{entry['overlay']}{changes}{wrote}; host: {entry['host']}{host}; {entry['action']}"
    )


def _facts(entry: Document) -> str:
    match entry["kind"]:
        case "copied":
            attempts = entry["attempts"]
            tried = f", attempt {attempts}" if attempts not in (None, 1) else ""
            resumed = f", {format_size(entry['resumed'])} resumed" if entry["resumed"] else ""
            return (
                f", {format_size(entry['size'])} ({entry['way']}: "
                f"{format_size(entry['sent'])} sent{resumed}) in "
                f"{format_duration(entry['took_s'])}{tried}, {how_proven(entry['verified'])}"
            )
        case "failed":
            return f", after {format_count(entry['attempts'], 'attempt')}: {entry['cause']}"
        case "held":
            return f" ({entry['reason']}): {entry['cause']}"
        case "cancelled":
            return f" by {entry['user']}: {entry['because']}"
        case "kept":
            return f", was {entry['how']} here"
    cause = entry.get("cause")
    return f": {cause}" if cause else ""
