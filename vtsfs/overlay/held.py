"""The files that are held by a descriptor: those that must be, and for a while those used last."""

import os
from collections.abc import Callable, Hashable
from itertools import islice
from typing import Generic, TypeVar

from vtsfs.overlay.descriptors import is_scarce

F = TypeVar("F", bound=Hashable)


class HeldFiles(Generic[F]):
    """One O_PATH descriptor for each held file.

    `len` is the number of those held without need: not kept. They are let go of when there are more
    than *most* of them, the oldest first and directories last, and when descriptors are scarce.
    """

    def __init__(self, most: int, close: Callable[[int], None]) -> None:
        """*close* closes a descriptor that may be the last of a file without a name."""
        self._most = self._limit = most
        self._close = close
        self._fds: dict[F, int] = {}
        self._files: dict[F, None] = {}
        self._directories: dict[F, None] = {}

    def __len__(self) -> int:
        return len(self._files) + len(self._directories)

    def __contains__(self, file: object) -> bool:
        return file in self._fds

    def get(self, file: F) -> int | None:
        """Return the descriptor of a file, if it is held."""
        return self._fds.get(file)

    def keep(self, file: F, fd: int | None = None) -> None:
        """Hold a file, by *fd* if it is not held yet, until `keep_no_more`."""
        if fd is not None:
            self._enter(file, fd)
        self._files.pop(file, None)

    def keep_no_more(self, file: F) -> None:
        """Let a file that is no directory be let go of, when it is time."""
        self._files[file] = None

    def add(self, file: F, fd: int, *, directory: bool) -> None:
        """Hold a file by *fd*, as long as there is room."""
        self._enter(file, fd)
        (self._directories if directory else self._files)[file] = None

    def let_go(self, file: F) -> None:
        """Close a file's descriptor, if it has one."""
        self._files.pop(file, None)
        self._directories.pop(file, None)
        fd = self._fds.pop(file, None)
        if fd is not None:
            self._close(fd)

    def note_scarcity(self) -> None:
        """Make the next request begin with letting go of half of them."""
        self._limit = 0

    @property
    def too_many(self) -> bool:
        """Tell whether it is time to `trim`."""
        return len(self) > self._limit

    def trim(self, may_go: Callable[[F], bool], most: int | None = None) -> None:
        """Let go of what is held beyond *most*, or as much as it is time for, where *may_go*.

        Done in batches, so that it costs little for each; what may not go raises the limit at which
        the next batch is due.
        """
        if most is None:
            most = self._most * 7 // 8 if self._limit else len(self) // 2
        for spare in (self._files, self._directories):
            for file in list(islice(spare, max(len(self) - most, 0))):
                if may_go(file):
                    self.let_go(file)
                else:
                    spare[file] = spare.pop(file)
        self._limit = max(self._most, len(self) + self._most // 8)

    def close(self) -> None:
        """Close every descriptor."""
        for fd in self._fds.values():
            os.close(fd)
        for known in (self._fds, self._files, self._directories):
            known.clear()

    def _enter(self, file: F, fd: int) -> None:
        self._fds[file] = fd
        if is_scarce(fd):
            self.note_scarcity()
