"""Open files: what counts as written, and by whom it is told."""

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest
import trio
import trio.testing

from tests.support.overlay_rig import ME, find, overlay_on
from tests.support.signal_sink import Sink
from vtsfs.contract.notes import Entry
from vtsfs.contract.signals import Access, Kind
from vtsfs.overlay.caller import Caller
from vtsfs.overlay.handles import OpenFile

STRANGER = Caller(54_321, 54_321, 1)
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root's writes keep set-id bits")


def test_a_file_without_a_session_remembers_only_that_it_was_written() -> None:
    file = OpenFile(-1, inode=None, writing=True)  # type: ignore[arg-type] # not looked at
    file.mark(0, 10)
    assert file.wrote


async def test_what_is_there_already_is_not_opened_by_a_creation(backing: Path) -> None:
    (backing / "BILL" / "X00001").write_bytes(b"not for the caller, perhaps")
    async with overlay_on(backing) as (overlay, sink):
        pool = find(overlay, "BILL")
        for flags, number in ((0, errno.ESTALE), (os.O_EXCL, errno.EEXIST)):
            with pytest.raises(OSError) as caught:  # noqa: PT011 - the number is looked at below
                await overlay.files.create(pool, b"X00001", 0o600, os.O_RDWR | flags, ME)
            assert caught.value.errno == number
    assert sink.signals == []


class WaitingSink(Sink):
    """Commits when it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.may_go = trio.Event()

    async def commit(self, signals: Sequence[Entry]) -> None:
        await self.may_go.wait()
        await super().commit(signals)


async def test_a_file_is_held_while_its_open_waits_to_be_recorded(backing: Path) -> None:
    (backing / "BILL" / "X00001").write_bytes(b"content")
    waiting = WaitingSink()
    async with overlay_on(backing, waiting) as (overlay, _):
        inode = find(overlay, "BILL/X00001")

        async def open_and_close() -> None:
            overlay.files.release(await overlay.files.open(inode, os.O_WRONLY, ME))

        async with trio.open_nursery() as nursery:
            nursery.start_soon(open_and_close)
            await trio.testing.wait_all_tasks_blocked()
            overlay.inodes.trim(0)
            assert inode.held, "descriptors may be short when the open goes on"
            waiting.may_go.set()
        overlay.inodes.trim(0)
        assert not inode.held


async def test_a_read_only_open_that_truncates_is_a_writer(backing: Path) -> None:
    (backing / "BILL" / "X00001").write_bytes(b"content")
    async with overlay_on(backing) as (overlay, sink):
        flags = os.O_RDONLY | os.O_TRUNC
        overlay.files.release(await overlay.files.open(find(overlay, "BILL/X00001"), flags, ME))
    assert [s.access for s in sink.signals] == [Access.WRITE, Access.WRITE]
    assert sink.signals[-1].extents == ((0, 7),)


@pytest.mark.parametrize(
    ("before", "caller", "after"),
    [
        (0o6755, STRANGER, 0o755),
        (0o2644, STRANGER, 0o2644),
        pytest.param(0o6755, Caller(0, 0, 1), 0o6755, marks=needs_root),
    ],
)
async def test_set_id_bits_and_o_trunc(
    backing: Path, before: int, caller: Caller, after: int
) -> None:
    path = backing / "BILL" / "X00001"
    path.write_bytes(b"content")
    path.chmod(before)
    async with overlay_on(backing) as (overlay, _):
        flags = os.O_WRONLY | os.O_TRUNC
        inode = find(overlay, "BILL/X00001")
        overlay.files.release(await overlay.files.open(inode, flags, caller))
    assert stat.S_IMODE(path.stat().st_mode) == after


async def test_the_descriptor_of_a_refused_open_is_closed(backing: Path) -> None:
    (backing / "BILL" / "X00001").write_bytes(b"content")
    async with overlay_on(backing) as (overlay, _):
        overlay.files.refusing = True
        inode = find(overlay, "BILL/X00001")
        os.stat(inode.fd)  # held from now on, whatever becomes of the open
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(OSError, match="stopping"):
            await overlay.files.open(inode, os.O_WRONLY, ME)
        assert len(os.listdir("/proc/self/fd")) == before


async def test_making_durable(backing: Path) -> None:
    async with overlay_on(backing) as (overlay, sink):
        pool = find(overlay, "BILL")
        handle, _, _ = await overlay.files.create(pool, b"X00001", 0o600, os.O_RDWR, ME)
        await overlay.files.write(handle, 0, b"x")
        await overlay.files.sync(handle, data_only=True)
        await overlay.files.sync(handle, data_only=False)
        overlay.files.release(handle)
    assert sink.signals[-1].kind is Kind.DISMOUNTED
    assert sink.signals[-1].synced


async def test_a_failed_fsync_of_the_engine_is_remembered_to_the_end(
    backing: Path,
) -> None:
    (backing / "BILL" / "X00001").write_bytes(b"content")
    async with overlay_on(backing) as (overlay, sink):
        inode = find(overlay, "BILL/X00001")
        handle = await overlay.files.open(inode, os.O_WRONLY, ME)
        fd = overlay.files[handle].fd
        whole = os.dup(fd)
        # Of a file that was opened by O_PATH, fsync(2) says EBADF.
        os.dup2(inode.fd, fd)
        with pytest.raises(OSError, match="Bad file descriptor"):
            await overlay.files.sync(handle, data_only=False)
        os.dup2(whole, fd)
        os.close(whole)
        overlay.files.release(handle)
    assert sink.signals[-1].kind is Kind.DISMOUNTED
    assert not sink.signals[-1].synced
