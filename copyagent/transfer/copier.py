"""The copy of one tape: make the target's bytes equal the source's, then publish them.

The order of the steps is the safety of the whole (DESIGN sections 6 and 7). Whatever the outside
world does ends in a `CopyOutcome`; what is raised besides cancellation is a bug.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial

import trio

from copyagent.core.copying import (
    CopyFailed,
    CopyHeld,
    CopyJob,
    CopyOutcome,
    CopyWaits,
    Errand,
    HoldReason,
    SourceChanged,
    SourceErased,
    WaitReason,
)
from copyagent.transfer import guards
from copyagent.transfer.attempt import Attempt, Ended, Route
from copyagent.transfer.companions import Companions
from copyagent.transfer.converging import converge, look
from copyagent.transfer.progress import CopyProgress, Phase
from copyagent.transfer.publishing import CopyJournal, Publisher
from copyagent.transfer.resuming import Listing, collect, list_staging
from copyagent.transfer.rolling_back import roll_back
from copyagent.transfer.source import (
    SourceDiffers,
    SourceMissing,
    SourceOpen,
    SourceTape,
    SourceUnfit,
    open_tape,
)
from copyagent.transfer.target import HostKeyRejected, LinkLost, Target, TargetError
from vtsfs.contract.errors import VtsError

Connect = Callable[[], AbstractAsyncContextManager[Target]]


async def copy_tape(
    job: CopyJob,
    route: Route,
    *,
    connect: Connect,
    journal: CopyJournal,
    permit: Callable[[], bool],
    progress: Callable[[CopyProgress], None],
    wall_ns: Callable[[], int],
) -> CopyOutcome:
    """Make one attempt at *job*; see `publishing.Publisher` for *journal*, *permit*, *wall_ns*.

    *connect* opens a fresh connection for this attempt alone. Cancelling gives up promptly and
    publishes nothing, except within the publish section, which is finished first (and whose
    outcome is then still returned).
    """
    try:
        return await _attempt(
            job, route, connect, progress, journal=journal, permit=permit, wall_ns=wall_ns
        )
    except Ended as ended:
        return ended.outcome
    except HostKeyRejected as error:
        return CopyWaits(WaitReason.HOST_KEY, str(error))
    except TargetError as error:
        route.premises.forget()
        return _failed(error)
    except SourceMissing:
        return SourceErased(gone=True)
    except SourceUnfit as error:
        return CopyHeld(HoldReason.SOURCE_UNFIT, str(error))
    except SourceOpen as error:
        return CopyWaits(WaitReason.OPEN, str(error))
    except SourceDiffers as error:
        return SourceChanged(error.identity)
    except VtsError as error:
        return CopyFailed(str(error), "nothing can be published while the agent's state fails")
    except OSError as error:
        return CopyFailed(
            f"reading {job.tape} in {route.backing}: {error.strerror or error}",
            "look at this system's storage and at the kernel's log",
        )


def _failed(error: TargetError) -> CopyFailed:
    return CopyFailed(
        cause=str(error),
        next_step=error.next_step,
        unreachable=error.unreachable,
        connected=isinstance(error, LinkLost),
        permanent=error.permanent,
        whole_vault=error.whole_vault,
    )


async def _attempt(
    job: CopyJob,
    route: Route,
    connect: Connect,
    progress: Callable[[CopyProgress], None],
    *,
    journal: CopyJournal,
    permit: Callable[[], bool],
    wall_ns: Callable[[], int],
) -> CopyOutcome:
    started = trio.current_time()
    with await trio.to_thread.run_sync(open_tape, route.backing, job.tape) as source:
        _check_source(source, job)
        await trio.to_thread.run_sync(source.make_durable)
        progress(CopyProgress(job.tape, job.target, Phase.CONNECTING))
        async with connect() as target:
            attempt = Attempt(job, route, source, target, progress)
            await target.warm_up()
            found = await collect(attempt, await _guarded(attempt))
            companions = Companions(attempt, permit, wall_ns)
            publisher = Publisher(attempt, journal, permit, wall_ns, companions.publish)
            standing, around = await look(attempt)
            if job.wish is not None and job.wish.errand is Errand.ROLL_BACK:
                return await roll_back(attempt, publisher, standing, job.wish.generation)
            converged = await converge(attempt, publisher, standing, around, found)
            # Where nothing of the tape had to be published, they have not been yet.
            await companions.publish()
    return converged.done(source.identity.size, trio.current_time() - started)


async def _guarded(attempt: Attempt) -> Listing:
    """Return what lies in our staging directory if nothing there forbids to go on.

    That is asked for at once with the guards, which go first if either fails.
    """
    listed: list[Listing] = []
    failed: list[TargetError] = []

    async def look() -> None:
        try:
            listed.append(await list_staging(attempt))
        except LinkLost:
            raise
        except TargetError as error:
            failed.append(error)

    await guards.all_of(partial(guards.before_copy, attempt), look)
    if failed:
        raise failed[0]
    return listed[0]


def _check_source(source: SourceTape, job: CopyJob) -> None:
    """Refuse early; a tape just cut to nothing by a writer is open, not erased."""
    erased = source.identity.size == 0
    if not erased and job.identity is not None and not source.identity.same_bytes(job.identity):
        raise SourceDiffers(source.identity)
    source.check()
    if erased:
        raise Ended(SourceErased(gone=False))
