import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtsfs.contract.errors import NameInvalid
from vtsfs.contract.naming import NamePatterns, PoolId, TapeId, is_vault


def test_a_tape_is_read_and_written_in_one_form() -> None:
    tape = TapeId.parse("/VAULT00/BILL/X00001")
    assert tape == TapeId("VAULT00", "BILL", "X00001")
    assert tape.pool_id == PoolId.parse("/VAULT00/BILL")
    assert str(tape) == "/VAULT00/BILL/X00001"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "X00001",
        "VAULT00/BILL/X00001",
        "/VAULT00/BILL",
        "/VAULT00/BILL/",
        "/VAULT00//X00001",
        "//BILL/X00001",
        "/VAULT00/BILL/X00001/",
        "/VAULT00/BILL/X00001/deeper",
        "/vault00/BILL/X00001",
        "/0VAULT/BILL/X00001",
        "/VAULT00/BILL/.",
        "/VAULT00/BILL/..",
        "/VAULT00/../X00001",
        "/VAULT00/.vts-autocopy/X00001",
        "/VAULT00/BILL/.X00001",
        "/VAULT00/BILL/X\0",
        "/VAULT00\n/BILL/X00001",
    ],
)
def test_what_could_never_be_a_tape_is_refused_by_name(text: str) -> None:
    with pytest.raises(NameInvalid) as refused:
        TapeId.parse(text)
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize(
    "label", ["X 1", "x\n1", "\N{SNOWMAN}", "\udcff", "a|b", "{tape}", "%s", "-rf", "~", "$@#"]
)
def test_odd_labels_are_named_without_harm(label: str) -> None:
    tape = TapeId.parse(f"/VAULT00/BILL/{label}")
    assert tape.label == label
    assert TapeId.parse(str(tape)) == tape


@pytest.mark.parametrize("text", ["/VAULT00", "/VAULT00/BILL/X", "/VAULT00/.BILL", "VAULT00/BILL"])
def test_what_is_no_pool_is_refused(text: str) -> None:
    with pytest.raises(NameInvalid):
        PoolId.parse(text)


@given(st.text())
def test_any_text_is_a_tape_or_refused(text: str) -> None:
    try:
        tape = TapeId.parse(text)
    except NameInvalid:
        return
    assert str(tape) == text
    assert text.count("/") == 3


@pytest.mark.parametrize(
    ("name", "tape"),
    [
        ("X00001", True),
        ("$SCR-1_@#", True),
        ("x" * 63, True),
        ("x" * 64, False),
        ("X00001.meta", False),
        (".X00001", False),
        ("-X", False),
        ("", False),
        ("X00001\n", False),
        ("X 1", False),
    ],
)
def test_default_labels(name: str, tape: bool) -> None:
    assert NamePatterns().is_label(name) is tape


def test_dot_names_stay_hidden_from_any_pattern() -> None:
    wide = NamePatterns(label=".*", pool=".*")
    assert not wide.is_label(".hidden")
    assert not wide.is_pool(".vts-autocopy")
    assert wide.is_label("what ever")
    for name in ("two\nlines", "bell\a", b"\xff1".decode("utf-8", "surrogateescape")):
        assert not wide.is_label(name)
        assert not NamePatterns(pool="(?s:.*)").is_pool(name)


@pytest.mark.parametrize(("name", "good"), [("VAULT00", True), ("V", True), ("VAULT00\n", False)])
def test_vault_names(name: str, good: bool) -> None:
    assert is_vault(name) is good
