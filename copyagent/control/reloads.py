"""The request to read the settings again. Part of the protocol (`copyagent.control.protocol`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from copyagent.control.errands import MAX_REASON
from copyagent.control.inquiries import Given
from copyagent.core.copying import NO_REASON
from vtsfs.contract.errors import UsageError


@dataclass(frozen=True, slots=True)
class Reload:
    """Have the agent read its settings file again; *dry_run*: only tell what that would mean."""

    because: str = NO_REASON
    dry_run: bool = False

    def args(self) -> Mapping[str, object]:
        """Return the arguments as they are carried."""
        return {"because": self.because, "dry_run": self.dry_run}

    @classmethod
    def read(cls, args: dict[str, Any]) -> Self:
        """Read what `args` returned."""
        given = Given(args, "reload")
        made = cls(" ".join(given.text("because", NO_REASON).split()), given.flag("dry_run"))
        given.end()
        if len(made.because) > MAX_REASON:
            raise UsageError(f"the reason has more than {MAX_REASON} characters; say it shorter")
        return made
