"""Range arithmetic is checked against sets of single bytes."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from copyagent.transfer import ranges
from vtsfs.contract.extents import MAX_RANGES, ExtentSet, Range

TOP = 60

a_range = st.tuples(st.integers(0, TOP), st.integers(0, TOP)).map(
    lambda pair: (min(pair), max(pair))
)
a_set = st.lists(a_range, max_size=8).map(ExtentSet)


def bytes_of(found: ExtentSet) -> set[int]:
    return {at for start, end in found for at in range(start, end)}


def is_normal(found: ExtentSet) -> bool:
    listed = list(found)
    return all(a < b for a, b in listed) and all(
        one[1] < other[0] for one, other in pairwise(listed)
    )


@given(a_set, a_set)
def test_what_is_in_both_or_in_one_alone(one: ExtentSet, other: ExtentSet) -> None:
    assert bytes_of(ranges.both(one, other)) == bytes_of(one) & bytes_of(other)
    assert bytes_of(ranges.without(one, other)) == bytes_of(one) - bytes_of(other)
    assert bytes_of(ranges.joined(one, other)) == bytes_of(one) | bytes_of(other)
    assert is_normal(ranges.both(one, other))
    assert is_normal(ranges.without(one, other))
    assert is_normal(ranges.joined(one, other))


@given(a_set, a_set, a_set)
def test_several_can_be_taken_away(one: ExtentSet, second: ExtentSet, third: ExtentSet) -> None:
    left = ranges.without(one, second, third)
    assert bytes_of(left) == bytes_of(one) - bytes_of(second) - bytes_of(third)


@given(a_set, a_range)
def test_clipping_keeps_what_lies_inside(one: ExtentSet, window: Range) -> None:
    assert bytes_of(ranges.clipped(one, *window)) == bytes_of(one) & set(range(*window))


@given(a_set, st.integers(1, 9), st.integers(0, TOP))
def test_rounding_out_covers_whole_units_up_to_the_size(
    one: ExtentSet, unit: int, size: int
) -> None:
    within = ranges.clipped(one, 0, size)
    units = {at // unit for at in bytes_of(within)}
    expected = {at for at in range(size) if at // unit in units}
    assert bytes_of(ranges.rounded_out(within, unit, size)) == expected


@given(a_set, st.integers(1, 9), st.integers(0, TOP))
def test_rounding_in_keeps_only_whole_units(one: ExtentSet, unit: int, size: int) -> None:
    have = bytes_of(ranges.clipped(one, 0, size))
    expected = {
        at
        for at in have
        if all(b in have for b in range(at // unit * unit, min((at // unit + 1) * unit, size)))
    }
    assert bytes_of(ranges.rounded_in(ranges.clipped(one, 0, size), unit, size)) == expected


@given(a_set, st.integers(0, 9))
def test_bridging_closes_just_the_small_gaps(one: ExtentSet, gap: int) -> None:
    listed = list(one)
    small = {
        at
        for (_, end), (start, _) in pairwise(listed)
        for at in range(end, start)
        if start - end < gap
    }
    assert bytes_of(ranges.bridged(one, gap)) == bytes_of(one) | small


def test_no_range_is_merged_however_many_there_are() -> None:
    many = [(at * 10, at * 10 + 5) for at in range(MAX_RANGES + 10)]
    assert len(ranges.exact(many)) == len(many)
    left = ranges.without([(0, many[-1][1])], many)
    assert len(left) == len(many) - 1
    assert len(ranges.joined(many, [(3, 4)])) == len(many)
