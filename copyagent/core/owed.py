"""Which copies are owed, by pool and target, oldest first: what "fallen behind" is measured by.

A copy is owed from the moment at which its tape could be copied: it is unprotected there and nobody
has it open for writing. So a backup that writes for hours owes nothing yet; but a tape that is opened
again before its copy was made goes on being owed since the first time.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from copyagent.core.records import TapeRecord
from copyagent.core.shelf import Resting
from copyagent.core.time import Moment
from vtsfs.contract.naming import PoolId, TapeId

#: A pool and the target that gets its tapes.
Way = tuple[PoolId, str]

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class BehindAlarm:
    """That a pool has fallen behind was told, last at *told_ns*.

    *since_ns* is since when its oldest copy was owed then; both since the epoch. *told_ns* is 0 if
    the former alarm was told so shortly before that this one was not.
    """

    since_ns: int
    told_ns: int


@dataclass(slots=True)
class Owed:
    """The copies that are owed: for each way, by tape, since when in monotonic seconds.

    They are entered as they come, so the first of a way is the oldest, and nothing is searched for.
    """

    ways: dict[Way, dict[TapeId, float]] = field(default_factory=dict)

    def settle(self, record: TapeRecord, now: Moment) -> bool:
        """Follow what became of *record*; tell whether the record was changed by that."""
        changed = False
        for target, copy in record.copies.items():
            if record.protected_at(target):
                changed = changed or copy.owed_ns != 0
                copy.owed_ns = 0
                self._drop((record.tape.pool_id, target), record.tape)
            elif not copy.owed_ns and not record.writers:
                changed = True
                copy.owed_ns = now.wall_ns
                self._enter((record.tape.pool_id, target), record.tape, now.mono)
        return changed

    def owe(self, record: TapeRecord, now: Moment) -> bool:
        """Take what *record* lacks for owed though somebody still writes; tell whether that is new."""
        lacking = [(t, c) for t, c in record.copies.items() if not record.protected_at(t)]
        new = [(target, copy) for target, copy in lacking if not copy.owed_ns]
        for target, copy in new:
            copy.owed_ns = now.wall_ns
            self._enter((record.tape.pool_id, target), record.tape, now.mono)
        return bool(new)

    def forget(self, record: TapeRecord) -> None:
        """Drop all that was owed of a tape that is forgotten."""
        for target in record.copies:
            self._drop((record.tape.pool_id, target), record.tape)

    def recover(
        self,
        records: Iterable[TapeRecord],
        resting: Iterable[tuple[TapeId, Resting]],
        now: Moment,
    ) -> None:
        """After a restart, take from the records, and tapes at rest, what is owed, and since when.

        Only the wall clock of the former run means anything; one that was stepped back meanwhile
        makes a copy owed from now on.
        """
        known = [
            (copy.owed_ns, (record.tape.pool_id, target), record.tape)
            for record in records
            for target, copy in record.copies.items()
            if copy.owed_ns and not record.protected_at(target)
        ]
        for tape, known_of in resting:
            owed = zip(known_of.shape.copies, known_of.owed_ns, strict=True)
            known += [(ns, (tape.pool_id, copy.target), tape) for copy, ns in owed if ns]
        self.ways.clear()
        for owed_ns, way, tape in sorted(known):
            self._enter(way, tape, now.mono - max((now.wall_ns - owed_ns) / _NS, 0.0))

    def count(self, way: Way) -> int:
        """Count the copies that are owed on *way*."""
        return len(self.ways.get(way, ()))

    def oldest(self, way: Way) -> tuple[TapeId, float] | None:
        """Return the tape owed for longest on *way*, and since when in monotonic seconds."""
        return next(iter(self.ways.get(way, {}).items()), None)

    def _enter(self, way: Way, tape: TapeId, since: float) -> None:
        self.ways.setdefault(way, {})[tape] = since

    def _drop(self, way: Way, tape: TapeId) -> None:
        self.ways.get(way, {}).pop(tape, None)
