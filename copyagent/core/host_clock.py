"""A host's printed times: for display, and to ask a host for what came after a certain event.

Nothing is paired or decided by them, and those of two hosts, or a host's and ours, are never
compared.

A printed header has local civil time with two digits of the year and without a zone (EMS manual
426909-005). Which zone the host's clock shows only the settings can tell.
"""

from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

_FORMAT: Final = "%y-%m-%d %H:%M:%S"
PIVOT: Final = 80
"""Two-digit years from here on are of the twentieth century; NonStop systems are no older."""

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - civil time has no zone


def local_time(printed_at: str) -> datetime | None:
    """Read a printed date and time as the civil time it shows; None if it is none."""
    try:
        read = datetime.strptime(" ".join(printed_at.split()), _FORMAT)  # noqa: DTZ007 - it has none
    except ValueError:
        return None
    century = 1900 if int(printed_at.split("-", 1)[0]) >= PIVOT else 2000
    try:
        return read.replace(year=century + read.year % 100)
    except ValueError:
        return None


def in_utc(printed_at: str, zone: ZoneInfo | None) -> str | None:
    """Convert a printed time of a host in *zone* to ISO 8601 and UTC; None if that is not possible.

    In the hour that comes twice when summer time ends, the first of the two is assumed.
    """
    read = local_time(printed_at)
    if read is None or zone is None:
        return None
    try:
        return read.replace(tzinfo=zone).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, ValueError):
        return None


@lru_cache(maxsize=256)
def printed_second(printed_at: str) -> int | None:
    """Count the seconds from 1970 to *printed_at* on the host's own clock; None if it is no time."""
    read = local_time(printed_at)
    return None if read is None else int((read - _EPOCH).total_seconds())


def as_printed(second: int) -> str:
    """Write what `printed_second` read as the host prints it."""
    return (_EPOCH + timedelta(seconds=second)).strftime(_FORMAT)


def as_time_option(second: int) -> str:
    """Write what `printed_second` read as EMSDIST's option TIME takes it.

    That is local civil time with a four-digit year: ``1999-12-31 23:05:00`` (EMS manual 426909-005,
    EMSDIST).
    """
    return f"{_EPOCH + timedelta(seconds=second):%Y-%m-%d %H:%M:%S}"
