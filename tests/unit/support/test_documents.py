"""Documents are held against their schemas strictly, also the second time that they look alike."""

import json

import pytest

from tests.support.documents import check_document, check_output, document_of

ENTRY = {
    "schema": 1,
    "number": 1,
    "at": "2026-11-22T01:02:03Z",
    "kind": "kept",
    "tape": "/VAULT00/BILL/X00001",
    "target": "drsite",
    "generation": 7,
    "settings": "",
    "chain": "00",
    "how": "erased",
}


def test_what_is_right_passes_again_and_again() -> None:
    for number in range(3):
        check_document("history", ENTRY | {"number": number})


@pytest.mark.parametrize(
    "wrong",
    [
        {"number": -1},
        {"number": "1"},
        {"at": "yesterday"},
        {"at": 5},
        {"kind": "unheard of"},
        {"tape": None},
        {"how": None},
        {"schema": 2},
        {"schema": True},
        {"chain": {}},
        {"chain": []},
        {"unheard_of": 1},
    ],
)
def test_what_is_wrong_fails_though_it_looks_like_what_passed(wrong: dict[str, object]) -> None:
    check_document("history", ENTRY)
    with pytest.raises(AssertionError, match="history is not as its schema has it"):
        check_document("history", ENTRY | wrong)


@pytest.mark.parametrize("key", ENTRY)
def test_what_is_missing_fails(key: str) -> None:
    with pytest.raises(AssertionError, match="required"):
        check_document("history", {k: value for k, value in ENTRY.items() if k != key})


def test_an_empty_list_is_no_empty_mapping() -> None:
    queue: dict[str, object] = {"schema": 1, "at": None, "targets": []}
    check_document("queue", queue)
    with pytest.raises(AssertionError, match="targets"):
        check_document("queue", queue | {"targets": {}})


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("copyagent history --json", "history"),
        ("copyagent history --verify --json", "history-verify"),
        ("copyagent report --json --since 1d", "report"),
        ("copyagent report --proofs --json", "report-proofs"),
        ("copyagent licence install FILE --json", "answers"),
        ("copyagent ems status --json", "ems-status"),
        ("copyagent status --json", "status"),
        ("vtsfs status VAULT00 --json", "overlay-status"),
    ],
)
def test_the_kind_is_known_by_the_command(words: str, name: str) -> None:
    program, *arguments = words.split()
    assert document_of(program, arguments).name == name


def test_every_line_is_looked_at() -> None:
    good, bad = json.dumps(ENTRY), json.dumps(ENTRY | {"kind": "unheard of"})
    check_output("copyagent", ("history", "--json"), f"{good}\n{good}\n")
    check_output("copyagent", ("history",), "no JSON at all")
    with pytest.raises(AssertionError, match="unheard of"):
        check_output("copyagent", ("history", "--json"), f"{good}\n{bad}\n")
