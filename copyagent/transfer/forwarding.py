"""A kept generation is brought forward: it becomes the stage, and only what it lacks is written.

So a delta costs what changed, not what the tape is long. It is the one place where a file that once
was published is written, and safe because of what is made sure before:

- It is the generation that would be dropped for this publication anyway, so nothing is lost by it.
- It cannot be the published file: it has a name of ours, and by the server's own count no other.
- Nobody else can write it: every connection that ever could has had its CLOSE answered (`sole`).
- Its kept name is gone, durably, before the first byte is written, so that no crash brings back a
  generation of which half is another one.
- It is what the agent recorded when it was kept. What is then written is the source's; the rest is equal
  to it by both maps.

Should the connection end uncleanly, the file is dropped, never resumed: its stage is in no note. A
server process that wakes up late writes into a file without a name.
"""

from functools import partial

import trio

from copyagent.core.changes import changed_since
from copyagent.core.copying import PublishedCopy
from copyagent.transfer import ranges, staging
from copyagent.transfer.attempt import Attempt
from copyagent.transfer.chunks import ChunkMap
from copyagent.transfer.keeping import Kept, is_there
from copyagent.transfer.plan import Plan, Source, make
from copyagent.transfer.planning import plan
from copyagent.transfer.standing import Standing
from copyagent.transfer.target import EntryKind, LinkLost, TargetError
from copyagent.transfer.together import together

#: What is sent into a kept generation is lost if the link is: more than this is sent into a stage
#: that can be resumed.
MOST_SENT = 256 * 1024 * 1024

#: Below this it is not worth the trouble: the whole is copied at the target as quickly.
LEAST_TAPE = 4 * 1024 * 1024


async def bring_forward(
    attempt: Attempt, standing: Standing, decided: Plan, kept: Kept
) -> tuple[str, Plan] | None:
    """Turn the oldest kept generation into a stage; return its path, and what it lacks.

    None if there is none, it does not pay, or one of the conditions is not met. *decided* is how
    the tape would be built on what stands there.
    """
    copy = kept.about_to_go()
    if copy is None or not copy.sole or decided.size < LEAST_TAPE or not decided.known:
        return None
    if not attempt.recorded(copy):
        return None
    chunk_map = await attempt.read_map(copy.root)
    if chunk_map is None or standing.base is None:
        return None
    lacks = await _lacking(attempt, standing, decided, copy, chunk_map)
    much = lacks.send.total() > MOST_SENT
    if much or lacks.send.total() + lacks.keep.total() > decided.size // 2:
        return None
    try:
        path = await _take(attempt, copy)
    except LinkLost:
        raise
    except TargetError:
        return None
    if path is None:
        return None
    kept.copies = tuple(one for one in kept.copies if one is not copy)
    return path, lacks


async def _lacking(
    attempt: Attempt, standing: Standing, decided: Plan, copy: PublishedCopy, chunk_map: ChunkMap
) -> Plan:
    """Decide what the kept generation lacks: what the published one lacks, too, is sent.

    The rest, what changed between the two, is at the target already and is copied there.
    """
    source = Source(decided.size, attempt.data, decided.known)
    identity = attempt.source.identity
    changed = changed_since(attempt.job.changes, copy.generation, copy.source, identity)
    of_kept = await trio.to_thread.run_sync(
        partial(make, source, chunk_map, changed, in_place=True)
    )
    of_standing = await plan(attempt, standing.ours, standing.base, in_place=True)
    there = 0 if standing.base is None else min(standing.base.size, decided.size)
    keep = ranges.clipped(ranges.without(of_kept.send, of_standing.send), 0, there)
    return Plan(
        way=decided.way,
        size=decided.size,
        send=ranges.without(of_kept.send, keep),
        keep=keep,
        resume=ranges.exact(),
        known=decided.known,
        unread=decided.unread,
    )


async def _take(attempt: Attempt, copy: PublishedCopy) -> str | None:
    """Give the kept generation a stage's name and nothing else; None if it is not fit for it."""
    target, layout = attempt.target, attempt.layout
    if not await is_there(attempt, copy):
        return None
    path = attempt.new_stage()
    await target.rename(layout.kept(copy.name), path)
    places = (layout.kept_directory, layout.directory)
    await together(partial(staging.sync, target, place) for place in places)
    name = path.rpartition("/")[2]
    entries = dict(await target.list_entries(layout.directory))
    entry = entries.get(name)
    fit = entry is not None and entry.kind is EntryKind.FILE and entry.links == 1
    if entry is None or not fit or (entry.size, entry.mtime) != (copy.size, copy.stamp.mtime):
        # Another name of it may be the tape's own; this one is of no use any more.
        await target.remove(path)
        return None
    return path
