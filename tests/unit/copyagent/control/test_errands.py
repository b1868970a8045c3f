"""What operators decide, on its way to the agent: whole, and refused where it says too little."""

from collections.abc import Callable
from typing import Any

import pytest

from copyagent.control.admission import Right
from copyagent.control.errands import (
    ACTIONS,
    MAX_REASON,
    Adopt,
    AtTarget,
    Drilled,
    Release,
    Relocate,
    RollBack,
)
from copyagent.control.protocol import RIGHTS, encode_request, parse_request
from vtsfs.contract.errors import UsageError
from vtsfs.contract.naming import TapeId

TAPE = TapeId("VAULT00", "BILL", "X00001")
NAME = {"tape": str(TAPE)}
DRILLED = {"target": "t", "because": "x", "digests": "DRILL.sha256 of VAULT00: aa"}


def test_all_of_them_act() -> None:
    assert {RIGHTS[kind] for kind in (Release, Relocate, Adopt, RollBack, AtTarget, Drilled)} == {
        Right.ACT
    }


def test_reasons_are_one_line() -> None:
    assert Relocate.read(NAME | {"because": " a\n b "}) == Relocate(TAPE, "a b")
    asked = parse_request(encode_request(RollBack(TAPE, 3, "a  b", "drsite"))[:-1])
    assert asked == RollBack(TAPE, 3, "a b", "drsite")


def test_a_drill_says_what_was_written() -> None:
    asked = Drilled("drsite", "yearly", "DRILL.sha256 of VAULT00: aa")
    assert parse_request(encode_request(asked)[:-1]) == asked


def test_a_release_says_overwrite_only_if_it_means_it() -> None:
    assert "overwrite_target" not in Release(TAPE, "x").args()
    assert Release.read(NAME | {"because": "x"}) == Release(TAPE, "x")
    assert Release.read(NAME | {"because": "x", "overwrite_target": True}).overwrite_target


@pytest.mark.parametrize("action", ACTIONS)
def test_what_was_done_at_a_target_is_one_of_a_few(action: str) -> None:
    assert AtTarget.read({"action": action, "target": "drsite", "because": "x"}).action == action


@pytest.mark.parametrize(
    ("read", "args", "said"),
    [
        (Release.read, NAME | {"because": "x", "overwrite_target": 1}, "true or false"),
        (Relocate.read, NAME, "relocate needs because"),
        (Relocate.read, NAME | {"because": " "}, "needs a reason; say --because"),
        (Relocate.read, NAME | {"because": "x" * (MAX_REASON + 1)}, "shorter"),
        (Relocate.read, NAME | {"because": "x", "place": "/"}, "does not take 'place'"),
        (Adopt.read, {}, "adopt needs where"),
        (Adopt.read, {"where": "X00001"}, "neither a tape nor a pool"),
        (RollBack.read, NAME | {"because": "x", "generation": "2"}, "as a whole number"),
        (RollBack.read, NAME | {"because": "x", "generation": -1}, "has to be from 0"),
        (AtTarget.read, {"action": "burn", "target": "t", "because": "x"}, "not 'burn'"),
        (AtTarget.read, {"action": "fence", "because": "x"}, "at-target needs target"),
        (Drilled.read, {"target": "t", "because": "x"}, "drill needs digests"),
        (Drilled.read, DRILLED | {"because": ""}, "drill needs a reason"),
        (Drilled.read, DRILLED | {"digests": "x" * 8001}, "at most 8000"),
        (Drilled.read, DRILLED | {"digests": "\x1b[2J"}, "plain characters"),
    ],
)
def test_what_says_too_little_or_too_much_is_refused(
    read: Callable[[dict[str, Any]], object], args: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError, match=said):
        read(dict(args))
