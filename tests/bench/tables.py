"""Rows, laid out for people."""

from collections.abc import Sequence

from rich.table import Table

from tests.bench.latencies import Latencies
from tests.bench.ratios import Row, is_missed


def ratios(rows: Sequence[Row]) -> list[Table]:
    """Lay out the ratios, a table for each subject; one that misses what is wanted says so."""
    subjects = dict.fromkeys((line["bench"], line["subject"]) for line in rows)
    return [
        _ratios(
            f"{bench}: {subject}",
            [line for line in rows if (line["bench"], line["subject"]) == (bench, subject)],
        )
        for bench, subject in subjects
    ]


def _ratios(title: str, rows: Sequence[Row]) -> Table:
    table = Table(
        title=title,
        caption="ratio: our speed over theirs, median of the rounds; low, high: their quartiles",
    )
    for heading in ("work", "against"):
        table.add_column(heading, no_wrap=True)
    for heading in ("ratio", "low", "high", "runs", "wanted", "ours", "theirs"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column()
    for line in rows:
        figures = [f"{figure:.3g}" for figure in (line["ratio"], line["low"], line["high"])]
        wanted = f"{line['wanted']:.3g}" if "wanted" in line else ""
        missed = is_missed(line)
        table.add_row(
            line["work"],
            line["against"],
            *figures,
            str(line["runs"]),
            f"{wanted} missed" if missed else wanted,
            *_speeds(line),
            style="red" if missed else None,
        )
    return table


def _speeds(line: Row) -> tuple[str, ...]:
    if "speed" not in line:
        return ()
    speed = line["speed"]
    return (f"{speed['subject']:,.0f}", f"{speed['against']:,.0f}", speed["unit"])


def latencies(rows: Sequence[Row]) -> Table | None:
    """Lay out how long single calls took, a line for each side; None if none were timed."""
    lines: dict[tuple[str, str], Latencies] = {}
    for line in rows:
        if "latency_us" in line:
            lines[line["work"], line["subject"]] = line["latency_us"]["subject"]
            lines[line["work"], line["against"]] = line["latency_us"]["against"]
    if not lines:
        return None
    table = Table(caption="microseconds of one call")
    for heading in ("work", "side"):
        table.add_column(heading)
    for heading in ("p50", "p95", "p99", "max", "calls"):
        table.add_column(heading, justify="right")
    for (work, side), found in lines.items():
        figures = (found["p50"], found["p95"], found["p99"], found["max"])
        table.add_row(work, side, *(f"{figure:,.0f}" for figure in figures), str(found["calls"]))
    return table


def measured(rows: Sequence[Row]) -> Table | None:
    """Lay out what was weighed against a limit; None if nothing was."""
    table = Table()
    for heading in ("work", "what"):
        table.add_column(heading)
    table.add_column("measured", justify="right")
    for line in rows:
        for what, figure in line.get("measured", {}).items():
            table.add_row(line["work"], what, f"{figure:,.1f}")
    return table if table.row_count else None
