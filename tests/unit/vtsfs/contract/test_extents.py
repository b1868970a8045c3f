import gc
import random
import tracemalloc
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtsfs.contract.extents import ExtentSet, Range

RANGES = st.lists(
    st.tuples(st.integers(0, 60), st.integers(0, 12)).map(lambda r: (r[0], r[0] + r[1])),
    max_size=40,
)
#: Far apart, so that nearly all of them stay ranges of their own until the limit joins them.
SCATTERED = st.lists(
    st.tuples(st.integers(0, 400), st.integers(1, 3)).map(lambda r: (r[0], r[0] + r[1])),
    min_size=20,
    max_size=150,
)


def covered(ranges: list[Range]) -> set[int]:
    return {byte for start, end in ranges for byte in range(start, end)}


def runs(covered_bytes: set[int]) -> list[Range]:
    """Say the same as the fewest ranges: what a set without a limit must be."""
    made: list[Range] = []
    for byte in sorted(covered_bytes):
        if made and made[-1][1] == byte:
            made[-1] = (made[-1][0], byte + 1)
        else:
            made.append((byte, byte + 1))
    return made


def gaps(ranges: list[Range]) -> list[int]:
    return [b[0] - a[1] for a, b in pairwise(ranges)]


def assert_well_formed(extents: ExtentSet) -> None:
    listed = list(extents)
    assert all(start < end for start, end in listed)
    assert all(a[1] < b[0] for a, b in pairwise(listed))


@given(RANGES)
def test_it_is_the_set_of_bytes_in_the_fewest_ranges(ranges: list[Range]) -> None:
    extents = ExtentSet(ranges)
    assert list(extents) == runs(covered(ranges))
    assert len(extents) == len(list(extents))
    assert extents.total() == len(covered(ranges))


@given(RANGES | SCATTERED, st.integers(1, 40))
def test_a_full_set_covers_more_never_less(ranges: list[Range], limit: int) -> None:
    extents = ExtentSet(limit=limit)
    model: set[int] = set()
    was_full = False
    for start, end in ranges:
        extents.add(start, end)
        model.update(range(start, end))
        was_full = was_full or len(runs(model)) > limit
        assert_well_formed(extents)
        assert len(extents) <= limit
        if was_full:
            assert covered(list(extents)) >= model
        else:
            assert list(extents) == runs(model)


@given(SCATTERED, st.integers(1, 40))
def test_the_smallest_gaps_are_closed(ranges: list[Range], limit: int) -> None:
    exact = runs(covered(ranges))
    # One range after the other from the left, so that nothing but the limit ever joins two.
    extents = ExtentSet(exact[:limit], limit=limit)
    assert list(extents) == exact[:limit]
    for added, range_ in enumerate(exact[limit:], limit + 1):
        before = [*extents, range_]
        extents.add(*range_)
        after = list(extents)
        if len(before) <= limit:
            assert after == before
            continue
        kept = sorted(gaps(after))
        assert kept == sorted(gaps(before))[len(before) - len(after) :]
        assert len(after) == limit - limit // 8
        assert covered(after) >= covered(exact[:added])


@given(RANGES, st.integers(0, 80), st.integers(0, 20))
def test_covers_asks_for_every_byte(ranges: list[Range], start: int, length: int) -> None:
    wanted = set(range(start, start + length))
    assert ExtentSet(ranges).covers(start, start + length) == (wanted <= covered(ranges))


@given(RANGES, RANGES)
def test_union_is_that_of_the_bytes_and_order_does_not_matter(
    a: list[Range], b: list[Range]
) -> None:
    one = ExtentSet.union(ExtentSet(a), b)
    assert one == ExtentSet.union(b, a) == ExtentSet([*a, *b])
    assert covered(list(one)) == covered(a) | covered(b)


def test_listing_many_ranges_does_not_collect_all_the_time() -> None:
    extents = ExtentSet(strided(20_000))
    before = gc.get_stats()[0]["collections"]
    listed = extents.listed()
    # One is due when it is over; by thousands of tuples at a time there would be dozens.
    assert gc.get_stats()[0]["collections"] - before <= 2
    assert gc.isenabled()
    assert listed == tuple(strided(20_000))


def test_the_limit_closes_the_smallest_gap() -> None:
    extents = ExtentSet([(0, 10), (100, 110), (115, 120)], limit=2)
    assert list(extents) == [(0, 10), (100, 120)]


@pytest.mark.parametrize("block", [1, 512, 28_672, 57_344, 1_048_576])
def test_a_sequential_writer_makes_one_range(block: int) -> None:
    extents = ExtentSet((at * block, (at + 1) * block) for at in range(5000))
    assert list(extents) == [(0, 5000 * block)]


def test_so_does_one_who_goes_backwards_or_begins_in_the_middle() -> None:
    backwards = ExtentSet((at * 512, (at + 1) * 512) for at in reversed(range(5000)))
    assert list(backwards) == [(0, 5000 * 512)]
    marked = [(at * 8192, at * 8192 + 1) for at in range(100)]
    over = ExtentSet([*marked, *((at, at + 512) for at in range(8192, 90 * 8192, 512))])
    assert list(over) == [(0, 1), (8192, 90 * 8192 + 1), *marked[91:]]


def strided(count: int) -> Iterator[Range]:
    return ((at * 8192, at * 8192 + 1) for at in range(count))


def scattered(count: int) -> Iterator[Range]:
    chance = random.Random(3)
    return ((at, at + 1) for at in (chance.randrange(2**62) for _ in range(count)))


@pytest.mark.parametrize("pattern", [strided, scattered])
def test_no_pattern_makes_it_grow(pattern: Callable[[int], Iterator[Range]]) -> None:
    written = list(pattern(200_000))
    extents = ExtentSet(written, limit=4096)
    assert 4096 * 0.8 < len(extents) <= 4096
    assert all(extents.covers(start, end) for start, end in written[::97])


@pytest.mark.parametrize("pattern", [strided, scattered])
def test_a_range_costs_16_bytes(pattern: Callable[[int], Iterator[Range]]) -> None:
    limit = 2048
    written = list(pattern(limit * 3))
    tracemalloc.start()
    try:
        extents = ExtentSet(written, limit=limit)
        kept, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(extents) > limit * 0.8
    assert kept < 20 * limit
    assert most < 200 * limit


def test_the_largest_file_offset_fits() -> None:
    assert list(ExtentSet([(2**63 - 2, 2**63 - 1)])) == [(2**63 - 2, 2**63 - 1)]


def test_a_negative_start_is_a_bug_of_the_caller() -> None:
    with pytest.raises(ValueError, match="-1"):
        ExtentSet([(-1, 3)])
