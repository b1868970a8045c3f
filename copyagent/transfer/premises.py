"""What a guard has to know of a tape's surroundings, here and at the target.

`Surroundings` are from the settings. `Premises` remember, for a short while, what was found in order
at the target, so that not every small copy asks for it again. The fence is never among it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import trio

from copyagent.core.copying import CopyJob
from copyagent.transfer.agent_mark import AgentMark
from vtsfs.contract.naming import NamePatterns, PoolId
from vtsfs.contract.settings import Settings

#: How long a directory that was found in order counts as such, in seconds. A failed attempt ends
#: it at once: whatever changed there shows in the next one.
LIFE_S = 60.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """One tape's surroundings.

    *vaults* are the target's directories of its vaults. *twins* are its pools that get tapes from
    other pools here, with these: a label that is here in both may be there in both. *storages* are
    the directories here in which a file of the target's must not show up.
    """

    mark: AgentMark = field(default_factory=AgentMark)
    vaults: Mapping[str, str] = field(default_factory=dict)
    patterns: NamePatterns = field(default_factory=NamePatterns)
    twins: Mapping[PoolId, tuple[Path, ...]] = field(default_factory=dict)
    storages: tuple[Path, ...] = ()

    @classmethod
    def of(cls, settings: Settings, job: CopyJob) -> Self:
        """Take them from the settings for *job*."""
        twins: dict[PoolId, tuple[Path, ...]] = {}
        for entry in settings.autocopy:
            if entry.target == job.target and entry.pool != job.tape.pool_id:
                here = settings.vaults[entry.pool.vault].backing / entry.pool.pool
                twins[entry.target_pool] = (*twins.get(entry.target_pool, ()), here)
        target = settings.targets[job.target]
        return cls(
            mark=AgentMark.of(settings),
            vaults={name: str(path) for name, path in target.vaults.items()},
            patterns=settings.naming.patterns(),
            twins=twins,
            storages=storages_of(settings),
        )

    def is_here_too(self, pool: PoolId, label: str) -> bool:
        """Tell whether a tape in *pool* of the target is a copy of another tape here; blocks."""
        return any(_is_there(path / label) for path in self.twins.get(pool, ()))


def storages_of(settings: Settings) -> tuple[Path, ...]:
    """Name the places here that a target's vault could turn out to be: vaults, pools, what is above."""
    found: dict[Path, None] = {}
    for name, vault in settings.vaults.items():
        # Through its mount point a vault is the same directory as its backing storage.
        found |= dict.fromkeys((vault.backing, *vault.backing.parents))
        pools = (e.pool.pool for e in settings.autocopy if e.pool.vault == name)
        found |= dict.fromkeys(vault.backing / pool for pool in pools)
    return tuple(found)


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except OSError:
        return False
    return True


@dataclass(slots=True)
class Premises:
    """What was found at one target lately, and when (trio's clock); one for all copies to it.

    *looking* is held by who looks: the others then need not. *building* are the names of the stages
    that somebody works on now.
    """

    looking: trio.Lock = field(default_factory=trio.Lock)
    building: set[str] = field(default_factory=set)
    _sound: dict[tuple[str, str], float] = field(default_factory=dict)
    _pools: dict[str, tuple[float, tuple[str, ...]]] = field(default_factory=dict)

    def are_sound(self, directory: str, pool: str) -> bool:
        """Tell whether staging in *directory* for *pool* was found in order a short while ago."""
        at = self._sound.get((directory, pool))
        return at is not None and trio.current_time() - at < LIFE_S

    def found_sound(self, directory: str, pool: str) -> None:
        """Remember that staging in *directory* for *pool* was found in order just now."""
        self._sound[directory, pool] = trio.current_time()

    def pools_of(self, vault: str) -> tuple[str, ...] | None:
        """Return the names that were in the directory *vault* a short while ago, None if unknown."""
        at, names = self._pools.get(vault, (-LIFE_S, ()))
        return names if trio.current_time() - at < LIFE_S else None

    def found_pools(self, vault: str, names: tuple[str, ...]) -> None:
        """Remember the names in the directory *vault*."""
        self._pools[vault] = (trio.current_time(), names)

    def forget(self) -> None:
        """Ask for everything again: an attempt has failed, so something may have changed."""
        self._sound.clear()
        self._pools.clear()
