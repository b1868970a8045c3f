"""Fallen behind: when what a pool owes its target has waited for too long, and when it has not.

One alarm for each pool and target, repeated hourly while it lasts, and one message at its end. The
end is not the moment at which the oldest copy is just young enough again: a pool that is always as
late as the limit would begin and end its alarm all day. It has caught up when nothing has waited
for half the limit.
"""

from dataclasses import dataclass, field, replace

from copyagent.core.book import Book
from copyagent.core.owed import BehindAlarm, Way
from copyagent.core.time import Moment
from vtsfs.contract import messages
from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Access
from vtsfs.contract.units import format_duration

#: How long an alarm that lasts is not repeated, in seconds.
REMIND_S = 3600.0

#: How often tapes that are open for very long are looked for, in seconds.
LOOK_S = 600.0

#: The part of the limit that the oldest copy must be younger than for the alarm to end.
CAUGHT_UP = 0.5


@dataclass(slots=True)
class Behind:
    """The alarms of one book. *remind* tells when each is repeated (monotonic seconds).

    *next_look* is when tapes that are open for very long are looked for again.
    """

    book: Book
    next_look: float = 0.0
    remind: dict[Way, float] = field(default_factory=dict)

    def recover(self, now: Moment) -> None:
        """After a restart: what was told is not told again before its time."""
        waiting = self.book.records.resting(lambda _, shape: not shape.protected)
        resting = ((tape, r) for tape, r in waiting if self.book.watches(tape.pool_id))
        self.book.owed.recover(self.book.active(), resting, now)
        limits = self._limits()
        for way, alarm in list(self.book.behind.items()):
            if way not in limits:
                self._drop(way)
                continue
            told = Moment(0.0, alarm.told_ns).after(REMIND_S)
            self.remind[way] = now.again(told, REMIND_S).mono

    def follow(self) -> None:
        """End the alarms of ways that the settings in force have no limit for, without a word."""
        limits = self._limits()
        for way in list(self.book.behind):
            if way not in limits:
                self._drop(way)

    def due(self, now: Moment) -> None:
        """Tell what has become true by now."""
        self._open_for_long(now)
        for way, limit in self._limits().items():
            self._look(way, limit, now)

    def times(self) -> list[float]:
        """Return the monotonic seconds at which `due` is wanted."""
        found = []
        for way, limit in self._limits().items():
            if way in self.book.behind:
                found.append(self.remind[way])
            elif (oldest := self.book.owed.oldest(way)) is not None:
                found.append(oldest[1] + limit)
        return found

    def _open_for_long(self, now: Moment) -> None:
        """What somebody has had open for writing for `mounted_max` is owed from now on, closed or not.

        Nobody is woken for it: each look at a vault brings it here.
        """
        if now.mono < self.next_look:
            return
        self.next_look = now.mono + LOOK_S
        before_ns = now.wall_ns - int(self.book.settings.cross_check.mounted_max * 1e9)
        for record in self.book.active():
            opened = [s.opened_ns for s in record.open.values() if s.access is Access.WRITE]
            if opened and min(opened) <= before_ns and self.book.owed.owe(record, now):
                self.book.dirty.add(record.tape)

    def _limits(self) -> dict[Way, float]:
        return {
            (entry.pool, entry.target): entry.behind_after
            for entry in self.book.settings.autocopy
            if entry.behind_after
        }

    def _look(self, way: Way, limit: float, now: Moment) -> None:
        oldest = self.book.owed.oldest(way)
        alarm = self.book.behind.get(way)
        if alarm is None:
            if oldest is not None and now.mono >= oldest[1] + limit:
                since_ns = now.wall_ns - int((now.mono - oldest[1]) * 1e9)
                self._tell(way, oldest, BehindAlarm(since_ns, 0), now)
        elif oldest is None or now.mono - oldest[1] < limit * CAUGHT_UP:
            self._drop(way)
            if alarm.told_ns:
                took = format_duration(max(now.wall_ns - alarm.since_ns, 0) / 1e9)
                self.book.say(messages.CAUGHT_UP, pool=way[0], target=way[1], took=took)
        elif now.mono >= self.remind[way]:
            self._tell(way, oldest, alarm, now)

    def _tell(
        self, way: Way, oldest: tuple[TapeId, float], alarm: BehindAlarm, now: Moment
    ) -> None:
        """At most once an hour for one pool and target, also if it catches up in between."""
        tape, since = oldest
        told = self.book.unsaid(messages.FALLEN_BEHIND, way, now, REMIND_S)
        self.book.behind[way] = replace(alarm, told_ns=now.wall_ns) if told else alarm
        self.book.behind_dirty = True
        last = self.book.said.at((messages.FALLEN_BEHIND.id, str(way)))
        self.remind[way] = (now.mono if last is None else last) + REMIND_S
        if not told:
            return
        self.book.say(
            messages.FALLEN_BEHIND,
            pool=way[0],
            target=way[1],
            count=self.book.owed.count(way),
            tape=tape,
            age=format_duration(now.mono - since),
        )

    def _drop(self, way: Way) -> None:
        del self.book.behind[way]
        self.remind.pop(way, None)
        self.book.behind_dirty = True
