"""What a path below a vault's root is: a tape, a pool, something of a peer's, or nothing of ours.

Pure. A tape is exactly two levels below the root, a pool one; both must fit the settings'
patterns. Every top-level directory with a dot in front is staging: peers write there what they
publish by a rename, and nothing in it is ever a tape.
"""

import os
from dataclasses import dataclass

from vtsfs.contract.naming import NamePatterns, PoolId, TapeId


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path lies. At most one of the three is set; none of them: no business of ours."""

    tape: TapeId | None = None
    pool: PoolId | None = None
    staging: bool = False


#: A path without meaning for us: it passes through and is never reported.
ELSEWHERE = Place()


def place_of(vault: str, relative: bytes, patterns: NamePatterns) -> Place:
    """Classify *relative*, a path below the root of *vault* without leading slash.

    Whether a file of that name is a regular file is for the caller to ask: a name alone cannot
    tell. Names that are not UTF-8 fit no pattern.
    """
    names = os.fsdecode(relative).split("/")
    if names[0].startswith("."):
        return Place(staging=len(names) > 1)
    if not patterns.is_pool(names[0]):
        return ELSEWHERE
    if len(names) == 1:
        return Place(pool=PoolId(vault, names[0]))
    if len(names) == 2 and patterns.is_label(names[1]):
        return Place(tape=TapeId(vault, *names))
    return ELSEWHERE
