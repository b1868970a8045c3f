"""Copies brought back from a real server: whole and proven, or nothing at all."""

import fcntl
import os
import stat
from pathlib import Path

import pytest
import trio

from copyagent.core.copying import CopyDone, PublishedCopy
from copyagent.ssh.sftp import SftpTarget
from copyagent.ssh.sftp_file import SftpFile
from copyagent.transfer.chunks import SMALLEST_CHUNK
from copyagent.transfer.fetching import Place, fetch
from copyagent.transfer.lease import is_closed
from copyagent.transfer.published import Reader, read_map
from copyagent.transfer.target import LinkLost, TargetMissing
from tests.support.copy_rig import CopyRig
from vtsfs.contract.errors import RequestFailed, Unprotected

pytestmark = pytest.mark.ssh

CHUNK = SMALLEST_CHUNK
CONTENT = os.urandom(CHUNK) + bytes(3 * CHUNK) + os.urandom(500)


async def copied(rig: CopyRig, content: bytes = CONTENT) -> PublishedCopy:
    path = rig.write(content)
    path.chmod(0o640)
    done = await rig.copy()
    assert isinstance(done, CopyDone), done
    return done.copy


async def brought(rig: CopyRig, copy: PublishedCopy, place: Place, *, with_map: bool = True) -> int:
    layout = rig.layout()
    async with rig.connect() as target:
        chunk_map = await read_map(target, layout, copy.root) if with_map else None
        reader = Reader(target, 10.0, lambda _: None)
        return await fetch(reader, layout.destination, copy, chunk_map, place)


@pytest.fixture
def away(rig: CopyRig, scratch: Path) -> Path:
    path = scratch / "away"
    path.mkdir()
    return path


@pytest.mark.parametrize("with_map", [True, False])
async def test_it_is_as_it_was_and_holes_are_holes(
    rig: CopyRig, away: Path, with_map: bool
) -> None:
    copy = await copied(rig)
    got = await brought(rig, copy, Place(away, "X00001"), with_map=with_map)
    path = away / "X00001"
    assert path.read_bytes() == CONTENT
    seen, source = path.stat(), rig.tape().stat()
    assert stat.S_IMODE(seen.st_mode) == 0o640
    assert seen.st_mtime_ns == source.st_mtime_ns
    assert seen.st_nlink == 1
    assert seen.st_blocks * 512 <= 2 * CHUNK
    assert got == (CHUNK + 500 if with_map else len(CONTENT))
    assert os.listdir(away) == ["X00001"]


async def test_an_empty_content_and_one_of_zeros_only(rig: CopyRig, away: Path) -> None:
    copy = await copied(rig, bytes(2 * CHUNK))
    assert await brought(rig, copy, Place(away, "X00001")) == 0
    assert (away / "X00001").read_bytes() == bytes(2 * CHUNK)


async def test_a_damaged_copy_is_not_kept(rig: CopyRig, away: Path) -> None:
    copy = await copied(rig)
    with rig.published().open("r+b") as file:
        file.seek(4 * CHUNK + 3)
        file.write(b"\0\0\0\0")
    for with_map in (True, False):
        with pytest.raises(Unprotected, match="nothing was kept"):
            await brought(rig, copy, Place(away, "X00001"), with_map=with_map)
    os.truncate(rig.published(), 5)
    with pytest.raises(Unprotected, match="5 bytes"):
        await brought(rig, copy, Place(away, "X00001"))
    rig.published().unlink()
    with pytest.raises(TargetMissing):
        await brought(rig, copy, Place(away, "X00001"))
    assert os.listdir(away) == []


async def test_a_file_of_that_name_stays(rig: CopyRig, away: Path) -> None:
    copy = await copied(rig)
    (away / "X00001").write_bytes(b"mine")
    with pytest.raises(RequestFailed, match="there already"):
        await brought(rig, copy, Place(away, "X00001"))
    assert (away / "X00001").read_bytes() == b"mine"
    assert os.listdir(away) == ["X00001"]
    await brought(rig, copy, Place(away, "X00001", replace=True))
    assert (away / "X00001").read_bytes() == CONTENT
    assert os.listdir(away) == ["X00001"]


async def test_what_is_asked_last_keeps_the_name_from_it(rig: CopyRig, away: Path) -> None:
    copy = await copied(rig)
    (away / "X00001").write_bytes(b"in use")

    def in_use() -> None:
        raise RequestFailed("somebody has it open")

    with pytest.raises(RequestFailed, match="has it open"):
        await brought(rig, copy, Place(away, "X00001", replace=True, check=in_use))
    assert (away / "X00001").read_bytes() == b"in use"
    assert os.listdir(away) == ["X00001"]


