"""One copy as the decisions see it."""

import dataclasses
from typing import get_args

import pytest

from copyagent.core import copying
from copyagent.core.copying import CopyDone, CopyOutcome, PublishedCopy, TargetStamp, Way
from vtsfs.contract.signals import Identity


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


MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("way", "sent", "resumed", "amount", "summary"),
    [
        ("whole", 20 * MIB, 0, "20.0 MiB", "the whole tape (20.0 MiB)"),
        (
            "extents",
            2 * MIB,
            0,
            "2.0 MiB of 20.0 MiB",
            "what the overlay saw being changed (2.0 MiB of 20.0 MiB)",
        ),
        ("equal", 0, 0, "nothing to send", "the same bytes (nothing to send)"),
        (
            "digests",
            MIB,
            3 * MIB,
            "1.0 MiB of 20.0 MiB",
            "what differs by digest (1.0 MiB of 20.0 MiB, 3.0 MiB were there from an earlier attempt)",
        ),
    ],
)
def test_what_was_sent_is_told(
    way: Way, sent: int, resumed: int, amount: str, summary: str
) -> None:
    copy = PublishedCopy(
        generation=1,
        source=Identity(1, 2, 20 * MIB, 4, 5),
        size=20 * MIB,
        sha256="",
        stamp=TargetStamp(20 * MIB, 1),
        verified="size",
    )
    done = CopyDone(copy, sent, 1.5, resumed=resumed, way=way)
    assert (done.amount, done.summary) == (amount, summary)


def test_every_way_has_words() -> None:
    assert set(copying._WAYS) == set(get_args(Way))
