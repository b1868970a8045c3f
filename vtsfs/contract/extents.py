"""Sets of byte ranges: which parts of a tape a session may have changed.

An extent set may cover more than was changed, never less. Its size is bounded: beyond the limit the
two ranges with the smallest gap between them become one, so memory does not follow the pattern of
writing.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from typing import Self

#: Most ranges kept in memory for one tape; 64 Ki pairs of integers are about 8 MB in CPython.
MAX_RANGES = 65_536


class ExtentSet:
    """Sorted, disjoint, half-open ``[start, end)`` byte ranges; touching ranges are merged."""

    __slots__ = ("_ends", "_limit", "_starts")

    def __init__(self, ranges: Iterable[tuple[int, int]] = (), *, limit: int = MAX_RANGES) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        self._limit = limit
        for start, end in ranges:
            self.add(start, end)

    def add(self, start: int, end: int) -> None:
        """Cover the bytes from *start* up to, but not including, *end*; an empty range is nothing.

        The common case, a sequential writer, extends the last range and allocates nothing.
        """
        if end <= start:
            return
        if start < 0:
            raise ValueError(f"a byte range cannot start at {start}")
        starts, ends = self._starts, self._ends
        if ends and ends[-1] >= start >= starts[-1]:
            ends[-1] = max(ends[-1], end)
            return
        first = bisect_left(ends, start)
        last = bisect_right(starts, end)
        if first < last:
            start = min(start, starts[first])
            end = max(end, ends[last - 1])
        starts[first:last] = [start]
        ends[first:last] = [end]
        if len(starts) > self._limit:
            self._merge_nearest()

    def update(self, other: Iterable[tuple[int, int]]) -> None:
        """Cover everything that *other* covers as well."""
        for start, end in other:
            self.add(start, end)

    def total(self) -> int:
        """Return the number of bytes covered."""
        return sum(self._ends) - sum(self._starts)

    def covers(self, start: int, end: int) -> bool:
        """Tell whether every byte of ``[start, end)`` is in the set."""
        if end <= start:
            return True
        at = bisect_right(self._starts, start) - 1
        return at >= 0 and self._ends[at] >= end

    def to_list(self) -> list[list[int]]:
        """Return ``[[start, end], ...]`` for JSON."""
        return [[start, end] for start, end in self]

    @classmethod
    def from_list(cls, ranges: Iterable[Iterable[int]]) -> Self:
        """Read what `to_list` wrote."""
        made = cls()
        for start, end in ranges:
            made.add(start, end)
        return made

    def _merge_nearest(self) -> None:
        starts, ends = self._starts, self._ends
        at = min(range(len(starts) - 1), key=lambda i: starts[i + 1] - ends[i])
        ends[at] = ends[at + 1]
        del starts[at + 1], ends[at + 1]

    def __iter__(self) -> Iterator[tuple[int, int]]:
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
