"""The third witness: a look at every watched tape of a vault, in its backing directory.

It reads names and attributes only, and never through the overlay: a sweep must also work while the
overlay is away, and must not look like a mount.
"""

import os
import stat
from collections.abc import Callable, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from copyagent.core.events import TapesFound, VaultSwept
from copyagent.core.shelf import is_file
from vtsfs.contract.naming import NamePatterns, TapeId
from vtsfs.contract.signals import Identity

#: How many of the names that are no tapes are reported by name.
MOST_EXAMPLES = 10

_KINDS = (
    (stat.S_ISLNK, "is a symbolic link"),
    (stat.S_ISFIFO, "is a pipe"),
    (stat.S_ISSOCK, "is a socket"),
)


#: So many tapes that are not as they are known are told of at once, in a `TapesFound`.
PIECE = 500

#: By pool and label, the tapes at rest as they are known (`Shelf.files`); a sweep uses it up.
Known = Mapping[str, dict[str, bytes]]

#: In the place of what was known of a tape that was seen and needs no more words.
_NAMED = b""


@dataclass(slots=True)
class _Finds:
    """What one sweep has found so far."""

    found: dict[TapeId, Identity] = field(default_factory=dict)
    unfit: dict[TapeId, str] = field(default_factory=dict)
    strange: list[str] = field(default_factory=list)
    known: dict[str, dict[str, bytes]] = field(default_factory=dict)

    def told(self) -> None:
        """Forget all but the names of what was told of."""
        for tape in (*self.found, *self.unfit):
            self.known[tape.pool][tape.label] = _NAMED
        self.found, self.unfit = {}, {}

    def same(self) -> dict[str, AbstractSet[str]]:
        """Return, by pool, the labels that need no more words.

        They stand where they stood among those that were known: another set of a hundred thousand
        names would need as much memory again.
        """
        for files in self.known.values():
            for label in [label for label, file in files.items() if file]:
                del files[label]
        return {pool: files.keys() for pool, files in self.known.items() if files}


def sweep_vault(
    vault: str,
    backing: Path,
    pools: Iterable[str],
    patterns: NamePatterns,
    started: float,
    *,
    known: Known = MappingProxyType({}),
    tell: Callable[[TapesFound], object] | None = None,
) -> VaultSwept:
    """Look at every tape in *pools* of *vault* below *backing*; blocks, so call it in a thread.

    Tapes that are as they are *known* are only named; with *tell*, the others are told of some
    hundred at a time. A pool that cannot be read, or is not there, tells nothing about its tapes: it is named
    as unread instead of having them counted as deleted.
    """
    finds = _Finds()
    unread: list[str] = []
    for pool in sorted(set(pools)):
        finds.known[pool] = known.get(pool, {})
        try:
            with os.scandir(backing / pool) as entries:
                for entry in entries:
                    _look(TapeId(vault, pool, entry.name), entry, patterns, finds)
                    if tell is not None and len(finds.found) + len(finds.unfit) >= PIECE:
                        tell(TapesFound(vault, started, finds.found, finds.unfit))
                        finds.told()
        except OSError:
            unread.append(pool)
    return VaultSwept(
        vault=vault,
        started=started,
        found=finds.found,
        ignored=len(finds.strange),
        unread=tuple(unread),
        unfit=finds.unfit,
        examples=tuple(sorted(finds.strange)[:MOST_EXAMPLES]),
        same=finds.same(),
        pools=frozenset(pools),
    )


def _look(
    tape: TapeId,
    entry: os.DirEntry[str],
    patterns: NamePatterns,
    into: _Finds,
) -> None:
    if entry.name.startswith("."):
        return
    if not patterns.is_label(entry.name):
        if patterns.tape_of_companion(tape.pool, entry.name) is not None:
            return
        into.strange.append(str(tape).encode(errors="surrogateescape").decode(errors="replace"))
        return
    try:
        seen = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(seen.st_mode):
        return  # what lies deeper is no tape, whatever it is called
    if stat.S_ISREG(seen.st_mode):
        files = into.known[tape.pool]
        file = files.get(entry.name)
        if file and is_file(file, seen.st_ino, seen.st_size, seen.st_mtime_ns):
            files[entry.name] = _NAMED
            return
        into.found[tape] = Identity(
            seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns
        )
        return
    into.unfit[tape] = next(
        (word for is_kind, word in _KINDS if is_kind(seen.st_mode)), "is a device"
    )
