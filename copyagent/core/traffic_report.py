"""What operators see of the traffic: running copies, pauses and windows, as plain data.

Parts of the documents of `copyagent.core.report`.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from copyagent.core.dates import iso
from copyagent.core.gates import Pause
from copyagent.core.records import TapeRecord
from copyagent.core.time import Moment
from copyagent.core.windows import describe, is_open, turns_in_s
from vtsfs.contract.naming import TapeId
from vtsfs.contract.setting_values import DailyWindow

Document = dict[str, Any]

#: A running copy's rate is that of so many seconds: limits are shared with copies that come and go.
_RATE_OF_S = 15.0


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a running copy is: *done* of *total* bytes in *phase*, which began at *started_ns*.

    *rate* is that of late, in bytes per second; None while it is not known.
    """

    phase: str
    done: int
    total: int
    started_ns: int
    rate: float | None = None


#: How far each running copy is, as its copier has told.
Progresses = Mapping[tuple[TapeId, str], Progress]

#: For who knows nothing of it.
NO_PROGRESS: Final[Progresses] = {}


def phase_of(progress: Progresses, record: TapeRecord, target: str) -> str:
    """Return what the running copy of *record* to *target* does; empty if none runs, or none tells."""
    found = progress.get((record.tape, target)) if progress else None
    return "" if found is None else found.phase


@dataclass(slots=True)
class Meter:
    """Makes `Progress` of one copy's reports: each phase is measured by itself."""

    _phase: str = ""
    _started_ns: int = 0
    _seen: deque[tuple[int, int]] = field(default_factory=deque)

    def read(self, phase: str, done: int, total: int, at_ns: int) -> Progress:
        """Take in that *done* of *total* bytes of *phase* are done at *at_ns*."""
        if phase != self._phase or (self._seen and done < self._seen[-1][1]):
            self._phase, self._started_ns = phase, at_ns
            self._seen.clear()
        # A look every tenth of a second is enough, and bounds what is kept.
        if not self._seen or at_ns - self._seen[-1][0] >= _RATE_OF_S * 1e7:
            self._seen.append((at_ns, done))
        while len(self._seen) > 2 and at_ns - self._seen[1][0] >= _RATE_OF_S * 1e9:
            self._seen.popleft()
        since_ns, before = self._seen[0]
        seconds = (at_ns - since_ns) / 1e9
        rate = (done - before) / seconds if seconds > 0 else None
        return Progress(phase, done, total, self._started_ns, rate)


def running(tape: TapeId, target: str, progress: Progress | None, now: Moment) -> Document:
    """Describe a running copy; what is left of its phase takes as long as the rate of late says."""
    if progress is None:
        progress = Progress("starting", 0, 0, now.wall_ns)
    rate = progress.rate
    if rate is None:
        rate = progress.done / max((now.wall_ns - progress.started_ns) / 1e9, 0.001)
    left = (progress.total - progress.done) / rate if rate > 0 and progress.total else None
    return {
        "tape": str(tape),
        "target": target,
        "phase": progress.phase,
        "done": progress.done,
        "total": progress.total,
        "rate": round(rate),
        "left_s": None if left is None else round(left),
    }


def pause(paused: Pause | None, now: Moment) -> Document | None:
    """Describe an operator's pause; None if there is none."""
    if paused is None or paused.over(now):
        return None
    return {
        "since": iso(paused.since_ns),
        "until": iso(paused.until_ns),
        "by": paused.user,
        "because": paused.because,
    }


def window(hours: DailyWindow | None, now: Moment) -> Document | None:
    """Describe a target's daily window; None without one. It opens, or closes, in *turns_in_s*."""
    if hours is None:
        return None
    return {
        "hours": describe(hours),
        "open": is_open(hours, now),
        "turns_in_s": round(turns_in_s(hours, now)),
    }
