"""The command behind ``make bench``."""

import json
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.text import Text

from tests.bench import tables
from tests.bench.deltas import DELTAS
from tests.bench.dismounts import DISMOUNTS
from tests.bench.ems import PARSE_FLOOD
from tests.bench.frame import Bench, select
from tests.bench.host_floods import FLOODS
from tests.bench.long_line import LONG_LINE
from tests.bench.overlay import calls, data, memory, opens, profiling, together
from tests.bench.overlay.attached import BenchError
from tests.bench.ratios import Row
from tests.bench.resumes import RESUME
from tests.bench.scale import SCALE
from tests.bench.transfer import FULL_2G, SMALL_500

BENCHES: Sequence[Bench] = (
    *data.WORKS,
    *opens.WORKS,
    *together.WORKS,
    *calls.WORKS,
    memory.Weighing(),
    FULL_2G,
    SMALL_500,
    LONG_LINE,
    *DELTAS,
    RESUME,
    DISMOUNTS,
    PARSE_FLOOD,
    *FLOODS,
    SCALE,
)

#: Columns of the tables where no terminal says how many there are.
WIDTH = 132


@click.command()
@click.option("--only", default="", help="Benches or works to run: overlay,ems or overlay/stat.")
@click.option("--json", "json_path", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--profile", is_flag=True, help="Show where the overlay's time goes instead.")
def main(only: str, json_path: Path | None, *, profile: bool) -> None:
    """Compare the programs with their peers, print tables and write their rows as JSON."""
    try:
        if profile:
            _profile(profiling.selected(only))
            return
        benches = select(BENCHES, only)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    rows: list[Row] = []
    failed: list[str] = []
    for bench in benches:
        console.print(f"[dim]{bench.bench} {bench.name}: {bench.effort}")
        try:
            with _scratch() as directory:
                rows += bench.rows(directory)
        except (AssertionError, BenchError, OSError, RuntimeError) as error:
            # What the others measured is worth having all the same.
            failed.append(f"{bench.bench} {bench.name}: {error}")
            console.print(f"[red]{bench.bench} {bench.name} failed:", Text(str(error)))
    for table in (*tables.ratios(rows), tables.latencies(rows), tables.measured(rows)):
        if table is not None:
            console.print(table)
    if json_path is not None:
        json_path.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    if failed:
        raise click.ClickException("; ".join(failed))


def _profile(names: Sequence[str]) -> None:
    for name in names:
        with _scratch() as directory:
            click.echo(profiling.report(name, directory) + "\n")


@contextmanager
def _scratch() -> Iterator[Path]:
    """Make a directory on a disk: /tmp may be memory."""
    with tempfile.TemporaryDirectory(prefix="vts-bench-", dir="/var/tmp") as directory:
        yield Path(directory)


if __name__ == "__main__":
    main()
