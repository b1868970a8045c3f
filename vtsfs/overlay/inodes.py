"""Which file is meant by a number, without a descriptor for every file that the kernel knows of.

The kernel names files by *node numbers* that we give out at lookup and that stay valid until it has
forgotten them as often as we gave them out. A listing of a pool makes it know every tape there, so
what is kept for a merely known file is small: its directory, its name in it, and the backing's
inode number, which is its node number, too.

A file that is *held* has an O_PATH descriptor besides. That keeps meaning the same file whatever is
renamed above it, and a held file's number is not given to another file. Held are directories, open
files, files whose name is being taken away through us, and for a while those that were used last.
For any other file the name is the truth: it is looked at anew each time, and unless the very same
inode number is there the answer is ESTALE. The kernel then looks the path up from the top by
itself (path_openat() and its like, with LOOKUP_REVAL) and its caller notices nothing.
"""

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from vtsfs.overlay.held import HeldFiles

#: The root's node number, fixed by the FUSE protocol.
ROOT = 1
#: Node numbers from here on are made up: for files of another device mounted inside the backing
#: directory, whose numbers may collide with the backing's own.
FOREIGN = 1 << 62

#: Opens nothing but the place itself; O_NOFOLLOW so that a symbolic link is itself.
PATH_FLAGS = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC


class Inode:
    """One file the kernel knows: *lookups* is how often it must still forget it.

    There may be 100,000 of them, so it holds what every one has. The table has the rest.
    """

    __slots__ = ("lookups", "name", "number", "parent")

    def __init__(self, number: int, parent: "Inode | None", name: bytes) -> None:
        self.number = number
        self.parent = parent
        self.name = name
        self.lookups = 1

    @property
    def fd(self) -> int:
        """An O_PATH descriptor of this very file, to be used at once: before the next await.

        Raises OSError, ESTALE if the file is not under its name any more.
        """
        return self._table().descriptor_of(self)

    @property
    def path(self) -> str:
        """A path that leads to this very file, through /proc, whatever its name is now; see `fd`."""
        return f"/proc/self/fd/{self.fd}"

    @property
    def named_fd(self) -> int:
        """Like `fd`, to be opened again: there the name counts, which tells tapes from other files.

        Raises OSError, ESTALE also if the name is gone and the file has others.
        """
        if not self.name and self.parent is not None:
            raise _stale()
        return self.fd

    @property
    def dev(self) -> int:
        """The device that it is on."""
        return self._table().file_of(self)[0]

    @property
    def ino(self) -> int:
        """Its inode number on that device."""
        return self._table().file_of(self)[1]

    @property
    def generation(self) -> int:
        """What tells it apart from a file that had the same number before."""
        return self._table().generations.get(self, 0)

    @property
    def held(self) -> bool:
        """Tell whether a descriptor is open for it."""
        return self in self._table().descriptors

    def _table(self) -> "InodeTable":
        top = self
        while top.parent is not None:
            top = top.parent
        if isinstance(top, _Root):
            return top.table
        raise _stale()


class _Root(Inode):
    __slots__ = ("table",)

    def __init__(self, table: "InodeTable") -> None:
        super().__init__(ROOT, None, b"")
        self.table = table


