"""When things in a recording happened: dates, seconds from its beginning, or a host's own clock."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

from copyagent.core.host_clock import in_utc

#: What a recording without a single date begins with: 2000-01-01T00:00:00Z.
UNDATED_NS: Final = 946_684_800 * 10**9
#: A recording is not longer than this, nor before 1970 or after about 2260.
_LONGEST_S: Final = 10**9


@dataclass(frozen=True, slots=True)
class Instant:
    """A moment in a recording: *ns* since the epoch if *dated*, else since its beginning."""

    ns: int
    dated: bool


def read_instant(text: str) -> Instant:
    """Read ``12.5`` (seconds from the beginning) or ``2026-11-22T17:44:43.120Z``; or ValueError."""
    try:
        seconds = float(text)
    except ValueError:
        return Instant(_date(text), dated=True)
    if not 0 <= seconds <= _LONGEST_S:
        raise ValueError(f"{text!r} is no number of seconds from the beginning of a recording")
    return Instant(round(seconds * 1e9), dated=False)


def _date(text: str) -> int:
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is None:
            at = at.replace(tzinfo=UTC)
        since = at - datetime(1970, 1, 1, tzinfo=UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"{text!r} is neither seconds nor a date such as 2026-11-22T17:44:43Z"
        ) from error
    if since.days < 0:
        raise ValueError(f"{text!r} is before 1970")
    return (since.days * 86400 + since.seconds) * 10**9 + since.microseconds * 1000


def printed_instant(printed_at: str, zone: ZoneInfo | None) -> Instant | None:
    """Take a host's printed time for the arrival, for want of a better one; None if it is none."""
    utc = in_utc(printed_at, zone or ZoneInfo("UTC"))
    return None if utc is None else Instant(_date(utc), dated=True)


def beginning(instants: Iterable[Instant]) -> int:
    """Return what seconds count from, in ns since the epoch: the first date that is given."""
    return min((instant.ns for instant in instants if instant.dated), default=UNDATED_NS)
