"""When things in a recording happened."""

from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copyagent.core.timeline import (
    UNDATED_NS,
    Instant,
    beginning,
    printed_instant,
    read_instant,
)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("0", Instant(0, dated=False)),
        ("12.5", Instant(12_500_000_000, dated=False)),
        ("1970-01-01T00:00:01.5Z", Instant(1_500_000_000, dated=True)),
        ("1970-01-01T01:00:00+01:00", Instant(0, dated=True)),
        ("2026-11-22T17:44:43.120Z", Instant(1_795_369_483_120_000_000, dated=True)),
    ],
)
def test_an_instant(text: str, instant: Instant) -> None:
    assert read_instant(text) == instant


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "1e99", "noon", "1950-01-01", "", "24:00"])
def test_what_is_no_instant(text: str) -> None:
    with pytest.raises(ValueError, match=r"recording|date|1970"):
        read_instant(text)


@given(st.text(max_size=30))
def test_nothing_else_is_raised(text: str) -> None:
    try:
        read_instant(text)
    except ValueError:
        return


def test_the_hosts_own_clock_stands_in() -> None:
    assert printed_instant("80-01-01 00:00:01", None) == read_instant("1980-01-01T00:00:01Z")
    berlin = printed_instant("06-09-14 22:00:01", ZoneInfo("Europe/Berlin"))
    assert berlin == read_instant("2006-09-14T20:00:01Z")
    assert printed_instant("yesterday", None) is None


def test_seconds_count_from_the_first_date() -> None:
    assert beginning([]) == UNDATED_NS
    assert beginning([Instant(5, dated=False)]) == UNDATED_NS
    dates = [Instant(7, dated=True), Instant(3, dated=True), Instant(1, dated=False)]
    assert beginning(dates) == 3
