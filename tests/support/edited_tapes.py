"""Tapes that are edited as an engine edits them, with the content of every generation known.

What a tape holds after each session is known before the session begins, so whoever watches the
target can judge what it sees at any moment.
"""

import random
from dataclasses import dataclass, field
from pathlib import Path

import blake3

#: A size that takes several chunks of the smallest kind, and a part of one.
LARGEST = 3_000_000

_BLOCK = 256 * 1024


@dataclass
class EditedTape:
    """The tape at *path*; *generations* are the digests of its contents, oldest first."""

    path: Path
    chance: random.Random
    content: bytearray = field(default_factory=bytearray)
    generations: list[str] = field(default_factory=list)

    def edit(self) -> None:
        """Hold one session: the tape is written anew, in places, made longer or cut."""
        change = self.chance.choice(
            [self._rewrite, self._scatter, self._scatter, self._append, self._cut, self._clear]
            if self.content
            else [self._rewrite]
        )
        new, writes = change()
        self.generations.append(blake3.blake3(new).hexdigest())
        with self.path.open("r+b" if self.path.exists() else "xb", buffering=0) as file:
            for at, data in writes:
                file.seek(at)
                file.write(data)
            file.truncate(len(new))
        self.content = new

    @property
    def latest(self) -> str:
        """The digest of what it holds now."""
        return self.generations[-1]

    def age(self, digest: str) -> int:
        """Return which generation *digest* is of, the latest with that content."""
        return len(self.generations) - 1 - self.generations[::-1].index(digest)

    def _rewrite(self) -> tuple[bytearray, list[tuple[int, bytes]]]:
        data = self.chance.randbytes(self.chance.randrange(1, LARGEST))
        return bytearray(data), [(0, data)]

    def _scatter(self) -> tuple[bytearray, list[tuple[int, bytes]]]:
        new, writes = bytearray(self.content), []
        for _ in range(self.chance.randrange(1, 6)):
            at = self.chance.randrange(len(new))
            data = self.chance.randbytes(self.chance.randrange(1, 20_000))
            new[at : at + len(data)] = data
            writes.append((at, data))
        return new, writes

    def _append(self) -> tuple[bytearray, list[tuple[int, bytes]]]:
        data = self.chance.randbytes(self.chance.randrange(1, 400_000))
        return self.content + data, [(len(self.content), data)]

    def _cut(self) -> tuple[bytearray, list[tuple[int, bytes]]]:
        return self.content[: self.chance.randrange(1, len(self.content) + 1)], []

    def _clear(self) -> tuple[bytearray, list[tuple[int, bytes]]]:
        """Write zeros where something was, as an engine does that erases a part."""
        new = bytearray(self.content)
        at = self.chance.randrange(len(new)) // _BLOCK * _BLOCK
        data = bytes(min(_BLOCK, len(new) - at))
        new[at : at + len(data)] = data
        return new, [(at, data)]
