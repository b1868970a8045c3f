"""In what the mount differs from the file system below: every entry of the list in vtsfs(8).

An entry that is not true any more fails here, and is then to be taken off the list.
"""

import errno
import fcntl
import mmap
import os
import re
import stat
import struct
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import pytest

from tests.support.attached_vault import Vault, attached_vault
from tests.support.posix_case import ALONE, OUTSIDER, fails_with, libc_call, needs_root, opened
from tests.support.scratch import scratch_directory

pytestmark = pytest.mark.mount

# Of <linux/fs.h> and statx(2), on 64-bit machines.
_FS_IOC_GETFLAGS = 0x80086601
_FS_IOC_FIEMAP = 0xC020660B
_STATX_BTIME = 0x800
_FAN_CLASS_NOTIF, _FAN_REPORT_FID = 0, 0x200
_FAN_MARK_ADD, _FAN_MARK_FILESYSTEM = 1, 0x100
_AT_FDCWD = -100

T = TypeVar("T")


SHOWN: set[str] = set()


def listed(entry: str) -> Callable[[T], T]:
    """Say which entry of the manual's list a test shows to be true."""

    def enter(test: T) -> T:
        SHOWN.add(entry)
        return test

    return enter


def test_the_manual_lists_what_is_shown_here() -> None:
    manual = (Path(__file__).parents[2] / "man" / "vtsfs.8").read_text(encoding="ascii")
    section = manual.partition(".Sh DIFFERENCES\n")[2].partition("\n.Sh ")[0]
    assert set(re.findall(r"^\.It Sy (.*)$", section, re.MULTILINE)) == SHOWN


@pytest.fixture(scope="module")
def vault() -> Iterator[Vault]:
    with scratch_directory() as top, attached_vault(top) as attached:
        yield attached


@pytest.fixture
def tape(vault: Vault, request: pytest.FixtureRequest) -> Iterator[Path]:
    """Give a tape of 8 KiB."""
    path = vault.pool / "X00001"
    path.write_bytes(b"x" * 8192)
    yield path
    path.unlink()


@listed("Extended attributes")
def test_extended_attributes_are_refused(tape: Path) -> None:
    for attempt in (
        partial(os.setxattr, tape, "user.x", b"1"),
        partial(os.getxattr, tape, "user.x"),
        partial(os.listxattr, tape),
        partial(os.removexattr, tape, "user.x"),
    ):
        with fails_with(errno.EOPNOTSUPP):
            attempt()


@listed("Files without a name")
def test_a_file_without_a_name_is_refused(vault: Vault) -> None:
    with fails_with(errno.EOPNOTSUPP):
        os.open(vault.pool, os.O_RDWR | os.O_TMPFILE)


@listed("fallocate(2)")
@pytest.mark.parametrize("mode", [0, 1, 3, 8, 16, 32])
def test_fallocate_is_refused(tape: Path, mode: int) -> None:
    with opened(tape, os.O_RDWR) as fd, fails_with(errno.EOPNOTSUPP):
        libc_call("fallocate", fd, mode, 0, 4096)


@listed("Holes")
def test_a_hole_is_not_seen(vault: Vault, tape: Path) -> None:
    os.truncate(tape, 1 << 20)
    with opened(tape, os.O_RDONLY) as fd:
        assert os.lseek(fd, 0, os.SEEK_HOLE) == 1 << 20
    with opened(vault.backing / "BILL" / "X00001", os.O_RDONLY) as fd:
        assert os.lseek(fd, 0, os.SEEK_HOLE) == 8192


@listed("Unaligned direct access")
def test_unaligned_direct_access_is_served(tape: Path) -> None:
    with opened(tape, os.O_RDWR | os.O_DIRECT) as fd:
        assert os.pwrite(fd, b"odd", 1) == 3
        assert os.pread(fd, 5, 0) == b"xoddx"


@listed("Requests to the file system")
def test_requests_to_the_file_system_itself_are_refused(tape: Path) -> None:
    extents = struct.pack("QQIIII", 0, 1 << 20, 0, 0, 0, 0)
    with opened(tape, os.O_RDWR) as fd:
        with fails_with(errno.ENOTTY):
            fcntl.ioctl(fd, _FS_IOC_GETFLAGS, bytes(8))
        with fails_with(errno.EOPNOTSUPP):
            fcntl.ioctl(fd, _FS_IOC_FIEMAP, extents)


