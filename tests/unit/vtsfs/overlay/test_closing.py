"""What takes the file system long, at the end of a large file, keeps nobody waiting."""

import os
from pathlib import Path

import pytest
import trio

from tests.support.overlay_rig import ME, find, overlay_on
from vtsfs.overlay import closing, store
from vtsfs.overlay.closing import Closing
from vtsfs.overlay.store import Changes


async def _ran_meanwhile(step: "trio.Event") -> None:
    step.set()


async def test_the_last_descriptor_of_a_large_file_goes_in_a_thread(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(closing, "LARGE", 4096)
    path = scratch / "tape"
    path.write_bytes(bytes(10_000))
    fd = os.open(path, os.O_PATH)
    path.unlink()
    async with trio.open_nursery() as nursery:
        Closing(nursery).close(fd)
        assert len(nursery.child_tasks) == 1
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


@pytest.mark.parametrize(("size", "named"), [(10, False), (10_000, True)])
async def test_every_other_is_closed_at_once(
    scratch: Path, monkeypatch: pytest.MonkeyPatch, size: int, named: bool
) -> None:
    monkeypatch.setattr(closing, "LARGE", 8192)
    path = scratch / "tape"
    path.write_bytes(bytes(size))
    fd = os.open(path, os.O_PATH)
    if not named:
        path.unlink()
    async with trio.open_nursery() as nursery:
        Closing(nursery).close(fd)
        assert not nursery.child_tasks
        with pytest.raises(OSError, match="Bad file descriptor"):
            os.fstat(fd)


@pytest.mark.parametrize("by_handle", [True, False])
async def test_a_large_cut_lets_others_run(
    backing: Path, monkeypatch: pytest.MonkeyPatch, by_handle: bool
) -> None:
    monkeypatch.setattr(store, "LARGE_CUT", 4096)
    (backing / "BILL" / "X00001").write_bytes(bytes(10_000))
    async with overlay_on(backing) as (overlay, sink):
        inode = find(overlay, "BILL/X00001")
        handle = await overlay.files.open(inode, os.O_RDWR, ME)
        ran = trio.Event()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_ran_meanwhile, ran)
            file = overlay.files[handle] if by_handle else None
            found = await overlay.attributes.set(inode, Changes(size=100), file, ME.uid)
            assert ran.is_set()
        assert found.st_size == 100
        overlay.files.release(handle)
    assert sink.signals[-1].extents == ((100, 10_000),)
