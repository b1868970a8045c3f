"""What a correct connection to a target does; one definition for every implementation."""

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import trio

from copyagent.ssh.bridge import open_bridge
from copyagent.ssh.sftp import connect
from copyagent.transfer.target import (
    Abilities,
    Draft,
    EntryKind,
    Target,
    TargetLacks,
    TargetMissing,
    TargetRefused,
)
from tests.support.sshd import ADDRESS, Sshd
from vtsfs.contract.settings import Target as TargetSettings

pytestmark = pytest.mark.ssh

MIB = 1024 * 1024

#: What an old or restricted server may be without (sftp-server(8), -P).
DENIED = ("copy-data", "hardlink", "statvfs", "fstatvfs")

KINDS = [
    "open",
    "lacking",
    pytest.param(
        "jailed",
        marks=pytest.mark.skipif(os.geteuid() != 0, reason="only root can have sshd chroot"),
    ),
]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    """Name the way the server is set up."""
    return str(request.param)


@pytest.fixture
def place(scratch: Path, kind: str) -> Iterator[Path]:
    """Make a directory that has the same path here and for the server, be it in a chroot."""
    made = scratch / "place"
    if kind != "jailed":
        made.mkdir()
        yield made
        return
    # Everything above a chroot must be root's alone (sshd_config(5)), which /tmp is not.
    jail = Path(tempfile.mkdtemp(prefix="vts-jail-", dir="/run"))
    try:
        jail.chmod(0o755)
        inside = Path(f"{jail}{made}")
        inside.mkdir(parents=True)
        made.symlink_to(inside)
        yield made
    finally:
        shutil.rmtree(jail)


@pytest.fixture
def sshd(scratch: Path, kind: str, place: Path) -> Iterator[Sshd]:
    jail = str(place.resolve()).removesuffix(str(place))
    options = [f"ChrootDirectory {jail}"] if kind == "jailed" else []
    denied = DENIED if kind == "lacking" else ()
    locked = kind == "jailed"
    with Sshd(scratch / "sshd", sftp_only=locked, denied=denied, options=options) as server:
        yield server


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


async def test_lstat_tells_what_a_name_stands_for(target: Target, place: Path) -> None:
    (place / "file").write_bytes(b"12345")
    os.utime(place / "file", (1, 1_234_567_890))
    (place / "file").chmod(0o640)
    (place / "link").symlink_to("file")
    os.mkfifo(place / "fifo")

    found = await target.lstat(f"{place}/file")
    assert found is not None
    assert (found.kind, found.size, found.mtime) == (EntryKind.FILE, 5, 1_234_567_890)
    assert (found.mode, found.uid, found.gid) == (0o640, os.geteuid(), os.getegid())
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


async def test_much_is_written_and_each_byte_acknowledged_once(target: Target, place: Path) -> None:
    block = target.max_block
    content = os.urandom(block * 60 + 1)
    acknowledged: list[tuple[int, int]] = []
    file = await target.create(f"{place}/tape")
    async with file.writing(
        patience_s=10, acknowledged=lambda start, end: acknowledged.append((start, end))
    ) as writer:
        for offset in range(0, len(content), block):
            await writer.put(offset, memoryview(content)[offset : offset + block])
    assert sorted(acknowledged) == [
        (offset, min(offset + block, len(content))) for offset in range(0, len(content), block)
    ]
    await file.close()
    assert (place / "tape").read_bytes() == content


async def test_a_write_that_fails_ends_the_writing(target: Target, place: Path) -> None:
    (place / "tape").write_bytes(b"keep me")
    file = await target.open(f"{place}/tape")
    acknowledged: list[tuple[int, int]] = []

    async def write_on() -> None:
        async with file.writing(
            patience_s=10, acknowledged=lambda start, end: acknowledged.append((start, end))
        ) as writer:
            for number in range(1000):
                await writer.put(number * 1000, bytes(1000))

    with trio.fail_after(10), pytest.raises(TargetRefused):
        await write_on()
    assert acknowledged == []
    await file.close()
    assert (place / "tape").read_bytes() == b"keep me"
    assert await target.list_names(str(place)) == ["tape"]


async def test_writing_is_cancelled_promptly(target: Target, place: Path) -> None:
    file = await target.create(f"{place}/tape")
    block = bytes(target.max_block)
    with trio.move_on_after(0.1) as scope:
        async with file.writing(patience_s=10, acknowledged=lambda _start, _end: None) as writer:
            while True:
                await writer.put(0, block)
    assert scope.cancelled_caught
    await file.close()
    assert (place / "tape").stat().st_size == len(block)


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


