"""What may have been meant by a name of nothing."""

import pytest

from vtsfs.contract.near_names import MOST_LISTED, hint, listed, near

POOLS = ["/VAULT00/BILL", "/VAULT00/PAY", "/VAULT01/BILL"]


@pytest.mark.parametrize(
    ("name", "known", "meant"),
    [
        ("drsit", ["drsite", "attic"], "drsite"),
        ("DRSITE", ["drsite", "attic"], "drsite"),
        ("atic", ["drsite", "attic"], "attic"),
        ("nowhere", ["drsite", "attic"], ""),
        ("drsite", [], ""),
        ("/VAULT00/BIL", POOLS, "/VAULT00/BILL"),
        ("/vault00/bill", POOLS, "/VAULT00/BILL"),
        ("/VAULT1/BILL", POOLS, "/VAULT01/BILL"),
        ("/VAULT00/SCRAP", POOLS, ""),
    ],
)
def test_what_is_near_is_meant_and_what_is_not_is_not(
    name: str, known: list[str], meant: str
) -> None:
    assert near(name, known) == meant
    assert hint(name, known) == (f"; did you mean {meant}?" if meant else "")


@pytest.mark.parametrize(
    ("label", "meant"),
    [("X00017", ""), ("x00011", "X00011"), ("X0011", "X00011"), ("XO0011", "X00011")],
)
def test_another_number_of_the_same_form_is_another_tape(label: str, meant: str) -> None:
    assert near(label, ["X00011", "X00042"], numbered=True) == meant


def test_of_very_many_names_those_are_looked_at_that_begin_or_end_alike() -> None:
    labels = [f"T{number:06}" for number in range(100_000)]
    assert near("T04242", labels).startswith("T0")
    assert near("X99", labels) == ""


def test_where_nothing_is_near_something_else_can_be_said() -> None:
    assert hint("nowhere", ["drsite"], otherwise="; see the settings") == "; see the settings"


def test_very_many_names_are_counted() -> None:
    names = [f"pool{number}" for number in range(MOST_LISTED + 3)]
    assert listed(names).endswith("and 3 more")
    assert listed([]) == "none"
    assert listed(names, len(names)).endswith(names[-1])
