"""The last blocks of a disk, and flags of files below: to every user as on the disk itself.

ext4 keeps a part of its blocks for root. Whoever asks through the mount must get those blocks, or
not get them, as if they had asked directly.
"""

import errno
import mmap
import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.support.attached_vault import VAULT, Vault, attached_vault
from tests.support.disks import Disk
from tests.support.mountpoint import why_no_fuse
from tests.support.posix_case import ALONE, PEOPLE, ROOT, Person, fails_with, opened
from tests.support.scratch import scratch_directory
from tests.support.waiting import wait_until

# No mark: a machine on which the other mounts work may yet have no loop devices.
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk"),
    pytest.mark.skipif(why_no_fuse() is not None, reason="no FUSE file system can be mounted"),
]

RESERVED = 0.2


@pytest.fixture(scope="module")
def vault() -> Iterator[Vault]:
    """Give a vault on a disk of 16 MB, a fifth of it for root alone."""
    with scratch_directory() as top:
        disk = Disk(top / "disk", top / "backing")
        command = ["tune2fs", "-m", str(int(RESERVED * 100)), str(disk.image)]
        subprocess.run(command, check=True, capture_output=True)
        disk.mount()
        with attached_vault(top) as attached:
            yield attached


@contextmanager
def work_in(top: Path) -> Iterator[Path]:
    """Give an empty directory in *top* that everybody may write to."""
    place = top / "PLACE"
    os.mkdir(place)
    os.chmod(place, 0o777)  # noqa: S103 - for all users of the tests
    try:
        yield place
    finally:
        shutil.rmtree(place)
        os.sync()


@pytest.fixture(params=["directly", "through the mount"])
def place(request: pytest.FixtureRequest, vault: Vault) -> Iterator[Path]:
    """Give such a directory on the disk itself, then on the mount."""
    with work_in(vault.backing if request.param == "directly" else vault.mount) as directory:
        yield directory


@contextmanager
def flagged(path: Path, flag: str) -> Iterator[None]:
    """Give a file of the disk a flag of chattr(1) for the length of the block."""
    subprocess.run(["chattr", f"+{flag}", str(path)], check=True)
    try:
        yield
    finally:
        subprocess.run(["chattr", f"-{flag}", str(path)], check=True)


def fill(path: Path, flags: int = os.O_WRONLY) -> int:
    """Write to *path* until there is no room; return how much was written."""
    written = 0
    with opened(path, flags | os.O_CREAT | os.O_APPEND, 0o666) as fd:
        for size in (1 << 16, 4096):
            with fails_with(errno.ENOSPC):
                while True:
                    written += os.write(fd, bytes(size))
    return written


def free_share(place: Path) -> float:
    """Return which part of all blocks is free, root's own included."""
    os.sync()
    found = os.statvfs(place)
    return found.f_bfree / found.f_blocks


@pytest.mark.parametrize("flags", [os.O_WRONLY, os.O_RDWR], ids=["writer", "reader and writer"])
def test_a_users_writes_end_where_they_would_end_directly(vault: Vault, flags: int) -> None:
    levels = []
    for top in (vault.backing, vault.mount):
        with work_in(top) as place:
            ALONE.does(partial(_fill_all, place / "X00001", flags))
            users = free_share(place)
            # Not a whole one of the writes that were tried last.
            found = os.statvfs(place)
            assert found.f_bavail * found.f_frsize < 4096
            assert fill(place / "roots") > 1 << 20
            levels.append((users, free_share(place)))
    directly, mounted = levels
    assert directly[0] > RESERVED > 4 * directly[1]
    assert mounted == pytest.approx(directly, abs=0.01)


def _fill_all(path: Path, flags: int) -> None:
    assert fill(path, flags) > 1 << 20


def test_a_handle_of_roots_goes_on_where_a_users_cannot(place: Path) -> None:
    with opened(place / "roots", os.O_WRONLY | os.O_CREAT, 0o600) as fd:
        ALONE.does(lambda: _fill_all(place / "users", os.O_WRONLY))
        assert os.write(fd, bytes(1 << 20)) == 1 << 20

        def user_again() -> None:
            with opened(place / "users", os.O_WRONLY | os.O_APPEND) as own:
                with fails_with(errno.ENOSPC):
                    os.write(own, bytes(1 << 16))

        ALONE.does(user_again)


def _directory(top: Path, n: int) -> None:
    os.mkdir(top / f"{n}")


def _symbolic_link(top: Path, n: int) -> None:
    # Too long for the inode: it takes a block.
    os.symlink("x" * 1000, top / f"{n}")


def _link(top: Path, n: int) -> None:
    # The directory grows by a block every few names.
    os.link(top / "file", top / f"{n:0250}")


def _rename(top: Path, n: int) -> None:
    if n % 2:
        os.rename(top / f"{n - 1:0250}", top / f"{n:0250}")
    else:
        os.link(top / "file", top / f"{n:0250}")


@pytest.mark.parametrize("person", PEOPLE, ids=lambda person: person.name)
@pytest.mark.parametrize("make", [_directory, _symbolic_link, _link, _rename])
def test_on_a_disk_that_is_full_for_users_only_root_makes_new_things(
    place: Path, person: Person, make: Callable[[Path, int], None]
) -> None:
    top = place / "dir"

    def prepare() -> None:
        os.mkdir(top)
        (top / "file").touch()

    def make_many() -> None:
        for n in range(100):
            make(top, n)

    def make_until_it_is_full() -> None:
        with fails_with(errno.ENOSPC):
            make_many()

    person.does(prepare)
    ALONE.does(partial(_fill_all, place / "users", os.O_WRONLY))
    person.does(make_many if person is ROOT else make_until_it_is_full)


