"""Which span of time is meant by what an operator types, and by whose clock."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from copyagent.cli.spans import Span, local_time, moment_ns, span_of
from vtsfs.contract.errors import UsageError

NOW = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z
HOUR = 3_600_000_000_000


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000_000


@pytest.fixture
def berlin(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("24h", NOW - 24 * HOUR),
        ("1.5h", NOW - 3 * HOUR // 2),
        ("2025-12-31", ns("2025-12-31")),
        ("2025-12-31T08:30", ns("2025-12-31T08:30")),
        ("2025-12-31 08:30:05", ns("2025-12-31T08:30:05")),
        ("2025-12-31T08:30Z", ns("2025-12-31T08:30")),
        ("2025-12-31T08:30+01:00", ns("2025-12-31T07:30")),
        ("2025-12-31T08:30:00.250Z", ns("2025-12-31T08:30") + 250_000_000),
        ("1950-01-01", 0),
        ("99999d", 0),
    ],
)
def test_a_time_a_date_and_an_age(text: str, wanted: int) -> None:
    assert moment_ns(text, "--from", NOW) == wanted


def test_a_day_ends_where_the_next_begins() -> None:
    assert moment_ns("2025-12-31", "--to", NOW, day_ends=True) == ns("2026-01-01")
    assert moment_ns("2025-12-31T08:30", "--to", NOW, day_ends=True) == ns("2025-12-31T08:30")


def test_by_this_systems_clock(berlin: None) -> None:
    assert moment_ns("2025-12-31T08:30", "--from", NOW, local=True) == ns("2025-12-31T07:30")
    assert moment_ns("2025-12-31T08:30Z", "--from", NOW, local=True) == ns("2025-12-31T08:30")
    # On the last Sunday of October a day has 25 hours there.
    begin = moment_ns("2025-10-26", "--from", NOW, local=True)
    assert moment_ns("2025-10-26", "--to", NOW, local=True, day_ends=True) == begin + 25 * HOUR


@pytest.mark.parametrize(
    "text", ["", "soon", "2025-13-01", "2025-12-31T25:00", "9999-12-31T1", "5"]
)
def test_what_is_none_of_them_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"--to should be a date \(2026-01-31\)"):
        moment_ns(text, "--to", NOW)


def test_the_last_day_of_the_calendar_has_no_end() -> None:
    with pytest.raises(UsageError):
        moment_ns("9999-12-31", "--to", NOW, day_ends=True)


def test_the_options_together() -> None:
    assert span_of(since=None, begin=None, end=None, local=False) == Span()
    assert not Span().bounded
    day = span_of(since=None, begin="2025-12-31", end="2025-12-31", local=False)
    assert (day.from_ns, day.to_ns, day.bounded) == (ns("2025-12-31"), ns("2026-01-01"), True)
    for wrong in (
        {"since": "1h", "begin": "2h", "end": None},
        {"since": None, "begin": "9998-01-01", "end": None},
        {"since": None, "begin": "2025-12-31T08:00", "end": "2025-12-31T08:00"},
        {"since": "1h", "begin": None, "end": "2h"},
    ):
        with pytest.raises(UsageError):
            span_of(**wrong, local=False)


def test_documents_by_this_systems_clock(berlin: None) -> None:
    document = {"at": "2025-07-31T22:30:00Z", "published": None, "cause": "2025-07-31T22:30:00Z"}
    assert Span().show(document) == document
    shown = Span(local=True).show(document)
    assert shown == document | {"at": "2025-08-01T00:30:00+02:00"}
    assert local_time("2025-12-31T08:30:00.250Z") == "2025-12-31T09:30:00.250+01:00"
    assert local_time("9999999999 s from 1970-01-01T00:00:00Z").startswith("9999999999 s")
