"""What is known of a tape's changes, generation by generation, and what that says of its bytes.

A change is entered for every generation, whatever verdict it gets: a held session's bytes are in
the next copy too (DESIGN section 3). Exact knowledge is a chain: each change begins with the
identity with which the one before ended. One missing link, and nothing is known.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from vtsfs.contract.extents import ExtentSet, Range
from vtsfs.contract.signals import Identity


@dataclass(frozen=True, slots=True)
class Change:
    """What led to *generation*: between *before* and *after* only bytes in *extents* changed.

    None for either identity, or for the extents, means that it is not known.
    """

    generation: int
    before: Identity | None = None
    after: Identity | None = None
    extents: tuple[Range, ...] | None = None


def changed_since(
    changes: Sequence[Change], generation: int, before: Identity, after: Identity
) -> ExtentSet | None:
    """Return which bytes can differ between *before*, at *generation*, and *after*; None: any.

    The union over all later generations, if they make an unbroken chain from *before* to *after*.
    """
    at, found = before, ExtentSet()
    for change in sorted(changes, key=lambda c: c.generation):
        if change.generation <= generation:
            continue
        if change.generation != generation + 1 or change.extents is None:
            return None
        if change.after is None or not at.same_bytes(change.before):
            return None
        generation, at = change.generation, change.after
        found = ExtentSet.union(found, change.extents)
    return found if at.same_bytes(after) else None
