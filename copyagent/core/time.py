"""Time as a value: every decision is handed the moment it is made in."""

from dataclasses import dataclass

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Moment:
    """One instant on two clocks: *mono* for delays, *wall_ns* for records and display.

    *mono* is seconds of a monotonic clock that only this run of the process knows; *wall_ns* is
    nanoseconds since the epoch and can be stepped. They are never subtracted from each other.
    *east_s* is by how many seconds local time was ahead of UTC then, summer time included.
    """

    mono: float
    wall_ns: int
    east_s: int = 0

    @property
    def second_of_day(self) -> float:
        """The local time of day, in seconds since midnight."""
        return (self.wall_ns / _NS + self.east_s) % 86400.0

    def after(self, seconds: float) -> "Moment":
        """Return the moment *seconds* later."""
        return Moment(self.mono + seconds, self.wall_ns + int(seconds * _NS), self.east_s)

    def reached(self, due: "Moment") -> bool:
        """Tell whether *due*, set in this run, has come."""
        return self.mono >= due.mono

    def again(self, due: "Moment", longest_s: float) -> "Moment":
        """Return the moment meant by *due*, which an earlier run of the process set.

        Only its wall clock means anything now. A clock that was stepped meanwhile can make it come
        at once or *longest_s* from now, but not later: a due time never vanishes into the future.
        """
        left = (due.wall_ns - self.wall_ns) / _NS
        return self.after(min(max(left, 0.0), longest_s))
