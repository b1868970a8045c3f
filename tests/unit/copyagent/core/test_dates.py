"""Times in documents."""

import pytest

from copyagent.core.dates import iso, iso_ms


@pytest.mark.parametrize(
    ("at_ns", "text"),
    [
        (0, None),
        (1, "1970-01-01T00:00:00Z"),
        (1_795_369_483_999_999_999, "2026-11-22T17:44:43Z"),
        (10**30, f"{10**21} s from 1970-01-01T00:00:00Z"),
    ],
)
def test_to_the_second(at_ns: int, text: str | None) -> None:
    assert iso(at_ns) == text


@pytest.mark.parametrize(
    ("at_ns", "text"),
    [
        (0, None),
        (1_795_369_483_000_000_000, "2026-11-22T17:44:43.000Z"),
        (1_795_369_483_120_999_999, "2026-11-22T17:44:43.120Z"),
    ],
)
def test_to_the_millisecond(at_ns: int, text: str | None) -> None:
    assert iso_ms(at_ns) == text
