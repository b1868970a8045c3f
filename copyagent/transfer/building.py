"""A stage is built: from what the target has already, and from what is sent.

Whatever is written into a stage at an offset is the source's bytes there, whoever writes it and
when: a server process that lost us may execute it late. The two exceptions are over before anything
else is written: blocks that `cp --reflink` shares, and a kept generation that is brought forward
(see `keeping`); such a file is dropped, never resumed, unless everything was answered.
"""

import logging
from dataclasses import dataclass, field, replace
from functools import partial

import trio

from copyagent.core.copying import CopyFailed, CopyWaits, PublishedCopy, TargetStamp, Way
from copyagent.transfer import guards, ranges, verification
from copyagent.transfer.attempt import Attempt, Ended, Report, discard
from copyagent.transfer.chunks import ChunkMap, MapBuilder
from copyagent.transfer.cloning import copy_ranges, share_blocks
from copyagent.transfer.forwarding import bring_forward
from copyagent.transfer.keeping import Kept
from copyagent.transfer.plan import Plan
from copyagent.transfer.planning import plan
from copyagent.transfer.progress import Phase
from copyagent.transfer.resuming import EVERY_BYTES, Found, Keeper, StageNote
from copyagent.transfer.staging import Ground
from copyagent.transfer.standing import Standing
from copyagent.transfer.streams import Sending, send
from copyagent.transfer.target import Space, TargetEntry, TargetError, TargetFile
from copyagent.transfer.together import together
from vtsfs.contract.errors import VtsError
from vtsfs.contract.extents import ExtentSet

_log = logging.getLogger(__name__)

#: How often what turns out wrong is sent again within one attempt.
HEALINGS = 2


@dataclass(slots=True)
class Stage:
    """A file that is to become the tape. *over*: it began as another content, and is written over.

    *sole*: no other connection than ours can still write it. *continued*: an earlier attempt began
    it. *written* is what this one sent, *sent* how many bytes of the tape that were on the line,
    *resumed* what was there from an earlier one and had not to be sent.
    """

    path: str
    file: TargetFile
    keeper: Keeper
    over: bool = False
    sole: bool = True
    continued: bool = False
    written: ExtentSet = field(default_factory=ranges.exact)
    resumed: ExtentSet = field(default_factory=ranges.exact)
    sent: int = 0


@dataclass(frozen=True, slots=True)
class Built:
    """A finished stage: closed, durable and verified. *copy* is what it will be once published."""

    stage: Stage
    copy: PublishedCopy
    chunk_map: ChunkMap
    way: Way


async def build(
    attempt: Attempt,
    standing: Standing,
    decided: Plan,
    found: Found | None,
    kept: Kept,
    ground: Ground,
) -> Built:
    """Build a stage as *decided* (for an empty one); use what *found* has of it already.

    If that fails, what may be of use to the next attempt stays. One of *kept* may become the stage.
    When this returns, *ground* is settled.
    """
    brought = None
    if found is None:
        brought = await bring_forward(attempt, standing, decided, kept)
    if brought is not None:
        stage = await _brought(attempt, brought[0])
    else:
        # What is written in place takes no room that it has not got.
        await _expect_room(attempt, decided, found, kept, ground.space)
        stage = await _begin(attempt, standing, decided, found)
    try:
        fitted = await _fitted(attempt, standing, decided, found, stage)
        if brought is not None:
            fitted = brought[1]
        chunk_map = await _fill(attempt, fitted, found, stage, ground)
        copy = await _finish(attempt, stage, chunk_map)
    except BaseException as error:
        await abandon(attempt, stage, error)
        raise
    return Built(stage, copy, chunk_map, fitted.way)


async def _expect_room(
    attempt: Attempt, decided: Plan, found: Found | None, kept: Kept, measured: Space | None
) -> None:
    """See to it that the whole will fit before anything is sent; former generations give way."""
    need = decided.send.total() + decided.keep.total()
    if found is not None:
        need = max(0, need - found.durable.total())
    await guards.expect_room(attempt, need, kept.make_room, measured)


