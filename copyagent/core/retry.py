"""The retry ladder: when the next attempt is due, and when there is none (DESIGN section 7)."""

from dataclasses import dataclass

from copyagent.core.copying import WaitReason
from copyagent.core.time import Moment

#: How soon a copy that waits for something is looked at again, in seconds. A writer behind the
#: overlay can go at any time; a fence or a host key needs a human.
OPEN_RECHECK_S = 10.0


@dataclass(frozen=True, slots=True)
class Ladder:
    """*attempts* in all, the first at once, *interval_s* from the end of one to the next."""

    attempts: int = 12
    interval_s: float = 300.0

    @property
    def longest_recheck_s(self) -> float:
        """The longest that a waiting copy is left alone."""
        return max(OPEN_RECHECK_S, self.interval_s)

    def next_due(self, failures: int, now: Moment) -> Moment | None:
        """Return when to try again after *failures* failed attempts; None: never."""
        return None if failures >= self.attempts else now.after(self.interval_s)

    def recheck_s(self, reason: WaitReason) -> float:
        """Return in how many seconds a copy that waits for *reason* is looked at again."""
        return (
            min(OPEN_RECHECK_S, self.interval_s) if reason is WaitReason.OPEN else self.interval_s
        )
