"""Which of the copies that are due start now: oldest need first, within each target's limit."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from vtsfs.contract.naming import TapeId


@dataclass(frozen=True, slots=True)
class Due:
    """A copy that may start. *behind_ns*: since when its tape is unprotected."""

    tape: TapeId
    target: str
    behind_ns: int


def plan(due: Iterable[Due], running: Iterable[str], limits: Mapping[str, int]) -> list[Due]:
    """Choose from *due* what starts, when copies to the targets in *running* go on already.

    *limits* is the number of copies that may run to each target at once.
    """
    used = Counter(running)
    chosen = []
    for copy in sorted(due, key=lambda c: (c.behind_ns, c.tape, c.target)):
        if used[copy.target] < limits[copy.target]:
            used[copy.target] += 1
            chosen.append(copy)
    return chosen
