"""A kept generation gets the tape's name back, on an operator's word; what stood there is kept."""

from dataclasses import replace

from copyagent.core.copying import (
    CopyFailed,
    CopyHeld,
    HoldReason,
    PublishedCopy,
)
from copyagent.transfer import verification
from copyagent.transfer.attempt import Attempt, Ended, discard
from copyagent.transfer.keeping import Kept
from copyagent.transfer.publishing import Publisher
from copyagent.transfer.standing import Standing
from vtsfs.contract.extents import ExtentSet


async def roll_back(
    attempt: Attempt, publisher: Publisher, standing: Standing, generation: int
) -> CopyHeld:
    """Publish the kept *generation* again.

    It is read first, whatever the settings say. It keeps its name in our staging until the tape's
    name is its own: then that goes, so that no kept generation is ever the published file. If it
    stands there already, nothing is done.
    """
    if standing.ours is not None and standing.ours.generation == generation:
        return _rolled_back(standing.ours, standing.kept)
    wanted = next((copy for copy in standing.kept if copy.generation == generation), None)
    if wanted is None or await attempt.stamp(attempt.layout.kept(wanted.name)) is None:
        raise Ended(_not_there(generation, standing))
    chunk_map = await attempt.read_map(wanted.root)
    if chunk_map is None:
        raise Ended(_unproven(wanted, "its chunk map is lost"))
    path = attempt.layout.kept(wanted.name)
    everything = ExtentSet([(0, wanted.size)])
    checked = await verification.check(
        attempt, path, chunk_map, everything, True, resumed=everything
    )
    if checked.wrong:
        raise Ended(_unproven(wanted, f"{checked.wrong.total()} bytes of it are damaged"))
    stage = attempt.new_stage()
    await attempt.target.link(path, stage)
    kept = Kept.begin(attempt, standing)
    kept.copies = tuple(copy for copy in standing.kept if copy is not wanted)
    again = replace(wanted, name="", verified=checked.how)
    # The companions of today are not those of that generation; they stay as they are.
    alone = replace(publisher, before=None)
    try:
        published = await alone.publish(stage, standing, again, chunk_map, kept)
    except BaseException:
        await discard(attempt.target, stage)
        raise
    finally:
        attempt.release()
    await discard(attempt.target, path)
    return _rolled_back(published.copy, published.kept)


def _rolled_back(copy: PublishedCopy, kept: tuple[PublishedCopy, ...]) -> CopyHeld:
    detail = f"generation {copy.generation} stands at the target, rolled back to by an operator"
    return CopyHeld(HoldReason.ROLLED_BACK, detail, copy.stamp, standing=copy, kept=kept)


def _not_there(generation: int, standing: Standing) -> CopyFailed:
    there = ", ".join(str(copy.generation) for copy in standing.kept) or "none"
    return CopyFailed(
        f"generation {generation} is not kept at the target any more (kept: {there})",
        "see `copyagent generations` for what can be rolled back to",
        permanent=True,
    )


def _unproven(copy: PublishedCopy, why: str) -> CopyFailed:
    return CopyFailed(
        f"the kept generation {copy.generation} cannot be proven to be whole: {why}",
        "roll back to another one, or copy the tape again from here",
        permanent=True,
    )
