"""What a path below a vault's root is: a tape, a pool, something of a peer's, or nothing of ours.

Pure. A tape is exactly two levels below the root, a pool one; both must fit the settings'
patterns. Nothing in a top-level directory with a dot in front is ever a tape, and only a peer's
stage there, ``.DIRECTORY/SYSTEM/NAME.stage``, is what a publication renames into a pool: a tape
that somebody fetches back from a ``.trash`` is as new here as one from anywhere else.
"""

import os
from dataclasses import dataclass

from vtsfs.contract.naming import NamePatterns, PoolId, TapeId


@dataclass(frozen=True, slots=True)
class Companion:
    """A file that travels with *tape*, called *name*, in the tape's own pool."""

    tape: TapeId
    name: str


@dataclass(frozen=True, slots=True)
class Place:
    """Where a path lies. At most one of the four is set; none of them: no business of ours.

    *staging* means the name of a peer's stage, not the directories above it.
    """

    tape: TapeId | None = None
    pool: PoolId | None = None
    staging: bool = False
    companion: Companion | None = None


_STAGE_DEPTH = 3
_STAGE_SUFFIX = ".stage"

#: A path without meaning for us: it passes through and is never reported.
ELSEWHERE = Place()


def place_of(vault: str, relative: bytes, patterns: NamePatterns) -> Place:
    """Classify *relative*, a path below the root of *vault* without leading slash.

    Whether a file of that name is a regular file is for the caller to ask: a name alone cannot
    tell. Names that are not UTF-8 fit no pattern.
    """
    names = os.fsdecode(relative).split("/")
    if names[0].startswith("."):
        return Place(staging=len(names) == _STAGE_DEPTH and _is_stage(names[-1]))
    if not patterns.is_pool(names[0]):
        return ELSEWHERE
    if len(names) == 1:
        return Place(pool=PoolId(vault, names[0]))
    if len(names) > 2:
        return ELSEWHERE
    pool, name = names
    if patterns.is_label(name):
        return Place(tape=TapeId(vault, pool, name))
    label = patterns.tape_of_companion(pool, name)
    return (
        ELSEWHERE if label is None else Place(companion=Companion(TapeId(vault, pool, label), name))
    )


def _is_stage(name: str) -> bool:
    return name.endswith(_STAGE_SUFFIX) and name != _STAGE_SUFFIX
