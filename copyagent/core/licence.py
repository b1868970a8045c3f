"""The licence: what it says, and what follows from it on which day; pure.

AutoCopy is part of the licensed feature `FEATURE`. Days are those of UTC, so that every system of a
site agrees. Without a valid licence mounts and dismounts are recorded and judged as ever, and
nothing is copied; what is owed counts as unprotected, and is copied when there is a licence again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Final

from copyagent.core.gates import Closed

#: The feature that a licence has to name; Instant DR shares it.
FEATURE: Final = "data-replication"
#: How many days before its last a licence is warned of.
WARN_DAYS: Final = 30
#: For how many days after its last day copying goes on.
GRACE_DAYS: Final = 14
#: By how many days a licence may seem to be of the future: clocks differ, and so do time zones.
SLACK_DAYS: Final = 1

_NS = 1_000_000_000


class Standing(StrEnum):
    """How a system stands with its licence on one day."""

    NOT_REQUIRED = "not required"
    VALID = "valid"
    EXPIRES_SOON = "expires soon"
    GRACE = "expired, in grace"
    EXPIRED = "expired"
    MISSING = "missing"
    FOREIGN = "for another system"
    INVALID = "invalid"
    NOT_YET = "not yet valid"

    @property
    def copies(self) -> bool:
        """Whether copies are made."""
        return self in _COPIES


_COPIES = (Standing.NOT_REQUIRED, Standing.VALID, Standing.EXPIRES_SOON, Standing.GRACE)


@dataclass(frozen=True, slots=True)
class Terms:
    """What a licence says. *expires* is the last day on which it is valid."""

    system: str
    customer: str
    serial: str
    issued: date
    expires: date
    feature: str = FEATURE

    @property
    def grace_ends(self) -> date:
        """The last day on which copies are made."""
        return self.expires + timedelta(days=min(GRACE_DAYS, (date.max - self.expires).days))


@dataclass(frozen=True, slots=True)
class Installed:
    """The licence that was found: its *terms*, or the *fault* for which it has none, or nothing.

    *digest* is the SHA-256 of its text, empty for none. *user*, *because* and *at_ns* tell who put it
    there, or took it away.
    """

    terms: Terms | None = None
    fault: str = ""
    digest: str = ""
    user: str = ""
    because: str = ""
    at_ns: int = 0


@dataclass(frozen=True, slots=True)
class Judged:
    """How it stands on *day*, in *words* for an operator; *days_left* counts down to the last day."""

    standing: Standing
    words: str
    day: date
    days_left: int | None = None


@dataclass(frozen=True, slots=True)
class LicenceMemory:
    """What outlives the agent. *latest_ns* is the latest time that counts, since the epoch.

    *digest* and *words* are of the licence that went on record last, *issued* (ISO) is the latest
    date of issue of any. *told_day* is the day on which its end was told last, *unlicensed* whether
    it was told that nothing is copied.
    """

    latest_ns: int = 0
    digest: str = ""
    words: str = ""
    issued: str = ""
    told_day: str = ""
    unlicensed: bool = False


@dataclass(slots=True)
class Permission:
    """All that the agent knows of its licence: whether the build has it *required*, what was *found*.

    *memory* is saved when it is *dirty*. *closed* keeps every copy from being started.
    """

    required: bool = False
    found: Installed = field(default_factory=Installed)
    memory: LicenceMemory = field(default_factory=LicenceMemory)
    closed: Closed | None = None
    dirty: bool = False


def day_of(at_ns: int) -> date:
    """Return the day, in UTC, of a time in ns since the epoch; the first or last one there is beyond."""
    try:
        return datetime.fromtimestamp(at_ns // _NS, UTC).date()
    except (ValueError, OverflowError, OSError):
        return date.max if at_ns > 0 else date.min


def start_of(day: date) -> int:
    """Return when *day* begins in UTC, in ns since the epoch."""
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * _NS


def judge(found: Installed, system: str, day: date, *, required: bool) -> Judged:
    """Say how the system called *system* stands with the licence that was *found*, on *day*."""
    if not required:
        return Judged(Standing.NOT_REQUIRED, "this build requires no licence", day)
    terms = found.terms
    if terms is None:
        if found.fault:
            return Judged(Standing.INVALID, f"the licence is not valid: {found.fault}", day)
        return Judged(Standing.MISSING, "no licence is installed", day)
    if terms.feature != FEATURE:
        return Judged(Standing.INVALID, f"the licence is for {terms.feature}, not {FEATURE}", day)
    if terms.system != system:
        words = f"the licence is for system {terms.system}, and this is {system}"
        return Judged(Standing.FOREIGN, words, day)
    if (terms.issued - day).days > SLACK_DAYS:
        words = f"the licence was issued on {terms.issued}, and here it is {day}: check the clock"
        return Judged(Standing.NOT_YET, words, day)
    return _by_date(terms, day)


def _by_date(terms: Terms, day: date) -> Judged:
    left = (terms.expires - day).days
    if left > WARN_DAYS:
        return Judged(Standing.VALID, f"valid until {terms.expires}", day, left)
    if left >= 0:
        words = f"valid until {terms.expires}, {in_days(left)}"
        return Judged(Standing.EXPIRES_SOON, words, day, left)
    if -left <= GRACE_DAYS:
        words = f"the licence expired on {terms.expires}; copies are made until {terms.grace_ends}"
        return Judged(Standing.GRACE, words, day, left)
    return Judged(Standing.EXPIRED, f"the licence expired on {terms.expires}", day, left)


def in_days(days: int) -> str:
    """Say how long it is to a day in *days* days."""
    return {0: "today", 1: "tomorrow"}.get(days, f"in {days} days")


#: What an operator does about it. ``{system}`` is this system's name.
NEXT_STEPS: Final[Mapping[Standing, str]] = {
    Standing.NOT_REQUIRED: "Nothing to do.",
    Standing.VALID: "Nothing to do.",
    Standing.EXPIRES_SOON: "Order the next licence for system {system}, then: "
    "copyagent licence install FILE",
    Standing.GRACE: "Get a licence for system {system} before the last day, then: "
    "copyagent licence install FILE",
    Standing.EXPIRED: "Get a licence for system {system}, then: copyagent licence install FILE",
    Standing.MISSING: "Get a licence for system {system}, then: copyagent licence install FILE",
    Standing.FOREIGN: "Install the licence of this system, {system}: copyagent licence install FILE; "
    "if the system was renamed, have one issued for the new name.",
    Standing.INVALID: "Install the file as it was delivered, byte for byte: "
    "copyagent licence install FILE",
    Standing.NOT_YET: "Check the system's date; if it is right, ask the issuer.",
}


def next_step(standing: Standing, system: str) -> str:
    """Say what the operator of the system called *system* does about *standing*."""
    return NEXT_STEPS[standing].replace("{system}", system)


def brief(found: Installed) -> str:
    """Name a licence in the record of what was done; a log line cuts a state short at its end."""
    if found.terms is None:
        return f"invalid ({found.fault})" if found.fault else "none"
    return f"until {found.terms.expires}, serial {found.terms.serial}"


def describe(found: Installed) -> str:
    """Name a licence to whoever has just done something to it."""
    if found.terms is None:
        return brief(found)
    return f"serial {found.terms.serial} for {found.terms.system} until {found.terms.expires}"
