"""Requests of operators who decide: what is held, what a target has, what was done at a target.

Part of the protocol (`copyagent.control.protocol`), which carries them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from copyagent.control.inquiries import Given
from vtsfs.contract.errors import UsageError
from vtsfs.contract.messages import one_line
from vtsfs.contract.naming import PoolId, TapeId

#: Longest reason, in characters; the event log has no room for more anyway.
MAX_REASON = 500

#: Longest list of digests of a drill's files, in characters: some eighty for each vault.
MAX_DIGESTS = 8000

#: What can have been done by a command itself, and how that is put on record.
ACTIONS = {
    "fence": "fence",
    "unfence": "unfence",
    "take-over": "take-over",
    "fetch": "fetch --replace",
}


@dataclass(frozen=True, slots=True)
class Release:
    """Let a held tape go, for the reason the operator gives.

    *overwrite_target*: also where that replaces a file at the target which was not copied from here.
    """

    tape: TapeId
    because: str
    overwrite_target: bool = False

    def args(self) -> Mapping[str, object]:
        """Return the arguments as they are carried."""
        args: dict[str, object] = {"tape": str(self.tape), "because": self.because}
        return args | {"overwrite_target": True} if self.overwrite_target else args

    @classmethod
    def read(cls, args: dict[str, Any]) -> Self:
        """Read what `args` returned."""
        given = Given(args, "release")
        made = cls(_tape(given), reason_of(given), given.flag("overwrite_target"))
        given.end()
        return made


@dataclass(frozen=True, slots=True)
class Relocate:
    """Have the file of the tape's label at the target moved to where the tape belongs."""

    tape: TapeId
    because: str

    def args(self) -> Mapping[str, object]:
        """Return the arguments as they are carried."""
        return {"tape": str(self.tape), "because": self.because}

    @classmethod
    def read(cls, args: dict[str, Any]) -> Self:
        """Read what `args` returned."""
        given = Given(args, "relocate")
        made = cls(_tape(given), reason_of(given))
        given.end()
        return made


@dataclass(frozen=True, slots=True)
class Adopt:
    """Take what is at the target as the copy, if it is equal; at *target* alone if one is named."""

    where: TapeId | PoolId
    target: str | None = None
    because: str = ""

    def args(self) -> Mapping[str, object]:
        """Return the arguments as they are carried."""
        args = {"where": str(self.where), "target": self.target or ""}
        return args | because_args(self.because)

    @classmethod
    def read(cls, args: dict[str, Any]) -> Self:
        """Read what `args` returned."""
        given = Given(args, "adopt")
        where = given.where()
        if where is None:
            raise UsageError("adopt needs where, a tape or a pool")
        made = cls(where, given.text("target", "") or None, reason_if_given(given))
        given.end()
        return made


@dataclass(frozen=True, slots=True)
class RollBack:
    """Give the tape's name at the target back to a kept generation."""

    tape: TapeId
    generation: int
    because: str
    target: str | None = None

    def args(self) -> Mapping[str, object]:
        """Return the arguments as they are carried."""
        return {
            "tape": str(self.tape),
            "generation": self.generation,
            "because": self.because,
            "target": self.target or "",
        }

    @classmethod
    def read(cls, args: dict[str, Any]) -> Self:
        """Read what `args` returned."""
        given = Given(args, "rollback")
        made = cls(
            _tape(given),
            given.number("generation"),
            reason_of(given),
            given.text("target", "") or None,
        )
        given.end()
        return made


@dataclass(frozen=True, slots=True)
class AtTarget:
    """Tell that an operator has carried out *action*, one of `ACTIONS`, at a target, or from it.

    *about* is what it was done to, if that is not the target.
    """

    action: str
    target: str
    because: str
    about: str = ""

    @property
    def words(self) -> str:
        """The action as it is put on record."""
        return ACTIONS[self.action]

    def args(self) -> Mapping[str, object]:
        """Return the arguments as they are carried."""
        args = {"action": self.action, "target": self.target, "because": self.because}
        return args | ({"about": self.about} if self.about else {})

    @classmethod
    def read(cls, args: dict[str, Any]) -> Self:
        """Read what `args` returned."""
        given = Given(args, "at-target")
        action = given.text("action")
        if action not in ACTIONS:
            raise UsageError(f"at-target takes {', '.join(ACTIONS)}, not {action!r}")
        about = given.text("about", "")
        if about and (action != "fetch" or len(about) > MAX_REASON or not about.isprintable()):
            raise UsageError("at-target takes about, a short text, for fetch alone")
        made = cls(action, given.text("target"), reason_of(given), about)
        given.end()
        return made


@dataclass(frozen=True, slots=True)
class Drilled:
    """Tell that *target* was given a drill's files; *digests* are of those, by vault."""

    target: str
    because: str
    digests: str

    def args(self) -> Mapping[str, object]:
        """Return the arguments as they are carried."""
        return {"target": self.target, "because": self.because, "digests": self.digests}

    @classmethod
    def read(cls, args: dict[str, Any]) -> Self:
        """Read what `args` returned."""
        given = Given(args, "drill")
        digests = given.text("digests")
        if len(digests) > MAX_DIGESTS or not digests.isprintable():
            raise UsageError(f"drill takes digests of at most {MAX_DIGESTS} plain characters")
        made = cls(given.text("target"), reason_of(given), digests)
        given.end()
        return made


Errand = Release | Relocate | Adopt | RollBack | AtTarget | Drilled


def _tape(given: Given) -> TapeId:
    return TapeId.parse(given.text("tape"))


def because_args(because: str) -> dict[str, str]:
    """Return the arguments that carry a reason which need not be given."""
    return {"because": because} if because else {}


def reason_if_given(given: Given) -> str:
    """Take the reason that an operator gave, if any; raise as `reason_of` does for a bad one."""
    return reason_of(given) if "because" in given.args else ""


def reason_of(given: Given) -> str:
    """Take the reason that an operator gave; raise `UsageError` if there is none, or too long a one.

    It is one line, and nothing in it steers a terminal on which it is shown.
    """
    because = one_line(given.text("because"))
    if not because:
        raise UsageError(f"{given.command} needs a reason; say --because TEXT")
    if len(because) > MAX_REASON:
        raise UsageError(f"the reason has more than {MAX_REASON} characters; say it shorter")
    return because
