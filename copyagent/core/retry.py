"""The retry ladder: when the next attempt is due, and when there is none (DESIGN section 7)."""

from dataclasses import dataclass

from copyagent.core.copying import WaitReason
from copyagent.core.time import Moment

#: How soon a copy that waits for something is looked at again, in seconds. A writer behind the
#: overlay can go at any time; a fence or a host key needs a human.
OPEN_RECHECK_S = 10.0

#: A tape that is mounted again whenever it has rested a little (`hold_down`) is copied when its copy
#: has been owed for this many times as long.
REST_TIMES = 4


#: Tapes that become due one after the other at a target that is down are asked for together, this
#: far apart, in seconds; so an attempt can be later by that.
PROBE_GAP_S = 10.0


@dataclass(frozen=True, slots=True)
class Ladder:
    """*attempts* in all, the first at once, *interval_s* from the end of one to the next."""

    attempts: int = 12
    interval_s: float = 300.0

    @property
    def longest_recheck_s(self) -> float:
        """The longest that a waiting copy is left alone."""
        return max(OPEN_RECHECK_S, self.interval_s)

    @property
    def probe_gap_s(self) -> float:
        """How soon a target that did not answer is asked again for copies that become due."""
        return min(PROBE_GAP_S, self.interval_s / 10)

    def next_due(self, failures: int, now: Moment) -> Moment | None:
        """Return when to try again after *failures* failed attempts; None: never."""
        return None if failures >= self.attempts else now.after(self.interval_s)

    def recheck_s(self, reason: WaitReason) -> float:
        """Return in how many seconds a copy that waits for *reason* is looked at again."""
        return (
            min(OPEN_RECHECK_S, self.interval_s) if reason is WaitReason.OPEN else self.interval_s
        )
