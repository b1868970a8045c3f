"""What of a tape is sent, what is taken from what lies at the target, and what is left alone.

Pure. Two questions are answered, in turn: which chunks are worth digesting before anything is sent
(`next_look`), and, with what is known then, where each byte comes from (`make`).

Whatever the plan, every byte that it lets anybody write at an offset is the source's byte there:
what is taken from the base lies outside of all that may differ and outside of all that is sent, so
a server process that executes a write late, or twice, writes right bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from copyagent.core.copying import Way
from copyagent.transfer import ranges
from copyagent.transfer.chunks import (
    ChunkMap,
    chunk_count,
    chunk_range,
    chunk_ranges,
    comparable,
    touched,
    unlike,
    zero_digest,
)
from vtsfs.contract.extents import ExtentSet

#: What is sent begins and ends at multiples of this, the block of the file systems we know.
BLOCK = 4096

#: Two ranges that are less than this apart are sent as one: to ask for the gap by itself, of the
#: base or of the line, costs as much as to send it. They share a block of 64 KiB anyway.
GAP = 32 * 1024

#: Changes up to this many bytes are digested without a second thought.
SMALL_CHANGE = 256 * 1024 * 1024

#: Otherwise so many chunks, evenly spread, are looked at first.
SAMPLE = 32


@dataclass(frozen=True, slots=True)
class Source:
    """What is known of the tape: its *size* in bytes, and what else was found out about it.

    *data* are its ranges that are no holes, None if that is not known. *digests* are those of the
    chunks that were read, by index.
    """

    size: int
    data: ExtentSet | None = None
    digests: Mapping[int, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """Where the bytes of the next generation come from; no two of the sets overlap.

    *send* is read at the source and sent. *keep* is copied at the target from the base. *resume* is
    copied at the target from an earlier stage of the same generation, or is in this one already.
    What is in none of them is zero, and so it is in a fresh stage; or, where a file is brought
    forward in place, it is there.

    *known* are the digests, by chunk, that the tape's map will have anyway; the others are got while
    sending. *unread* are the bytes of those chunks; what of them is not sent has to be read too.
    """

    way: Way
    size: int
    send: ExtentSet
    keep: ExtentSet
    resume: ExtentSet
    known: Mapping[int, bytes]
    unread: ExtentSet

    @property
    def skipped(self) -> int:
        """How many of the tape's bytes are not sent."""
        return self.size - self.send.total()


def next_look(
    base: ChunkMap | None,
    size: int,
    changed: ExtentSet | None,
    digests: Mapping[int, bytes],
) -> tuple[int, ...]:
    """Return the chunks to digest next before `make` is asked, given *digests*; none when done.

    A tape that was written anew from end to end is the usual change, and reading it twice would be
    in vain; a few changed blocks in a long tape are the other. Where it may be either, a sample of
    the chunks that may have changed is looked at first: only if one of them is as it was in the
    base are the rest worth it. *changed* None: all may have.
    """
    if base is None or not comparable(base, size):
        return ()
    new = set(unlike(base, size))
    may = range(chunk_count(size)) if changed is None else touched(changed, size)
    candidates = [index for index in may if index not in new]
    left = tuple(index for index in candidates if index not in digests)
    if not left or chunk_ranges(candidates, size).total() <= SMALL_CHANGE:
        return left
    sample = _spread(candidates, SAMPLE)
    if missing := tuple(index for index in sample if index not in digests):
        return missing
    return left if any(digests[index] == base.digest(index) for index in sample) else ()


def _spread(candidates: list[int], count: int) -> list[int]:
    step = len(candidates) / count
    return sorted({candidates[int(step * at)] for at in range(count)})


