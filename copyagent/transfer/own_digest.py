"""The SHA-256 of what was published, from the tape at the source while that is still the same."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from copyagent.core.copying import PublishedCopy
from copyagent.transfer.chunks import SMALLEST_CHUNK, MapBuilder
from copyagent.transfer.source import SourceProblem, identity_of, open_tape
from vtsfs.contract.naming import TapeId

_READ = 16 * SMALLEST_CHUNK


def digest_here(
    backing: Path, tape: TapeId, published: PublishedCopy, report: Callable[[int], None]
) -> str:
    """Return the SHA-256 of *published* in hex, read from *tape*; empty if that is not it any more.

    It is if it has not been touched since, and has the root on record where there is one. Blocks;
    *report* is told how many bytes were read.
    """
    builder, sha256 = MapBuilder(published.size), hashlib.sha256()
    try:
        with open_tape(backing, tape) as source:
            if not published.source.same_bytes(source.identity):
                return ""
            for start in range(0, published.size, _READ):
                data = source.read(start, min(_READ, published.size - start))
                builder.feed(start, data)
                sha256.update(data)
                report(start + len(data))
            if not source.identity.same_bytes(identity_of(os.fstat(source.fd))):
                return ""
    except (SourceProblem, OSError):
        return ""
    if published.root and builder.result().root != published.root:
        return ""
    return sha256.hexdigest()