async def abandon(attempt: Attempt, stage: Stage, error: BaseException) -> None:
    """Remove a stage unless the next attempt may go on with it."""
    passing = isinstance(error, TargetError | OSError | VtsError) or _is_cancelled(error)
    waits = isinstance(error, Ended) and isinstance(error.outcome, CopyWaits)
    if passing or waits:
        await stage.keeper.salvage()
    if stage.keeper.noted and (passing or waits):
        return
    stage.keeper.forget()
    await discard(attempt.target, stage.path)


def _is_cancelled(error: BaseException) -> bool:
    """Tell whether this is a cancellation: of several tasks at once it comes as a group."""
    if isinstance(error, BaseExceptionGroup):
        return error.split(trio.Cancelled)[1] is None
    return isinstance(error, trio.Cancelled)


async def _brought(attempt: Attempt, path: str) -> Stage:
    """Open a kept generation that has become a stage."""
    note = StageNote(attempt.job.generation, attempt.source.identity, ())
    keeper = Keeper(attempt, path, note, silent=True)
    return Stage(path, await attempt.target.reopen(path), keeper, over=True)


async def _begin(attempt: Attempt, standing: Standing, decided: Plan, found: Found | None) -> Stage:
    target, job = attempt.target, attempt.job
    if found is not None and (found.note.closed or not target.can.copy_data):
        file = await target.reopen(found.path)
        keeper = Keeper(attempt, found.path, found.note, noted=True)
        await keeper.reopened()
        over, sole = found.note.over, found.note.closed
        return Stage(found.path, file, keeper, over, sole, continued=True)
    path = attempt.new_stage()
    note = StageNote(job.generation, attempt.source.identity, (path.rpartition("/")[2],))
    stage = Stage(path, await target.create(path), Keeper(attempt, path, note))
    if decided.keep and await share_blocks(attempt, standing, path):
        stage.over = True
        stage.keeper.note = replace(note, over=True)
    return stage


async def _fitted(
    attempt: Attempt, standing: Standing, decided: Plan, found: Found | None, stage: Stage
) -> Plan:
    """Decide again where the stage is not empty, or nothing can be copied into it."""
    base = standing.base if stage.over or attempt.target.can.copy_data else None
    if found is None and not stage.over and base is standing.base:
        return decided
    durable = found.durable if found else None
    return await plan(attempt, standing.ours, base, durable=durable, in_place=stage.over)


async def _fill(
    attempt: Attempt, decided: Plan, found: Found | None, stage: Stage, ground: Ground
) -> ChunkMap:
    """Bring everything that is missing into the stage; return the map of the source."""
    builder = MapBuilder(decided.size, decided.known)
    if stage.over and not stage.continued:
        await stage.file.set_size(min(await stage.file.size(), decided.size))
        await stage.file.set_size(decided.size)
    report = attempt.reporter(Phase.SENDING, decided.send.total())
    steps = [
        partial(_send, attempt, stage, decided.send, decided.unread, builder, report),
        partial(_take, attempt, stage, attempt.layout.destination, decided.keep),
        partial(_resume, attempt, stage, decided.resume, found),
        partial(_settle, ground),
    ]

    async def transfer() -> None:
        try:
            had = await together(steps)
            stage.resumed = had[2]
            missing = ranges.without(ranges.joined(decided.keep, decided.resume), *had)
            if missing:
                report = attempt.reporter(Phase.SENDING, missing.total())
                await _send(attempt, stage, missing, ranges.exact(), builder, report)
        finally:
            stage.keeper.finish()

    await together([transfer, stage.keeper.run])
    return await trio.to_thread.run_sync(builder.result)


