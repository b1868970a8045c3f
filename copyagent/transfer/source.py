"""The tape at the source: opened safely, read once, and asked whether it is still the same.

Everything here blocks (a local disk) and knows no event loop; long reads are run in a thread. No
symbolic link is followed below the vault's backing directory, which is the administrator's own.
"""

import errno
import os
import stat
from pathlib import Path
from types import TracebackType
from typing import Self

from copyagent.core.changes import untouched
from copyagent.transfer.lease import Writers, owner_hint, probe_writers
from vtsfs.contract.extents import ExtentSet
from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Identity

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# O_NONBLOCK: opening a FIFO that lies in a pool must not wait for its writer.
_TAPE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class SourceProblem(Exception):
    """The tape cannot be copied as it is; the message says why."""


class SourceMissing(SourceProblem):
    """There is no such tape in its pool."""


class SourceUnfit(SourceProblem):
    """It is no plain, single, readable file, or the kernel does not tell who writes it."""


class SourceOpen(SourceProblem):
    """Somebody can write it at this moment."""


class SourceDiffers(SourceProblem):
    """It is another file, or another content, than expected: now *identity*, None if gone."""

    def __init__(self, identity: Identity | None) -> None:
        super().__init__("the tape changed" if identity else "the tape is gone")
        self.identity = identity


class SourceTape:
    """An open tape. *identity* is what it was when it was opened; see `open_tape`."""

    def __init__(self, fd: int, pool_fd: int, label: str) -> None:
        found = os.fstat(fd)
        self.fd = fd
        self._pool_fd = pool_fd
        self._label = label
        self.identity = identity_of(found)
        self.mode = stat.S_IMODE(found.st_mode)
        self.pool_mode = stat.S_IMODE(os.fstat(pool_fd).st_mode)
        self.atime = int(found.st_atime)
        self.mtime = int(found.st_mtime)

    def read(self, offset: int, size: int) -> bytes:
        """Read *size* bytes at *offset*; raise `SourceDiffers` if the tape ends before."""
        pieces = []
        while size:
            piece = os.pread(self.fd, size, offset)
            if not piece:
                raise SourceDiffers(self._identity_by_name())
            pieces.append(piece)
            offset += len(piece)
            size -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def data_ranges(self) -> ExtentSet | None:
        """Return what is no hole; None where that is not known. Blocks for a moment.

        So many ranges that they would take memory in earnest are merged: a hole more or less is no
        matter.
        """
        found = ExtentSet()
        at = 0
        try:
            while at < self.identity.size:
                start = os.lseek(self.fd, at, os.SEEK_DATA)
                at = os.lseek(self.fd, start, os.SEEK_HOLE)
                found.add(start, at)
        except OSError as error:
            if error.errno != errno.ENXIO:  # no data up to the end
                return None
        return found

    def make_durable(self) -> None:
        """Write it out to its disk; blocks as long as that takes.

        Sessions end so. What changed the tape in another way, or behind the overlay, may not have:
        after a power cut the target must not have what the source has lost.
        """
        os.fsync(self.fd)

    def check(self) -> None:
        """Return if nobody can write the tape and nobody touched it; microseconds, no disk.

        Looked at by name, which also shows another file in its place: an inode number is not used
        again while we have the file open. Raises `SourceOpen`, `SourceDiffers` or `SourceUnfit`.
        """
        writers = probe_writers(self.fd)
        if writers is Writers.SOME:
            raise SourceOpen("somebody has the tape open for writing")
        if writers is Writers.UNKNOWN:
            raise SourceUnfit(
                "cannot tell whether the tape is open for writing: " + owner_hint(self.fd)
            )
        by_name = self._identity_by_name()
        # What was read may be half of one content and half of another, whatever the date says that
        # somebody has set back: a chmod meanwhile costs another copy, which sends nothing.
        if not untouched(self.identity, by_name):
            raise SourceDiffers(by_name)

    def _identity_by_name(self) -> Identity | None:
        try:
            return identity_of(os.stat(self._label, dir_fd=self._pool_fd, follow_symlinks=False))
        except FileNotFoundError:
            return None

    def close(self) -> None:
        """Close it; a second time is fine."""
        for fd in (self.fd, self._pool_fd):
            if fd >= 0:
                os.close(fd)
        self.fd = self._pool_fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_tape(backing: Path, tape: TapeId) -> SourceTape:
    """Open *tape* below *backing*, its vault's storage.

    Raises `SourceMissing`, `SourceUnfit`, or OSError if the storage itself is not there or fails: a
    pool that is missing may lie on storage that is not mounted, and says nothing of its tapes.
    """
    try:
        os.fsencode(f"{tape.pool}/{tape.label}")
    except UnicodeEncodeError as error:
        raise SourceMissing("no file can have this name") from error
    root = os.open(backing, _DIRECTORY)
    try:
        pool_fd = _open(tape.pool, _DIRECTORY | os.O_NOFOLLOW, root, f"pool {tape.pool_id}")
    finally:
        os.close(root)
    try:
        _expect_plain_file(os.stat(tape.label, dir_fd=pool_fd, follow_symlinks=False))
        fd = _open(tape.label, _TAPE, pool_fd, f"tape {tape}")
    except FileNotFoundError as error:
        os.close(pool_fd)
        raise SourceMissing(f"there is no tape {tape}") from error
    except BaseException:
        os.close(pool_fd)
        raise
    opened = SourceTape(fd, pool_fd, tape.label)
    try:
        _expect_plain_file(os.fstat(fd))
    except SourceUnfit:
        opened.close()
        raise
    return opened


def _open(name: str, flags: int, directory: int, what: str) -> int:
    try:
        return os.open(name, flags, dir_fd=directory)
    except PermissionError as error:
        raise SourceUnfit(f"{what} cannot be read: {error.strerror}") from error
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR, errno.ENXIO):
            raise
        raise SourceUnfit(f"{what} is a symbolic link or no plain file") from error


def _expect_plain_file(found: os.stat_result) -> None:
    """Looked at by name first: opening a device or a FIFO can have effects of its own."""
    if not stat.S_ISREG(found.st_mode):
        raise SourceUnfit(f"it is {_kind(found.st_mode)}, not a plain file")
    if found.st_nlink != 1:
        raise SourceUnfit(f"it has {found.st_nlink} names (hard links)")


def _kind(mode: int) -> str:
    names = {
        stat.S_IFLNK: "a symbolic link",
        stat.S_IFDIR: "a directory",
        stat.S_IFIFO: "a FIFO",
        stat.S_IFSOCK: "a socket",
    }
    return names.get(stat.S_IFMT(mode), "a device")


def identity_of(found: os.stat_result) -> Identity:
    """Make the identity that signals and records carry from what stat says."""
    return Identity(
        dev=found.st_dev,
        ino=found.st_ino,
        size=found.st_size,
        mtime_ns=found.st_mtime_ns,
        ctime_ns=found.st_ctime_ns,
    )
