"""Which file is meant by a number: one O_PATH descriptor per file that the kernel knows of.

The kernel names files by *node numbers* that we give out at lookup and that stay valid until it has
forgotten them as often as we gave them out. A descriptor, unlike a path, keeps meaning the same
file whatever is renamed above it, and has no length limit. A file that is held so cannot have its
inode number given to another file, which makes the backing's own number a safe node number.
"""

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass

#: The root's node number, fixed by the FUSE protocol.
ROOT = 1
#: Node numbers from here on are made up: for files of another device mounted inside the backing
#: directory, whose numbers may collide with the backing's own.
FOREIGN = 1 << 62

#: Opens nothing but the place itself; O_NOFOLLOW so that a symbolic link is itself.
PATH_FLAGS = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(slots=True)
class Inode:
    """One file the kernel knows: *lookups* is how often it must still forget it."""

    number: int
    fd: int
    dev: int
    ino: int
    lookups: int

    @property
    def path(self) -> str:
        """A path that leads to this very file, through /proc, whatever its name is now."""
        return f"/proc/self/fd/{self.fd}"


class InodeTable:
    """All files the kernel knows of, by node number and by (device, inode number)."""

    def __init__(
        self,
        root_path: str | os.PathLike[str],
        matters: Callable[[int], bool] = lambda _fd: False,
    ) -> None:
        """*matters* tells whether the name by which a descriptor was opened is one to be kept."""
        fd = os.open(root_path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        found = os.stat(fd)
        self.root = Inode(ROOT, fd, found.st_dev, found.st_ino, 1)
        self._by_number = {ROOT: self.root}
        self._by_file = {(found.st_dev, found.st_ino): self.root}
        self._next_foreign = FOREIGN
        self._matters = matters

    def __len__(self) -> int:
        return len(self._by_number)

    def __getitem__(self, number: int) -> Inode:
        """Return the file of *number*; KeyError means that the kernel uses what it forgot: a bug."""
        return self._by_number[number]

    def lookup(self, parent: Inode, name: bytes) -> tuple[Inode, os.stat_result]:
        """Find *name* in *parent*, count one lookup, and return it with its attributes.

        Raises OSError as open(2) does. What a file is called now is read from its descriptor, so of
        several hard links the one that was used last counts, except that a name that matters is
        not given up for one that does not: the kernel opens files without looking them up again.
        """
        fd = os.open(name, PATH_FLAGS, dir_fd=parent.fd)
        try:
            found = os.stat(fd)
            known = self._by_file.get((found.st_dev, found.st_ino))
            if known is None:
                known = self._add(fd, found)
                fd = -1
            else:
                if stat.S_ISREG(found.st_mode) and self._renames(known, fd, found):
                    os.dup2(fd, known.fd, inheritable=False)
                known.lookups += 1
        finally:
            if fd >= 0:
                os.close(fd)
        return known, found

    def number_of(self, found: os.stat_result) -> int:
        """Return the number under which the file of *found* is, or would be, known."""
        known = self._by_file.get((found.st_dev, found.st_ino))
        return found.st_ino if known is None else known.number

    def forget(self, number: int, lookups: int) -> None:
        """Take back *lookups* of a file; the last one closes it."""
        inode = self._by_number[number]
        inode.lookups -= lookups
        if inode.lookups <= 0 and inode is not self.root:
            del self._by_number[number]
            del self._by_file[inode.dev, inode.ino]
            os.close(inode.fd)

    def close(self) -> None:
        """Close every descriptor; the kernel does not send what it has not forgotten at the end."""
        for inode in self._by_number.values():
            os.close(inode.fd)
        self._by_number.clear()
        self._by_file.clear()

    def _renames(self, known: Inode, fd: int, found: os.stat_result) -> bool:
        return found.st_nlink == 1 or self._matters(fd) or not self._matters(known.fd)

    def _add(self, fd: int, found: os.stat_result) -> Inode:
        number = found.st_ino
        if found.st_dev != self.root.dev or number == ROOT or number >= FOREIGN:
            number = self._next_foreign
            self._next_foreign += 1
        inode = Inode(number, fd, found.st_dev, found.st_ino, 1)
        self._by_number[number] = inode
        self._by_file[found.st_dev, found.st_ino] = inode
        return inode
