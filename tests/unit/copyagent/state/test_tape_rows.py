"""Tapes by name, a page at a time: neither a neighbour's tapes nor one too few."""

import sqlite3

import pytest

from copyagent.state.tape_rows import tapes_of
from vtsfs.contract.naming import PoolId, TapeId

NAMES = [
    "/VAULT00/BIL/X00001",
    "/VAULT00/BILL/A",
    "/VAULT00/BILL/X00001",
    "/VAULT00/BILL/X00002",
    "/VAULT00/BILL/x",
    "/VAULT00/BILL-2/X00001",
    "/VAULT00/BILL0/X00001",
    "/VAULT01/BILL/X00001",
]
POOL = PoolId("VAULT00", "BILL")


@pytest.mark.parametrize(
    ("where", "after", "most", "found"),
    [
        (POOL, "", 10, NAMES[1:5]),
        (POOL, "", 2, NAMES[1:3]),
        (POOL, NAMES[2], 2, NAMES[3:5]),
        (POOL, NAMES[4], 2, []),
        (TapeId("VAULT00", "BILL", "X00001"), "", 2, [NAMES[2]]),
        (TapeId("VAULT00", "BILL", "X00001"), NAMES[2], 2, []),
        (TapeId("VAULT00", "BILL", "NONE"), "", 2, []),
    ],
)
def test_a_page(where: TapeId | PoolId, after: str, most: int, found: list[str]) -> None:
    database = sqlite3.connect(":memory:")
    database.execute("CREATE TABLE tapes (tape TEXT PRIMARY KEY, record TEXT) WITHOUT ROWID")
    database.executemany("INSERT INTO tapes VALUES (?, '')", [(name,) for name in NAMES])
    rows = database.execute(*tapes_of(where, after, most)).fetchall()
    database.close()
    assert [name for name, _ in rows] == found
