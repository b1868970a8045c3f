"""A file and a chunk map, whatever pieces the file comes in."""

import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from copyagent.transfer.chunks import SMALLEST_CHUNK, MapBuilder
from copyagent.transfer.comparing import compare, compare_with
from copyagent.transfer.reading import Reading
from vtsfs.contract.extents import ExtentSet

CHUNK = SMALLEST_CHUNK


class Shortly:
    """A file in memory whose server answers with as little as it likes."""

    def __init__(self, content: bytes, most: int) -> None:
        self.content = content
        self.most = most

    async def read(self, offset: int, size: int) -> bytes:
        return self.content[offset : offset + min(size, self.most)]


@settings(max_examples=60, deadline=None)
@given(
    size=st.integers(1, 4 * CHUNK + 3),
    damage=st.lists(st.integers(0, 4 * CHUNK + 2), max_size=3),
    cut=st.one_of(st.none(), st.integers(0, 4 * CHUNK)),
    most=st.integers(30_000, 400_000),
    block=st.integers(20_000, 300_000),
)
async def test_every_wrong_chunk_and_no_other(
    size: int, damage: list[int], cut: int | None, most: int, block: int
) -> None:
    content = os.urandom(size)
    builder = MapBuilder(size)
    builder.feed(0, content)
    there = bytearray(content)
    for offset in damage:
        if offset < size:
            there[offset] ^= 1
    if cut is not None:
        del there[cut:]
    chunk_map = builder.result()
    wrong = {
        index
        for index in range(len(chunk_map))
        if there[slice(*chunk_map.range(index))] != content[slice(*chunk_map.range(index))]
    }
    reported: list[int] = []
    found = await compare(
        Shortly(bytes(there), most),
        chunk_map,
        range(len(chunk_map)),
        Reading(block, 10),
        reported.append,
    )
    assert found == ExtentSet(chunk_map.range(index) for index in sorted(wrong))
    assert reported == sorted(reported)
    assert reported[-1] == len(there)


@pytest.mark.parametrize("chunks", [[], [0], [1, 3], [2, 0]])
async def test_only_the_chunks_that_are_asked_for(chunks: list[int]) -> None:
    builder = MapBuilder(4 * CHUNK)
    builder.feed(0, os.urandom(4 * CHUNK))
    chunk_map = builder.result()
    found = await compare(
        Shortly(bytes(4 * CHUNK), CHUNK),
        chunk_map,
        chunks,
        Reading(CHUNK, 10),
        lambda _: None,
    )
    assert found.total() == len(chunks) * CHUNK


async def test_pieces_are_compared_with_the_source() -> None:
    content = os.urandom(100_000)
    there = bytearray(content[:90_000])
    there[50_000] ^= 1
    asked: list[tuple[int, int]] = []

    def read(offset: int, size: int) -> bytes:
        asked.append((offset, size))
        return content[offset : offset + size]

    pieces = ExtentSet([(10, 20), (49_000, 51_000), (70_000, 70_001), (89_999, 91_000)])
    reported: list[int] = []
    file, how = Shortly(bytes(there), 700), Reading(1500, 10)
    wrong = await compare_with(file, pieces, read, how, reported.append)
    assert list(wrong) == [(50_000, 51_000), (90_000, 91_000)]
    assert asked[:3] == [(10, 10), (49_000, 1000), (50_000, 1000)]
    assert reported[-1] == 10 + 2000 + 1 + 1
