"""The command behind ``make bench``."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from tests.bench.ems import PARSE_FLOOD
from tests.bench.frame import Work, run_work, select
from tests.bench.overlay import WRITE_256K
from tests.bench.ratios import Row
from tests.bench.transfer import FULL_256M

WORKS: Sequence[Work] = (WRITE_256K, FULL_256M, PARSE_FLOOD)


@click.command()
@click.option("--only", default="", help="Benches to run, separated by commas; default all.")
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path))
def main(only: str, json_path: Path | None) -> None:
    """Compare the programs with their peers, print a table and write its rows as JSON."""
    try:
        works = select(WORKS, only)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    console = Console()
    rows = []
    for work in works:
        console.print(f"[dim]{work.bench} {work.name}: {work.pairs} pairs of runs")
        with tempfile.TemporaryDirectory(prefix="vts-bench-", dir="/var/tmp") as directory:
            rows.append(run_work(work, Path(directory)))
    console.print(table_of(rows))
    if json_path is not None:
        json_path.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def table_of(rows: Sequence[Row]) -> Table:
    """Lay the rows out for people."""
    table = Table(
        caption="ratio: our speed over theirs, median of the pairs; low, high: their quartiles"
    )
    for heading in ("bench", "work"):
        table.add_column(heading, no_wrap=True)
    for heading in ("subject", "against"):
        table.add_column(heading)
    for heading in ("ratio", "low", "high", "runs"):
        table.add_column(heading, justify="right")
    for line in rows:
        figures = (f"{figure:.3g}" for figure in (line["ratio"], line["low"], line["high"]))
        names = (line["bench"], line["work"], line["subject"], line["against"])
        table.add_row(*names, *figures, str(line["runs"]))
    return table


if __name__ == "__main__":
    main()
