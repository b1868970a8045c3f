import random

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from copyagent.transfer import chunks
from copyagent.transfer.chunks import (
    ChunkMap,
    MapBuilder,
    chunk_count,
    chunk_ranges,
    chunk_size,
    differing,
    touched,
    unlike,
    zero_digest,
)
from vtsfs.contract.extents import ExtentSet

KIB, MIB, GIB = 1024, 1024**2, 1024**3
CHUNK = 256 * KIB

sizes = st.integers(0, 2**44)
#: Maps of made-up digests: enough where nobody looks at bytes.
digit = st.integers(0, 3).map(lambda n: bytes([n]) * 32)


def made_up(size: int, seed: int = 0) -> ChunkMap:
    return ChunkMap(size, random.Random(seed).randbytes(32 * chunk_count(size)))


def map_of(content: bytes) -> ChunkMap:
    builder = MapBuilder(len(content))
    builder.feed(0, content)
    return builder.result()


@given(sizes)
def test_chunks_are_as_short_as_16_ki_of_them_allow(size: int) -> None:
    chunk = chunk_size(size)
    assert chunk_count(size) <= 16 * 1024
    assert chunk == CHUNK or -(-size // (chunk // 2)) > 16 * 1024
    assert (chunk_count(size) - 1) * chunk < size or size == 0


def test_chunks_have_256_kib_up_to_4_gib() -> None:
    assert chunk_size(1) == chunk_size(4 * GIB) == CHUNK
    assert chunk_size(4 * GIB + 1) == chunk_size(8 * GIB) == 2 * CHUNK
    assert chunk_size(1024 * GIB) == 64 * MIB


def test_a_map_has_a_digest_for_each_chunk_and_the_last_may_be_short() -> None:
    content = random.Random(1).randbytes(2 * CHUNK + 5)
    found = map_of(content)
    assert found.ranges() == [(0, CHUNK), (CHUNK, 2 * CHUNK), (2 * CHUNK, 2 * CHUNK + 5)]
    assert [found.digest(i) for i in range(3)] == [
        blake3(content[a:b]).digest() for a, b in found.ranges()
    ]
    with pytest.raises(IndexError):
        found.digest(3)


@pytest.mark.parametrize(
    ("size", "length"), [(1, 0), (1, 64), (CHUNK + 1, 32), (-1, 0), (2**63, 0)]
)
def test_a_map_with_the_wrong_number_of_digests_is_none(size: int, length: int) -> None:
    with pytest.raises(ValueError, match=r"digests|no tape"):
        ChunkMap(size, bytes(length))


def test_the_root_names_the_content() -> None:
    one = made_up(5 * CHUNK)
    assert one.root == ChunkMap(one.size, one.digests).root
    assert one.root != ChunkMap(one.size - 1, one.digests).root
    assert one.root != made_up(5 * CHUNK, 1).root
    assert len(one.root) == 64
    # Pinned: the roots in the records of today must mean the same tomorrow.
    assert map_of(b"tape" * 100_000).root == (
        "645d80e8484158b92f56fa953f606734a1153d2f54f6e0c12ca85fd30e1fdab5"
    )


def test_chunks_of_zeros_are_known_by_their_digest() -> None:
    content = bytes(CHUNK) + b"x" + bytes(2 * CHUNK - 1) + bytes(7)
    found = map_of(content)
    assert list(found.zeros()) == [(0, CHUNK), (2 * CHUNK, 3 * CHUNK + 7)]
    assert zero_digest(5) == blake3(bytes(5)).digest()
    assert zero_digest(3 * CHUNK + 1) == blake3(bytes(3 * CHUNK + 1)).digest()


@given(st.lists(digit, max_size=6), st.lists(digit, max_size=6))
def test_what_differs_is_covered_by_whole_chunks(one: list[bytes], other: list[bytes]) -> None:
    base = ChunkMap(len(one) * CHUNK, b"".join(one))
    new = ChunkMap(len(other) * CHUNK, b"".join(other))
    found = differing(base, new)
    assert found is not None
    for index in range(len(new)):
        equal = index < len(base) and base.digest(index) == new.digest(index)
        assert found.covers(*new.range(index)) is not equal
    assert all(end <= new.size for _, end in found)


@settings(max_examples=30)
@given(st.binary(max_size=40), st.binary(max_size=40), st.integers(0, 3), st.integers(0, 3))
def test_every_byte_that_differs_is_found(
    head: bytes, tail: bytes, full: int, new_full: int
) -> None:
    one = (head * 7000)[: full * CHUNK // 2] + tail
    other = (tail * 7000)[: new_full * CHUNK // 2] + head
    found = differing(map_of(one), map_of(other))
    assert found is not None
    for start, end in map_of(other).ranges():
        differs = one[start : start + CHUNK] != other[start:end]
        assert found.covers(start, end) is differs


def test_maps_with_chunks_of_different_length_tell_nothing() -> None:
    assert differing(made_up(4 * GIB), made_up(4 * GIB + 1)) is None
    assert differing(made_up(5 * GIB), made_up(6 * GIB)) is not None


def test_equal_maps_differ_in_nothing() -> None:
    assert differing(made_up(9 * CHUNK), made_up(9 * CHUNK)) == ExtentSet()


@given(sizes, st.lists(st.tuples(sizes, sizes), max_size=5))
def test_a_chunk_is_touched_if_one_of_its_bytes_is(size: int, pairs: list[tuple[int, int]]) -> None:
    chunk = chunk_size(size)
    extents = ExtentSet((a, min(a + b % (5 * chunk), size)) for a, b in pairs)
    found = touched(extents, size)
    assert list(found) == sorted(set(found))
    assert all(0 <= index < chunk_count(size) for index in found)
    for start, end in extents:
        assert {start // chunk, (end - 1) // chunk} <= set(found)
    covered = chunk_ranges(found, size)
    assert all(covered.covers(start, end) for start, end in extents)
    assert covered.total() <= extents.total() + 2 * chunk * len(extents)


@settings(max_examples=50)
@given(st.data(), st.binary(min_size=1, max_size=20), st.integers(0, 3 * CHUNK))
def test_chunks_may_come_in_any_order_and_in_pieces(
    data: st.DataObject, seed: bytes, size: int
) -> None:
    content = (seed * (size // len(seed) + 1))[:size]
    order = data.draw(st.permutations(range(chunk_count(size))))
    builder = MapBuilder(size)
    for index in order:
        start, end = chunks.chunk_range(index, size)
        cut = data.draw(st.integers(start, end))
        builder.feed(start, content[start:cut])
        assert builder.digest(index) is None or cut == end
        builder.feed(cut, memoryview(content)[cut:end])
    assert builder.result() == map_of(content)
    assert builder.known() == map_of(content).known()


def test_a_gap_within_a_chunk_is_refused() -> None:
    builder = MapBuilder(2 * CHUNK)
    builder.feed(0, b"abc")
    with pytest.raises(ValueError, match="goes on at byte 3"):
        builder.feed(4, b"e")
    with pytest.raises(ValueError, match="goes on at byte 0"):
        builder.feed(CHUNK + 1, b"e")
    with pytest.raises(ValueError, match="of 524288"):
        builder.feed(2 * CHUNK - 1, b"ee")


def test_a_chunk_that_comes_again_replaces_what_was_known() -> None:
    builder = MapBuilder(10)
    builder.feed(0, b"0123456789")
    builder.feed(0, b"abcde")
    assert builder.missing() == (0,)
    with pytest.raises(ValueError, match="missing"):
        builder.result()
    builder.feed(5, b"fghij")
    assert builder.result() == map_of(b"abcdefghij")


@settings(max_examples=50)
@given(st.integers(0, 3 * CHUNK), st.integers(0, 3 * CHUNK), st.integers(1, 3 * CHUNK))
def test_holes_need_not_be_read(start: int, end: int, size: int) -> None:
    start, end = min(start, end, size), min(max(start, end), size)
    content = b"x" * start + bytes(end - start) + b"y" * (size - end)
    builder = MapBuilder(size)
    builder.feed(0, content[:start])
    builder.feed_zeros(start, end)
    builder.feed(end, content[end:])
    assert builder.result() == map_of(content)
    assert all(builder.is_zero(i) == map_of(content).is_zero(i) for i in range(chunk_count(size)))


def test_a_hole_of_terabytes_costs_nothing() -> None:
    builder = MapBuilder(1024 * GIB)
    builder.feed_zeros(0, 1024 * GIB)
    assert builder.result().zeros() == ExtentSet([(0, 1024 * GIB)])


@settings(max_examples=40)
@given(
    st.integers(0, 4 * CHUNK),
    st.integers(0, 4 * CHUNK),
    st.lists(st.integers(0, 4 * CHUNK), max_size=4),
)
def test_a_map_is_patched_with_the_chunks_that_were_touched(
    size: int, new_size: int, places: list[int]
) -> None:
    old = random.Random(size).randbytes(size)
    new = bytearray(old[:new_size].ljust(new_size, b"+"))
    written = ExtentSet()
    for at in places:
        new[at : at + 1] = b"!" * len(new[at : at + 1])
        written.add(at, min(at + 1, new_size))
    base, wanted = map_of(old), map_of(bytes(new))
    stale = {*touched(written, new_size), *unlike(base, new_size)}
    known = {i: base.digest(i) for i in range(len(wanted)) if i not in stale}
    known |= {index: wanted.digest(index) for index in stale}
    assert MapBuilder(new_size, known).result() == wanted


def test_which_chunks_lie_otherwise_than_in_the_base() -> None:
    base = made_up(2 * CHUNK + 5)
    assert unlike(base, 2 * CHUNK + 5) == ()
    assert unlike(base, 2 * CHUNK + 6) == (2,)
    assert unlike(base, CHUNK + 1) == (1,)
    assert unlike(base, CHUNK) == ()
    with pytest.raises(ValueError, match="32 bytes"):
        MapBuilder(base.size, {0: b"short"})


def test_across_another_chunk_length_all_digests_are_needed() -> None:
    base, size = made_up(4 * GIB), 4 * GIB + 1
    assert len(unlike(base, size)) == chunk_count(size)
    digests = made_up(size, 1).known()
    assert MapBuilder(size, digests).result() == made_up(size, 1)
    del digests[7]
    with pytest.raises(ValueError, match="chunk 7"):
        MapBuilder(size, digests).result()


@given(
    st.one_of(st.just(0), st.integers(1, 30 * CHUNK), st.just(4 * GIB), st.integers(2**42, 2**43))
)
def test_a_map_is_read_as_it_was_written(size: int) -> None:
    written = chunks.encode(made_up(size))
    assert len(written) <= chunks.MAX_BYTES
    assert chunks.decode(written) == made_up(size)


def test_the_written_form_is_pinned() -> None:
    written = chunks.encode(ChunkMap(3, bytes(range(32))))
    body = b"VTSMAP\0\1" + b"\0\0\0\0\0\0\0\3" + bytes(range(32))
    assert written == body + blake3(body).digest()


@given(st.data(), st.integers(0, 5 * CHUNK))
def test_any_damage_gives_no_map(data: st.DataObject, size: int) -> None:
    written = bytearray(chunks.encode(made_up(size)))
    at = data.draw(st.integers(0, len(written) - 1))
    match data.draw(st.sampled_from(["flip", "cut", "longer"])):
        case "flip":
            written[at] ^= data.draw(st.integers(1, 255))
        case "cut":
            del written[at:]
        case _:
            written[at:at] = b"?"
    assert chunks.decode(bytes(written)) is None


@given(st.binary(max_size=200))
def test_anything_else_gives_no_map(noise: bytes) -> None:
    assert chunks.decode(noise) is None
    body = b"VTSMAP\0\1" + noise
    found = chunks.decode(body + blake3(body).digest())
    assert found is None or chunks.encode(found) == body + blake3(body).digest()
