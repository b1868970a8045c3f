"""The third witness: a look at every watched tape of a vault, in its backing directory.

It reads names and attributes only, and never through the overlay: a sweep must also work while the
overlay is away, and must not look like a mount.
"""

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from copyagent.core.events import VaultSwept
from vtsfs.contract.naming import NamePatterns, TapeId
from vtsfs.contract.signals import Identity

#: How many of the names that are no tapes are reported by name.
MOST_EXAMPLES = 10

_KINDS = (
    (stat.S_ISLNK, "is a symbolic link"),
    (stat.S_ISFIFO, "is a pipe"),
    (stat.S_ISSOCK, "is a socket"),
)


def sweep_vault(
    vault: str, backing: Path, pools: Iterable[str], patterns: NamePatterns, started: float
) -> VaultSwept:
    """Look at every tape in *pools* of *vault* below *backing*; blocks, so call it in a thread.

    A pool that cannot be read, or is not there, tells nothing about its tapes: it is named as
    unread instead of having them counted as deleted.
    """
    found: dict[TapeId, Identity] = {}
    unfit: dict[TapeId, str] = {}
    strange: list[str] = []
    unread: list[str] = []
    for pool in sorted(set(pools)):
        try:
            with os.scandir(backing / pool) as entries:
                for entry in entries:
                    _look(TapeId(vault, pool, entry.name), entry, patterns, (found, unfit, strange))
        except OSError:
            unread.append(pool)
    return VaultSwept(
        vault=vault,
        started=started,
        found=found,
        ignored=len(strange),
        unread=tuple(unread),
        unfit=unfit,
        examples=tuple(sorted(strange)[:MOST_EXAMPLES]),
    )


def _look(
    tape: TapeId,
    entry: os.DirEntry[str],
    patterns: NamePatterns,
    into: tuple[dict[TapeId, Identity], dict[TapeId, str], list[str]],
) -> None:
    found, unfit, strange = into
    if entry.name.startswith("."):
        return
    if not patterns.is_label(entry.name):
        strange.append(str(tape).encode(errors="surrogateescape").decode(errors="replace"))
        return
    try:
        seen = entry.stat(follow_symlinks=False)
    except FileNotFoundError:
        return
    if stat.S_ISDIR(seen.st_mode):
        return  # what lies deeper is no tape, whatever it is called
    if stat.S_ISREG(seen.st_mode):
        found[tape] = Identity(
            seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns
        )
        return
    unfit[tape] = next((word for is_kind, word in _KINDS if is_kind(seen.st_mode)), "is a device")
