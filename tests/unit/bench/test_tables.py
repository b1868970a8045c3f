import io

from rich.console import Console
from rich.table import Table

from tests.bench import tables
from tests.bench.latencies import distribution
from tests.bench.ratios import Pair, Row, row, speed_ratio


def shown(table: Table | None) -> list[list[str]]:
    assert table is not None
    console = Console(file=io.StringIO(), width=200)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    lines = [line for line in console.file.getvalue().splitlines() if line.startswith("│")]
    return [[cell.strip() for cell in line.strip("│").split("│")] for line in lines]


def a_row(ratio: float) -> Row:
    return row("overlay", "write-28k", "ours", "theirs", speed_ratio([Pair(1.0, ratio)]))


def test_a_ratio_that_is_promised_and_missed_is_told() -> None:
    kept, missed, free = a_row(0.8), a_row(0.79), a_row(0.1)
    kept["wanted"] = missed["wanted"] = 0.8
    (table,) = tables.ratios([kept, missed, free])
    assert [(cells[2], cells[6]) for cells in shown(table)] == [
        ("0.8", "0.8"),
        ("0.79", "0.8 missed"),
        ("0.1", ""),
    ]


def test_each_subject_has_a_table() -> None:
    other = a_row(1.0)
    other["subject"] = "another"
    tables_of = tables.ratios([a_row(1.0), other, a_row(2.0)])
    assert [table.title for table in tables_of] == ["overlay: ours", "overlay: another"]
    assert [table.row_count for table in tables_of] == [2, 1]


def test_speeds_have_columns_where_they_are_known() -> None:
    fast = a_row(1.0)
    fast["speed"] = {"subject": 1234.0, "against": 12.0, "unit": "MB/s"}
    (table,) = tables.ratios([fast, a_row(1.0)])
    assert [cells[7:] for cells in shown(table)] == [
        ["1,234", "12", "MB/s"],
        ["", "", ""],
    ]


def test_each_side_has_one_line_of_latencies() -> None:
    first, second = a_row(1.0), a_row(1.0)
    second["against"] = "others"
    ours = distribution([1e-3])
    first["latency_us"] = {"subject": ours, "against": distribution([2e-3])}
    second["latency_us"] = {"subject": ours, "against": distribution([3e-3])}
    assert [cells[1:3] for cells in shown(tables.latencies([first, second]))] == [
        ["ours", "1,000"],
        ["theirs", "2,000"],
        ["others", "3,000"],
    ]


def test_what_was_weighed_has_a_line_each() -> None:
    weighed = a_row(1.0)
    weighed["measured"] = {"VmRSS, MB": 71.5, "CPU ticks": 0}
    assert shown(tables.measured([a_row(1.0), weighed])) == [
        ["write-28k", "VmRSS, MB", "71.5"],
        ["write-28k", "CPU ticks", "0.0"],
    ]


def test_there_are_no_empty_tables() -> None:
    assert tables.latencies([a_row(1.0)]) is None
    assert tables.measured([a_row(1.0)]) is None
