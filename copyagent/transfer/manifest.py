"""The record of a publication as it is kept at the target: one JSON file per tape (version 1).

It is there so that a lost agent state can be rebuilt. Anybody with access to the target can edit
it, so it proves nothing by itself: a record counts only where the tape's own digest equals it.
"""

import json
from dataclasses import asdict

from copyagent.core.copying import PublishedCopy, TargetStamp
from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Identity

VERSION = 1

#: The longest record we read, in bytes; ours are below 1 KiB.
MAX_BYTES = 64 * 1024


def encode(destination: TapeId, copy: PublishedCopy) -> bytes:
    """Write the record of *copy* as a line of JSON."""
    data = {"version": VERSION, "tape": str(destination), **asdict(copy)}
    return json.dumps(data, indent=1).encode("ascii") + b"\n"


def decode(destination: TapeId, data: bytes) -> PublishedCopy | None:
    """Read a record of *destination*; None for anything else, such as a damaged file."""
    try:
        found = json.loads(data)
        if found["version"] != VERSION or found["tape"] != str(destination):
            return None
        return PublishedCopy(
            generation=int(found["generation"]),
            source=Identity(**{key: int(value) for key, value in found["source"].items()}),
            size=int(found["size"]),
            sha256=str(found["sha256"]),
            blake3=str(found["blake3"]),
            stamp=TargetStamp(
                size=int(found["stamp"]["size"]),
                mtime=int(found["stamp"]["mtime"]),
                token=str(found["stamp"]["token"]),
            ),
            verified=str(found["verified"]),
            published_ns=int(found["published_ns"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
