"""SHA-256 digests that were come by before, by the root of the chunk map of the same content.

A root names its content, so what was read once is known for good, whatever tape or target it was
read from: a drill reads only what is new since the one before. One line each, added at its end, so
that a drill which was broken off has not read for nothing.
"""

import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self

from vtsfs.runtime.files import write_atomic

#: More lines than these are cut down to the newest half.
MOST: Final = 400_000

_LINE: Final = re.compile(r"([0-9a-f]{64}) ([0-9a-f]{64})")


@dataclass(slots=True)
class KnownDigests:
    """The digests in the file *path*, by root; see `read`. Everything here blocks."""

    path: Path
    known: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read what is known; without a file, or the right to read it, that is nothing.

        A line that is damaged is passed over: then that content is read once more.
        """
        made = cls(path)
        with suppress(OSError):
            lines = path.read_text(encoding="ascii", errors="replace").splitlines()
            found = (_LINE.fullmatch(line) for line in lines)
            made.known = {match[1]: match[2] for match in found if match is not None}
            if len(lines) > MOST:
                made._shorten()
        return made

    def of(self, root: str) -> str:
        """Return the digest of the content with that *root*, empty if it is not known."""
        return self.known.get(root, "")

    def add(self, root: str, sha256: str) -> None:
        """Remember a digest; where that cannot be written, it is known to this drill alone."""
        if not root or root in self.known:
            return
        self.known[root] = sha256
        with suppress(OSError):
            owner = self.path.parent.stat()
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
            fd = os.open(self.path, flags, 0o600)
            try:
                os.write(fd, f"{root} {sha256}\n".encode("ascii"))
                if os.geteuid() == 0:
                    # What root adds belongs to the agent's user, who owns the directory.
                    os.fchown(fd, owner.st_uid, owner.st_gid)
            finally:
                os.close(fd)

    def _shorten(self) -> None:
        newest = list(self.known.items())[-MOST // 2 :]
        self.known = dict(newest)
        text = "".join(f"{root} {sha256}\n" for root, sha256 in newest)
        owner = self.path.stat()
        write_atomic(self.path, text.encode("ascii"))
        if os.geteuid() == 0:
            os.chown(self.path, owner.st_uid, owner.st_gid)
