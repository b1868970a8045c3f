"""What a rename means for tapes and pools: pure, one report for each name that is concerned."""

import stat
from dataclasses import dataclass

from vtsfs.contract.naming import PoolId, TapeId
from vtsfs.contract.signals import Kind
from vtsfs.overlay.places import Place


@dataclass(frozen=True, slots=True)
class Report:
    """Something to be signalled without a session: about a tape, or (tape None) a whole pool."""

    kind: Kind
    pool: PoolId
    tape: TapeId | None = None
    origin: str = ""
    cause: str = "rename"


def reports_of_rename(source: Place, target: Place, mode: int, *, replaced: bool) -> list[Report]:
    """Say what it means that a file of *mode* at *source* is now called *target*.

    *replaced* tells whether a regular file had the target's name before.
    """
    if stat.S_ISDIR(mode):
        return _directory(source, target)
    if stat.S_ISREG(mode):
        return _regular(source, target, replaced=replaced)
    if target.tape is not None and replaced:
        return [Report(Kind.REMOVED, target.tape.pool_id, target.tape, cause="rename-over")]
    return []


def reports_of_exchange(first: Place, second: Place, modes: tuple[int, int]) -> list[Report]:
    """Say what it means that the files at two places (renameat2(2), RENAME_EXCHANGE) changed names.

    A tape's name that the other file took over is not removed.
    """
    both = [
        *reports_of_rename(first, second, modes[0], replaced=False),
        *reports_of_rename(second, first, modes[1], replaced=False),
    ]
    filled = {(report.pool, report.tape) for report in both if report.kind is not Kind.REMOVED}
    return [
        report
        for report in both
        if report.kind is not Kind.REMOVED or (report.pool, report.tape) not in filled
    ]


def _directory(source: Place, target: Place) -> list[Report]:
    origin = "" if source.pool is None else str(source.pool)
    if target.pool is not None:
        return [Report(Kind.MOVED, target.pool, origin=origin)]
    if source.pool is not None:
        return [Report(Kind.REMOVED, source.pool)]
    return []


def _regular(source: Place, target: Place, *, replaced: bool) -> list[Report]:
    tape = target.tape
    if tape is None:
        if source.tape is None:
            return []
        return [Report(Kind.REMOVED, source.tape.pool_id, source.tape)]
    cause = "rename-over" if replaced else "rename"
    if source.staging:
        return [Report(Kind.RECEIVED, tape.pool_id, tape, cause="publish")]
    if source.tape is None and replaced:
        return [Report(Kind.CHANGED, tape.pool_id, tape, cause=cause)]
    origin = "" if source.tape is None else str(source.tape)
    return [Report(Kind.MOVED, tape.pool_id, tape, origin=origin, cause=cause)]
