"""What keeps a due copy from starting, though nothing is wrong with it: pauses, windows, no licence.

Such a copy stays queued, or on its rung of the ladder; that it waits is derived here, from what is
true at the moment, and kept nowhere: ten thousand tapes do not change their state because a window
opens. None of it uses up an attempt, and all of it counts as unprotected.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from copyagent.core.dates import iso
from copyagent.core.owed import Way
from copyagent.core.tape import Queued, Retrying, State
from copyagent.core.time import Moment
from copyagent.core.windows import describe, is_open, look_in_s, time_of_day
from vtsfs.contract.naming import TapeId
from vtsfs.contract.setting_values import DailyWindow
from vtsfs.contract.units import format_duration

_NS = 1_000_000_000


class Obstacle(StrEnum):
    """Why a copy that is due, or would be, is not started."""

    PAUSED = "paused"
    WINDOW = "window"
    HOLD_DOWN = "hold-down"
    TARGET_DOWN = "target down"
    UNLICENSED = "unlicensed"


@dataclass(frozen=True, slots=True)
class Closed:
    """Something keeps copies from being started. *words* go into the state, *why* tells all of it."""

    reason: Obstacle
    words: str
    why: str
    next_step: str


@dataclass(frozen=True, slots=True)
class Pause:
    """An operator's word that nothing is copied of a pool, or to a target, for the time being.

    *about* is the pool or the target, as text. *until_ns* is since the epoch, 0: until resumed.
    *for_s* is the length of a pause that was asked for as one; such a pause is measured by time
    passed, whatever becomes of the clock; others end by it. *finish*: what was running then goes on.
    """

    about: str
    user: str
    because: str
    since_ns: int
    until_ns: int = 0
    for_s: float = 0.0
    finish: bool = False

    def over(self, now: Moment) -> bool:
        """Tell whether it has ended by itself."""
        return self.until_ns != 0 and now.wall_ns >= self.until_ns

    def recovered(self, now: Moment) -> "Pause":
        """Return it as it is after a restart: it lasts no longer than it was to last in all."""
        if not self.for_s:
            return self
        return replace(self, until_ns=min(self.until_ns, now.wall_ns + int(self.for_s * _NS)))

    def moved(self, step_ns: int) -> "Pause":
        """Return it as it is after the clock was set by *step_ns*."""
        return replace(self, until_ns=self.until_ns + step_ns) if self.for_s else self


def by_pause(pause: Pause, now: Moment) -> Closed:
    """Describe what *pause* means for a copy."""
    until = f" until {iso(pause.until_ns)}" if pause.until_ns else ""
    left = max(pause.until_ns - now.wall_ns, 0) / _NS
    ends = f"It ends by itself in {format_duration(left)}; sooner: " if pause.until_ns else ""
    return Closed(
        Obstacle.PAUSED,
        f"paused{until}",
        f"paused by {pause.user} at {iso(pause.since_ns)}: {pause.because}",
        f"{ends}copyagent resume {pause.about}",
    )


def by_window(window: DailyWindow, target: str) -> Closed:
    """Describe what a closed *window* of *target* means for a copy."""
    opens = time_of_day(window.start)
    return Closed(
        Obstacle.WINDOW,
        f"window until {opens}",
        f"nothing is sent to {target} outside {describe(window)}, local time",
        f"It is copied when the window opens, at {opens}, local time "
        f"(targets.{target}.window in the settings).",
    )


def by_hold_down(tape: TapeId, state: Queued, now: Moment) -> Closed | None:
    """Describe what is left of a copy's rest after the dismount; None if it has rested."""
    if state.due is None or now.reached(state.due):
        return None
    left = state.due.mono - now.mono
    return Closed(
        Obstacle.HOLD_DOWN,
        f"hold-down until {iso(state.due.wall_ns)}",
        "it may be mounted again soon",
        f"It is copied in {format_duration(left)} (hold_down in the settings), or at once: "
        f"copyagent retry {tape}",
    )


def by_trouble(target: str, trouble: str, next_step: str) -> Closed:
    """Describe what a target that was found down means for a copy that is due there."""
    return Closed(
        Obstacle.TARGET_DOWN,
        "target down",
        f"{target}: {trouble}",
        f"{target} is asked again within seconds; {next_step or 'see copyagent status'}",
    )


@dataclass(frozen=True, slots=True)
class Gate:
    """The pauses and the window of one way: a pool and its target."""

    way: Way
    window: DailyWindow | None = None

    def closed(self, pauses: dict[str, Pause], now: Moment) -> Closed | None:
        """Return what keeps every copy of this way from being started; None if nothing does."""
        for pause in self.pauses(pauses, now):
            return by_pause(pause, now)
        if self.window is not None and self.shut(now):
            return by_window(self.window, self.way[1])
        return None

    def shut(self, now: Moment) -> bool:
        """Tell whether there is a window, and it is closed."""
        return self.window is not None and not is_open(self.window, now)

    def pauses(self, pauses: dict[str, Pause], now: Moment) -> list[Pause]:
        """Return the pauses that keep this way: the pool's own, its target's."""
        pool, target = self.way
        found = (pauses.get(about) for about in (str(pool), target))
        return [pause for pause in found if pause is not None and not pause.over(now)]

    def look_in_s(self, now: Moment) -> float | None:
        """Return in how many seconds to look whether the window has turned; None without one."""
        return None if self.window is None else look_in_s(self.window, now)


def waits_for_start(state: State, now: Moment) -> bool:
    """Tell whether a copy in *state* would be started now if nothing kept it."""
    match state:
        case Queued():
            return True
        case Retrying():
            return now.reached(state.due)
        case _:
            return False
