"""Requests that stop a copy, or keep it back.

Part of the protocol (`copyagent.control.protocol`), which carries them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from copyagent.control.errands import reason_of
from copyagent.control.inquiries import Given
from vtsfs.contract.naming import TapeId


@dataclass(frozen=True, slots=True)
class Cancel:
    """Have what is pending of a tape not copied, at *target* alone if one is named."""

    tape: TapeId
    because: str
    target: str = ""

    def args(self) -> Mapping[str, object]:
        """Return the arguments as they are carried."""
        return {"tape": str(self.tape), "because": self.because, "target": self.target}

    @classmethod
    def read(cls, args: dict[str, Any]) -> Self:
        """Read what `args` returned."""
        return cls(*_read(args, "cancel"))


@dataclass(frozen=True, slots=True)
class Hold:
    """Keep a tape's copies back until they are released, at *target* alone if one is named."""

    tape: TapeId
    because: str
    target: str = ""

    def args(self) -> Mapping[str, object]:
        """Return the arguments as they are carried."""
        return {"tape": str(self.tape), "because": self.because, "target": self.target}

    @classmethod
    def read(cls, args: dict[str, Any]) -> Self:
        """Read what `args` returned."""
        return cls(*_read(args, "hold"))


def _read(args: dict[str, Any], command: str) -> tuple[TapeId, str, str]:
    given = Given(args, command)
    found = (TapeId.parse(given.text("tape")), reason_of(given), given.text("target", ""))
    given.end()
    return found
