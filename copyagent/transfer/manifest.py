"""The record of a publication as it is kept at the target: one JSON file per tape (version 2).

It is there so that a lost agent state can be rebuilt, and so that a copy can be verified or fetched
back without the agent. Anybody with access to the target can edit it, so it proves nothing by
itself: a record counts only where the tape's own content agrees with it. The chunk map that a
record's root names lies beside it (`Layout.map`). Version 1, of the first release, knew neither.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from copyagent.core.copying import PublishedCopy, TargetStamp
from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Identity

VERSION = 2

_READ = (1, VERSION)

#: The longest record we read, in bytes; ours are below 1 KiB for each generation.
MAX_BYTES = 128 * 1024

#: Most kept generations that are listed; the settings allow no more.
MOST_KEPT = 99

_DAMAGED = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What stands under the tape's name, and the former generations kept beside it, newest first."""

    copy: PublishedCopy
    kept: tuple[PublishedCopy, ...] = ()


def encode(destination: TapeId, copy: PublishedCopy, kept: Sequence[PublishedCopy] = ()) -> bytes:
    """Write the record of *copy*, and of what is *kept*, as JSON."""
    data = {
        "version": VERSION,
        "tape": str(destination),
        **asdict(copy),
        "kept": [asdict(former) for former in kept[:MOST_KEPT]],
    }
    return json.dumps(data, indent=1).encode("ascii") + b"\n"


def decode(destination: TapeId, data: bytes) -> Manifest | None:
    """Read a record of *destination*; None for anything else, such as a damaged file."""
    try:
        found = json.loads(data)
        if found["version"] not in _READ or found["tape"] != str(destination):
            return None
        copy = _copy(found)
        kept = tuple(map(_copy, found.get("kept", ())))
    except _DAMAGED:
        return None
    if copy.name or len(kept) > MOST_KEPT or not all(_is_plain(former.name) for former in kept):
        return None
    return Manifest(copy, kept)


def _copy(found: Mapping[str, Any]) -> PublishedCopy:
    return PublishedCopy(
        generation=int(found["generation"]),
        source=Identity(**{key: int(value) for key, value in found["source"].items()}),
        size=int(found["size"]),
        sha256=str(found["sha256"]),
        stamp=TargetStamp(
            size=int(found["stamp"]["size"]),
            mtime=int(found["stamp"]["mtime"]),
            token=str(found["stamp"]["token"]),
        ),
        verified=str(found["verified"]),
        published_ns=int(found["published_ns"]),
        root=str(found.get("root", "")),
        sole=found.get("sole") is True,
        name=str(found.get("name", "")),
    )


def _is_plain(name: str) -> bool:
    """Tell whether *name* can be that of a file in our own directory, and nowhere else."""
    return bool(name) and not name.startswith(".") and not set(name) & {"/", "\0"}
