"""Which of the copies that are due start now (`choose`), and the rules of their order; pure.

*Within a target*: by priority of the pool, then by age, without starving: one step of priority is
worth `STEP_S` of waiting. So a copy goes before all that became due an hour later for each step by
which their pool is preferred, and the least preferred pool moves on in a bounded time: of two
pools, only tapes that came up to as many hours after its own as they are steps apart go first.

*Between targets*: the one with the fewest running copies comes first, so that a slow target cannot
take what another could use; if they are equal, that with the more urgent copy. If there are fewer
slots than targets, that is not enough: a target that had nothing running for a whole turn of
`TURN_S`, though something of it was due, goes before all others, and `to_give_way` names the copy
that is stopped for it; that one goes on later from where it was.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field

from copyagent.core.owed import Way
from copyagent.core.queues import CopyKey, Entry, Queues

#: What one step of a pool's priority is worth, in seconds of waiting.
STEP_S = 3600.0

#: For how long a target may be kept from copying anything by copies to others, in seconds.
TURN_S = 600.0

_NS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Rules:
    """How many copies may run in all and to each target, and the priority of each way."""

    parallel: int
    parallel_to: Mapping[str, int]
    priority: Mapping[Way, int] = field(default_factory=dict)

    def rank(self, entry: Entry) -> tuple[int, CopyKey]:
        """Return the place of a copy among those to its target; the least goes first."""
        since_ns, tape, target, _ = entry
        steps = self.priority.get((tape.pool_id, target), 0)
        return since_ns - steps * int(STEP_S) * _NS, (tape, target)


def choose(
    queues: Queues,
    ways: Iterable[Way],
    running: Iterable[str],
    rules: Rules,
    *,
    passed: Callable[[CopyKey], bool],
    starved: Collection[str] = (),
) -> list[CopyKey]:
    """Choose what starts, of what is due on *ways*, while copies to the targets in *running* go on.

    Copies that are *passed* over may not start now; *starved* are targets that have waited for a
    whole turn.
    """
    counts = Counter(running)
    slots = rules.parallel - counts.total()
    if slots <= 0:
        return []
    taken: set[CopyKey] = set()
    by_target: dict[str, list[Way]] = {}
    for way in ways:
        by_target.setdefault(way[1], []).append(way)

    def first(target: str) -> Entry | None:
        if counts[target] >= rules.parallel_to[target]:
            return None
        heads = [queues.first(way, _either(passed, taken)) for way in by_target[target]]
        return min((head for head in heads if head is not None), key=rules.rank, default=None)

    def turn(target: str) -> tuple[bool, int, tuple[int, CopyKey]]:
        return target not in starved, counts[target], rules.rank(firsts[target])

    firsts = {target: found for target in by_target if (found := first(target)) is not None}
    chosen: list[CopyKey] = []
    while firsts and len(chosen) < slots:
        target = min(firsts, key=turn)
        key = firsts.pop(target)[1], target
        chosen.append(key)
        taken.add(key)
        counts[target] += 1
        if (found := first(target)) is not None:
            firsts[target] = found
    return chosen


def to_give_way(running: Mapping[CopyKey, int], starved: Collection[str]) -> CopyKey | None:
    """Return which of the copies in *running* is to be stopped for the *starved* targets' sake.

    Of the target with the most of them, the one that has run for longest; *running* tells since when
    each does (ns since the epoch).
    """
    if not starved:
        return None
    counts = Counter(target for _, target in running if target not in starved)
    return min(
        (key for key in running if key[1] not in starved),
        key=lambda key: (-counts[key[1]], running[key], key),
        default=None,
    )


def _either(
    passed: Callable[[CopyKey], bool], taken: Collection[CopyKey]
) -> Callable[[CopyKey], bool]:
    return lambda key: key in taken or passed(key)
