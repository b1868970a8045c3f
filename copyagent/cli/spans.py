"""Which span of time a report is about, and whose clock its times are shown by.

Times are UTC unless they carry an offset; with ``--local``, times without one are read, and all
times are shown, by the clock of this system. A day ends where the next begins there, also on the
days on which clocks are changed.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar

import click

from vtsfs.contract.errors import UsageError
from vtsfs.contract.units import parse_duration

_Command = TypeVar("_Command", bound=Callable[..., Any])

#: What documents call their times; ``--local`` shows these by the clock of this system.
TIMES = frozenset(
    {"at", "begins", "ended", "from", "modified", "now", "published", "since", "to", "until"}
)


@dataclass(frozen=True, slots=True)
class Span:
    """From *from_ns* up to, and without, *to_ns*, both since the epoch; 0: without that end.

    *local*: times are shown by the clock of this system.
    """

    from_ns: int = 0
    to_ns: int = 0
    local: bool = False

    @property
    def bounded(self) -> bool:
        """Whether less than everything is asked for."""
        return bool(self.from_ns or self.to_ns)

    def show(self, document: Mapping[str, Any]) -> dict[str, Any]:
        """Return *document* with its times as they are to be shown."""
        return {key: self._shown(key, value) for key, value in document.items()}

    def _shown(self, key: str, value: Any) -> Any:
        if not self.local:
            return value
        if isinstance(value, Mapping):
            return self.show(value)
        if isinstance(value, list):
            return [self._shown(key, one) for one in value]
        return local_time(value) if key in TIMES and isinstance(value, str) else value


def span_options(command: _Command) -> _Command:
    """Give a command the options that `span_of` takes."""
    for option in reversed(
        (
            click.option("--since", metavar="AGE", help="Only the last so long: 2h, 30d."),
            click.option(
                "--from", "begin", metavar="TIME", help="Only from that date, time or age on."
            ),
            click.option(
                "--to", "end", metavar="TIME", help="Only up to that time; of a date, to its end."
            ),
            click.option(
                "--local", is_flag=True, help="Times by this system's clock instead of UTC."
            ),
        )
    ):
        command = option(command)
    return command


def span_of(*, since: str | None, begin: str | None, end: str | None, local: bool) -> Span:
    """Return the span that the options say; raises `UsageError`."""
    if since is not None and begin is not None:
        raise UsageError("--since and --from both say where it begins; choose one")
    now_ns = time.time_ns()
    name, first = ("--from", begin) if since is None else ("--since", since)
    from_ns = 0 if first is None else moment_ns(first, name, now_ns, local=local)
    to_ns = 0 if end is None else moment_ns(end, "--to", now_ns, local=local, day_ends=True)
    if from_ns > now_ns:
        raise UsageError(f"{name} {first} is in the future")
    if end is not None and to_ns <= from_ns:
        raise UsageError(f"--to {end} is not after {name} {first}")
    return Span(from_ns, to_ns, local)


def moment_ns(
    text: str, option: str, now_ns: int, *, local: bool = False, day_ends: bool = False
) -> int:
    """Read a time, a date or an age of *option*; return it since the epoch.

    Of a date it is the beginning of the day, with *day_ends* its end. Raises `UsageError`.
    """
    try:
        return max(now_ns - round(parse_duration(text) * 1e9), 0)
    except ValueError:
        pass  # a time or a date, then
    try:
        return max(_calendar_ns(text, local=local, day_ends=day_ends), 0)
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(
            f"{option} should be a date (2026-01-31), a time (2026-01-31T08:30, in UTC unless it "
            f"ends in an offset such as +01:00) or an age (24h, 30d), not {text!r}"
        ) from error


def local_time(text: str) -> str:
    """Return a document's time by the clock of this system, with its offset; others as they are."""
    if not text.endswith("Z"):
        return text
    try:
        at = datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError, OSError):
        return text
    return at.isoformat(timespec="milliseconds" if "." in text else "seconds")


def _calendar_ns(text: str, *, local: bool, day_ends: bool) -> int:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        at = datetime.fromisoformat(text)
    else:
        day += timedelta(days=1 if day_ends else 0)
        at = datetime(day.year, day.month, day.day)  # noqa: DTZ001  # gets its zone below
    if at.tzinfo is None:
        at = at.astimezone() if local else at.replace(tzinfo=UTC)
    seconds, rest = divmod(at - datetime(1970, 1, 1, tzinfo=UTC), timedelta(seconds=1))
    return seconds * 1_000_000_000 + rest.microseconds * 1000
