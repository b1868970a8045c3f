"""Which bytes are sent: what is known here and there, put together for `copyagent.transfer.plan`."""

from functools import partial

import trio

from copyagent.core.changes import changed_since
from copyagent.core.copying import PublishedCopy
from copyagent.transfer.attempt import Attempt
from copyagent.transfer.chunks import ChunkMap, chunk_ranges
from copyagent.transfer.plan import Plan, Source, make, next_look
from copyagent.transfer.progress import Phase
from copyagent.transfer.streams import digest_chunks
from vtsfs.contract.extents import ExtentSet


async def plan(
    attempt: Attempt,
    base: PublishedCopy | None,
    chunk_map: ChunkMap | None,
    *,
    durable: ExtentSet | None = None,
    in_place: bool = False,
) -> Plan:
    """Decide what is sent; *chunk_map* is the proven map of *base*, a file at the target.

    *durable* and *in_place* are as in `plan.make`. Reads as much of the source as helps to decide.
    Raises `SourceDiffers` or OSError.
    """
    size = attempt.source.identity.size
    changed = None
    if base is not None and chunk_map is not None:
        changed = _changed(attempt, base)
        await _digest(attempt, chunk_map, changed)
    source = Source(size, attempt.data, attempt.digests)
    decide = partial(make, source, chunk_map, changed, durable=durable, in_place=in_place)
    return await trio.to_thread.run_sync(decide)


def _changed(attempt: Attempt, base: PublishedCopy) -> ExtentSet | None:
    """Return what may differ from *base*; None if any byte may."""
    if not attempt.recorded(base):
        return None
    identity = attempt.source.identity
    return changed_since(attempt.job.changes, base.generation, base.source, identity)


async def _digest(attempt: Attempt, chunk_map: ChunkMap, changed: ExtentSet | None) -> None:
    """Digest the chunks that are worth it before anything is sent."""
    size = attempt.source.identity.size
    while look := next_look(chunk_map, size, changed, attempt.digests):
        report = attempt.reporter(Phase.COMPARING, chunk_ranges(look, size).total())
        attempt.digests |= await digest_chunks(attempt.source, look, attempt.data, report)
