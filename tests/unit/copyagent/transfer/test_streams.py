"""Ranges of a source over a real connection: what is sent, what is read along, what is left out."""

import os

import pytest

from copyagent.transfer.chunks import MapBuilder, chunk_count, chunk_ranges
from copyagent.transfer.source import SourceDiffers, open_tape
from copyagent.transfer.streams import Sending, digest_chunks, is_zero, send
from copyagent.transfer.target import TargetError
from tests.support.copy_rig import CopyRig
from vtsfs.contract.extents import ExtentSet, Range

pytestmark = pytest.mark.ssh

BLOCK = 1000


async def sent(rig: CopyRig, sending: Sending, *, block: int = BLOCK) -> list[Range]:
    """Send what is ordered into a new file ``stage``; return what was acknowledged, in order."""
    acknowledged: list[Range] = []
    ordered = Sending(
        sending.send, sending.unread, sending.builder, sending.data, sending.sparse,
        lambda start, end: acknowledged.append((start, end)),
    )  # fmt: skip
    with open_tape(rig.backing, rig.job().tape) as source:
        async with rig.connect() as target:
            file = await target.create(str(rig.vault / "stage"))
            total = await send(
                source, file, ordered, block=block, patience_s=10, report=lambda _: None
            )
            await file.close()
    assert total == sum(end - start for start, end in acknowledged)
    return sorted(acknowledged)


def whole(size: int) -> ExtentSet:
    return ExtentSet([(0, size)])


@pytest.mark.parametrize("size", [1, BLOCK - 1, BLOCK, BLOCK + 1, 200 * BLOCK + 7, 5_000_000])
async def test_a_whole_content_arrives_and_gives_its_map(rig: CopyRig, size: int) -> None:
    content = os.urandom(size)
    rig.write(content)
    builder = MapBuilder(size)
    block = BLOCK if size < 1_000_000 else 200_000
    await sent(rig, Sending(whole(size), whole(size), builder), block=block)
    assert (rig.vault / "stage").read_bytes() == content
    other = MapBuilder(size)
    other.feed(0, content)
    assert builder.result() == other.result()


async def test_only_what_is_ordered_is_sent_and_no_more_read_than_the_map_wants(
    rig: CopyRig,
) -> None:
    size = 3 << 20
    content = os.urandom(size)
    rig.write(content)
    builder = MapBuilder(size)
    wanted = ExtentSet([(4096, 8192), (1 << 20, (1 << 20) + 300_000)])
    unread = chunk_ranges([0, 4, 5], size)
    got = await sent(rig, Sending(wanted, unread, builder), block=100_000)
    assert ExtentSet(got) == wanted
    assert sorted(builder.known()) == [0, 4, 5]
    written = (rig.vault / "stage").read_bytes()
    for start, end in wanted:
        assert written[start:end] == content[start:end]
    assert not any(written[8192 : 1 << 20])


async def test_zeros_and_holes_are_not_sent_into_an_empty_file(rig: CopyRig) -> None:
    size = 8 << 20
    with rig.tape().open("wb") as file:
        file.truncate(size)
        file.write(b"begin" + bytes(1_000_000))
        file.seek(6 << 20)
        file.write(b"end")
    builder = MapBuilder(size)
    with open_tape(rig.backing, rig.job().tape) as source:
        data = source.data_ranges()
    got = await sent(
        rig, Sending(whole(size), whole(size), builder, data, sparse=True), block=100_000
    )
    assert sum(end - start for start, end in got) < 300_000
    expected = MapBuilder(size)
    expected.feed(0, rig.tape().read_bytes())
    assert builder.result() == expected.result()
    rig.vault.joinpath("stage").unlink()
    got = await sent(rig, Sending(whole(size), data=data), block=100_000)
    assert ExtentSet(got) == whole(size), "into another content they have to be written"


async def test_chunks_are_digested_without_reading_holes(rig: CopyRig) -> None:
    size = (1 << 30) + 5
    with rig.tape().open("wb") as file:
        file.truncate(size)
        file.seek(512 << 20)
        file.write(b"data")
    with open_tape(rig.backing, rig.job().tape) as source:
        data = source.data_ranges()
        some = [0, 2048, chunk_count(size) - 1]
        found = await digest_chunks(source, some, data, lambda _: None)
        assert sorted(found) == some
        plain = await digest_chunks(source, some, None, lambda _: None)
    assert plain == found


@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 262_144, 262_145, 1_000_000])
def test_zeros_are_told_from_others(size: int) -> None:
    assert is_zero(memoryview(bytes(size)))
    for at in {0, size // 2, size - 1} if size else ():
        data = bytearray(size)
        data[at] = 1
        assert not is_zero(memoryview(data))


async def test_many_failing_requests_are_one_failure(rig: CopyRig) -> None:
    rig.write(b"x" * 100 * BLOCK)
    (rig.vault / "read-only").write_bytes(b"")
    async with rig.connect() as target:
        file = await target.open(str(rig.vault / "read-only"))
        everything = Sending(whole(100 * BLOCK))
        with open_tape(rig.backing, rig.job().tape) as source, pytest.raises(TargetError):
            await send(source, file, everything, block=BLOCK, patience_s=10, report=lambda _: None)
        assert await target.lstat("/") is not None, "the connection still works"


async def test_a_source_that_shrinks_while_it_is_read(rig: CopyRig) -> None:
    path = rig.write(os.urandom(9_000_000))
    with open_tape(rig.backing, rig.job().tape) as source:
        os.truncate(path, 5_000_000)
        async with rig.connect() as target:
            file = await target.create(str(rig.vault / "stage"))
            everything = Sending(whole(9_000_000))
            with pytest.raises(SourceDiffers):
                await send(
                    source, file, everything, block=200_000, patience_s=10, report=lambda _: None
                )
