"""A tape that lies in another pool or vault of the target is moved to where it belongs.

Only on an operator's word, only in one step, and never over a file that has the name already. What
it is worth as a copy is judged afterwards, by its content.
"""

import shlex
from dataclasses import replace

from copyagent.core.copying import CopyHeld, HoldReason
from copyagent.transfer import manifest, staging
from copyagent.transfer.attempt import Attempt, Ended
from copyagent.transfer.layout import parent
from copyagent.transfer.target import EntryKind, TargetError, TargetRefused


async def relocate(attempt: Attempt, place: str) -> None:
    """Move the file at *place*, an absolute path at the target, to the tape's name there.

    Ends the attempt (`CopyHeld`) where that is not one step, or the name is taken. The hold names
    the place only where the same order can succeed when something there has been mended.
    """
    target, layout = attempt.target, attempt.layout
    moving = await target.lstat(place)
    there = await target.lstat(layout.destination)
    if moving is None or moving.kind is not EntryKind.FILE:
        raise _held(f"{place} at the target is no plain file, and is not moved")
    if there is not None:
        both = f"{place} and {layout.destination} are both at the target; remove one of them there"
        raise _held(both, place)
    mode = attempt.source.pool_mode
    around = await staging.look_around(target, layout)
    await (await staging.prepare_pool(target, layout, around, mode, known=False)).settle()
    attempt.source.check()
    try:
        await target.rename(place, layout.destination)
    except TargetRefused as error:
        raise _held(
            f"{place} at the target cannot be moved in one step ({error}); move it there: "
            f"mv -n -- {shlex.quote(place)} {shlex.quote(layout.destination)}"
        ) from error
    try:
        await staging.sync(target, layout.pool)
        await staging.sync(target, parent(place))
        await _take_record_along(attempt, place)
    except TargetError:
        attempt.route.premises.forget()
        raise


async def _take_record_along(attempt: Attempt, place: str) -> None:
    """What was published from here under its former name is ours under the new one, too.

    As any record it counts only if the content agrees. Its generation was of the former name.
    """
    target, layout = attempt.target, attempt.layout
    for vault, directory in attempt.route.surroundings.vaults.items():
        if parent(parent(place)) != directory:
            continue
        former = replace(
            layout, vault=directory, tape=replace(layout.tape, vault=vault, pool=_pool(place))
        )
        found = await staging.read_record(target, former.manifest, former.tape)
        if found is not None:
            copy = replace(found.copy, generation=0, sole=False)
            here = await staging.read_record(target, layout.manifest, layout.tape)
            kept = here.kept if here is not None else ()
            data = manifest.encode(layout.tape, copy, kept)
            await staging.write_durably(target, layout.manifest, data)
        return


def _pool(place: str) -> str:
    return parent(place).rpartition("/")[2]


def _held(detail: str, place: str = "") -> Ended:
    return Ended(CopyHeld(HoldReason.LABEL_ELSEWHERE, detail, place=place))
