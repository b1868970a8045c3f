"""Files that grow and are rotated, and what a follower reads of them."""

from pathlib import Path

from copyagent.ems.following import CHUNK, Follower

PATIENCE = 10.0


class Followed:
    """A follower and all that it has read."""

    def __init__(self, path: Path, since: int | None = None, *, is_new: bool = False) -> None:
        self.follower = Follower(path, since, patience=PATIENCE, is_new=is_new)
        self.text = b""
        self.gaps: list[str] = []
        self.now = 0.0

    def read(self) -> bytes:
        """Read all that there is now; return what was new."""
        found = b""
        while data := self.follower.read(self.now):
            assert len(data) <= CHUNK + 1
            if self.follower.gap:
                self.gaps.append(self.follower.gap)
                self.follower.gap = ""
            found += data
        self.text += found
        return found


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def rotate(path: Path) -> None:
    """Rename as logrotate(8) does: 2 to 3, 1 to 2, and the file itself to 1."""
    for number in range(8, 0, -1):
        old = path.with_name(f"{path.name}.{number}")
        if old.exists():
            old.rename(path.with_name(f"{path.name}.{number + 1}"))
    path.rename(path.with_name(f"{path.name}.1"))
