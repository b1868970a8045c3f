"""The traffic to all targets: what starts, what has to stop for the time being, and when to look again.

Who goes first is decided in `schedule`, what keeps a pool or a target from being copied in `gates`.
A copy that is stopped here has not failed: it is queued again, and its stage is there to go on from.
"""

from dataclasses import dataclass, field

from copyagent.core import tape as states
from copyagent.core.book import Book
from copyagent.core.commands import StartCopy
from copyagent.core.copying import CopyJob
from copyagent.core.errands import still_wanted
from copyagent.core.gates import Closed, Obstacle
from copyagent.core.owed import Way
from copyagent.core.records import TapeRecord
from copyagent.core.schedule import TURN_S, Rules, choose, to_give_way
from copyagent.core.targets import Targets
from copyagent.core.time import Moment
from vtsfs.contract import messages
from vtsfs.contract.naming import TapeId

_NS = 1_000_000_000


@dataclass(slots=True)
class Traffic:
    """The scheduler of one book. *starved*: since when a target has waited for others' copies."""

    book: Book
    targets: Targets
    rules: Rules = field(init=False)
    starved: dict[str, float] = field(default_factory=dict)
    latest: Moment = field(default=Moment(0.0, 0))

    def __post_init__(self) -> None:
        self.follow()

    def follow(self) -> None:
        """Take the rules from the settings in force."""
        settings = self.book.settings
        self.rules = Rules(
            settings.traffic.parallel,
            {name: target.parallel for name, target in settings.targets.items()},
            {way: entry.priority for way, entry in self.book.ways.items()},
        )

    def recover(self, now: Moment) -> None:
        """After a restart: a pause lasts no longer than it was to last."""
        for about, pause in self.book.pauses.items():
            self.book.pauses[about] = pause.recovered(now)

    def due(self, now: Moment) -> None:
        """Start what may start, and stop what may not go on."""
        self.latest = now
        self._end_pauses(now)
        self.book.queues.ripen(now.mono)
        self._stop_closed(now)
        ways = [way for way in self.book.queues.ways() if self._is_open(way, now)]
        self._start_first(ways, now)
        self._give_way(ways, now)

    def times(self) -> list[float]:
        """Return the monotonic seconds at which `due` is wanted."""
        book, now = self.book, self.latest
        # What is due and was not started waits for something else than time.
        next_due = book.queues.next_due()
        found = [next_due] if next_due is not None else []
        found += [
            now.mono + max(pause.until_ns - now.wall_ns, 0) / _NS
            for pause in book.pauses.values()
            if pause.until_ns
        ]
        busy = set(book.queues.ways()) | {(tape.pool_id, name) for tape, name in book.running}
        busy |= {way for way in book.gates if self.targets.health[way[1]].trouble}
        looks = (book.gates[way].look_in_s(now) for way in busy if way in book.gates)
        found += [now.mono + look_s for look_s in looks if look_s is not None]
        full = len(book.running) >= self.rules.parallel
        turns = [since + TURN_S for since in self.starved.values() if full]
        return found + [turn for turn in turns if turn > now.mono]

    # ---- stopping --------------------------------------------------------------------------------

    def _end_pauses(self, now: Moment) -> None:
        for about, pause in list(self.book.pauses.items()):
            if pause.over(now):
                del self.book.pauses[about]
                self.book.pauses_dirty = True
                self.book.say(messages.PAUSE_OVER, about=about, user=pause.user)

    def _stop_closed(self, now: Moment) -> None:
        for tape, target in sorted(self.book.running):
            closed = self.book.closed(tape, target, now)
            if closed is None:
                continue
            state = self._copying(tape, target)
            if state is not None and not self._may_finish(tape, target, closed, state, now):
                self._defer(tape, target, closed.words, now)

    def _may_finish(
        self, tape: TapeId, target: str, closed: Closed, state: states.Copying, now: Moment
    ) -> bool:
        """Tell whether a pause leaves alone what was running when it began."""
        if closed.reason is not Obstacle.PAUSED:
            return False
        gate = self.book.gates[tape.pool_id, target]
        if gate.shut(now):
            return False
        pauses = gate.pauses(self.book.pauses, now)
        return all(pause.finish and state.started_ns <= pause.since_ns for pause in pauses)

    def _defer(self, tape: TapeId, target: str, why: str, now: Moment) -> None:
        record = self.book.records[tape]
        record.note(now.wall_ns, f"{target}: stopped for the time being ({why})")
        self.book.apply(record, target, states.Deferred(), now)

    def _copying(self, tape: TapeId, target: str) -> states.Copying | None:
        record = self.book.records.get(tape)
        copy = record.copies.get(target) if record is not None else None
        return copy.state if copy is not None and isinstance(copy.state, states.Copying) else None

    def _give_way(self, ways: list[Way], now: Moment) -> None:
        """Stop one copy for the sake of a target that others have kept waiting for a whole turn."""
        waiting = {way[1] for way in ways} - {target for _, target in self.book.running}
        full = len(self.book.running) >= self.rules.parallel
        kept = {t for t in waiting if full and self.targets.due_at(t, now, most=1)}
        self.starved = {target: self.starved.get(target, now.mono) for target in kept}
        if any(self._copying(*key) is None for key in self.book.running):
            return  # a slot becomes free presently
        running = {
            key: state.started_ns
            for key in self.book.running
            if (state := self._copying(*key)) is not None
        }
        victim = to_give_way(running, self._long_starved(now))
        if victim is not None:
            self._defer(*victim, "another target's turn", now)

    def _long_starved(self, now: Moment) -> set[str]:
        return {target for target, since in self.starved.items() if now.mono - since >= TURN_S}

    # ---- starting --------------------------------------------------------------------------------

    def _is_open(self, way: Way, now: Moment) -> bool:
        target = way[1]
        health = self.targets.health.get(target)
        if health is None or health.down or way not in self.book.gates:
            return False
        return self.book.way_closed(way, now) is None

    def _start_first(self, ways: list[Way], now: Moment) -> None:
        chosen = choose(
            self.book.queues,
            ways,
            [target for _, target in self.book.running],
            self.rules,
            passed=self.targets.passed,
            starved=self._long_starved(now),
        )
        for tape, target in chosen:
            self._start(self.book.records[tape], target, now)

    def _start(self, record: TapeRecord, target: str, now: Moment) -> None:
        destination = self.book.settings.target_tape(record.tape, target)
        if destination is None:
            return
        copy = record.copies[target]
        self.book.apply(record, target, states.Started(), now)
        self.book.running[record.tape, target] = record.generation
        job = CopyJob(
            tape=record.tape,
            target=target,
            destination=destination,
            generation=record.generation,
            identity=record.identity,
            base=copy.base,
            intent=copy.intent,
            override=copy.override,
            changes=record.changes,
            kept=copy.kept,
            keep=self.book.settings.keep_of(record.tape, target),
            wish=still_wanted(copy.wish, record.generation),
        )
        self.book.commands.append(StartCopy(job))
