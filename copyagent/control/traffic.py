"""Requests that start or stop traffic: synchronise, pause, go on.

Part of the protocol (`copyagent.control.protocol`), which carries them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from copyagent.control.errands import MAX_REASON, because_args, reason_if_given
from copyagent.control.inquiries import Given
from vtsfs.contract.errors import UsageError
from vtsfs.contract.messages import one_line
from vtsfs.contract.naming import PoolId, TapeId

#: Which copies a `Sync` can ask for; empty is what it was for at first: what has none.
WHICH = ("", "missing", "stale", "all")

#: Longest pause that is asked for as one, in seconds: ten years.
MAX_PAUSE_S = 10 * 366 * 86_400


@dataclass(frozen=True, slots=True)
class Sync:
    """Copy a tape, or what a pool lacks: *which* copies, at *target* alone if one is named.

    *dry_run*: tell only what would be done.
    """

    where: TapeId | PoolId
    which: str = ""
    target: str = ""
    dry_run: bool = False
    because: str = ""

    def args(self) -> Mapping[str, object]:
        """Return the arguments as they are carried."""
        args: dict[str, object] = {"where": str(self.where)}
        more = {"which": self.which, "target": self.target, "dry_run": self.dry_run}
        given = {name: value for name, value in more.items() if value}
        return args | given | because_args(self.because)

    @classmethod
    def read(cls, args: dict[str, Any]) -> Self:
        """Read what `args` returned."""
        given = Given(args, "sync")
        where = given.where()
        if where is None:
            raise UsageError("sync needs where, a tape or a pool")
        made = cls(
            where,
            given.text("which", ""),
            given.text("target", ""),
            given.flag("dry_run"),
            reason_if_given(given),
        )
        given.end()
        if made.which not in WHICH:
            raise UsageError(f"sync can be of {', '.join(WHICH[1:])}, not of {made.which!r}")
        return made


@dataclass(frozen=True, slots=True)
class Pause:
    """Copy nothing of a pool, or to a target, for the time being.

    Until *until_ns* (since the epoch), for *for_s* seconds, or, both 0, until told to go on. *finish*:
    copies that run go on to their end.
    """

    about: str
    because: str
    until_ns: int = 0
    for_s: int = 0
    finish: bool = False

    def args(self) -> Mapping[str, object]:
        """Return the arguments as they are carried."""
        args: dict[str, object] = {"about": self.about, "because": self.because}
        more = {"until_ns": self.until_ns, "for_s": self.for_s, "finish": self.finish}
        return args | {name: value for name, value in more.items() if value}

    @classmethod
    def read(cls, args: dict[str, Any]) -> Self:
        """Read what `args` returned."""
        given = Given(args, "pause")
        made = cls(
            given.text("about"),
            one_line(given.text("because")),
            given.number("until_ns"),
            given.number("for_s", MAX_PAUSE_S),
            given.flag("finish"),
        )
        given.end()
        if not made.because:
            raise UsageError("pause needs a reason; say --because TEXT")
        if len(made.because) > MAX_REASON:
            raise UsageError(f"the reason has more than {MAX_REASON} characters; say it shorter")
        if made.until_ns and made.for_s:
            raise UsageError("a pause lasts for some time or until some time; choose one")
        return made


@dataclass(frozen=True, slots=True)
class Resume:
    """Let a paused pool or target go on."""

    about: str
    because: str = ""

    def args(self) -> Mapping[str, object]:
        """Return the arguments as they are carried."""
        return {"about": self.about} | because_args(self.because)

    @classmethod
    def read(cls, args: dict[str, Any]) -> Self:
        """Read what `args` returned."""
        given = Given(args, "resume")
        made = cls(given.text("about"), reason_if_given(given))
        given.end()
        return made
