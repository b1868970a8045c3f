"""How bytes are moved: whole answers, whatever is in memory, and threads for what is slow."""

import os
import stat
from pathlib import Path

import pytest
import trio

from vtsfs.overlay import data
from vtsfs.overlay.data import DataPath, clear_set_id
from vtsfs.overlay.handles import OpenFile
from vtsfs.overlay.inodes import Inode

MIB = 1 << 20


def opened(path: Path, flags: int = os.O_RDWR, *, uid: int = 0) -> OpenFile:
    none: Inode = None  # type: ignore[assignment]  # not looked at
    return OpenFile(os.open(path, flags | os.O_CREAT, 0o644), none, writing=True, uid=uid)


async def test_what_is_partly_in_memory_is_read_whole(scratch: Path) -> None:
    """A short answer would be taken for the end of the file, and the rest for zeros."""
    path = scratch / "tape"
    content = os.urandom(MIB)
    path.write_bytes(content)
    file = opened(path)
    os.fsync(file.fd)
    os.posix_fadvise(file.fd, MIB // 4, MIB // 2, os.POSIX_FADV_DONTNEED)
    assert bytes(await DataPath().read(file, 0, MIB)) == content
    assert bytes(await DataPath().read(file, MIB - 10, MIB)) == content[-10:]
    assert bytes(await DataPath().read(file, MIB, 10)) == b""
    os.close(file.fd)


async def test_a_read_that_would_wait_lets_others_run(scratch: Path) -> None:
    """What is not in memory comes through a thread."""
    path = scratch / "tape"
    path.write_bytes(os.urandom(MIB))
    file = opened(path)
    os.fsync(file.fd)
    os.posix_fadvise(file.fd, 0, 0, os.POSIX_FADV_DONTNEED)
    with pytest.raises(BlockingIOError):
        os.preadv(file.fd, [bytearray(MIB)], 0, os.RWF_NOWAIT)
    os.posix_fadvise(file.fd, 0, 0, os.POSIX_FADV_DONTNEED)
    ran = trio.Event()

    async def other() -> None:
        ran.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        assert len(await DataPath().read(file, 0, MIB)) == MIB
        assert ran.is_set(), "the loop was kept waiting for the disk"
    os.close(file.fd)


async def test_a_slow_file_is_written_through_a_thread_until_it_is_quick(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = opened(scratch / "tape")
    path = DataPath()
    monkeypatch.setattr(data, "SLOW_S", -1.0)
    assert await path.write(file, 0, b"slow") == 4
    slow_after = [file.sharing.slow]
    monkeypatch.undo()
    ran = trio.Event()

    async def other() -> None:
        ran.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        assert await path.write(file, 4, b" no more") == 8
        assert ran.is_set(), "the write of a slow file kept the loop"
    slow_after.append(file.sharing.slow)
    assert slow_after == [True, False]
    assert os.pread(file.fd, 20, 0) == b"slow no more"
    os.close(file.fd)


async def test_a_quick_read_does_not_make_a_slow_writer_quick(scratch: Path) -> None:
    path = scratch / "tape"
    path.write_bytes(os.urandom(MIB))
    file = opened(path)
    os.fsync(file.fd)
    os.posix_fadvise(file.fd, 0, 0, os.POSIX_FADV_DONTNEED)
    file.sharing.slow = True
    assert len(await DataPath().read(file, 0, MIB)) == MIB
    assert file.sharing.slow, "the next write would keep the loop"
    os.close(file.fd)


async def test_an_error_is_the_writer_s_and_leaves_nobody_acting(scratch: Path) -> None:
    (scratch / "tape").touch()
    file = opened(scratch / "tape", os.O_RDONLY, uid=54_321)
    with pytest.raises(OSError, match="Bad file descriptor"):
        await DataPath().write(file, 0, b"x")
    (scratch / "mine").touch()
    assert (scratch / "mine").stat().st_uid == os.geteuid()
    os.close(file.fd)


@pytest.mark.parametrize(
    ("before", "after"), [(0o6755, 0o755), (0o4644, 0o644), (0o2644, 0o2644), (0o644, 0o644)]
)
def test_set_id_bits_go(scratch: Path, before: int, after: int) -> None:
    path = scratch / "tape"
    path.touch()
    path.chmod(before)
    fd = os.open(path, os.O_RDONLY)
    clear_set_id(fd)
    assert stat.S_IMODE(os.fstat(fd).st_mode) == after
    os.close(fd)