async def test_no_room_is_known_before_anything_comes(rig: CopyRig, away: Path) -> None:
    copy = await copied(rig)
    vast = PublishedCopy(1, copy.source, 2**60, "", copy.stamp, "size", root=copy.root)
    os.truncate(rig.published(), 2**40)
    vast_on_disk = PublishedCopy(1, copy.source, 2**40, "", copy.stamp, "size", root=copy.root)
    with pytest.raises(Unprotected, match="were published"):
        await brought(rig, vast, Place(away, "X00001"), with_map=False)
    if os.statvfs(away).f_bavail * os.statvfs(away).f_frsize < 2**40:
        with pytest.raises(RequestFailed, match="free"):
            await brought(rig, vast_on_disk, Place(away, "X00001"), with_map=False)
    assert os.listdir(away) == []


async def test_where_nobody_may_write(rig: CopyRig, away: Path) -> None:
    copy = await copied(rig)
    with pytest.raises(FileNotFoundError):
        await brought(rig, copy, Place(away / "nowhere", "X00001"))


def test_a_file_is_closed_when_nobody_else_has_it(tmp_path: Path) -> None:
    path = tmp_path / "tape"
    path.write_bytes(b"x")
    with path.open("rb") as ours:
        assert is_closed(ours.fileno())
        for mode in ("rb", "r+b"):
            with path.open(mode):
                assert not is_closed(ours.fileno())
        assert is_closed(ours.fileno())


LONG = bytes(CHUNK) + os.urandom(20 * CHUNK) + bytes(2 * CHUNK) + os.urandom(9 * CHUNK)


async def cut_off(rig: CopyRig, copy: PublishedCopy, away: Path) -> Path:
    """Fetch over a line that is lost when a third has come; return what stays."""
    enough = trio.Event()

    class Lost(SftpFile):
        async def read(self, offset: int, size: int) -> bytes:
            if offset >= 12 * CHUNK:
                await enough.wait()
                raise LinkLost("the line is gone")
            return await super().read(offset, size)

    class Target(SftpTarget):
        async def open(self, path: str) -> SftpFile:
            file = await super().open(path)
            if path == rig.layout().destination:
                file.__class__ = Lost
            return file

    def report(done: int) -> None:
        if done >= 8 * CHUNK:
            enough.set()

    async with rig.connect() as target:
        chunk_map = await read_map(target, rig.layout(), copy.root)
        target.__class__ = Target
        destination, place = rig.layout().destination, Place(away, "X00001")
        with pytest.raises(LinkLost) as lost:
            await fetch(Reader(target, 10.0, report), destination, copy, chunk_map, place)
    (left,) = away.iterdir()
    assert str(left) in lost.value.next_step
    return left


async def test_a_fetch_that_was_cut_off_goes_on(rig: CopyRig, away: Path) -> None:
    copy = await copied(rig, LONG)
    await cut_off(rig, copy, away)
    got = await brought(rig, copy, Place(away, "X00001"))
    assert got <= 21 * CHUNK, "eight of the 29 were there"
    assert [path.name for path in away.iterdir()] == ["X00001"]
    assert (away / "X00001").read_bytes() == LONG


@pytest.mark.parametrize("at", [100, 3 * CHUNK + 7, len(LONG) + 5])
async def test_what_was_left_proves_nothing(rig: CopyRig, away: Path, at: int) -> None:
    copy = await copied(rig, LONG)
    left = await cut_off(rig, copy, away)
    with left.open("r+b") as file:
        file.seek(at)
        file.write(b"damage")
    await brought(rig, copy, Place(away, "X00001"))
    assert (away / "X00001").read_bytes() == LONG


@pytest.mark.parametrize("instead", ["link", "second name", "directory", "at work"])
async def test_what_is_not_ours_alone_is_not_gone_on_with(
    rig: CopyRig, away: Path, instead: str
) -> None:
    copy = await copied(rig, LONG)
    left = await cut_off(rig, copy, away)
    other = away.parent / "other"
    left.rename(other)
    content = other.read_bytes()
    with other.open("rb") as file:
        match instead:
            case "link":
                left.symlink_to(other)
            case "second name":
                left.hardlink_to(other)
            case "directory":
                left.mkdir()
            case _:
                other.rename(left)
                fcntl.flock(file, fcntl.LOCK_EX)
        await brought(rig, copy, Place(away, "X00001"))
    assert (away / "X00001").read_bytes() == LONG
    assert left.exists()
    if instead != "at work":
        assert other.read_bytes() == content


async def test_another_content_is_begun_anew(rig: CopyRig, away: Path) -> None:
    left = await cut_off(rig, await copied(rig, LONG), away)
    again = os.urandom(CHUNK)
    await brought(rig, await overwritten(rig, again), Place(away, "X00001"))
    assert (away / "X00001").read_bytes() == again
    assert left.exists(), "somebody may still want it"


async def overwritten(rig: CopyRig, content: bytes) -> PublishedCopy:
    rig.published().unlink()
    return await copied(rig, content)
