"""Times as documents show them: ISO 8601 in UTC."""

from datetime import UTC, datetime, timedelta

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def iso(at_ns: int) -> str | None:
    """Write a time as ISO 8601 in UTC; 0 (never) as None.

    A file can have a date that no calendar of Python's knows; that one is written in seconds.
    """
    if not at_ns:
        return None
    try:
        at = datetime.fromtimestamp(at_ns // 1_000_000_000, UTC)
    except (ValueError, OverflowError, OSError):
        return f"{at_ns // 1_000_000_000} s from 1970-01-01T00:00:00Z"
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def iso_ms(at_ns: int) -> str | None:
    """Write a time of ours as ISO 8601 in UTC with milliseconds; 0 (never) as None."""
    if not at_ns:
        return None
    at = datetime.fromtimestamp(at_ns // 1_000_000_000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at_ns // 1_000_000 % 1000:03d}Z"


def parse_iso(text: object) -> int:
    """Read a time that `iso` or `iso_ms` wrote, as ns since the epoch; 0 for anything else."""
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return 0
    if at is None or at.tzinfo is None:
        return 0
    return (at - _EPOCH) // _MICROSECOND * 1000
