"""What a drill leaves at a target: a list for people, and a file that ``sha256sum -c`` reads.

Names are relative to the staging directory that both lie in, so that they fit whatever the vault is
called there: by a server that shuts its users in, after a move, on restored disks.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from copyagent.core.dates import iso
from vtsfs.contract.naming import TapeId
from vtsfs.contract.units import format_count, format_duration

#: The two files, in our staging directory of each vault; a drill replaces those of the one before.
LIST: Final = "DRILL.txt"
CHECK: Final = "DRILL.sha256"

_TITLES: Final = (
    *("POOL/LABEL", "GENERATION", "BYTES", "TAPE'S DATE", "PUBLISHED", "DIGEST", "REMARK"),
)

#: From our staging directory to its vault.
_UP: Final = "../.."


class How(StrEnum):
    """How a digest was come by."""

    ON_RECORD = "on record"
    READ_HERE = "read here"
    READ_BACK = "read back"
    READ_BEFORE = "read before"


class Flaw(StrEnum):
    """Why a tape is not in the file of digests, or will fail there."""

    MISSING = "not there"
    WRONG = "not what was published"
    UNPROVEN = "no digest can be had"
    UNNAMEABLE = "its name cannot be written"


@dataclass(frozen=True, slots=True)
class Listed:
    """One published copy. *place* is where it lies there, of which the vault is left out.

    *sha256* is of what was published, empty without one. *behind*: the tape here is newer.
    """

    tape: TapeId
    place: TapeId
    generation: int
    size: int
    source_mtime_ns: int
    published_ns: int
    verified: str
    sha256: str = ""
    how: How | None = None
    flaw: Flaw | None = None
    detail: str = ""
    behind: bool = False

    @property
    def checkable(self) -> bool:
        """Whether ``sha256sum`` can be told what it should be."""
        return bool(self.sha256) and self.flaw is not Flaw.UNNAMEABLE


@dataclass(frozen=True, slots=True)
class Lacking:
    """A tape that the target has not as it is now: *state* and *why*, since *since_ns*."""

    tape: TapeId
    state: str
    since_ns: int
    why: str = ""

    def words(self, now_ns: int) -> str:
        """Say it in a line."""
        age = format_duration(max(now_ns - self.since_ns, 0) / 1e9) if self.since_ns else "long"
        why = f": {self.why}" if self.why else ""
        return f"{self.tape}, for {age}: {self.state}{why}"


@dataclass(frozen=True, slots=True)
class Drill:
    """A drill of one *vault* at a target, made at *at_ns* for *system*."""

    system: str
    target: str
    vault: str
    at_ns: int
    listed: Sequence[Listed]
    lacking: Sequence[Lacking] = ()

    @property
    def hows(self) -> Counter[How]:
        """How many digests were come by in which way."""
        return Counter(one.how for one in self.listed if one.how is not None)

    @property
    def flawed(self) -> list[Listed]:
        """The tapes with which something is wrong."""
        return [one for one in self.listed if one.flaw is not None]


def expressible(place: TapeId) -> bool:
    r"""Tell whether ``sha256sum`` of any release reads the name as it is meant.

    It knows how a line feed is written and a backslash; of a carriage return each release thinks
    otherwise.
    """
    return "\r" not in f"{place.pool}{place.label}"


def check_line(sha256: str, place: TapeId) -> str:
    """Return the line of one tape, as sha256sum(1) writes it: odd names begin with a backslash."""
    name = f"{_UP}/{place.pool}/{place.label}"
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n")
    mark = "\\" if escaped != name else ""
    return f"{mark}{sha256}  {escaped}\n"


def check_text(drill: Drill) -> str:
    """Return the file of digests."""
    return "".join(check_line(one.sha256, one.place) for one in drill.listed if one.checkable)


def list_text(drill: Drill, check_sha256: str) -> str:
    """Return the list for people; *check_sha256* is the digest of the file of digests."""
    lines = [*_head(drill, check_sha256), "", *_table(drill.listed)]
    if drill.flawed:
        lines += ["", "NOT AS IT SHOULD BE when this was written:"]
        lines += [f"  {_plain(str(one.place))}: {_wrong(one)}" for one in drill.flawed]
    lines += ["", *_unprotected(drill)]
    return "\n".join(lines) + "\n"


def _head(drill: Drill, check_sha256: str) -> list[str]:
    count = sum(one.checkable for one in drill.listed)
    hows = ", ".join(f"{drill.hows[how]} {how}" for how in How if drill.hows[how]) or "none"
    return [
        f"Drill of {drill.system} at {drill.target}, vault {drill.vault}, {iso(drill.at_ns)}",
        "",
        "To prove what this vault has with coreutils alone, as root or the user that gets the copies:",
        "",
        "    cd DIRECTORY && sha256sum -c " + CHECK,
        "",
        "where DIRECTORY is the one that this file lies in. It reads every tape from end to end.",
        f"{_tapes(count)} in {CHECK}: each is OK, or has FAILED; the end says how many have.",
        "",
        f"That {CHECK} is the one that was written: sha256sum {CHECK}",
        f"    {check_sha256}",
        "which the source system has told its operator and, if its agent ran, keeps on record.",
        "",
        "A tape that was copied again since then has FAILED too: its date is later than that in the",
        "list. To drill undisturbed, pause the target at the source (copyagent pause) before.",
        "Nothing of this is needed by a copy: both files may be removed.",
        "",
        f"Digests: {hows}. They are of what was published. 'on record' was compared when it was",
        "published; 'read here' is the tape at the source, unchanged since then; 'read back' was",
        "read from here and found equal to the chunk map on record; 'read before' is of content",
        "with the same chunk map, which an earlier drill has read.",
    ]


def _table(listed: Iterable[Listed]) -> list[str]:
    rows = [_TITLES, *map(_row, listed)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_TITLES))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _row(one: Listed) -> tuple[str, ...]:
    return (
        _plain(f"{one.place.pool}/{one.place.label}"),
        str(one.generation),
        str(one.size),
        iso(one.source_mtime_ns) or "-",
        iso(one.published_ns) or "-",
        one.how.value if one.how is not None else "none",
        "the tape at the source is newer" if one.behind else "",
    )


def _unprotected(drill: Drill) -> list[str]:
    if not drill.lacking:
        return ["Every tape of the source's watched pools was here as it is there."]
    lines = [f"NOT PROTECTED when this was written: {_tapes(len(drill.lacking))}"]
    return lines + [f"  {_plain(one.words(drill.at_ns))}" for one in drill.lacking]


def _tapes(count: int) -> str:
    return format_count(count, "tape")


def _wrong(one: Listed) -> str:
    flaw = "" if one.flaw is None else one.flaw.value
    return _plain(f"{flaw}: {one.detail}" if one.detail else flaw)


def _plain(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)
