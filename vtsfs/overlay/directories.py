"""Open directories: read as the file system below gives them out, a piece at a time.

A position in a directory (telldir(3)) is the backing's own, so what POSIX asks for holds as it does
there: an entry that stays is seen exactly once, whatever comes and goes meanwhile, and a rewound
directory shows what is new. Nothing is read ahead but one block of the kernel's, so a pool of
100,000 tapes costs neither memory nor a long step of the loop.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import trio

from vtsfs.overlay import store
from vtsfs.overlay.descriptors import LISTING_RESERVE, affordable
from vtsfs.overlay.inodes import Inode, InodeTable

#: Bytes of entries asked for at once, as glibc does.
_BLOCK = 32768
#: For how many seconds more than otherwise attributes from a listing may be relied on, for each
#: byte of the directory's size: about a second for 15,000 entries.
_PATIENCE_PER_BYTE = 1 / 400_000
_MOST_PATIENCE_S = 9.0
#: struct linux_dirent64 of getdents64(2): inode number, position of the next entry, length, type.
_HEADER = struct.Struct("=QqHB")
#: The number of getdents64(2) where it is not that of all newer architectures (syscalls(2)). glibc
#: has a function for it since 2.30 only.
_GETDENTS64 = {"x86_64": 217, "s390x": 220, "ppc64le": 202}.get(os.uname().machine, 61)

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(slots=True)
class Listing:
    """An open directory, and what was read of it but not given out: name and following position."""

    inode: Inode
    fd: int
    #: find(1) and its like read up to 100,000 names before they look at the first file. So much
    #: longer must the attributes they got with the names do, or each costs a request of its own.
    patience_s: float
    position: int = 0
    ahead: list[tuple[bytes, int]] = field(default_factory=list)


class Directories:
    """The open directories of one vault, by the handle number the kernel was given."""

    def __init__(self, inodes: InodeTable) -> None:
        self._inodes = inodes
        self._open: dict[int, Listing] = {}
        self._next = 1
        self._block = ctypes.create_string_buffer(_BLOCK)
        self._limiter = trio.CapacityLimiter(4)

    def __getitem__(self, handle: int) -> Listing:
        return self._open[handle]

    def __len__(self) -> int:
        return len(self._open)

    def open(self, inode: Inode) -> int:
        """Open a directory for reading and return its handle; raises OSError."""
        fd = os.open(inode.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        affordable(fd, LISTING_RESERVE)
        handle = self._next
        self._next += 1
        patience_s = min(os.fstat(fd).st_size * _PATIENCE_PER_BYTE, _MOST_PATIENCE_S)
        self._open[handle] = Listing(inode, fd, patience_s)
        return handle

    def entries(self, handle: int, start: int) -> Iterator[tuple[bytes, int]]:
        """Go through the entries from position *start*, each with the position that follows it.

        Whoever stops after an entry and comes back with the position before it gets it again. The
        beginning is 0, and reading from there sees the directory as it is then. Raises OSError.
        """
        listing = self._open[handle]
        if start == 0 or start != listing.position:
            os.lseek(listing.fd, start, os.SEEK_SET)
            listing.position = start
            listing.ahead.clear()
        while True:
            if not listing.ahead:
                listing.ahead = self._read(listing.fd)
                if not listing.ahead:
                    return
            name, following = listing.ahead[-1]
            yield name, following
            # Only now was it taken: who takes no more does not come back from the yield.
            listing.ahead.pop()
            listing.position = following

    def dot(self, listing: Listing, name: bytes) -> tuple[int, os.stat_result]:
        """Return node number and attributes of ``.`` or ``..``; above the root is only the root."""
        found = os.stat(name, dir_fd=listing.fd, follow_symlinks=False)
        if listing.inode is self._inodes.root or name == b".":
            return listing.inode.number, found
        return self._inodes.number_of(found), found

    async def sync(self, handle: int, *, data_only: bool) -> None:
        """Make a directory's names durable; the loop goes on meanwhile."""
        duplicate = os.dup(self._open[handle].fd)
        try:
            await trio.to_thread.run_sync(
                lambda: store.sync(duplicate, data_only=data_only), limiter=self._limiter
            )
        finally:
            os.close(duplicate)

    def close(self, handle: int) -> None:
        """Forget an open directory."""
        os.close(self._open.pop(handle).fd)

    def _read(self, fd: int) -> list[tuple[bytes, int]]:
        """Return the next entries, the last first; none at the end of the directory."""
        size = _libc.syscall(_GETDENTS64, fd, self._block, _BLOCK)
        if size < 0:
            number = ctypes.get_errno()
            # A directory that was removed while open has no entries (as through the mount of it).
            if number == errno.ENOENT:
                return []
            raise OSError(number, os.strerror(number))
        block = self._block.raw[:size]
        entries = []
        at = 0
        while at < size:
            _, following, length, _ = _HEADER.unpack_from(block, at)
            start = at + _HEADER.size
            entries.append((block[start : block.index(0, start)], following))
            at += length
        entries.reverse()
        return entries
