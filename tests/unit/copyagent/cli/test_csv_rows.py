"""Exports that any spreadsheet reads, and that run nothing there."""

import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copyagent.cli import csv_rows

COLUMNS = ("tape", "size", "because")


def read(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


def test_the_header_and_a_row() -> None:
    text = csv_rows.header(COLUMNS) + csv_rows.row(
        {"size": 5, "tape": "/V/P/T", "colour": "red", "old": ""}, COLUMNS
    )
    assert text == ('tape,size,because,more\r\n/V/P/T,5,,"{""colour"": ""red""}"\r\n')
    assert csv_rows.row({"tape": None, "size": True}, COLUMNS) == ",true,,\r\n"


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "  =cmd|' /C calc'!A0"])
def test_no_cell_is_a_formula(text: str) -> None:
    (row,) = read(csv_rows.row({"because": text, "size": -1}, COLUMNS))
    assert row[2].startswith("'")
    assert row[1] == "-1"


@given(st.text(), st.text(), st.integers())
def test_whatever_is_in_it_comes_out_of_it(tape: str, because: str, size: int) -> None:
    document = {"tape": tape, "because": because, "size": size, "new": because}
    text = csv_rows.row(document, COLUMNS)
    assert text.endswith("\r\n")
    (row,) = read(text)
    assert len(row) == 4
    assert not row[0].startswith(("=", "+", "-", "@", "\t", "\r"))
    assert row[1] == str(size)
    printable = "".join(c if c.isprintable() else "?" for c in because)
    assert row[2] in {printable, f"'{printable}"}
    assert json.loads(row[3] or '{"new": ""}')["new"] == because