class InodeTable:
    """All files the kernel knows of, by node number; *device* is the backing's."""

    def __init__(
        self,
        root_path: str | os.PathLike[str],
        matters: Callable[[int], bool] = lambda _fd: False,
        most_held: int = 256,
        close: Callable[[int], None] = os.close,
    ) -> None:
        """*matters* tells whether the name by which a descriptor was opened is one to be kept.

        *most_held* files are held by descriptor without being open; somewhat more for a moment.
        *close* closes a descriptor that may be the last of a file without a name.
        """
        fd = os.open(root_path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        found = os.stat(fd)
        self.device = found.st_dev
        self.root: Inode = _Root(self)
        self.descriptors: HeldFiles[Inode] = HeldFiles(most_held, close)
        self.descriptors.keep(self.root, fd)
        #: The generations of those that are not the first of their number.
        self.generations: dict[Inode, int] = {}
        # What rests on a file: known files of a directory, open handles of a file.
        self._uses: dict[Inode, int] = {}
        self._by_number: dict[int, Inode] = {ROOT: self.root}
        # Those whose number is not the backing's inode number, both ways.
        self._by_file: dict[tuple[int, int], Inode] = {(found.st_dev, found.st_ino): self.root}
        self._file_of = {ROOT: (found.st_dev, found.st_ino)}
        self._next_foreign = FOREIGN
        self._matters = matters

    def __len__(self) -> int:
        return len(self._by_number)

    def __getitem__(self, number: int) -> Inode:
        """Return the file of *number*; KeyError means that the kernel uses what it forgot: a bug.

        A request begins with this, so here is where files are let go of.
        """
        self.trim_if_many()
        return self._by_number[number]

    def lookup(self, parent: Inode, name: bytes) -> tuple[Inode, os.stat_result]:
        """Find *name* in *parent*, count one lookup, and return it with its attributes.

        Raises OSError as stat(2) does. Of several hard links the one that was used last counts as
        the file's name, except that a name that matters is not given up for one that does not: the
        kernel opens files without looking them up again.
        """
        found = os.stat(name, dir_fd=parent.fd, follow_symlinks=False)
        inode = self._find(found)
        if inode is None:
            inode = self._add(parent, name, found)
        else:
            if inode.parent is not parent or inode.name != name:
                self._found_elsewhere(inode, parent, name, found)
            inode.lookups += 1
        return inode, found

    def stat(self, inode: Inode) -> os.stat_result:
        """Return the attributes of a known file; OSError, ESTALE if it is not there any more."""
        parent = inode.parent
        if inode in self.descriptors or parent is None:
            return os.stat(self.descriptor_of(inode))
        with _gone_is_stale():
            found = os.stat(inode.name, dir_fd=parent.fd, follow_symlinks=False)
        if self._find(found) is not inode:
            raise _stale()
        return found

    def descriptor_of(self, inode: Inode) -> int:
        """See `Inode.fd`."""
        fd = self.descriptors.get(inode)
        return self._take_hold(inode) if fd is None else fd

    def file_of(self, inode: Inode) -> tuple[int, int]:
        """Return device and inode number of a known file."""
        return self._file_of.get(inode.number, (self.device, inode.number))

    def number_of(self, found: os.stat_result) -> int:
        """Return the number under which the file of *found* is, or would be, known."""
        known = self._find(found)
        return found.st_ino if known is None else known.number

    def forget(self, number: int, lookups: int) -> None:
        """Take back *lookups* of a file; the last one closes it."""
        inode = self._by_number[number]
        inode.lookups -= lookups
        self._drop_if_unused(inode)

    def opened(self, inode: Inode, fd: int) -> None:
        """Hold a file that has been opened, as *fd*, until `released`: its number stays its own."""
        again = None
        if inode not in self.descriptors:
            again = os.open(f"/proc/self/fd/{fd}", os.O_PATH | os.O_CLOEXEC)
        self.descriptors.keep(inode, again)
        self._use(inode)

    def released(self, inode: Inode) -> None:
        """Take back one `opened`."""
        if self._uses[inode] == 1:
            self.descriptors.keep_no_more(inode)
        self._unuse(inode)
        self._drop_if_unused(inode)

    def leaving(self, parent: Inode, name: bytes) -> Inode | None:
        """Hold what the kernel knows by *name*, which is about to be taken away; None if nothing.

        The kernel may go on using the file, and its number must not be given to another meanwhile.
        """
        with suppress(FileNotFoundError):
            found = os.stat(name, dir_fd=parent.fd, follow_symlinks=False)
            inode = self._find(found)
            if inode is None:
                return None
            if found.st_nlink == 1 and (inode.parent is not parent or inode.name != name):
                # Its last name, and not the one that we remember.
                self._found_elsewhere(inode, parent, name, found)
            if inode.parent is parent and inode.name == name:
                self.descriptor_of(inode)
                return inode
        return None

    def left(self, inode: Inode | None) -> None:
        """Note that the name of what `leaving` returned is gone.

        If the file has further names, one of them has to be looked up before it can be opened again
        (`Inode.named_fd`). Until then it is held if there is room, or nobody could tell it from
        another file with its number.
        """
        if inode is None:
            return
        found = os.stat(inode.fd)
        if found.st_nlink > 0 and not stat.S_ISDIR(found.st_mode):
            inode.name = b""

    def renamed(self, inode: Inode | None, parent: Inode, name: bytes) -> None:
        """Note the new name of what `leaving` returned."""
        if inode is not None and not _is_above(inode, parent):
            self._move(inode, parent, name)

    def _take_hold(self, inode: Inode) -> int:
        """Open the descriptor of a known file; OSError, ESTALE if it is not under its name.

        Directories on the way that are not held any more are only passed through.
        """
        way = [inode]
        while (start := self.descriptors.get(_directory_of(way[-1]))) is None:
            way.append(_directory_of(way[-1]))
        at = start
        try:
            for one in reversed(way):
                before, at = at, self._open_below(at, one)
                if before != start:
                    os.close(before)
        except OSError:
            if at != start:
                os.close(at)
            raise
        self.descriptors.add(inode, at, directory=stat.S_ISDIR(os.stat(at).st_mode))
        return at

    def trim_if_many(self) -> None:
        """Do what `trim` does if it is time; to be called where a request begins."""
        if self.descriptors.too_many:
            self.trim()

    def trim(self, most: int | None = None) -> None:
        """Let go of files held without need, if nobody may be using a descriptor from `fd`."""
        self.descriptors.trim(self._may_be_let_go, most)

    def close(self) -> None:
        """Close every descriptor; the kernel does not send what it has not forgotten at the end."""
        self.descriptors.close()
        self.generations.clear()
        self._uses.clear()
        self._by_number.clear()
        self._by_file.clear()
        self._file_of.clear()

    def _find(self, found: os.stat_result) -> Inode | None:
        if found.st_dev == self.device and ROOT < found.st_ino < FOREIGN:
            inode = self._by_number.get(found.st_ino)
            if inode is not None:
                return inode
        return self._by_file.get((found.st_dev, found.st_ino))

    def _add(self, parent: Inode, name: bytes, found: os.stat_result) -> Inode:
        number = found.st_ino
        if found.st_dev != self.device or number == ROOT or number >= FOREIGN:
            number = self._next_foreign
            self._next_foreign += 1
        inode = Inode(number, parent, name)
        self._by_number[number] = inode
        if number >= FOREIGN:
            self._by_file[found.st_dev, found.st_ino] = inode
            self._file_of[number] = (found.st_dev, found.st_ino)
        self._use(parent)
        if stat.S_ISDIR(found.st_mode):
            # Held from the beginning: whoever stands in it uses it without looking it up again.
            with suppress(OSError):
                self._take_hold(inode)
        return inode

    def _found_elsewhere(
        self, inode: Inode, parent: Inode, name: bytes, found: os.stat_result
    ) -> None:
        """A known number under another name than before: a rename behind our back, or a hard link.

        Or another file that got the number of one removed behind our back, if that was not held.
        The kernel must not take the one for the other, hence the new generation.
        """
        if _is_above(inode, parent):
            # Directories were turned about behind our back: the kernel has to start at the top.
            raise _stale()
        if inode not in self.descriptors and not self._is_under_its_name(inode):
            self.generations[inode] = inode.generation + 1
        elif (found.st_nlink > 1 or not inode.name) and not stat.S_ISDIR(found.st_mode):
            self._found_link(inode, parent, name)
            return
        self._move(inode, parent, name)

    def _found_link(self, inode: Inode, parent: Inode, name: bytes) -> None:
        fd = os.open(name, PATH_FLAGS, dir_fd=parent.fd)
        try:
            if self._find(os.stat(fd)) is not inode:
                raise _stale()
            if self._matters(fd) or not self._matters(inode.fd):
                self._move(inode, parent, name)
                held = self.descriptors.get(inode)
                if held is not None:
                    os.dup2(fd, held, inheritable=False)
        finally:
            os.close(fd)

    def _move(self, inode: Inode, parent: Inode, name: bytes) -> None:
        before = inode.parent
        inode.parent, inode.name = parent, name
        self._use(parent)
        if before is not None:
            self._unuse(before)
            self._drop_if_unused(before)

    def _is_under_its_name(self, inode: Inode) -> bool:
        if inode.parent is None:
            return True
        try:
            found = os.stat(inode.name, dir_fd=inode.parent.fd, follow_symlinks=False)
        except OSError:
            return False
        return self._find(found) is inode

    def _may_be_let_go(self, inode: Inode) -> bool:
        """Tell whether a file will be found again by its name, as far as that is cheap to say.

        One that waits for another of its names may go, too: there can be any number of them.
        """
        if not inode.name:
            return True
        if inode.parent in self.descriptors:
            return self._is_under_its_name(inode)
        return os.stat(inode.fd).st_nlink > 0

    def _open_below(self, directory: int, inode: Inode) -> int:
        """Open a file by its name, if it is that file."""
        try:
            with _gone_is_stale():
                fd = os.open(inode.name, PATH_FLAGS, dir_fd=directory)
        except OSError as error:
            if error.errno in {errno.EMFILE, errno.ENFILE}:
                self.descriptors.note_scarcity()
            raise
        if self._find(os.stat(fd)) is not inode:
            os.close(fd)
            raise _stale()
        return fd

    def _use(self, inode: Inode) -> None:
        self._uses[inode] = self._uses.get(inode, 0) + 1

    def _unuse(self, inode: Inode) -> None:
        uses = self._uses.pop(inode)
        if uses > 1:
            self._uses[inode] = uses - 1

    def _drop_if_unused(self, inode: Inode) -> None:
        """Forget a file that neither the kernel nor another file needs, and so on upwards."""
        while inode.lookups <= 0 and inode not in self._uses:
            above = inode.parent
            if above is None:
                return
            del self._by_number[inode.number]
            if inode.number in self._file_of:
                del self._by_file[self._file_of.pop(inode.number)]
            self.generations.pop(inode, None)
            self.descriptors.let_go(inode)
            self._unuse(above)
            inode = above


def _is_above(inode: Inode, other: Inode | None) -> bool:
    """Tell whether a directory holds *other*, however deep, or is it; as far as we know."""
    while other is not None and other is not inode:
        other = other.parent
    return other is inode


@contextmanager
def _gone_is_stale() -> Iterator[None]:
    """What is not where we knew it is stale: the kernel then looks for it anew."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _stale() from error


def _directory_of(inode: Inode) -> Inode:
    if inode.parent is None:
        raise _stale()
    return inode.parent


def _stale() -> OSError:
    return OSError(errno.ESTALE, os.strerror(errno.ESTALE))
