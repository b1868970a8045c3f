"""A thread that looks at a name all the time, and says what stood there."""

import os
import threading
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Self

import blake3

_PAUSE_S = 0.002


def digest(path: Path) -> str:
    """Return the BLAKE3 digest of a whole file."""
    return blake3.blake3(max_threads=blake3.blake3.AUTO).update_mmap(str(path)).hexdigest()


class NameWatcher:
    """Watches *path* for the length of a ``with`` block.

    Whatever stands there is looked at whenever it is another file or was touched; *seen* are the
    digests, in order. A content that is not in *allowed* is in *strange*, with its size.
    """

    def __init__(self, path: Path, allowed: Collection[str]) -> None:
        self.path = path
        self.seen: list[str] = []
        self.strange: list[tuple[int, str]] = []
        self._allowed = allowed
        self._latest: tuple[int, ...] = ()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def _watch(self) -> None:
        while not self._over.wait(_PAUSE_S):
            self._look()

    def _look(self) -> None:
        try:
            with self.path.open("rb") as file:
                found = os.fstat(file.fileno())
                now = (found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
                if now == self._latest:
                    return
                self._latest = now
                # By descriptor: the name may stand for another file by the time it is read.
                content = digest(Path(f"/proc/self/fd/{file.fileno()}"))
        except FileNotFoundError:
            return
        self.seen.append(content)
        if content not in self._allowed:
            self.strange.append((found.st_size, content))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        self._look()
        if error is None:
            assert self.strange == [], f"{self.path} held what is no generation of the tape"
