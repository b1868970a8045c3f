"""Requests about evidence, as they are carried."""

import json
from typing import Any

import pytest

from copyagent.control.inquiries import MAX_DETAIL, MAX_ENTRIES, Copies, Doubt, History
from copyagent.control.protocol import Request, encode_request, parse_request
from copyagent.core import on_record
from vtsfs.contract.errors import NameInvalid, UsageError
from vtsfs.contract.naming import TapeId

TAPE = TapeId("VAULT00", "BILL", "X00001")
WORD = on_record.Doubt(TAPE, "drsite", 99, "its content is another one")


@pytest.mark.parametrize(
    "inquiry",
    [
        History(),
        History(TAPE, since_ns=5, failed=True, after=17, last=3, most=1),
        History(TAPE.pool_id),
        History(since_ns=5, until_ns=9, kinds=("dismounted", "copied")),
        Copies(TAPE),
        Copies(TAPE.pool_id, "/VAULT00/BILL/X00000", 7),
        Doubt(WORD),
    ],
    ids=repr,
)
def test_round_trip(inquiry: Request) -> None:
    assert parse_request(encode_request(inquiry)[:-1]) == inquiry


def test_the_wire_form_of_version_1_never_changes() -> None:
    assert encode_request(History(TAPE)) == (
        b'{"version":1,"command":"history","args":{"where":"/VAULT00/BILL/X00001","since_ns":0,'
        b'"failed":false,"after":0,"last":0,"most":2000}}\n'
    )
    assert encode_request(Copies(TAPE.pool_id)) == (
        b'{"version":1,"command":"copies","args":{"where":"/VAULT00/BILL","after":"","most":2000}}\n'
    )
    assert encode_request(Doubt(WORD)) == (
        b'{"version":1,"command":"doubt","args":{"tape":"/VAULT00/BILL/X00001",'
        b'"target":"drsite","published_ns":99,"detail":"its content is another one"}}\n'
    )


@pytest.mark.parametrize(
    ("command", "args", "error"),
    [
        ("history", {"where": 5}, UsageError),
        ("history", {"where": "X00001"}, NameInvalid),
        ("history", {"failed": "yes"}, UsageError),
        ("history", {"after": 1.5}, UsageError),
        ("history", {"after": True}, UsageError),
        ("history", {"after": -1}, UsageError),
        ("history", {"most": MAX_ENTRIES + 1}, UsageError),
        ("history", {"most": 0}, UsageError),
        ("history", {"color": "red"}, UsageError),
        ("history", {"until_ns": "now"}, UsageError),
        ("history", {"kinds": "copied"}, UsageError),
        ("history", {"kinds": [5]}, UsageError),
        ("history", {"kinds": ["copied"] * 51}, UsageError),
        ("copies", {}, UsageError),
        ("copies", {"where": "/VAULT00/BILL", "after": 5}, UsageError),
        ("copies", {"where": "/VAULT00"}, NameInvalid),
        ("doubt", {"tape": str(TAPE)}, UsageError),
        ("doubt", {"tape": "X", "target": "t", "detail": ""}, NameInvalid),
    ],
)
def test_what_makes_no_sense_is_refused(
    command: str, args: dict[str, Any], error: type[Exception]
) -> None:
    line = json.dumps({"version": 1, "command": command, "args": args}).encode()
    with pytest.raises(error):
        parse_request(line)


def test_a_description_is_one_line_and_not_endless() -> None:
    word = on_record.Doubt(TAPE, "drsite", 1, "a\nb " + "x" * 1000)
    carried = parse_request(encode_request(Doubt(word))[:-1])
    assert isinstance(carried, Doubt)
    assert carried.word.detail.startswith("a b xxx")
    assert len(carried.word.detail) == MAX_DETAIL
