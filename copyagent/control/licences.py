"""Requests about the licence. Part of the protocol (`copyagent.control.protocol`), which carries them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Self

from copyagent.control.errands import reason_of
from copyagent.control.inquiries import Given
from vtsfs.contract.errors import UsageError

#: Longest text of a licence, in characters.
MAX_LICENCE: Final = 4096


@dataclass(frozen=True, slots=True)
class ShowLicence:
    """Ask how the agent stands with its licence."""

    def args(self) -> Mapping[str, object]:
        """Return the arguments as they are carried."""
        return {}

    @classmethod
    def read(cls, args: dict[str, Any]) -> Self:
        """Read what `args` returned."""
        Given(args, "licence-show").end()
        return cls()


@dataclass(frozen=True, slots=True)
class InstallLicence:
    """Have the licence *text* verified and installed, instead of the one there is."""

    text: str
    because: str

    def args(self) -> Mapping[str, object]:
        """Return the arguments as they are carried."""
        return {"licence": self.text, "because": self.because}

    @classmethod
    def read(cls, args: dict[str, Any]) -> Self:
        """Read what `args` returned."""
        given = Given(args, "licence-install")
        made = cls(given.text("licence"), reason_of(given))
        given.end()
        if len(made.text) > MAX_LICENCE:
            raise UsageError(f"a licence has at most {MAX_LICENCE} characters")
        return made


@dataclass(frozen=True, slots=True)
class RemoveLicence:
    """Have the licence taken away."""

    because: str

    def args(self) -> Mapping[str, object]:
        """Return the arguments as they are carried."""
        return {"because": self.because}

    @classmethod
    def read(cls, args: dict[str, Any]) -> Self:
        """Read what `args` returned."""
        given = Given(args, "licence-remove")
        made = cls(reason_of(given))
        given.end()
        return made


LicenceChange = InstallLicence | RemoveLicence
