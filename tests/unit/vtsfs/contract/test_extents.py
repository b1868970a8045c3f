from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtsfs.contract.extents import ExtentSet

Range = tuple[int, int]
RANGES = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 12)).map(lambda r: (r[0], r[0] + r[1])),
    max_size=40,
)


def covered(ranges: list[Range]) -> set[int]:
    return {byte for start, end in ranges for byte in range(start, end)}


def assert_well_formed(extents: ExtentSet) -> None:
    listed = list(extents)
    assert all(start < end for start, end in listed)
    assert all(a[1] < b[0] for a, b in pairwise(listed))


@given(RANGES)
def test_it_is_the_set_of_bytes(ranges: list[Range]) -> None:
    extents = ExtentSet(ranges)
    assert_well_formed(extents)
    assert covered(list(extents)) == covered(ranges)
    assert extents.total() == len(covered(ranges))


@given(RANGES, st.integers(1, 5))
def test_a_full_set_covers_more_never_less(ranges: list[Range], limit: int) -> None:
    extents = ExtentSet(ranges, limit=limit)
    assert_well_formed(extents)
    assert len(extents) <= limit
    assert covered(list(extents)) >= covered(ranges)


@given(RANGES, st.integers(0, 80), st.integers(0, 20))
def test_covers_asks_for_every_byte(ranges: list[Range], start: int, length: int) -> None:
    wanted = set(range(start, start + length))
    assert ExtentSet(ranges).covers(start, start + length) == (wanted <= covered(ranges))


@given(RANGES, RANGES)
def test_update_is_the_union_and_order_does_not_matter(a: list[Range], b: list[Range]) -> None:
    one, other = ExtentSet(a), ExtentSet(b)
    one.update(ExtentSet(b))
    other.update(ExtentSet(a))
    assert one == other == ExtentSet([*a, *b])


@given(RANGES)
def test_json_round_trip(ranges: list[Range]) -> None:
    extents = ExtentSet(ranges)
    assert ExtentSet.from_list(extents.to_list()) == extents


def test_the_limit_closes_the_smallest_gap() -> None:
    extents = ExtentSet([(0, 10), (100, 110), (115, 120)], limit=2)
    assert list(extents) == [(0, 10), (100, 120)]


def test_a_sequential_writer_makes_one_range() -> None:
    extents = ExtentSet((at, at + 4096) for at in range(0, 4096 * 1000, 4096))
    assert list(extents) == [(0, 4096 * 1000)]


def test_a_negative_start_is_a_bug_of_the_caller() -> None:
    with pytest.raises(ValueError, match="-1"):
        ExtentSet([(-1, 3)])
