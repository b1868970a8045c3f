"""Arithmetic with sets of byte ranges: what is in both, in one alone, rounded, or bridged.

Nothing here merges ranges that do not touch, except `bridged`: what is taken from one place and
what comes from another must never overlap by a byte.
"""

from collections.abc import Iterable, Iterator

from vtsfs.contract.extents import ExtentSet, Range

#: More ranges than there will ever be.
_UNLIMITED = 2**63


def exact(ranges: Iterable[Range] = ()) -> ExtentSet:
    """Return the set of *ranges*, as many as there are; quick where they come in order."""
    return ExtentSet(ranges, limit=_UNLIMITED)


def both(one: Iterable[Range], other: Iterable[Range]) -> ExtentSet:
    """Return the bytes that are in both; each must be in order, as an `ExtentSet` is."""
    return exact(_overlaps(iter(one), iter(other)))


def _overlaps(one: Iterator[Range], other: Iterator[Range]) -> Iterator[Range]:
    a, b = next(one, None), next(other, None)
    while a is not None and b is not None:
        start, end = max(a[0], b[0]), min(a[1], b[1])
        if start < end:
            yield start, end
        if a[1] <= b[1]:
            a = next(one, None)
        else:
            b = next(other, None)


def without(one: Iterable[Range], *others: Iterable[Range]) -> ExtentSet:
    """Return the bytes of *one* that are in none of *others*; each must be in order."""
    left = exact(one)
    for other in others:
        left = exact(_remains(left, iter(other)))
    return left


def _remains(one: Iterable[Range], other: Iterator[Range]) -> Iterator[Range]:
    hole = next(other, None)
    for first, end in one:
        start = first
        while hole is not None and hole[1] <= start:
            hole = next(other, None)
        while hole is not None and hole[0] < end:
            if start < hole[0]:
                yield start, hole[0]
            start = hole[1]
            if start >= end:
                break
            hole = next(other, None)
        if start < end:
            yield start, end


def joined(*parts: Iterable[Range]) -> ExtentSet:
    """Return the bytes that are in any of *parts*."""
    return exact(sorted(each for part in parts for each in part))


def clipped(ranges: Iterable[Range], start: int, end: int) -> ExtentSet:
    """Return the part of *ranges* that lies in ``[start, end)``."""
    return exact((max(a, start), min(b, end)) for a, b in ranges if a < end and b > start)


def rounded_out(ranges: Iterable[Range], unit: int, size: int) -> ExtentSet:
    """Widen each range to whole *unit* bytes, none beyond *size*."""
    wide = ((a // unit * unit, min(-(-b // unit) * unit, size)) for a, b in ranges)
    return exact((a, b) for a, b in wide if a < b)


def rounded_in(ranges: Iterable[Range], unit: int, size: int) -> ExtentSet:
    """Narrow each range to whole *unit* bytes; the end of the file, at *size*, is whole as it is."""
    narrow = ((-(-a // unit) * unit, size if b >= size else b // unit * unit) for a, b in ranges)
    return exact((a, b) for a, b in narrow if a < b)


def bridged(ranges: Iterable[Range], gap: int) -> ExtentSet:
    """Close every gap of less than *gap* bytes; *ranges* must be in order."""
    return exact(_bridges(ranges, gap))


def _bridges(ranges: Iterable[Range], gap: int) -> Iterator[Range]:
    at: Range | None = None
    for start, end in ranges:
        if at is None:
            at = start, end
        elif start - at[1] < gap:
            at = at[0], max(at[1], end)
        else:
            yield at
            at = start, end
    if at is not None:
        yield at
