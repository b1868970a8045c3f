"""The daily window of a target: when something may be sent to it, by the clock on this machine's wall.

A window is a time of day. When summer time begins or ends, it opens by the new time: one that lies
wholly within the skipped hour does not open that day, one within the hour that comes twice opens
twice. Nobody knows here when that will be, so whoever waits looks again at every full half hour.
"""

from copyagent.core.time import Moment
from vtsfs.contract.setting_values import DailyWindow

_MINUTE_S = 60.0
_DAY_S = 86400.0

#: Clocks are put forward or back at full hours, some at half ones.
_LOOK_AGAIN_S = 1800.0


def is_open(window: DailyWindow, now: Moment) -> bool:
    """Tell whether *now* lies in *window*; its end does not."""
    start_s, end_s = window.start * _MINUTE_S, window.end * _MINUTE_S
    if start_s < end_s:
        return start_s <= now.second_of_day < end_s
    return now.second_of_day >= start_s or now.second_of_day < end_s


def turns_in_s(window: DailyWindow, now: Moment) -> float:
    """Return in how many seconds *window* opens, or closes, if the clocks stay as they are."""
    edge = window.end if is_open(window, now) else window.start
    return (edge * _MINUTE_S - now.second_of_day) % _DAY_S or _DAY_S


def look_in_s(window: DailyWindow, now: Moment) -> float:
    """Return in how many seconds to look whether *window* has opened, or closed."""
    until_half_hour = _LOOK_AGAIN_S - now.second_of_day % _LOOK_AGAIN_S
    return min(turns_in_s(window, now), until_half_hour)


def time_of_day(minute: int) -> str:
    """Write a minute of the day as a clock shows it."""
    return f"{minute // 60:02}:{minute % 60:02}"


def describe(window: DailyWindow) -> str:
    """Write *window* as the settings do."""
    return f"{time_of_day(window.start)}-{time_of_day(window.end)}"