async def _send(
    attempt: Attempt,
    stage: Stage,
    wanted: ExtentSet,
    unread: ExtentSet,
    builder: MapBuilder,
    report: Report,
) -> ExtentSet:
    def acknowledged(start: int, end: int) -> None:
        stage.written.add(start, end)
        stage.keeper.acknowledged(start, end)

    sending = Sending(wanted, unread, builder, attempt.data, not stage.over, acknowledged)
    stage.sent += await send(
        attempt.source,
        stage.file,
        sending,
        block=attempt.route.pace.block(attempt.target.max_block),
        patience_s=attempt.route.patience_s,
        report=report,
        pace=attempt.route.pace,
    )
    return ranges.exact()


async def _take(attempt: Attempt, stage: Stage, path: str, wanted: ExtentSet) -> ExtentSet:
    """Have ranges of a file at the target copied into the stage."""
    least = max((end for _, end in wanted), default=0)
    return await copy_ranges(attempt, path, stage.path, wanted, least, stage.keeper.acknowledged)


async def _resume(
    attempt: Attempt, stage: Stage, wanted: ExtentSet, found: Found | None
) -> ExtentSet:
    if found is None or stage.continued:
        return wanted
    return await _take(attempt, stage, found.path, wanted)


async def _settle(ground: Ground) -> ExtentSet:
    """Nothing but the publication, which comes later, needs the pool's name to be durable."""
    await ground.settle()
    return ranges.exact()


async def _finish(attempt: Attempt, stage: Stage, chunk_map: ChunkMap) -> PublishedCopy:
    """Finish the stage, and prove that it holds what the source does; send again what does not.

    What an earlier attempt began is looked at as a whole: nobody knows what became of it since.
    """
    size = chunk_map.size
    resumed = ranges.exact([(0, size)]) if stage.continued else stage.resumed
    closed = await _close(attempt, stage, size)
    checked = await verification.check(
        attempt, stage.path, chunk_map, stage.written, True, resumed=resumed, closed=closed
    )
    for _ in range(HEALINGS):
        if not checked.wrong:
            break
        closed = await _heal(attempt, stage, checked.wrong, size)
        checked = await verification.check(
            attempt, stage.path, chunk_map, stage.written, True, resumed=resumed, closed=closed
        )
    if checked.wrong:
        raise _not_what_was_sent(checked.wrong, size)
    return PublishedCopy(
        generation=attempt.job.generation,
        source=attempt.source.identity,
        size=size,
        sha256=checked.sha256,
        stamp=TargetStamp(size, min(max(attempt.source.mtime, 0), 0xFFFFFFFF)),
        verified=checked.how,
        root=chunk_map.root,
        sole=stage.sole,
    )


async def _close(attempt: Attempt, stage: Stage, size: int) -> TargetEntry | None:
    """Bring the stage to stable storage; the attributes come after the last write.

    Return what stands under its name then.
    """
    if not stage.written.covers(size - 1, size):
        await stage.file.set_size(size)
    source = attempt.source
    seen = await stage.file.finish(attributes=(source.mode, source.atime, source.mtime))
    if stage.sent >= EVERY_BYTES or stage.keeper.noted:
        await stage.keeper.closed(size)
    return seen


async def _heal(attempt: Attempt, stage: Stage, wrong: ExtentSet, size: int) -> TargetEntry | None:
    """Send again what did not arrive, or was damaged since."""
    _log.warning(
        "%s: %d bytes of %s are not what they should be, and are sent again",
        attempt.job.tape, wrong.total(), stage.path,
    )  # fmt: skip
    await stage.keeper.reopened()
    stage.file = await attempt.target.reopen(stage.path)
    stage.over = True  # zeros have to be written as well
    report = attempt.reporter(Phase.SENDING, wrong.total())
    await _send(attempt, stage, wrong, ranges.exact(), MapBuilder(size), report)
    return await _close(attempt, stage, size)


def _not_what_was_sent(wrong: ExtentSet, size: int) -> Ended:
    start, end = next(iter(wrong))
    return Ended(
        CopyFailed(
            f"what arrived is not what was sent: {wrong.total()} of {size} bytes, the first from "
            f"{start} to {end}, also after they were sent again",
            "suspect the target's storage or memory; the copy is tried again",
        )
    )
