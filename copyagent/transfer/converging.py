"""Make the target's tape equal the source's: decide what is missing, build it, publish it."""

from dataclasses import dataclass, replace

import trio

from copyagent.core.copying import CopyDone, Errand, PublishedCopy, Way
from copyagent.transfer import staging
from copyagent.transfer.attempt import Attempt, Ended, discard
from copyagent.transfer.building import Built, abandon, build
from copyagent.transfer.chunks import ChunkMap
from copyagent.transfer.content import map_source
from copyagent.transfer.guards import all_of
from copyagent.transfer.keeping import Kept
from copyagent.transfer.planning import plan
from copyagent.transfer.publishing import Published, Publisher
from copyagent.transfer.resuming import Found, notes_of
from copyagent.transfer.staging import Around
from copyagent.transfer.standing import Standing, judge, not_equal


@dataclass(frozen=True, slots=True)
class Converged:
    """How the target came to hold the generation; the numbers are bytes of the tape."""

    published: Published
    way: Way
    sent: int
    resumed: int = 0

    def done(self, size: int, took_s: float) -> CopyDone:
        """Tell it as an outcome."""
        return CopyDone(
            copy=self.published.copy,
            sent=self.sent,
            took_s=took_s,
            skipped=max(0, size - self.sent),
            resumed=self.resumed,
            way=self.way,
            kept=self.published.kept,
        )


async def look(attempt: Attempt) -> tuple[Standing, Around]:
    """Judge what stands under the tape's name (`standing.judge`), and look around it meanwhile."""
    standings: list[Standing] = []
    around: list[Around] = []

    async def judge_it() -> None:
        standings.append(await judge(attempt))

    async def look_around() -> None:
        around.append(await staging.look_around(attempt.target, attempt.layout))

    await all_of(judge_it, look_around)
    return standings[0], around[0]


async def converge(
    attempt: Attempt,
    publisher: Publisher,
    standing: Standing,
    around: Around,
    found: Found | None,
) -> Converged:
    """Bring the tape to the target, or find that it is there; the first two are from `look`."""
    try:
        return await _converge(attempt, publisher, standing, around, found)
    finally:
        attempt.release()


async def _converge(
    attempt: Attempt,
    publisher: Publisher,
    standing: Standing,
    around: Around,
    found: Found | None,
) -> Converged:
    if standing.equal is not None and standing.base is not None:
        await drop(attempt, found)
        kept = Kept.begin(attempt, standing)
        await kept.drop_surplus(attempt.job.keep)
        published = await publisher.adopt(standing.equal, standing.base, kept.copies)
        way: Way = "adopted" if standing.equal.verified == "adopted" else "equal"
        return Converged(published, way, 0)
    attempt.data = await trio.to_thread.run_sync(attempt.source.data_ranges)
    standing = await _with_base(attempt, standing)
    decided = await plan(attempt, standing.ours, standing.base)
    if decided.way == "equal" and standing.ours is not None and standing.base is not None:
        await drop(attempt, found)
        return await _recorded(attempt, publisher, standing.ours, standing.base, standing)
    wish = attempt.job.wish
    if wish is not None and wish.errand is Errand.ADOPT:
        raise Ended(not_equal(attempt, "an older generation", standing.stamp))
    kept = Kept.begin(attempt, standing)
    target, layout, mode = attempt.target, attempt.layout, attempt.source.pool_mode
    known = attempt.job.base is not None
    ground = await staging.prepare_pool(target, layout, around, mode, known=known)
    built = await build(attempt, standing, decided, found, kept, ground)
    published = await _publish(attempt, publisher, standing, built, kept)
    await drop(attempt, found, besides=built.stage.path)
    return Converged(published, built.way, built.stage.sent, built.stage.resumed.total())


async def _with_base(attempt: Attempt, standing: Standing) -> Standing:
    """Make the map of a base again that was lost, if the source's own is the one."""
    ours = standing.ours
    if standing.base is not None or ours is None or not ours.root:
        return standing
    if not ours.source.same_bytes(attempt.source.identity):
        return standing
    chunk_map = await map_source(attempt)
    return replace(standing, base=chunk_map) if chunk_map.root == ours.root else standing


async def _recorded(
    attempt: Attempt,
    publisher: Publisher,
    ours: PublishedCopy,
    chunk_map: ChunkMap,
    standing: Standing,
) -> Converged:
    """Nothing differs: say so in the records, which may be of an earlier generation."""
    same = replace(ours, generation=attempt.job.generation, source=attempt.source.identity)
    if standing.stamp is not None:
        same = replace(same, stamp=standing.stamp)
    if ours is attempt.job.base:
        attempt.source.check()
        await publisher.keep_map(chunk_map, list(standing.kept))
        return Converged(Published(same, standing.kept), "equal", 0)
    return Converged(await publisher.adopt(same, chunk_map, standing.kept), "equal", 0)


async def _publish(
    attempt: Attempt, publisher: Publisher, standing: Standing, built: Built, kept: Kept
) -> Published:
    try:
        return await publisher.publish(
            built.stage.path, standing, built.copy, built.chunk_map, kept
        )
    except BaseException as error:
        await abandon(attempt, built.stage, error)
        raise


async def drop(attempt: Attempt, found: Found | None, *, besides: str = "") -> None:
    """Forget what earlier attempts have left: the generation is there. Not to be cancelled."""
    notes_of(attempt).forget(attempt.job.tape, attempt.job.target)
    if found is not None and found.path != besides:
        await discard(attempt.target, found.path)
