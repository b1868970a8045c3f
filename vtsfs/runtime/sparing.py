"""What could be told again and again is told once an hour: a cause that comes and goes is one cause."""

import re
from dataclasses import dataclass, field
from typing import Final

#: How long the same is not told again, in seconds.
HOUR_S: Final = 3600.0

#: Most causes that are remembered; the oldest gives way.
MOST: Final = 100

_NUMBERS = re.compile(r"[0-9]+")


@dataclass(slots=True)
class Sparing:
    """Remembers what was told, and when (monotonic seconds). Causes that differ in numbers are one."""

    told: dict[str, float] = field(default_factory=dict)

    def is_due(self, cause: str, mono: float) -> bool:
        """Tell whether *cause* was not told for an hour; it is now, if so."""
        alike = _NUMBERS.sub("#", cause)
        last = self.told.get(alike)
        if last is not None and mono - last < HOUR_S:
            return False
        self.told.pop(alike, None)
        self.told[alike] = mono
        if len(self.told) > MOST:
            del self.told[next(iter(self.told))]
        return True
