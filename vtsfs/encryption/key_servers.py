"""Key servers: one small interface, and the one that is a list in a file.

Another kind of server needs a class with `has_key`, a place in `settings_encryption` and in
`gate.build_gate`, and passes ``tests/conformance/test_key_server.py``.
"""

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from vtsfs.contract.errors import VtsError
from vtsfs.contract.key_list import MAX_BYTES, parse_key_list
from vtsfs.runtime.clock import wall_ns

#: Two changes within this time may leave the same times on a file (inode(7): the clock of a file
#: system goes in steps), so what was read sooner after a change is not relied on.
_UNSURE_NS = 2_000_000_000


class KeyServerFailed(VtsError):
    """The server cannot answer now; the message says why. It is asked again at the next open."""


class KeyServer(Protocol):
    """Somebody who knows which keys there are."""

    def has_key(self, key_id: str) -> bool:
        """Say whether the key of that ID can be had from this server.

        Called from threads, several at once; may block, and is not waited for without end.
        Raises `KeyServerFailed` when there is no answer: that is not the same as no.
        """
        ...


_Identity = tuple[int, ...]


class FileKeyServer:
    """The key IDs in a file, in the form of `vtsfs.contract.key_list`; read again after a change.

    *comparable* brings an ID from the file into the form in which it is asked for.
    """

    def __init__(
        self,
        path: Path,
        comparable: Callable[[str], str] = str,
        now_ns: Callable[[], int] = wall_ns,
    ) -> None:
        self._path = path
        self._comparable = comparable
        self._now_ns = now_ns
        self._kept: tuple[_Identity, frozenset[str]] | None = None

    def has_key(self, key_id: str) -> bool:
        """Look into the file; raise `KeyServerFailed` if it cannot be read or is no such list."""
        try:
            return key_id in self._key_ids()
        except OSError as error:
            raise KeyServerFailed(f"{self._path} cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise KeyServerFailed(f"{self._path} {error}") from error

    def _key_ids(self) -> frozenset[str]:
        # O_NONBLOCK: opening a FIFO would wait for somebody to write into it.
        with open(
            os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK), "rb", buffering=0
        ) as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise ValueError("is not a regular file")
            kept = self._kept
            identity = (
                *(found.st_dev, found.st_ino, found.st_size),
                *(found.st_mtime_ns, found.st_ctime_ns),
            )
            if kept is not None and kept[0] == identity:
                return kept[1]
            now = self._now_ns()
            key_ids = frozenset(map(self._comparable, parse_key_list(_all_of(file.fileno()))))
        is_sure = max(found.st_mtime_ns, found.st_ctime_ns) + _UNSURE_NS < now
        self._kept = (identity, key_ids) if is_sure else None
        return key_ids


def _all_of(fd: int) -> bytes:
    parts, room = [], MAX_BYTES + 1
    while room > 0 and (part := os.read(fd, room)):
        parts.append(part)
        room -= len(part)
    return b"".join(parts)
