"""The figures of ``copyagent report`` for people: tables, and one sentence that concludes."""

from fractions import Fraction
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from copyagent.cli.console import printable
from copyagent.cli.display import folded
from copyagent.core.service_level import Goal, percent_text
from vtsfs.contract.units import format_count, format_duration

Document = dict[str, Any]

#: On so many columns there is room between the table's, too.
_ROOMY = 100

#: What entries besides dismounts are called, one and several of them, where not as their kind.
_KINDS = {
    "action": ("act of an operator", "acts of operators"),
    "alarm": ("alarm", "alarms"),
    "loaded": ("time settings came into force", "times settings came into force"),
    "stopped": ("orderly end of the agent", "orderly ends of the agent"),
    "pruned": ("pruning", "prunings"),
    "chained": ("taking over of old entries", "takings over of old entries"),
}


def figures_shown(document: Document, width: int, goal: Goal) -> RenderableType:
    """Show *document*, *width* columns wide."""
    begin = document["from"] or document["begins"] or "the beginning"
    parts: list[RenderableType] = [
        Text(f"{document['system']}, from {begin} to {document['to']}"),
        Text(folded(_counts(document), width)),
    ]
    if document["ways"]:
        parts.append(_table(document, goal, width))
    for title, lines in (
        ("Slowest, or open for longest", list(map(_slow, document["worst"]))),
        ("Not copied", _open(document)),
        ("What went wrong", [f"{n} x {cause}" for cause, n in document["causes"].items()]),
        ("Gaps in what was seen", _gaps(document)),
    ):
        if lines:
            text = "\n".join(folded(f"  {printable(line)}", width) for line in lines)
            parts.append(Text(f"{title}\n{text}"))
    parts.append(Text(folded(conclusion(document, goal), width), style=_style(document)))
    spaced: list[RenderableType] = []
    for part in parts:
        spaced += [part, Text("")]
    return Group(*spaced[:-1])


def _counts(document: Document) -> str:
    verdicts = "; ".join(f"{count} {verdict}" for verdict, count in document["verdicts"].items())
    happened = document["happened"]
    again = document["judged_again"]
    told = ", ".join(
        format_count(count, *_KINDS.get(kind, (kind, kind)))
        for kind, count in happened.items()
        if count
    )
    return (
        f"{format_count(document['dismounts'], 'dismount')} and "
        f"{format_count(document['changes'], 'change')} without one"
        f"{f' ({verdicts})' if verdicts else ''}; {document['needed_copy']} needed a copy, "
        f"{document['needed_none']} none"
        f"{f', {again} judged again later' if again else ''}. "
        f"On record besides: {told or 'nothing'}."
    )


def _table(document: Document, goal: Goal, width: int) -> Table:
    # The usual room between columns would cut the names of pools in two on a usual terminal.
    between = 1 if width < _ROOMY else 2
    table = Table(box=None, pad_edge=False, padding=(0, between, 0, 0), header_style="bold")
    within = f"In {format_duration(goal.within_s)}"
    for column in ("Pool", "Target", "Owed", "Due", within, "Share", "Late", "Missing"):
        table.add_column(column, overflow="fold")
    for column in ("50 %", "95 %", "99 %"):
        table.add_column(column)
    ways = list(document["ways"])
    total = [{"pool": "total", "target": "", **document["total"]}] if len(ways) > 1 else []
    for way in ways + total:
        bad = way["late"] or way["missing"]
        table.add_row(
            way["pool"],
            way["target"],
            str(way["owed"]),
            str(way["due"]),
            str(way["within"]),
            Text(share_text(way, goal), style="red" if bad else ""),
            str(way["late"]),
            Text(str(way["missing"]), style="red" if way["missing"] else ""),
            *(_delay(way[key], due=way["due"]) for key in ("p50_s", "p95_s", "p99_s")),
        )
    return table


def share_text(figures: Document, goal: Goal) -> str:
    """Write the share that was copied in time; it is 100 only if that is all."""
    if figures["percent"] is None:
        return "-"
    share = Fraction(figures["within"], figures["due"]) * 100
    return f"{percent_text(share, goal.digits)} %"


def _delay(seconds: float | None, *, due: int) -> str:
    if seconds is None:
        return "open" if due else "-"
    return format_duration(seconds)


def _slow(one: Document) -> str:
    name = f"{one['tape']} to {one['target']}, {one['ended']}"
    if one["took_s"] is None:
        return f"{name}: {one['outcome']}, for {format_duration(one['age_s'])}"
    return f"{name}: {one['outcome']} after {format_duration(one['took_s'])}"


def _open(document: Document) -> list[str]:
    lines = []
    for one in document["open"]:
        due = "" if one["due"] else ", not due yet"
        why = f": {one['why']}" if one["why"] else ""
        lines.append(
            f"{one['tape']} to {one['target']}, {one['ended']}, for "
            f"{format_duration(one['age_s'])}{due}: {one['outcome']}{why}"
        )
    if document["open_left_out"]:
        lines.append(f"... and {document['open_left_out']} more (--proofs lists all)")
    return lines


def _gaps(document: Document) -> list[str]:
    lines = [f"{gap['at']}  {gap['what']}" for gap in document["gaps"]]
    if document["gaps_left_out"]:
        lines.append(f"... and {document['gaps_left_out']} more (copyagent history lists all)")
    lines += [
        f"{count} x {verdict}: not seen by both witnesses, or not to the end"
        for verdict, count in document["unseen"].items()
    ]
    if document["begins"] not in {None, document["from"]} and document["from"]:
        lines.append(f"nothing is on record before {document['begins']}: then the history begins")
    return lines


def conclusion(document: Document, goal: Goal) -> str:
    """Say in one sentence what it comes to."""
    total, within = document["total"], format_duration(goal.within_s)
    if not total["due"]:
        figure = f"No copy was due within {within}"
    else:
        figure = (
            f"{share_text(total, goal)} of {format_count(total['due'], 'copy that was', 'copies that were')} "
            f"due {'was' if total['due'] == 1 else 'were'} made within {within}"
        )
    waiting = f"; {total['not_yet_due']} not due yet" if total["not_yet_due"] else ""
    if goal.percent is None:
        return f"{figure}{waiting}."
    met = "met" if document["met"] else "MISSED"
    return f"{figure}{waiting}: the goal of {percent_text(goal.percent)} % is {met}."


def _style(document: Document) -> str:
    if document["met"] is None:
        return "bold"
    return "green" if document["met"] else "red"
