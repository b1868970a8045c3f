"""Looks at the mount points of the watched vaults, every few seconds, whatever their overlays say.

What a look means is decided in `core/cover.py`. Nothing here can hang the agent: the kernel's table is
read in a thread that is left to itself after its time, and only a child touches the mounted tree.

The table is that of the agent's own mount namespace. Where a service manager gives it one of its own,
mounts of the system must reach it (they do unless propagation was made private), and what it sees is
what the tape engine sees only if that runs in the system's namespace.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import trio

from copyagent.core.cover import verdict_of
from copyagent.core.events import VaultSeen
from copyagent.core.uncovered import Answer, Mounted
from vtsfs.contract.settings import Settings
from vtsfs.runtime.mount_table import DEAD, MountProbe, is_ours, layers_at

#: How often a vault is looked at, and how often one that did not look well, in seconds.
EVERY_S: Final = 10.0
SOON_S: Final = 2.0

#: How long a look may take, in seconds; longer than a mount point has to answer.
PATIENCE_S: Final = 8.0


class VaultWatch:
    """The mount point of one vault."""

    def __init__(self, vault: str, mountpoint: Path) -> None:
        self.vault = vault
        self.mountpoint = mountpoint
        self._probe = MountProbe(mountpoint)

    def look(self) -> VaultSeen:
        """Return what is mounted there, and whether it answers; blocks for seconds at the worst."""
        try:
            layers = layers_at(self.mountpoint)
            seen = tuple(
                Mounted(f"{layer.fstype} {layer.source}", layer.device, is_ours(layer, self.vault))
                for layer in layers
            )
            answer = Answer.LIVE
            if seen and seen[-1].ours:
                told = self._probe.ask()
                answer = Answer.SILENT if told is None else Answer.LIVE
                answer = Answer.DEAD if told in DEAD else answer
        except OSError as error:
            return VaultSeen(self.vault, trouble=error.strerror or str(error))
        return VaultSeen(self.vault, seen, answer)

    def close(self) -> None:
        """Leave a child that still waits for an answer to itself."""
        self._probe.give_up()


@dataclass(slots=True)
class Coverage:
    """Looks at every watched vault of the *settings* in force, and posts what it sees.

    *every_s* is the pause between two looks.
    """

    settings: Callable[[], Settings]
    post: Callable[[VaultSeen], Awaitable[None]]
    every_s: float = EVERY_S
    _watches: dict[str, VaultWatch] = field(default_factory=dict)
    _unwell: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Look again and again until cancelled; a vault that is slow to look at delays no other."""
        try:
            while True:
                self._follow()
                async with trio.open_nursery() as nursery:
                    for watch in self._watches.values():
                        nursery.start_soon(self._look, watch)
                await trio.sleep(min(SOON_S, self.every_s) if self._unwell else self.every_s)
        finally:
            for watch in self._watches.values():
                watch.close()

    def _follow(self) -> None:
        settings = self.settings()
        watched = {entry.pool.vault for entry in settings.autocopy}
        wanted = {v: e.mountpoint for v, e in settings.vaults.items() if v in watched}
        for vault, watch in list(self._watches.items()):
            if wanted.get(vault) != watch.mountpoint:
                self._watches.pop(vault).close()
                self._unwell.discard(vault)
        for vault, mountpoint in wanted.items():
            if vault not in self._watches:
                self._watches[vault] = VaultWatch(vault, mountpoint)

    async def _look(self, watch: VaultWatch) -> None:
        seen = VaultSeen(watch.vault, trouble=f"no answer within {PATIENCE_S:g} s")
        with trio.move_on_after(PATIENCE_S):
            seen = await trio.to_thread.run_sync(watch.look, abandon_on_cancel=True)
        if verdict_of(seen):
            self._unwell.add(watch.vault)
        else:
            self._unwell.discard(watch.vault)
        await self.post(seen)
