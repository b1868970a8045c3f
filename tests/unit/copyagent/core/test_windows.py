"""A window of the day, by local time, over midnight and over the change of summer time."""

from datetime import UTC, datetime

import pytest

from copyagent.core.time import Moment
from copyagent.core.windows import describe, is_open, look_in_s, turns_in_s
from vtsfs.contract.setting_values import DailyWindow

NIGHT = DailyWindow(22 * 60, 6 * 60)
NOON = DailyWindow(12 * 60, 13 * 60 + 30)


def at(text: str, east_h: float = 0.0) -> Moment:
    """Return the moment at which local clocks show *text*, *east_h* hours before UTC."""
    shown = datetime.fromisoformat(f"2026-11-22T{text}").replace(tzinfo=UTC)
    return Moment(0.0, int((shown.timestamp() - east_h * 3600) * 1e9), int(east_h * 3600))


@pytest.mark.parametrize("east_h", [0, 1, -5, 5.5, 13])
@pytest.mark.parametrize(
    ("window", "shown", "opened", "turns_in"),
    [
        (NOON, "11:59:59", False, 1),
        (NOON, "12:00:00", True, 5400),
        (NOON, "13:29:59", True, 1),
        (NOON, "13:30:00", False, 22.5 * 3600),
        (NIGHT, "21:59:30", False, 30),
        (NIGHT, "22:00:00", True, 8 * 3600),
        (NIGHT, "23:59:59", True, 6 * 3600 + 1),
        (NIGHT, "00:00:00", True, 6 * 3600),
        (NIGHT, "05:59:59", True, 1),
        (NIGHT, "06:00:00", False, 16 * 3600),
    ],
)
def test_it_is_open_from_its_beginning_to_before_its_end(
    window: DailyWindow, shown: str, opened: bool, turns_in: float, east_h: float
) -> None:
    now = at(shown, east_h)
    assert is_open(window, now) is opened
    assert turns_in_s(window, now) == pytest.approx(turns_in)
    assert is_open(window, now.after(turns_in)) is not opened


def test_whoever_waits_looks_again_at_each_half_hour() -> None:
    assert look_in_s(NOON, at("08:10:00")) == pytest.approx(1200)
    assert look_in_s(NOON, at("11:59:00")) == pytest.approx(60)
    assert look_in_s(NOON, at("08:00:00")) == pytest.approx(1800)
    assert 0 < look_in_s(NOON, at("12:00:00")) <= 1800


def test_the_beginning_of_summer_time_is_noticed_when_it_comes() -> None:
    """Clocks go from 01:59:59 to 03:00:00: a window from 03:00 opens an hour earlier than it seemed."""
    window, now, opened = DailyWindow(3 * 60, 4 * 60), at("01:00:00", 1), None
    for _ in range(10):
        now = now.after(look_in_s(window, now))
        changed = now.wall_ns >= at("02:00:00", 1).wall_ns
        now = Moment(now.mono, now.wall_ns, 7200 if changed else 3600)
        if is_open(window, now):
            opened = now.wall_ns
            break
    assert opened == at("02:00:00", 1).wall_ns


def test_a_window_in_the_skipped_hour_stays_shut_that_day() -> None:
    window = DailyWindow(2 * 60, 3 * 60)
    before, after = at("01:59:59", 1), at("03:00:00", 2)
    assert before.wall_ns + 10**9 == after.wall_ns
    assert not is_open(window, before)
    assert not is_open(window, after)


def test_it_is_written_as_in_the_settings() -> None:
    assert describe(NIGHT) == "22:00-06:00"
