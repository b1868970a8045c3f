"""A tape that lies in another pool or vault of the target is moved to where it belongs.

Only on an operator's word, only in one step, and never over a file that has the name already. What
it is worth as a copy is judged afterwards, by its content.
"""

import shlex

from copyagent.core.copying import CopyHeld, HoldReason
from copyagent.transfer import staging
from copyagent.transfer.attempt import Attempt, Ended
from copyagent.transfer.layout import parent
from copyagent.transfer.target import EntryKind, TargetError, TargetRefused


async def relocate(attempt: Attempt, place: str) -> None:
    """Move the file at *place*, an absolute path at the target, to the tape's name there.

    Ends the attempt (`CopyHeld`) where that is not one step, or the name is taken.
    """
    target, layout = attempt.target, attempt.layout
    moving = await target.lstat(place)
    there = await target.lstat(layout.destination)
    if moving is None or moving.kind is not EntryKind.FILE:
        raise _held(f"{place} at the target is no plain file, and is not moved", place)
    if there is not None:
        both = f"{place} and {layout.destination} are both at the target; remove one of them there"
        raise _held(both, place)
    await staging.ensure_directory(target, layout.pool, attempt.source.pool_mode)
    attempt.source.check()
    try:
        await target.rename(place, layout.destination)
    except TargetRefused as error:
        raise _held(
            f"{place} at the target cannot be moved in one step ({error}); move it there: "
            f"mv -n -- {shlex.quote(place)} {shlex.quote(layout.destination)}",
            place,
        ) from error
    try:
        await staging.sync(target, layout.pool)
        await staging.sync(target, parent(place))
    except TargetError:
        attempt.route.premises.forget()
        raise


def _held(detail: str, place: str) -> Ended:
    return Ended(CopyHeld(HoldReason.LABEL_ELSEWHERE, detail, place=place))
