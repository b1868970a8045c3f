"""Sets of byte ranges: which parts of a tape a session may have changed.

An extent set may cover more than was changed, never less. Its size is bounded: beyond the limit the
ranges with the smallest gaps between them become one, so memory does not follow the pattern of
writing. Many such gaps are closed at once, so that a writer who leaves a gap behind each block
pays for them once in thousands of blocks.
"""

import gc
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from itertools import compress
from operator import sub
from typing import Self

#: Most ranges kept in memory for one tape: 16 bytes each, so about 1 MB when all are in use.
MAX_RANGES = 65_536
#: A full set gives up one in so many of its ranges: closing gaps costs a look at all of them (10 ms
#: for 64 Ki), so it must not be done for each further write.
_MERGED_PART = 8
#: One gap in so many is looked at to guess how large the smallest ones are.
_SAMPLED = 64

Range = tuple[int, int]


class ExtentSet:
    """Sorted, disjoint, half-open ``[start, end)`` byte ranges; touching ranges are merged.

    Offsets are file offsets: from 0 to 2^63 - 1 bytes.
    """

    __slots__ = ("_ends", "_limit", "_starts")

    def __init__(self, ranges: Iterable[Range] = (), *, limit: int = MAX_RANGES) -> None:
        self._starts = array("q")
        self._ends = array("q")
        self._limit = limit
        for start, end in ranges:
            self.add(start, end)

    def add(self, start: int, end: int) -> None:
        """Cover the bytes from *start* up to, but not including, *end*; an empty range is nothing.

        The common case, a sequential writer, extends the last range and keeps nothing new.
        """
        if end <= start:
            return
        if start < 0:
            raise ValueError(f"a byte range cannot start at {start}")
        starts, ends = self._starts, self._ends
        if ends and starts[-1] <= start <= (last_end := ends[-1]):
            if end > last_end:
                ends[-1] = end
            return
        first = bisect_left(ends, start)
        last = bisect_right(starts, end)
        if first == last:
            starts.insert(first, start)
            ends.insert(first, end)
            if len(starts) > self._limit:
                self._merge_nearest()
            return
        # It touches the ranges from first to last: they and what lies between them become one.
        starts[first] = min(starts[first], start)
        ends[first] = max(end, ends[last - 1])
        if last - first > 1:
            del starts[first + 1 : last], ends[first + 1 : last]

    def total(self) -> int:
        """Return the number of bytes covered."""
        return sum(self._ends) - sum(self._starts)

    def covers(self, start: int, end: int) -> bool:
        """Tell whether every byte of ``[start, end)`` is in the set."""
        if end <= start:
            return True
        at = bisect_right(self._starts, start) - 1
        return at >= 0 and self._ends[at] >= end

    def listed(self) -> tuple[Range, ...]:
        """Return the ranges as they are now.

        Python's collector would look at the whole heap several times while so many tuples come into
        being, which makes 5 ms 30; it finds nothing in them, and is told to wait.
        """
        collecting = gc.isenabled()
        gc.disable()
        try:
            return tuple(self)
        finally:
            if collecting:
                gc.enable()

    def _merge_nearest(self) -> None:
        """Close the smallest gaps, of equal ones those that lie first."""
        starts, ends = self._starts, self._ends
        wanted = len(starts) - (self._limit - self._limit // _MERGED_PART)
        gaps = list(map(sub, starts[1:], ends))
        widest = _smallest(gaps, wanted)
        keep = list(map(widest.__lt__, gaps))
        spared = keep.count(False) - wanted
        at = len(gaps)
        while spared:
            at -= 1
            if gaps[at] == widest:
                keep[at] = True
                spared -= 1
        self._starts = array("q", [starts[0], *compress(starts[1:], keep)])
        self._ends = array("q", [*compress(ends, keep), ends[-1]])

    def __iter__(self) -> Iterator[Range]:
        return iter(zip(self._starts, self._ends, strict=True))

    def __len__(self) -> int:
        return len(self._starts)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ExtentSet):
            return NotImplemented
        return self._starts == other._starts and self._ends == other._ends

    __hash__ = None  # type: ignore[assignment]  # a mutable set has no stable hash

    def __repr__(self) -> str:
        return f"ExtentSet({list(self)!r})"

    @classmethod
    def union(cls, *parts: Iterable[Range]) -> Self:
        """Return the set that covers what any of *parts* covers.

        Taken in ascending order, every range is at the end of the set, which is quick.
        """
        return cls(sorted(each for part in parts for each in part))


def _smallest(gaps: list[int], count: int) -> int:
    """Return the *count*-th smallest of *gaps*; sorts only as many as may be that small."""
    sample = sorted(gaps[::_SAMPLED])
    bound = sample[min(len(sample) - 1, 2 * len(sample) * count // len(gaps))]
    candidates = list(filter(bound.__ge__, gaps))
    return sorted(candidates if len(candidates) >= count else gaps)[count - 1]
