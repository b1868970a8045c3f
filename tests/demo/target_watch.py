"""Whether a name at the target ever held anything but a complete tape: looked at all the time."""

import os
import threading
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from tests.demo.content import sha256

#: How often it looks, in seconds.
EVERY_S = 0.005


class _Seen(NamedTuple):
    descriptor: int
    size: int
    mtime_ns: int


class TargetWatch:
    """Keeps hold of every file that bears the name *path* during a ``with`` block.

    Afterwards `digests` are those of the files it saw, in order, each read to its end only then: a
    file that was published unfinished would show by it, and one that somebody went on writing to
    after it was published is in `rewritten`. *looks* counts how often it looked.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: dict[int, _Seen] = {}
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="target watch", daemon=True)
        self.looks = 0
        self.missing = 0
        self.rewritten: list[str] = []
        self.digests: list[str] = []

    def _watch(self) -> None:
        while not self._done.is_set():
            self._look()
            self._done.wait(EVERY_S)

    def _look(self) -> None:
        self.looks += 1
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            self.missing += 1
            return
        status = os.fstat(descriptor)
        known = self._seen.setdefault(
            status.st_ino, _Seen(descriptor, status.st_size, status.st_mtime_ns)
        )
        if known.descriptor == descriptor:
            return
        os.close(descriptor)
        if (known.size, known.mtime_ns) != (status.st_size, status.st_mtime_ns):
            self.rewritten.append(f"inode {status.st_ino}")

    def __enter__(self) -> Self:
        self._look()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()
        for seen in self._seen.values():
            if error is None:
                self.digests.append(sha256(Path(f"/proc/self/fd/{seen.descriptor}")))
            os.close(seen.descriptor)
