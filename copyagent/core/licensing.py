"""Minding the licence: what it allows now, what is told of it and how often, and a clock set back.

Days are counted by the latest time that counts, not by the clock alone: a clock that is set back
makes no licence young again. A time counts when the clock has gone on evenly from it for
`STEADY_S`, so that a clock which was wrong for a moment does no harm, and a licence that was issued
later than that time makes up for one that was wrong for long.
"""

from dataclasses import dataclass, field, replace
from datetime import timedelta

from copyagent.core.book import Book
from copyagent.core.dates import iso
from copyagent.core.gates import Closed, Obstacle
from copyagent.core.licence import (
    FEATURE,
    Installed,
    Judged,
    LicenceMemory,
    Permission,
    Standing,
    brief,
    day_of,
    describe,
    in_days,
    judge,
    next_step,
    start_of,
)
from copyagent.core.licence_report import Document, licence_document
from copyagent.core.operator import record_action
from copyagent.core.time import Moment
from vtsfs.contract import messages
from vtsfs.contract.errors import RequestFailed
from vtsfs.contract.units import format_count

#: How long the clock must have gone on evenly for a time to count, in seconds.
STEADY_S = 3600.0
#: By how much it may go astray in that time, in seconds.
_EVEN_S = 60.0
#: How far the clock must be behind the latest time that counts to be told of, in seconds.
_BEHIND_S = 86_400.0
_DAY_S = 86_400.0
_NS = 1_000_000_000