def make(
    source: Source,
    base: ChunkMap | None = None,
    changed: ExtentSet | None = None,
    *,
    durable: ExtentSet | None = None,
    in_place: bool = False,
) -> Plan:
    """Decide where every byte of *source* comes from.

    *base* is the map of a file at the target that is proven to have that content, None if there is
    none. *changed* is what can differ from it (`copyagent.core.changes`), None if that is not
    known. *durable* is what an earlier stage of this very generation, of these very source bytes,
    holds durably. *in_place*: the base is to become the next generation itself, cut to the shorter
    of both sizes and then made as long as the source; otherwise the stage is fresh, and empty.
    """
    size = source.size
    shared = 0 if base is None else min(base.size, size)
    differs = _differs(source, base, changed)
    empty = _empty(source)
    if in_place:
        # What became zero below the base's end is not zero there.
        wanted = ranges.without(differs, ranges.clipped(empty, shared, size))
        keep = ranges.exact()
    else:
        wanted = ranges.without(differs, empty)
        keep = _kept(base, shared, differs, empty)
    resume = ranges.rounded_in(durable or (), BLOCK, size)
    resume = ranges.both(resume, ranges.joined(wanted, keep))
    send = ranges.bridged(ranges.without(wanted, resume), GAP)
    resume = ranges.without(resume, send)
    keep = ranges.without(keep, send, resume)
    known = _known(source, base, differs)
    unread = (index for index in range(chunk_count(size)) if index not in known)
    way = _way(base, changed, differs, size)
    return Plan(way, size, send, keep, resume, known, chunk_ranges(unread, size))


def _differs(source: Source, base: ChunkMap | None, changed: ExtentSet | None) -> ExtentSet:
    """Return what the source may have otherwise than the base."""
    size = source.size
    if base is None:
        return ranges.exact([(0, size)] if size else [])
    may = ranges.exact([(0, size)] if changed is None else changed)
    beyond = [(base.size, size)] if base.size < size else []
    differs = ranges.rounded_out(ranges.joined(may, beyond), BLOCK, size)
    if not comparable(base, size):
        return differs
    new = set(unlike(base, size))
    seen = [(index, found) for index, found in source.digests.items() if index not in new]
    same = [index for index, found in seen if found == base.digest(index)]
    other = [index for index, found in seen if found != base.digest(index)]
    # A chunk that differs where nothing should have changed: then what we were told is wrong there.
    told = set(touched(differs, size))
    surprising = chunk_ranges((index for index in other if index not in told), size)
    return ranges.joined(ranges.without(differs, chunk_ranges(same, size)), surprising)


def _empty(source: Source) -> ExtentSet:
    """Return what is known to be zero in the source: holes, and chunks with a zero's digest."""
    whole = [(0, source.size)] if source.size else []
    holes = ranges.exact() if source.data is None else ranges.without(whole, source.data)
    zeros = chunk_ranges(
        (index for index, found in source.digests.items() if _is_zero(index, found, source.size)),
        source.size,
    )
    return ranges.joined(holes, zeros)


def _is_zero(index: int, found: bytes, size: int) -> bool:
    start, end = chunk_range(index, size)
    return found == zero_digest(end - start)


def _kept(base: ChunkMap | None, shared: int, differs: ExtentSet, empty: ExtentSet) -> ExtentSet:
    if base is None or not shared:
        return ranges.exact()
    return ranges.without([(0, shared)], differs, base.zeros(), empty)


def _known(source: Source, base: ChunkMap | None, differs: ExtentSet) -> dict[int, bytes]:
    """Return the digests of chunks that were read, or that are the base's and do not differ."""
    known = dict(source.digests)
    if base is not None and comparable(base, source.size):
        new = {*unlike(base, source.size), *touched(differs, source.size)}
        for index in range(chunk_count(source.size)):
            if index not in new:
                known.setdefault(index, base.digest(index))
    return known


def _way(base: ChunkMap | None, changed: ExtentSet | None, differs: ExtentSet, size: int) -> Way:
    if base is None:
        return "whole"
    if not differs and base.size == size:
        return "equal"
    if changed is not None:
        return "extents"
    return "whole" if differs.total() == size else "digests"
