"""The overlay without a kernel: whatever is done to a tape, the extents cover it."""

import os
from pathlib import Path

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.overlay_rig import ME, find, overlay_on
from vtsfs.contract.signals import Access, Kind, Signal
from vtsfs.overlay.store import Changes

SIZE = 4000

offsets = st.integers(0, SIZE)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), offsets, st.binary(min_size=1, max_size=600)),
        st.tuples(st.just("resize"), offsets, st.just(b"")),
        st.tuples(st.just("resize-by-path"), offsets, st.just(b"")),
        st.tuples(st.just("open-truncating"), st.just(0), st.just(b"")),
        st.tuples(st.just("open-another"), st.just(0), st.just(b"")),
    ),
    max_size=20,
)


def replay(old: bytes, new: bytes, extents: tuple[tuple[int, int], ...]) -> bytes:
    """Do as a delta copy does: take the new size, and the new bytes of the extents alone."""
    made = bytearray(old[: len(new)].ljust(len(new), b"\0"))
    for start, end in extents:
        made[start:end] = new[start:end]
    return bytes(made)


@given(old=st.binary(max_size=SIZE), history=steps)
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_extents_turn_the_old_tape_into_the_new(
    backing: Path, old: bytes, history: list[tuple[str, int, bytes]]
) -> None:
    path = backing / "BILL" / "X00001"
    path.write_bytes(old)
    dismounted = trio.run(_play, backing, history)
    assert dismounted.extents is not None
    new = path.read_bytes()
    assert replay(old, new, dismounted.extents) == new
    assert dismounted.wrote or new == old


async def _play(backing: Path, history: list[tuple[str, int, bytes]]) -> Signal:
    async with overlay_on(backing) as (overlay, sink):
        inode = find(overlay, "BILL/X00001")
        handles = [await overlay.files.open(inode, os.O_RDWR, ME)]
        for step, offset, data in history:
            handle = handles[offset % len(handles)]
            if step == "write":
                assert await overlay.files.write(handle, offset, data) == len(data)
            elif step == "resize":
                file = overlay.files[handle]
                await overlay.attributes.set(inode, Changes(size=offset), file, ME.uid)
            elif step == "resize-by-path":
                await overlay.attributes.set(inode, Changes(size=offset), None, ME.uid)
            else:
                flags = os.O_WRONLY | (os.O_TRUNC if step == "open-truncating" else 0)
                handles.append(await overlay.files.open(inode, flags, ME))
        for handle in handles:
            overlay.files.release(handle)
    assert [signal.kind for signal in sink.signals] == [Kind.MOUNTED, Kind.DISMOUNTED]
    return sink.signals[-1]


async def test_a_write_that_fails_is_marked_all_the_same(backing: Path) -> None:
    (backing / "BILL" / "X00001").write_bytes(b"old")
    async with overlay_on(backing) as (overlay, sink):
        inode = find(overlay, "BILL/X00001")
        handle = await overlay.files.open(inode, os.O_WRONLY, ME)
        with pytest.raises(OSError, match="too large"):
            await overlay.files.write(handle, (1 << 63) - 2, b"x")
        overlay.files.release(handle)
    assert sink.signals[-1].wrote


async def test_the_caller_s_access_mode_is_the_file_s(backing: Path) -> None:
    async with overlay_on(backing) as (overlay, _):
        pool = find(overlay, "BILL")
        flags = os.O_WRONLY | os.O_APPEND | os.O_DIRECT
        writer, inode, _ = await overlay.files.create(pool, b"X00001", 0o600, flags, ME)
        reader = await overlay.files.open(inode, os.O_RDONLY, ME)
        await overlay.files.write(writer, 3, b"abc")
        await overlay.files.write(writer, 0, b"012")
        assert await overlay.files.read(reader, 0, 10) == b"012abc"
        with pytest.raises(OSError, match="Bad file descriptor"):
            await overlay.files.write(reader, 0, b"x")
        with pytest.raises(FileExistsError):
            await overlay.files.create(pool, b"X00001", 0o600, os.O_EXCL, ME)
        overlay.files.release(writer)
        overlay.files.release(reader)


async def test_a_stopping_overlay_opens_no_tapes_but_other_files(backing: Path) -> None:
    (backing / "BILL" / "X00001").write_bytes(b"")
    (backing / "BILL" / "X00001.meta").write_bytes(b"")
    async with overlay_on(backing) as (overlay, sink):
        overlay.files.refusing = True
        tape, other = find(overlay, "BILL/X00001"), find(overlay, "BILL/X00001.meta")
        with pytest.raises(OSError, match="stopping"):
            await overlay.files.open(tape, os.O_RDONLY, ME)
        overlay.files.release(await overlay.files.open(other, os.O_RDWR, ME))
    assert sink.signals == []


async def test_readers_and_writers_are_listed(backing: Path) -> None:
    (backing / "BILL" / "X00001").write_bytes(b"")
    async with overlay_on(backing) as (overlay, _):
        inode = find(overlay, "BILL/X00001")
        reader = await overlay.files.open(inode, os.O_RDONLY, ME)
        writer = await overlay.files.open(inode, os.O_WRONLY, ME)
        assert [tape.access for tape in overlay.open_tapes()] == [Access.WRITE, Access.READ]
        overlay.files.release(reader)
        overlay.files.release(writer)


@pytest.mark.parametrize("used", ["BILL/X00001", ".kept/X00001"])
async def test_a_tape_with_a_kept_link_is_a_tape_by_either_name(backing: Path, used: str) -> None:
    (backing / "BILL" / "X00001").write_bytes(b"content")
    (backing / ".kept").mkdir()
    async with overlay_on(backing) as (overlay, sink):
        tape = find(overlay, "BILL/X00001")
        await overlay.names.link(tape, find(overlay, ".kept"), b"X00001", ME)
        find(overlay, used)
        # By the number alone, as the kernel does while it trusts the name it knows.
        overlay.files.release(await overlay.files.open(tape, os.O_WRONLY, ME))
    assert [(s.kind, s.label) for s in sink.signals] == [
        (Kind.MOUNTED, "X00001"),
        (Kind.DISMOUNTED, "X00001"),
    ]