async def test_small_files_are_put_in_place_all_at_once(target: Target, place: Path) -> None:
    (place / "one").write_bytes(b"former")
    long = bytes(range(256)) * 1200
    directory = await target.open(str(place))
    drafts = {
        f"{place}/{name}": Draft(
            await target.create(f"{place}/{name}.new"), f"{place}/{name}.new", data
        )
        for name, data in (("one", b"now"), ("long", long), ("empty", b""))
    }
    await target.put_in_place(drafts, directory)
    assert (place / "one").read_bytes() == b"now"
    assert (place / "long").read_bytes() == long
    assert (place / "empty").read_bytes() == b""
    assert sorted(path.name for path in place.iterdir()) == ["empty", "long", "one"]


async def test_what_cannot_be_put_in_place_is_told(target: Target, place: Path) -> None:
    directory = await target.open(str(place))
    file = await target.create(f"{place}/new")
    (place / "new").unlink()
    with pytest.raises(TargetMissing):
        await target.put_in_place({f"{place}/name": Draft(file, f"{place}/new", b"x")}, directory)
    assert not (place / "name").exists()


async def test_directories_are_made_once_and_can_be_synced(target: Target, place: Path) -> None:
    await target.make_directories([f"{place}/pool"], 0o2775)
    assert stat.S_IMODE((place / "pool").stat().st_mode) == 0o2775
    await target.make_directories([f"{place}/pool"], 0o700)
    assert stat.S_IMODE((place / "pool").stat().st_mode) == 0o2775
    opened = await target.open(f"{place}/pool")
    await opened.sync()
    await opened.close()
    (place / "file").touch()
    with pytest.raises(TargetRefused):
        await target.make_directories([f"{place}/file"], 0o700)


async def test_removing_what_is_not_there_is_fine(target: Target, place: Path) -> None:
    await target.remove(f"{place}/missing")
    with pytest.raises(TargetMissing):
        await target.open(f"{place}/missing")


async def test_a_directory_is_listed_with_what_its_names_stand_for(
    target: Target, place: Path
) -> None:
    assert await target.list_entries(str(place)) == []
    (place / "file").write_bytes(b"12345")
    os.utime(place / "file", (1, 1_234_567_890))
    os.chown(place / "file", -1, os.getegid())
    (place / "file").chmod(0o640)
    os.link(place / "file", place / "second")
    (place / "below").mkdir()
    (place / "a b\n").symlink_to("file")
    found = dict(await target.list_entries(str(place)))
    assert sorted(found) == ["a b\n", "below", "file", "second"]
    file = found["file"]
    assert (file.kind, file.size, file.mtime, file.mode) == (
        EntryKind.FILE,
        5,
        1_234_567_890,
        0o640,
    )
    assert (file.uid, file.gid, file.links) == (os.geteuid(), os.getegid(), 2)
    assert found["below"].kind is EntryKind.DIRECTORY
    assert found["a b\n"].kind is EntryKind.OTHER
    (place / "second").unlink()
    assert dict(await target.list_entries(str(place)))["file"].links == 1


async def test_a_large_directory_is_listed_whole(target: Target, place: Path) -> None:
    names = [f"X{number:05}" for number in range(350)]
    for name in names:
        (place / name).touch()
    assert sorted(await target.list_names(str(place))) == names


async def test_it_says_what_the_server_offers(target: Target, kind: str) -> None:
    all_of_it = kind != "lacking"
    assert target.can == Abilities(
        posix_rename=True,
        sync=True,
        copy_data=all_of_it,
        hard_links=all_of_it,
        space=all_of_it,
        commands=None,
    )
    await target.run("echo out", 10)
    assert target.can.commands is (kind != "jailed")


async def test_space_is_what_our_user_may_use(target: Target, place: Path) -> None:
    found = await target.space(str(place))
    if not target.can.space:
        assert found is None
        return
    here = os.statvfs(place)
    assert found is not None
    assert found.total == here.f_blocks * here.f_frsize
    assert abs(found.free - here.f_bavail * here.f_frsize) < 1024 * MIB
    assert found.files_free is not None
    with pytest.raises(TargetMissing):
        await target.space(f"{place}/missing")


async def test_a_file_gets_one_more_name_which_nothing_had(target: Target, place: Path) -> None:
    (place / "file").write_bytes(b"x")
    (place / "taken").write_bytes(b"y")
    if not target.can.hard_links:
        with pytest.raises(TargetLacks):
            await target.link(f"{place}/file", f"{place}/second")
        return
    await target.link(f"{place}/file", f"{place}/second")
    assert (place / "second").stat().st_ino == (place / "file").stat().st_ino
    with pytest.raises(TargetRefused):
        await target.link(f"{place}/file", f"{place}/taken")
    assert (place / "taken").read_bytes() == b"y"
    with pytest.raises(TargetMissing):
        await target.link(f"{place}/missing", f"{place}/third")


