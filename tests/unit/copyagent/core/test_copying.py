"""One copy as the decisions see it."""

import dataclasses
from typing import get_args

import pytest

from copyagent.core import copying
from copyagent.core.copying import CopyOutcome, TargetStamp


@pytest.mark.parametrize(
    ("one", "other", "agree"),
    [
        (TargetStamp(1, 2), TargetStamp(1, 2), True),
        (TargetStamp(1, 2), TargetStamp(2, 2), False),
        (TargetStamp(1, 2), TargetStamp(1, 3), False),
        (TargetStamp(1, 2, "a"), TargetStamp(1, 2, "a"), True),
        (TargetStamp(1, 2, "a"), TargetStamp(1, 2, "b"), False),
        # What was not asked for once cannot be compared.
        (TargetStamp(1, 2, "a"), TargetStamp(1, 2), True),
        (TargetStamp(1, 3, "a"), TargetStamp(1, 2), False),
    ],
)
def test_whether_two_stamps_can_be_of_one_untouched_file(
    one: TargetStamp, other: TargetStamp, *, agree: bool
) -> None:
    assert one.agrees(other) is agree
    assert other.agrees(one) is agree


def test_every_way_a_copy_can_end_is_an_outcome() -> None:
    told = {
        kind
        for name, kind in vars(copying).items()
        if name.startswith(("Copy", "Source")) and dataclasses.is_dataclass(kind)
    }
    assert told - {copying.CopyJob} == set(get_args(CopyOutcome))
