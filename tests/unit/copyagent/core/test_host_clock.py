"""Printed times, which carry neither a zone nor a century."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copyagent.core.host_clock import (
    as_printed,
    as_time_option,
    in_utc,
    local_time,
    printed_second,
)

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    ("printed", "year"),
    [
        ("06-09-14 22:00:01", 2006),
        ("79-01-01 00:00:00", 2079),
        ("80-01-01 00:00:00", 1980),
        ("89-11-20 14:21:14", 1989),
        ("00-02-29 12:00:00", 2000),
    ],
)
def test_the_century(printed: str, year: int) -> None:
    read = local_time(printed)
    assert read is not None
    assert read.year == year


def test_a_time_is_converted_where_the_zone_is_known() -> None:
    assert local_time("06-09-14 22:00:01") == datetime(2006, 9, 14, 22, 0, 1)  # noqa: DTZ001 - civil
    assert in_utc("06-09-14 22:00:01", BERLIN) == "2006-09-14T20:00:01Z"
    assert in_utc("06-12-14 22:00:01", BERLIN) == "2006-12-14T21:00:01Z"
    assert in_utc("06-09-14 22:00:01", None) is None


def test_the_hour_that_comes_twice() -> None:
    assert in_utc("06-10-29 02:30:00", BERLIN) == "2006-10-29T00:30:00Z"


@pytest.mark.parametrize(
    "printed", ["", "06-13-01 00:00:00", "06-02-30 10:00:00", "99-99-99 9", "x"]
)
def test_what_is_no_time(printed: str) -> None:
    assert local_time(printed) is None
    assert in_utc(printed, BERLIN) is None


@given(st.text(max_size=20))
def test_nothing_that_is_printed_raises(printed: str) -> None:
    in_utc(printed, BERLIN)


@given(st.datetimes(min_value=datetime(1980, 1, 1), max_value=datetime(2079, 12, 31)))  # noqa: DTZ001 - civil time
def test_seconds_of_the_hosts_clock_come_back_as_printed(when: datetime) -> None:
    printed = when.strftime("%y-%m-%d %H:%M:%S")
    second = printed_second(printed)
    assert second is not None
    assert as_printed(second) == printed
    assert as_time_option(second) == when.strftime("%Y-%m-%d %H:%M:%S")
    assert printed_second(as_printed(second + 61)) == second + 61 or when.year == 2079


@pytest.mark.parametrize("printed", ["", "99-99-99 99:99:99", "06-02-30 00:00:00", "06-09-14"])
def test_what_is_no_time_has_no_second(printed: str) -> None:
    assert printed_second(printed) is None