async def test_a_file_is_opened_again_as_it_is(target: Target, place: Path) -> None:
    (place / "tape").write_bytes(b"0123456789")
    file = await target.reopen(f"{place}/tape")
    await file.write(3, b"abc")
    assert await file.read(0, 100) == b"012abc6789"
    await file.close()
    assert (place / "tape").read_bytes() == b"012abc6789"
    with pytest.raises(TargetMissing):
        await target.reopen(f"{place}/missing")
    assert not (place / "missing").exists()


async def test_a_size_is_set_without_writing(target: Target, place: Path) -> None:
    file = await target.create(f"{place}/tape")
    await file.write(0, b"0123456789")
    await file.set_size(4)
    assert await file.size() == 4
    await file.set_size(3 * MIB)
    await file.close()
    found = (place / "tape").stat()
    assert (found.st_size, (place / "tape").read_bytes()[:6]) == (3 * MIB, b"0123\0\0")
    assert found.st_blocks * 512 < MIB, "a hole takes no room"


async def test_data_are_copied_at_the_target(target: Target, place: Path) -> None:
    content = os.urandom(3 * MIB + 17)
    (place / "old").write_bytes(content)
    async with target.side() as side:
        old = await side.open(f"{place}/old")
        new = await side.create(f"{place}/new")
        if not target.can.copy_data:
            with pytest.raises(TargetLacks):
                await side.copy_data(old, 0, MIB, new, 0)
            return
        await side.copy_data(old, 0, MIB, new, 0)
        await side.copy_data(old, 2 * MIB, MIB, new, 2 * MIB)
        await side.copy_data(old, 3 * MIB, 999, new, 3 * MIB)
        await new.sync()
        assert await new.size() == len(content), "what is not there is not copied"
        await new.close()
        await old.close()
    assert (place / "new").read_bytes() == content[:MIB] + bytes(MIB) + content[2 * MIB :]


async def test_a_side_is_a_conversation_of_its_own(target: Target, place: Path) -> None:
    async with target.side() as side, trio.open_nursery() as nursery:
        created = await side.create(f"{place}/tape")
        nursery.start_soon(created.write, 0, b"side")
        assert await target.list_names(str(place)) == ["tape"]
    assert (place / "tape").read_bytes() == b"side"
    assert await target.list_names(str(place)) == ["tape"], "the first goes on"
    with trio.move_on_after(0) as scope:
        async with target.side():
            pass
    assert scope.cancelled_caught
    async with target.side() as side:
        assert await side.list_names(str(place)) == ["tape"]


async def test_a_file_that_is_held_is_freed_later(target: Target, place: Path) -> None:
    def held() -> int:
        links = [link for own in Path("/proc").glob("[0-9]*/fd") for link in _links(own)]
        return sum(link.endswith(f"{place}/old (deleted)") for link in links)

    (place / "old").write_bytes(b"former")
    (place / "new").write_bytes(b"present")
    await target.hold(f"{place}/old")
    await target.rename(f"{place}/new", f"{place}/old")
    assert (place / "old").read_bytes() == b"present"
    assert held() == 1
    await target.rename(f"{place}/old", f"{place}/older")
    with pytest.raises(TargetMissing):
        await target.hold(f"{place}/old")
    assert await target.lstat(f"{place}/older") is not None


def _links(directory: Path) -> list[str]:
    found = []
    with contextlib.suppress(OSError):
        for entry in directory.iterdir():
            with contextlib.suppress(OSError):
                found.append(os.readlink(entry))
    return found


async def test_empty_directories_are_removed(target: Target, place: Path) -> None:
    (place / "full" / "below").mkdir(parents=True)
    await target.remove_directory(f"{place}/full/below")
    assert not (place / "full" / "below").exists()
    await target.remove_directory(f"{place}/full/below")
    (place / "full" / "file").touch()
    with pytest.raises(TargetRefused):
        await target.remove_directory(f"{place}/full")


async def test_commands_run_and_report_their_end(target: Target, kind: str) -> None:
    if kind == "jailed":
        said = await target.run("echo out", 10)
        assert said is None or (said.status, said.output) != (0, "out\n")
        return
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
    target: Target, place: Path, kind: str
) -> None:
    if kind != "jailed":
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