def test_a_full_disk_is_told_and_what_was_written_stays(place: Path) -> None:
    for path in (place / "users", place / "roots"):
        person = ALONE if path.name == "users" else ROOT
        person.does(partial(_fill_all, path, os.O_WRONLY))
    with opened(place / "roots", os.O_RDWR) as fd:
        with fails_with(errno.ENOSPC):
            os.posix_fallocate(fd, 0, 32 << 20)
        assert os.pread(fd, 4, 0) == bytes(4)
        # What has its blocks can still be written.
        assert os.pwrite(fd, b"over", 4096) == 4
        with mmap.mmap(fd, 4096) as mapped:
            mapped[:4] = b"mmap"
        os.fsync(fd)
        assert os.pread(fd, 4, 0) == b"mmap"
    os.unlink(place / "users")
    assert fill(place / "again") > 1 << 20


def test_an_immutable_tape_is_not_changed_by_anybody(place: Path, vault: Vault) -> None:
    tape = place / "X00001"
    tape.write_bytes(b"x")
    os.chmod(tape, 0o666)  # noqa: S103 - it is the flag that protects it

    def change() -> None:
        refused = (
            partial(os.open, tape, os.O_WRONLY),
            partial(os.truncate, tape, 0),
            partial(os.unlink, tape),
            partial(os.rename, tape, place / "X00002"),
            partial(os.link, tape, place / "X00002"),
            partial(os.chmod, tape, 0o600),
            partial(os.utime, tape, ns=(0, 0)),
        )
        for attempt in refused:
            with fails_with(errno.EPERM):
                attempt()
        assert tape.read_bytes() == b"x"

    def try_to_write() -> None:
        with fails_with(errno.EPERM):
            os.open(tape, os.O_WRONLY)

    with flagged(vault.backing / "PLACE" / "X00001", "i"):
        ROOT.does(change)
        ALONE.does(try_to_write)


def test_an_append_only_tape_grows_and_does_nothing_else(place: Path, vault: Vault) -> None:
    tape = place / "X00001"
    tape.write_bytes(b"one")
    with flagged(vault.backing / "PLACE" / "X00001", "a"):
        with opened(tape, os.O_WRONLY | os.O_APPEND) as fd:
            assert os.write(fd, b"two") == 3
        assert tape.read_bytes() == b"onetwo"
        refused = (
            partial(os.open, tape, os.O_WRONLY),
            partial(os.open, tape, os.O_WRONLY | os.O_APPEND | os.O_TRUNC),
            partial(os.truncate, tape, 1),
            partial(os.unlink, tape),
        )
        for attempt in refused:
            with fails_with(errno.EPERM):
                attempt()
        assert tape.read_bytes() == b"onetwo"


def test_in_an_immutable_directory_nothing_comes_or_goes(place: Path, vault: Vault) -> None:
    (place / "X00001").write_bytes(b"x")
    refused = (
        partial(os.open, place / "X00002", os.O_WRONLY | os.O_CREAT),
        partial(os.mkdir, place / "dir"),
        partial(os.unlink, place / "X00001"),
        partial(os.rename, place / "X00001", place / "X00002"),
    )
    with flagged(vault.backing / "PLACE", "i"):
        for attempt in refused:
            with fails_with(errno.EPERM):
                attempt()
        (place / "X00001").write_bytes(b"y")


def test_a_file_system_that_is_read_only_below_says_so(place: Path, vault: Vault) -> None:
    (place / "X00001").write_bytes(b"x")
    refused = (
        partial(os.open, place / "X00001", os.O_WRONLY),
        partial(os.open, place / "X00002", os.O_WRONLY | os.O_CREAT),
        partial(os.mkdir, place / "dir"),
        partial(os.unlink, place / "X00001"),
        partial(os.rename, place / "X00001", place / "X00002"),
        partial(os.truncate, place / "X00001", 0),
        partial(os.chmod, place / "X00001", 0o600),
    )
    # Refused while the overlay still has the tape open for writing, for the fsync after its close.
    wait_until(lambda: remount(vault, "ro"), 10, "the disk is read-only")
    try:
        for attempt in refused:
            with fails_with(errno.EROFS):
                attempt()
        assert (place / "X00001").read_bytes() == b"x"
    finally:
        assert remount(vault, "rw")


def remount(vault: Vault, how: str) -> bool:
    """Mount the disk read-only or for writing again; False if it is in use."""
    command = ["mount", "-o", f"remount,{how}", str(vault.backing)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def test_the_daemon_has_given_up_the_capability_that_would_break_this(vault: Vault) -> None:
    status = Path(f"/proc/{vault.status()['pid']}/status").read_text(encoding="utf-8")
    sets = dict(line.split(":\t") for line in status.splitlines() if line.startswith("Cap"))
    assert len(sets) == 5
    for name, bits in sets.items():
        assert not int(bits, 16) & 1 << 24, f"CAP_SYS_RESOURCE is in {name} of {VAULT}'s overlay"


def test_a_size_limit_of_whoever_attached_is_not_everybodys() -> None:
    with scratch_directory() as top:
        vault = Vault(top)
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, before[1]))
        try:
            vault.attach()
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            (vault.pool / "X00001").write_bytes(bytes(2 << 20))
            os.truncate(vault.pool / "X00001", 4 << 20)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            vault.end()
