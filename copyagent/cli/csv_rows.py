"""Documents as rows of CSV (RFC 4180), safe to be opened by a spreadsheet.

The columns of an export never depend on what is in it. What has no column of its own stands in the
last one, ``more``, as JSON, so that nothing is left out when a later release tells more.
"""

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from copyagent.cli.console import printable

#: A spreadsheet takes a cell that begins so for a formula, which could run a program there.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")

#: The column of what has no other.
MORE = "more"


def header(columns: Sequence[str]) -> str:
    """Return the first line, with its end."""
    return _line([*columns, MORE])


def row(document: Mapping[str, Any], columns: Sequence[str]) -> str:
    """Return *document* as a line, with its end; what is missing or None is an empty cell."""
    rest = {key: value for key, value in document.items() if key not in columns}
    rest = {key: value for key, value in rest.items() if value not in (None, "")}
    cells = [_cell(document.get(column)) for column in columns]
    return _line([*cells, _cell(json.dumps(rest, sort_keys=True)) if rest else ""])


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return json.dumps(value) if isinstance(value, list | dict) else str(value)
    text = printable(value)
    return f"'{text}" if value.lstrip(" ").startswith(_FORMULA) else text


def _line(cells: Sequence[str]) -> str:
    made = io.StringIO()
    csv.writer(made).writerow(cells)
    return made.getvalue()