@listed("The time of birth")
def test_nobody_knows_when_a_file_was_made(tape: Path) -> None:
    answer = bytes(256)
    libc_call("statx", _AT_FDCWD, os.fsencode(tape), 0, _STATX_BTIME, answer)
    assert not struct.unpack_from("I", answer)[0] & _STATX_BTIME


@listed("Shared mappings")
def test_a_shared_mapping_is_refused_beside_a_write_only_handle(tape: Path) -> None:
    with opened(tape, os.O_WRONLY), opened(tape, os.O_RDWR) as fd:
        with fails_with(errno.ENODEV):
            mmap.mmap(fd, 4096)
        with mmap.mmap(fd, 4096, flags=mmap.MAP_PRIVATE) as mapped:
            assert mapped[:1] == b"x"
    with opened(tape, os.O_RDWR) as fd, mmap.mmap(fd, 4096), opened(tape, os.O_WRONLY):
        pass


@listed("Set-id bits and device nodes")
def test_set_id_bits_and_device_nodes_have_no_effect(vault: Vault) -> None:
    needs_root()
    program = vault.mount / "program"
    program.write_bytes(Path("/usr/bin/id").read_bytes())
    os.chmod(program, 0o4755)  # noqa: S103 - what is to have no effect
    os.mknod(vault.mount / "null", 0o666 | stat.S_IFCHR, os.makedev(1, 3))

    def use() -> None:
        ended = subprocess.run([program, "-u"], capture_output=True, text=True, check=True)
        assert ended.stdout == f"{ALONE.uid}\n"

    ALONE.does(use)
    with fails_with(errno.EACCES):
        os.open(vault.mount / "null", os.O_RDWR)


@listed("The set-group-ID bit")
def test_a_strangers_write_leaves_the_group_bit_of_a_file_nobody_executes(vault: Vault) -> None:
    needs_root()
    path = vault.mount / "set-gid"
    path.write_bytes(b"x")
    os.chmod(path, 0o2666)  # noqa: S103 - so that a stranger may write
    OUTSIDER.does(partial(_overwrite, path))
    assert stat.S_IMODE(path.stat().st_mode) == 0o2666


def _overwrite(path: Path) -> None:
    with opened(path, os.O_RDWR) as fd:
        os.write(fd, b"y")


@listed("The inode number")
def test_the_root_has_a_number_of_its_own(vault: Vault) -> None:
    assert vault.mount.stat().st_ino == 1 != vault.backing.stat().st_ino


@listed("Events of a whole file system")
def test_events_of_the_whole_file_system_are_refused(vault: Vault) -> None:
    needs_root()
    fd = libc_call("fanotify_init", _FAN_CLASS_NOTIF | _FAN_REPORT_FID, os.O_RDONLY)
    try:
        with fails_with(errno.ENODEV, errno.EOPNOTSUPP):
            _mark(fd, vault.mount)
        _mark(fd, vault.backing)
    finally:
        os.close(fd)


def _mark(fd: int, path: Path) -> None:
    how, modify = _FAN_MARK_ADD | _FAN_MARK_FILESYSTEM, 2
    libc_call("fanotify_mark", fd, how, modify, _AT_FDCWD, os.fsencode(path))


@listed("Reads that must not wait")
def test_a_read_that_must_not_wait_is_refused(tape: Path) -> None:
    with opened(tape, os.O_RDONLY) as fd, fails_with(errno.EOPNOTSUPP):
        os.preadv(fd, [bytearray(10)], 0, os.RWF_NOWAIT)


@listed("Positions")
def test_a_position_beyond_any_file_is_refused_only_when_used(tape: Path) -> None:
    with opened(tape, os.O_RDWR) as fd:
        assert os.lseek(fd, 1 << 60, os.SEEK_SET) == 1 << 60
        with fails_with(errno.EFBIG):
            os.write(fd, b"x")


@listed("Locks")
def test_locks_of_the_mount_do_not_hold_below(vault: Vault, tape: Path) -> None:
    below = vault.backing / "BILL" / "X00001"
    with opened(tape, os.O_RDWR) as fd, opened(below, os.O_RDWR) as other:
        fcntl.flock(fd, fcntl.LOCK_EX)
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
