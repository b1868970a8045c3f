"""The host's event log, and the positioning option TIME of its distributor."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from datetime import date, datetime, time

_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_TIME = re.compile(r"(?i)(?:^|[\s,/])TIME\s+([^,]+)")


class IllegalParameter(ValueError):
    """The distributor does not take this."""


@dataclass(frozen=True, slots=True)
class Logged:
    """One event as it is printed, and when it was generated: by the host's clock, and really.

    *instant* is the civil time that it would have been, had the clock never been stepped.
    """

    at: datetime
    printed: str
    instant: datetime


class EventLog:
    """Keep the latest events in the order in which they were logged."""

    def __init__(self) -> None:
        self._kept: deque[Logged] = deque()

    def add(self, at: datetime, printed: str, keeps: int, instant: datetime | None = None) -> None:
        """Log an event; the oldest go when there are more than *keeps*."""
        self._kept.append(Logged(at, printed, instant or at))
        while len(self._kept) > keeps:
            self._kept.popleft()

    def since(self, start: datetime) -> list[str]:
        """Return what was generated from *start* on, the first time that the clock showed that."""
        first = next((event.instant for event in self._kept if event.at >= start), None)
        return [event.printed for event in self._kept if first and event.instant >= first]

    def latest(self, count: int) -> list[str]:
        """Return the *count* events logged last."""
        return [event.printed for event in list(self._kept)[-count:]] if count else []

    def lose(self) -> None:
        """Roll over: forget all."""
        self._kept.clear()


def start_time(command: str, today: date) -> datetime | None:
    """Read the option TIME of a command that starts a distributor; None where it has none.

    ``TIME {date | [date] time}`` in local civil time; a date is ``1999-12-31``, ``DEC 31 1999`` or
    ``31 DEC 1999`` with four digits of the year, a time ``hour:minute[:second]``; without a date
    today's, without a time midnight (EMS manual 426909-005, pages 13-37 and 13-38). Raises
    `IllegalParameter`.
    """
    found = _TIME.search(command)
    if found is None:
        return None
    words = found[1].split()
    clock = words.pop() if words and ":" in words[-1] else "0:00:00"
    try:
        return datetime.combine(_date(words, today), _time(clock))
    except ValueError as error:
        raise IllegalParameter(found[0]) from error


def _date(words: list[str], today: date) -> date:
    if not words:
        return today
    if len(words) == 1:
        found = re.fullmatch(r"(\d{4})-(\d{1,2})-(\d{1,2})", words[0])
        if found is None:
            raise ValueError(words[0])
        return date(int(found[1]), int(found[2]), int(found[3]))
    first, second, year = words
    name, day = (second, first) if first.isdigit() else (first, second)
    if not re.fullmatch(r"\d{4}", year):
        raise ValueError(year)
    return date(int(year), _MONTHS.index(name.upper()) + 1, int(day))


def _time(text: str) -> time:
    found = re.fullmatch(r"(\d{1,2}):(\d{1,2})(?::(\d{2}))?", text)
    if found is None:
        raise ValueError(text)
    return time(int(found[1]), int(found[2]), int(found[3] or 0))