@dataclass(slots=True)
class Licensing:
    """The licence of one book. *anchor* is where even time was last counted from."""

    book: Book
    anchor: Moment | None = None
    latest: Moment = field(default=Moment(0.0, 0))

    @property
    def licence(self) -> Permission:
        """What is known of the licence."""
        return self.book.licence

    def recover(self) -> None:
        """After a start: what was put there, or taken away, while no agent ran goes on record now."""
        found, memory = self.licence.found, self.licence.memory
        if found.digest != memory.digest:
            by_hand = "the file was changed by hand, and found so at the start"
            done = f" (done at {iso(found.at_ns)})" if found.at_ns else ""
            self._record(replace(found, because=f"{found.because or by_hand}{done}"))

    def due(self, now: Moment) -> None:
        """Find out how it stands now, and tell what has become true."""
        self.latest = now
        if not self.licence.required:
            return
        self._count_time(now)
        judged = self.judged(now)
        self.licence.closed = _closed(self.book, judged)
        self._tell(judged, now)

    def times(self) -> list[float]:
        """Return the monotonic seconds at which `due` is wanted: the next day, the next even hour."""
        if not self.licence.required:
            return []
        now, at_ns = self.latest, self.time_that_counts(self.latest)
        try:
            left_s = (start_of(day_of(at_ns) + timedelta(days=1)) - at_ns) / _NS
        except OverflowError:
            left_s = _DAY_S
        even = self.anchor.mono + STEADY_S if self.anchor is not None else now.mono + STEADY_S
        return [now.mono + left_s, even]

    def judged(self, now: Moment) -> Judged:
        """Return how it stands at *now*."""
        name, day = self.book.settings.system.name, day_of(self.time_that_counts(now))
        return judge(self.licence.found, name, day, required=self.licence.required)

    def document(self, now: Moment) -> Document:
        """Return how it stands, as plain data."""
        name = self.book.settings.system.name
        return licence_document(self.licence.found, self.judged(now), name, now.wall_ns)

    def time_that_counts(self, now: Moment) -> int:
        """Return the time by which the licence is judged, in ns since the epoch."""
        return max(now.wall_ns, self.licence.memory.latest_ns)

    def expect_useful(self, found: Installed, now: Moment) -> None:
        """Raise `RequestFailed` if nothing would be copied with the licence that was *found*."""
        if not self.licence.required:
            return
        latest_ns = _latest_with(found, self.licence.memory, now)
        day = day_of(max(now.wall_ns, latest_ns))
        name = self.book.settings.system.name
        judged = judge(found, name, day, required=True)
        if not judged.standing.copies:
            present = describe(self.licence.found)
            raise RequestFailed(
                f"not installed: {judged.words}. {next_step(judged.standing, name)} What was "
                f"installed before stays: {present}"
            )

    def expect_any(self, now: Moment) -> None:
        """Raise `RequestFailed` if there is no licence that could be removed."""
        if not self.licence.found.digest:
            raise RequestFailed(f"nothing to remove: {self.judged(now).words}")

    def take(self, found: Installed, now: Moment) -> list[str]:
        """Let *found*, which is in its place already, count from now on; it goes on record."""
        before, memory = self.judged(now), self.licence.memory
        self.licence.found = found
        latest_ns = _latest_with(found, memory, now)
        self._remember(replace(memory, latest_ns=latest_ns, told_day=""))
        self._record(found)
        self.due(now)
        return self._answers(before, self.judged(now))

    def _answers(self, before: Judged, after: Judged) -> list[str]:
        waiting = len(self.book.pending)
        done = "installed" if self.licence.found.digest else "removed"
        answers = [f"licence {done}: {describe(self.licence.found)}"]
        if after.standing is Standing.NOT_REQUIRED:
            answers.append("this build requires no licence: nothing else changes")
        elif not after.standing.copies:
            answers.append(
                f"{after.words}: nothing is copied from now on; running copies are stopped before "
                f"they are published, mounts and dismounts are recorded; copies that wait: {waiting}"
            )
        else:
            answers.append(after.words)
            if waiting and not before.standing.copies:
                those = format_count(waiting, "copy", "copies")
                answers.append(f"{those} that waited for it are made now")
        return answers

    def _record(self, found: Installed) -> None:
        memory, new = self.licence.memory, brief(found)
        record_action(
            self.book,
            found.user or "somebody",
            "licence install" if found.digest else "licence remove",
            FEATURE,
            found.because,
            old=memory.words or brief(Installed()),
            new=new,
        )
        issued = found.terms.issued.isoformat() if found.terms is not None else ""
        self._remember(
            replace(memory, digest=found.digest, words=new, issued=max(memory.issued, issued))
        )

    def _remember(self, memory: LicenceMemory) -> None:
        self.licence.memory = memory
        self.licence.dirty = True

    def _count_time(self, now: Moment) -> None:
        """Let the time count from which the clock has gone on evenly for long enough."""
        if self.anchor is None:
            self.anchor = now
            return
        passed_s = now.mono - self.anchor.mono
        astray_s = abs((now.wall_ns - self.anchor.wall_ns) / _NS - passed_s)
        if astray_s > _EVEN_S:
            self.anchor = now
        elif passed_s >= STEADY_S:
            if self.anchor.wall_ns > self.licence.memory.latest_ns:
                self._remember(replace(self.licence.memory, latest_ns=self.anchor.wall_ns))
            self.anchor = now

    # ---- telling ---------------------------------------------------------------------------------

    def _tell(self, judged: Judged, now: Moment) -> None:
        memory, today = self.licence.memory, judged.day.isoformat()
        behind_s = (memory.latest_ns - now.wall_ns) / _NS
        if behind_s > _BEHIND_S and self.book.unsaid(messages.LICENCE_CLOCK, "", now, _DAY_S):
            self.book.say(
                messages.LICENCE_CLOCK, clock=iso(now.wall_ns), latest=iso(memory.latest_ns)
            )
        daily = judged.standing in (Standing.EXPIRES_SOON, Standing.GRACE)
        if daily and memory.told_day != today:
            self._remember(replace(memory, told_day=today))
            self._warn(judged)
        unlicensed = not judged.standing.copies
        if unlicensed != memory.unlicensed:
            self._remember(replace(self.licence.memory, unlicensed=unlicensed))
            if unlicensed:
                self.book.say(messages.UNLICENSED, detail=judged.words)
            else:
                self.book.say(
                    messages.LICENSED_AGAIN, detail=judged.words, count=len(self.book.pending)
                )

    def _warn(self, judged: Judged) -> None:
        terms = self.licence.found.terms
        if terms is None or judged.days_left is None:
            return  # without terms nothing expires
        if judged.standing is Standing.EXPIRES_SOON:
            self.book.say(
                messages.LICENCE_EXPIRES,
                serial=terms.serial,
                expires=terms.expires,
                left=in_days(judged.days_left),
            )
        else:
            self.book.say(
                messages.LICENCE_EXPIRED, expires=terms.expires, grace_ends=terms.grace_ends
            )


def _latest_with(found: Installed, memory: LicenceMemory, now: Moment) -> int:
    """Return the latest time that counts once *found* is installed.

    A licence that was issued later than any before it shows that the issuer knows of a system with
    this name: where the clock had been ahead for so long that the wrong time counts, it counts no more.
    """
    terms = found.terms
    if terms is None or terms.issued.isoformat() <= memory.issued:
        return memory.latest_ns
    return min(memory.latest_ns, max(now.wall_ns, start_of(terms.issued)))


def _closed(book: Book, judged: Judged) -> Closed | None:
    if judged.standing.copies:
        return None
    return Closed(
        Obstacle.UNLICENSED,
        "unlicensed",
        f"no copy without a licence: {judged.words}",
        next_step(judged.standing, book.settings.system.name),
    )
