from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from copyagent.core.licence import (
    FEATURE,
    NEXT_STEPS,
    Installed,
    Standing,
    brief,
    day_of,
    describe,
    judge,
    next_step,
    start_of,
)
from tests.support.licences import TERMS

SYSTEM = "TAPESRV1"
FOUND = Installed(TERMS, digest="d")
LAST = TERMS.expires


def standing(day: date, found: Installed = FOUND, *, required: bool = True) -> Standing:
    return judge(found, SYSTEM, day, required=required).standing


def expected(days_after: int) -> Standing:
    """Say it in the words of the promise: the 30 days before, the last day, 14 days of grace."""
    if days_after < -30:
        return Standing.VALID
    if days_after <= 0:
        return Standing.EXPIRES_SOON
    return Standing.GRACE if days_after <= 14 else Standing.EXPIRED


@pytest.mark.parametrize("days_after", range(-31, 17))
def test_every_day_round_the_last_one(days_after: int) -> None:
    judged = judge(FOUND, SYSTEM, LAST + timedelta(days_after), required=True)
    assert judged.standing is expected(days_after)
    assert judged.days_left == -days_after
    assert judged.standing.copies == (days_after <= 14)
    assert "2026-12-31" in judged.words


@given(st.dates(), st.dates(), st.dates())
def test_copies_are_made_from_the_issue_to_the_end_of_grace_and_on_no_other_day(
    one: date, other: date, day: date
) -> None:
    issued, expires = min(one, other), max(one, other)
    found = Installed(replace(TERMS, issued=issued, expires=expires), digest="d")
    copies = issued - day <= timedelta(1) and day - expires <= timedelta(14)
    assert standing(day, found).copies == copies


@given(st.dates())
def test_what_is_no_licence_lets_nothing_be_copied_on_any_day(day: date) -> None:
    for found, wanted in (
        (Installed(), Standing.MISSING),
        (Installed(fault="its signature is not its issuer's", digest="d"), Standing.INVALID),
        (replace(FOUND, terms=replace(TERMS, system="OTHER")), Standing.FOREIGN),
        (replace(FOUND, terms=replace(TERMS, system=SYSTEM.lower())), Standing.FOREIGN),
        (replace(FOUND, terms=replace(TERMS, feature="instant-dr")), Standing.INVALID),
    ):
        judged = judge(found, SYSTEM, day, required=True)
        assert (judged.standing, judged.standing.copies) == (wanted, False)


@given(st.dates(), st.sampled_from([FOUND, Installed(), Installed(fault="x", digest="d")]))
def test_where_none_is_required_nothing_matters(day: date, found: Installed) -> None:
    assert standing(day, found, required=False) is Standing.NOT_REQUIRED
    assert Standing.NOT_REQUIRED.copies


def test_a_licence_of_the_future_waits_for_its_day() -> None:
    day = TERMS.issued - timedelta(2)
    judged = judge(FOUND, SYSTEM, day, required=True)
    assert judged.standing is Standing.NOT_YET
    assert "check the clock" in judged.words
    assert standing(day + timedelta(1)) is Standing.VALID


def test_the_words_name_the_cause() -> None:
    other = replace(FOUND, terms=replace(TERMS, system="OTHER"))
    assert judge(other, SYSTEM, LAST, required=True).words == (
        "the licence is for system OTHER, and this is TAPESRV1"
    )
    grace = judge(FOUND, SYSTEM, LAST + timedelta(1), required=True).words
    assert grace == "the licence expired on 2026-12-31; copies are made until 2027-01-14"
    tomorrow = judge(FOUND, SYSTEM, LAST - timedelta(1), required=True).words
    assert tomorrow == "valid until 2026-12-31, tomorrow"
    assert judge(FOUND, SYSTEM, LAST, required=True).words.endswith("today")


def test_every_standing_has_a_next_step() -> None:
    assert set(NEXT_STEPS) == set(Standing)
    for each in Standing:
        assert "{" not in next_step(each, SYSTEM)
        assert each.copies or "licence" in next_step(each, SYSTEM) or "date" in next_step(each, "")


@given(st.dates(date(1970, 1, 1)))
def test_days_are_those_of_utc(day: date) -> None:
    begin = start_of(day)
    assert (day_of(begin), day_of(begin + 86_400 * 10**9 - 1)) == (day, day)


def test_times_that_no_calendar_knows() -> None:
    assert (day_of(2**80), day_of(-(2**80))) == (date.max, date.min)
    assert replace(TERMS, expires=date.max).grace_ends == date.max


def test_a_licence_is_named_in_records() -> None:
    assert describe(Installed()) == brief(Installed()) == "none"
    assert brief(FOUND) == "until 2026-12-31, serial 2026-0017"
    assert describe(FOUND) == "serial 2026-0017 for TAPESRV1 until 2026-12-31"
    assert describe(Installed(fault="damaged", digest="d")) == "invalid (damaged)"
    assert FEATURE == "data-replication"
