"""What a correct connection to a target does; one definition for every implementation."""

import os
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trio

from copyagent.ssh.bridge import open_bridge
from copyagent.ssh.sftp import connect
from copyagent.transfer.target import (
    EntryKind,
    Target,
    TargetLacks,
    TargetMissing,
    TargetRefused,
)
from tests.support.sshd import ADDRESS, Sshd
from vtsfs.contract.settings import Target as TargetSettings

pytestmark = pytest.mark.ssh


@pytest.fixture
async def target(sshd: Sshd) -> AsyncIterator[Target]:
    settings = TargetSettings.model_validate(
        {
            "host": ADDRESS,
            "port": sshd.port,
            "user": sshd.user,
            "key": str(sshd.key),
            "known_hosts": str(sshd.known_hosts),
            "vaults": {"VAULT00": "/VAULT00"},
        }
    )
    async with open_bridge(), connect(settings) as connected:
        yield connected


@pytest.fixture
def place(scratch: Path) -> Path:
    made = scratch / "place"
    made.mkdir()
    return made


async def test_lstat_tells_what_a_name_stands_for(target: Target, place: Path) -> None:
    (place / "file").write_bytes(b"12345")
    os.utime(place / "file", (1, 1_234_567_890))
    (place / "file").chmod(0o640)
    (place / "link").symlink_to("file")
    os.mkfifo(place / "fifo")

    found = await target.lstat(f"{place}/file")
    assert found is not None
    assert (found.kind, found.size, found.mtime) == (EntryKind.FILE, 5, 1_234_567_890)
    assert found.mode == 0o640
    kinds = [await target.lstat(f"{place}/{name}") for name in ("link", "fifo")]
    assert [entry and entry.kind for entry in kinds] == [EntryKind.OTHER, EntryKind.OTHER]
    directory = await target.lstat(str(place))
    assert directory is not None
    assert directory.kind is EntryKind.DIRECTORY
    assert await target.lstat(f"{place}/missing") is None
    assert await target.lstat(f"{place}/missing/below") is None


@pytest.mark.parametrize("name", ["plain", "with space", "quote'\"", "-n", "n\new", "ü", "\udcff"])
async def test_names_are_taken_as_they_are(target: Target, place: Path, name: str) -> None:
    created = await target.create(f"{place}/{name}")
    await created.write(0, b"x")
    await created.close()
    assert await target.list_names(str(place)) == [name]
    assert os.listdir(place) == [name]
    await target.rename(f"{place}/{name}", f"{place}/other")
    await target.remove(f"{place}/other")
    assert await target.list_names(str(place)) == []


async def test_a_file_is_created_once_and_for_its_owner(target: Target, place: Path) -> None:
    (place / "there").write_bytes(b"keep me")
    with pytest.raises(TargetRefused):
        await target.create(f"{place}/there")
    assert (place / "there").read_bytes() == b"keep me"
    with pytest.raises(TargetMissing):
        await target.create(f"{place}/missing/new")
    created = await target.create(f"{place}/new")
    await created.close()
    assert stat.S_IMODE((place / "new").stat().st_mode) == 0o600


async def test_writes_and_reads_may_be_in_flight_together(target: Target, place: Path) -> None:
    block = target.max_block
    content = os.urandom(block * 20 + 1)
    file = await target.create(f"{place}/tape")
    async with trio.open_nursery() as nursery:
        for offset in reversed(range(0, len(content), block)):
            nursery.start_soon(file.write, offset, content[offset : offset + block])
    assert await file.size() == len(content)
    assert (place / "tape").read_bytes() == content
    assert await file.read(block, 100) == content[block : block + 100]
    assert await file.read(len(content) - 1, 100) == content[-1:]
    assert await file.read(len(content), 100) == b""
    await file.close()


async def test_times_and_mode_are_set_within_32_bits(target: Target, place: Path) -> None:
    file = await target.create(f"{place}/tape")
    await file.write(0, b"x")
    await file.set_attributes(mode=0o604, atime=-5, mtime=5_000_000_000)
    await file.sync()
    await file.close()
    found = (place / "tape").stat()
    assert stat.S_IMODE(found.st_mode) == 0o604
    assert (found.st_atime, found.st_mtime) == (0, 0xFFFFFFFF)


async def test_rename_replaces_and_reports_what_is_missing(target: Target, place: Path) -> None:
    (place / "old").write_bytes(b"old")
    (place / "new").write_bytes(b"new")
    await target.rename(f"{place}/new", f"{place}/old")
    assert (place / "old").read_bytes() == b"new"
    with pytest.raises(TargetMissing):
        await target.rename(f"{place}/new", f"{place}/old")


async def test_directories_are_made_once_and_can_be_synced(target: Target, place: Path) -> None:
    await target.make_directory(f"{place}/pool", 0o2775)
    assert stat.S_IMODE((place / "pool").stat().st_mode) == 0o2775
    await target.make_directory(f"{place}/pool", 0o700)
    assert stat.S_IMODE((place / "pool").stat().st_mode) == 0o2775
    opened = await target.open(f"{place}/pool")
    await opened.sync()
    await opened.close()
    (place / "file").touch()
    with pytest.raises(TargetRefused):
        await target.make_directory(f"{place}/file", 0o700)


async def test_removing_what_is_not_there_is_fine(target: Target, place: Path) -> None:
    await target.remove(f"{place}/missing")
    with pytest.raises(TargetMissing):
        await target.open(f"{place}/missing")


async def test_commands_run_and_report_their_end(target: Target) -> None:
    said = await target.run("echo out; echo err >&2", 10)
    assert said is not None
    assert (said.status, said.output) == (0, "out\n")
    failed = await target.run("exit 3", 10)
    assert failed is not None
    assert failed.status == 3


async def test_the_connection_outlives_its_failures(target: Target, place: Path) -> None:
    with pytest.raises(TargetMissing):
        await target.list_names(f"{place}/missing")
    (place / "plain").touch()
    with pytest.raises(TargetRefused) as refused:
        await target.list_names(f"{place}/plain")
    assert not isinstance(refused.value, TargetLacks)
    assert await target.list_names(str(place)) == ["plain"]


async def test_a_cancelled_request_leaves_the_connection_usable(
    target: Target, place: Path
) -> None:
    with trio.move_on_after(0.1) as scope:
        await target.run("sleep 10", 20)
    assert scope.cancelled_caught
    file = await target.create(f"{place}/tape")
    for _ in range(5):
        with trio.CancelScope() as writing:
            async with trio.open_nursery() as nursery:
                for index in range(10):
                    nursery.start_soon(file.write, index * 1000, bytes(1000))
                writing.cancel()
    await file.close()
    assert await target.list_names(str(place)) == ["tape"]
