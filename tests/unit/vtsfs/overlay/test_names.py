"""Names of tapes and what is told of them, without a kernel."""

import errno
import os
import stat
from pathlib import Path

import pytest

from tests.support.overlay_rig import ME, find, overlay_on
from vtsfs.contract.signals import Kind
from vtsfs.overlay import store
from vtsfs.overlay.overlay import Overlay


async def rename(overlay: Overlay, old: str, new: str, flags: int = 0) -> None:
    (old_dir, old_name), (new_dir, new_name) = old.split("/"), new.split("/")
    await overlay.names.rename(
        (find(overlay, old_dir), old_name.encode()),
        (find(overlay, new_dir), new_name.encode()),
        flags,
        ME,
    )


async def test_tapes_that_change_places(backing: Path) -> None:
    (backing / "BILL" / "A00001").write_bytes(b"a")
    (backing / "BILL" / "B00001").write_bytes(b"bb")
    async with overlay_on(backing) as (overlay, sink):
        await rename(overlay, "BILL/A00001", "BILL/B00001", store.RENAME_EXCHANGE)
    told = {(s.kind, s.label, s.origin, s.identity and s.identity.size) for s in sink.signals}
    assert told == {
        (Kind.MOVED, "B00001", "/VAULT00/BILL/A00001", 1),
        (Kind.MOVED, "A00001", "/VAULT00/BILL/B00001", 2),
    }


async def test_a_rename_that_fails_tells_nothing(backing: Path) -> None:
    (backing / "BILL" / "A00001").write_bytes(b"a")
    (backing / "BILL" / "B00001").write_bytes(b"b")
    async with overlay_on(backing) as (overlay, sink):
        with pytest.raises(FileExistsError):
            await rename(overlay, "BILL/A00001", "BILL/B00001", store.RENAME_NOREPLACE)
        with pytest.raises(FileNotFoundError):
            await rename(overlay, "BILL/C00001", "BILL/B00001")
    assert sink.signals == []


async def test_a_tape_made_by_mknod(backing: Path) -> None:
    async with overlay_on(backing) as (overlay, sink):
        pool = find(overlay, "BILL")
        _, found = await overlay.names.mknod(pool, b"X00001", stat.S_IFREG | 0o640, 0, ME)
        await overlay.names.mknod(pool, b"X00002", stat.S_IFIFO | 0o640, 0, ME)
    assert stat.S_ISREG(found.st_mode)
    assert [(s.kind, s.label, s.cause) for s in sink.signals] == [
        (Kind.CHANGED, "X00001", "create")
    ]


async def test_a_link_that_is_no_tape_is_removed_silently(backing: Path) -> None:
    (backing / "BILL" / "X00001").symlink_to("elsewhere")
    async with overlay_on(backing) as (overlay, sink):
        await overlay.names.unlink(find(overlay, "BILL"), b"X00001")
    assert sink.signals == []
    assert os.listdir(backing / "BILL") == []


async def test_a_pool_that_stops_being_one(backing: Path) -> None:
    async with overlay_on(backing) as (overlay, sink):
        root = overlay.inodes.root
        await overlay.names.rename((root, b"BILL"), (root, b".BILL"), 0, ME)
    (removed,) = sink.signals
    assert (removed.kind, removed.pool, removed.label) == (Kind.REMOVED, "BILL", "")


async def test_a_name_that_is_too_long_is_the_kernel_s_to_refuse(backing: Path) -> None:
    async with overlay_on(backing) as (overlay, _):
        with pytest.raises(OSError, match="too long") as caught:
            overlay.names.mkdir(overlay.inodes.root, b"x" * 256, 0o755, ME)
        assert caught.value.errno == errno.ENAMETOOLONG
