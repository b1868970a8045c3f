"""What the target has already is copied there, by the target itself.

Two ways: ranges by ``copy-data`` (an extension of OpenSSH's SFTP server), and, where commands are
run and the file system can, a whole file whose blocks are shared until they are written (a reflink).
Either may fail, or do less than it says; what was not copied is sent instead.
"""

import logging
from collections.abc import Callable, Iterator

import trio

from copyagent.transfer import ranges
from copyagent.transfer.attempt import Attempt
from copyagent.transfer.commands import clone_command
from copyagent.transfer.standing import Standing
from copyagent.transfer.target import EntryKind, LinkLost, Target, TargetError, TargetFile
from vtsfs.contract.extents import ExtentSet, Range

_log = logging.getLogger(__name__)

#: More at once would keep the server process silent for seconds.
SLICE = 64 * 1024 * 1024

#: Most ranges asked for at once; together they are no more than a slice.
AT_ONCE = 32

#: A command takes some time to start; below this sending or copying is quicker.
_LEAST_REFLINK = 4 * 1024 * 1024


async def copy_ranges(
    attempt: Attempt,
    path: str,
    stage: str,
    wanted: ExtentSet,
    least: int,
    acknowledged: Callable[[int, int], None],
) -> ExtentSet:
    """Copy *wanted* ranges of the file *path* to the same offsets of *stage*; return what was copied.

    Both are paths at the target; the file must have *least* bytes. On a server process of its own,
    which has answered everything when this returns; *acknowledged* is told each range that was
    copied. What it refuses is left out of the answer, but a lost link is raised.
    """
    copied = ranges.exact()

    def note(start: int, end: int) -> None:
        copied.add(start, end)
        acknowledged(start, end)

    if not wanted or not attempt.target.can.copy_data:
        return copied
    try:
        async with attempt.target.side() as side:
            source = await side.open(path)
            into = await side.reopen(stage)
            # A range past the end would succeed, and be short.
            if await source.size() >= least:
                for slices in _batches(wanted):
                    await _copy_batch(side, source, into, slices, note)
            await _close(source, into)
    except LinkLost:
        raise
    except TargetError as error:
        _log.info("%s: ranges of %s are sent instead of copied: %s", attempt.job.tape, path, error)
    return copied


async def _copy_batch(
    side: Target,
    source: TargetFile,
    into: TargetFile,
    slices: list[Range],
    copied: Callable[[int, int], None],
) -> None:
    """Copy *slices* at once and tell those that were copied; all are answered when this returns."""
    failures: list[TargetError] = []

    async def copy(start: int, end: int) -> None:
        try:
            await side.copy_data(source, start, end - start, into, start)
        except TargetError as error:
            failures.append(error)
        else:
            copied(start, end)

    async with trio.open_nursery() as nursery:
        for start, end in slices:
            nursery.start_soon(copy, start, end)
    if failures:
        raise failures[0]


async def _close(*files: TargetFile) -> None:
    for file in files:
        await file.close()


def _batches(wanted: ExtentSet) -> Iterator[list[Range]]:
    """Divide *wanted* into as much as is asked for at once: a round trip for each takes too long."""
    batch: list[Range] = []
    left = SLICE
    for start, end in _slices(wanted):
        if batch and (end - start > left or len(batch) >= AT_ONCE):
            yield batch
            batch, left = [], SLICE
        batch.append((start, end))
        left -= end - start
    if batch:
        yield batch


def _slices(wanted: ExtentSet) -> Iterator[Range]:
    for start, end in wanted:
        for at in range(start, end, SLICE):
            yield at, min(at + SLICE, end)


async def share_blocks(attempt: Attempt, standing: Standing, stage: str) -> bool:
    """Let the empty file *stage* share all blocks of the published file; tell whether it does.

    The command was given a path. That it was the file that was judged is looked at afterwards.
    """
    target, path = attempt.target, attempt.layout.destination
    judged = standing.stamp
    if target.can.commands is False or judged is None or judged.size < _LEAST_REFLINK:
        return False
    answer = await target.run(clone_command(path, stage), attempt.route.patience_s)
    if answer is None or answer.status != 0:
        return False
    now = await attempt.stamp(path)
    entry = await target.lstat(stage)
    if now is None or entry is None or not now.agrees(judged) or not judged.agrees(now):
        return False
    return entry.kind is EntryKind.FILE and entry.size == judged.size
