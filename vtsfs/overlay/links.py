"""Hard links: which tapes a file with several names is.

A descriptor knows one name of its file, the one by which it was opened; the file system knows how
many there are, and nobody knows which. So a change to a file with further names is followed by a look
through the pools for them, in a thread: 100,000 tapes take a tenth of a second. Tapes with one name,
which is nearly all, never need it.
"""

import os
from contextlib import suppress

import trio

from vtsfs.contract.naming import NamePatterns, TapeId
from vtsfs.contract.signals import Identity
from vtsfs.overlay.store import identity_of

#: A file, by device and inode number.
FileKey = tuple[int, int]


class Links:
    """The names of tapes in one vault; *root_fd* is its directory."""

    def __init__(self, root_fd: int, vault: str, patterns: NamePatterns) -> None:
        self._root_fd = root_fd
        self._vault = vault
        self._patterns = patterns
        self._limiter = trio.CapacityLimiter(1)

    async def tapes_of(self, file: FileKey) -> list[TapeId]:
        """Return every tape that is that very file."""
        return await trio.to_thread.run_sync(self._look, file, limiter=self._limiter)

    def _look(self, file: FileKey) -> list[TapeId]:
        root = f"/proc/self/fd/{self._root_fd}"
        with os.scandir(root) as entries:
            pools = [
                entry.name
                for entry in entries
                if self._patterns.is_pool(entry.name) and entry.is_dir(follow_symlinks=False)
            ]
        found: list[TapeId] = []
        for pool in pools:
            with suppress(OSError), os.scandir(f"{root}/{pool}") as entries:
                found += [
                    TapeId(self._vault, pool, entry.name)
                    for entry in entries
                    if entry.inode() == file[1] and self._patterns.is_label(entry.name)
                ]
        return [tape for tape in found if self.is_at(tape, file)]

    def identity(self, tape: TapeId) -> Identity | None:
        """Look at a tape by its name; None if it is not there."""
        try:
            path = f"{tape.pool}/{tape.label}"
            return identity_of(os.stat(path, dir_fd=self._root_fd, follow_symlinks=False))
        except OSError:
            return None

    def is_at(self, tape: TapeId, file: FileKey) -> bool:
        """Tell whether the tape still is that file."""
        found = self.identity(tape)
        return found is not None and (found.dev, found.ino) == file


def has_other_names(fd: int, tape: TapeId | None) -> bool:
    """Tell whether an open file has names besides the one, if any, by which it is *tape*."""
    names = os.fstat(fd).st_nlink
    if names != 1 or tape is not None:
        return names > 1
    # Opened by a name that is gone, it has got another.
    try:
        return os.readlink(b"/proc/self/fd/%d" % fd).endswith(b" (deleted)")
    except OSError:
        # Deeper than a path can say: gone or not, who knows.
        return True
