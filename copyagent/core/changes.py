"""What is known of a tape's changes, generation by generation, and what that says of its bytes.

A change is entered for every generation, whatever verdict it gets: a held session's bytes are in
the next copy too (DESIGN section 3). Exact knowledge is a chain: each change begins with the
identity with which the one before ended, ctime included, since whoever wrote past the overlay may
have set mtime back. One missing link, and nothing is known of what lies before it; so links that
lead to nothing are not kept, and a generation that is missing means that any byte may have changed.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from vtsfs.contract.extents import ExtentSet, Range
from vtsfs.contract.signals import Identity

#: Most changes that are kept of a tape.
MOST_KEPT = 32
#: Most ranges that are kept of one change; more are merged, those with the smallest gaps first.
MOST_RANGES = 16_384
#: Most ranges of all changes of a tape. They are in its record, which is written often.
MOST_RANGES_KEPT = 2 * MOST_RANGES


@dataclass(frozen=True, slots=True)
class Change:
    """What led to *generation*: between *before* and *after* only bytes in *extents* changed.

    None for either identity, or for the extents, means that it is not known.
    """

    generation: int
    before: Identity | None = None
    after: Identity | None = None
    extents: tuple[Range, ...] | None = None

    @property
    def known(self) -> bool:
        """Whether this tells anything."""
        return None not in (self.before, self.after, self.extents)


def untouched(one: Identity | None, other: Identity | None) -> bool:
    """Tell whether both are of one file that nobody touched in between.

    Stricter than `Identity.same_bytes`, as whole blocks go unread on the strength of it. The device
    is left out: it can have another number after a reboot.
    """
    if one is None or other is None:
        return False
    return one.same_bytes(other) and one.ctime_ns == other.ctime_ns


def entered(changes: Sequence[Change], change: Change) -> tuple[Change, ...]:
    """Return *changes* with one more, without those that cannot tell anything any more.

    Never says less than what changed: ranges are merged, and whole changes forgotten, which counts
    as not known.
    """
    if not change.known:
        return ()
    last = changes[-1] if changes else None
    linked = last is not None and last.generation + 1 == change.generation
    if last is None or not linked or not untouched(last.after, change.before):
        changes = ()
    if change.extents is not None and len(change.extents) > MOST_RANGES:
        coarse = ExtentSet(change.extents, limit=MOST_RANGES)
        change = replace(change, extents=coarse.listed())
    kept = [*changes, change][-MOST_KEPT:]
    while len(kept) > 1 and sum(len(each.extents or ()) for each in kept) > MOST_RANGES_KEPT:
        del kept[0]
    return tuple(kept)


def later_than(changes: Iterable[Change], generation: int) -> tuple[Change, ...]:
    """Return the changes that came after *generation*."""
    return tuple(change for change in changes if change.generation > generation)


def changed_since(
    changes: Sequence[Change], generation: int, before: Identity, after: Identity
) -> ExtentSet | None:
    """Return which bytes can differ between *before*, at *generation*, and *after*; None: any.

    The union over all later generations, if they make an unbroken chain from *before* to *after*;
    and all from the shortest that the tape was in between.
    """
    at, found, shortest = before, ExtentSet(), before.size
    for change in sorted(changes, key=lambda c: c.generation):
        if change.generation <= generation:
            continue
        if change.generation != generation + 1 or change.extents is None or change.after is None:
            return None
        if not untouched(at, change.before):
            return None
        generation, at = change.generation, change.after
        shortest = min(shortest, at.size)
        found = ExtentSet.union(found, change.extents)
    if not untouched(at, after):
        return None
    found.add(shortest, after.size)
    return found
