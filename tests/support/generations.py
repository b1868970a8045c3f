"""One tape written again and again, each generation watched on its way to the target."""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.watcher import NameWatcher, digest
from tests.support.world import COPIED, GAVE_UP, World

MIB = 1 << 20


@dataclass
class Generations:
    """The tape *label* of *size* bytes; *published* is the digest of what the target must have."""

    world: World
    label: str
    size: int
    published: str = ""

    def write(self) -> str:
        """Write a new generation through the overlay; return its digest."""
        tape, backing = self.world.tape(self.label), self.world.backing(self.label)
        if not backing.exists():
            block = os.urandom(min(16 * MIB, self.size // 4))
            with tape.open("wb") as file:
                for number in range(self.size * 3 // 4 // len(block)):
                    file.write(number.to_bytes(4, "big") + block[4:])
                file.truncate(self.size)  # the last quarter is a hole
        else:
            with tape.open("r+b") as file:
                file.seek(random.randrange(self.size * 15 // 16))
                file.write(os.urandom(self.size // 16))
        return digest(backing)

    @contextmanager
    def followed(self, begun: Callable[[], object]) -> Iterator[None]:
        """Write a generation, give way when *begun* returns, and see it arrive afterwards.

        It arrives whole, in one copy, and the target's name never holds anything but this
        generation and the one before.
        """
        world = self.world
        copied = len(world.events(COPIED, self.label))
        new = self.write()
        with NameWatcher(world.copy(self.label), {self.published, new}) as watcher:
            begun()
            yield
            world.site.wait(lambda: self._is_copied(copied), "the generation is copied", 50)
        self.published = new
        assert watcher.seen[-1] == new
        assert digest(world.copy(self.label)) == new == digest(world.backing(self.label))
        assert world.stages() == []
        assert world.events(GAVE_UP) == []

    @contextmanager
    def being_copied(self) -> Iterator[None]:
        """Do as `followed`, and give way in the middle of the copy, at a place of chance."""
        wanted = random.randrange(self.size // 8, self.size // 2)
        site = self.world.site
        with self.followed(lambda: site.wait(lambda: self.arrived() > wanted, "it is under way")):
            yield

    def arrived(self) -> int:
        """Count the bytes of the copy that are at the target already."""
        sizes = []
        for stage in self.world.stages():
            try:
                sizes.append(stage.stat().st_size)
            except FileNotFoundError:
                continue
        return max(sizes, default=0)

    def _is_copied(self, before: int) -> bool:
        """Tell whether all is done, and exactly one copy was made since there were *before*."""
        if self.world.pool_status()["unprotected"]:
            return False
        copies = len(self.world.events(COPIED, self.label)) - before
        assert copies <= 1, "copied more often than needed"
        return copies == 1
