"""The copy of one tape: make the target's bytes equal the source's, then publish them.

The order of the steps is the safety of the whole (DESIGN sections 6 and 7). Whatever the outside
world does ends in a `CopyOutcome`; what is raised besides cancellation is a bug.
"""

import secrets
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import trio

from copyagent.core.copying import (
    CopyDone,
    CopyFailed,
    CopyHeld,
    CopyJob,
    CopyOutcome,
    CopyWaits,
    HoldReason,
    PublishedCopy,
    SourceChanged,
    SourceErased,
    TargetStamp,
    WaitReason,
)
from copyagent.transfer import guards, staging
from copyagent.transfer.attempt import Attempt, Ended, Route, discard
from copyagent.transfer.progress import CopyProgress, Phase
from copyagent.transfer.publishing import CopyJournal, Publisher
from copyagent.transfer.source import (
    SourceDiffers,
    SourceMissing,
    SourceOpen,
    SourceTape,
    SourceUnfit,
    open_tape,
)
from copyagent.transfer.standing import Standing, judge
from copyagent.transfer.streams import send
from copyagent.transfer.target import HostKeyRejected, LinkLost, Target, TargetError, TargetFile
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
) -> CopyDone:
    started = trio.current_time()
    with await trio.to_thread.run_sync(open_tape, route.backing, job.tape) as source:
        _check_source(source, job)
        await trio.to_thread.run_sync(source.make_durable)
        progress(CopyProgress(job.tape, job.target, Phase.CONNECTING))
        async with connect() as target:
            attempt = Attempt(job, route, source, target, progress)
            await guards.before_copy(attempt)
            await staging.collect_stages(target, route.layout)
            publisher = Publisher(attempt, journal, permit, wall_ns)
            standing = await judge(attempt)
            copy, sent = await _converge(attempt, publisher, standing)
    return CopyDone(copy, sent, trio.current_time() - started)


def _check_source(source: SourceTape, job: CopyJob) -> None:
    """Refuse early; a tape just cut to nothing by a writer is open, not erased."""
    erased = source.identity.size == 0
    if not erased and job.identity is not None and not source.identity.same_bytes(job.identity):
        raise SourceDiffers(source.identity)
    source.check()
    if erased:
        raise Ended(SourceErased(gone=False))


async def _converge(
    attempt: Attempt, publisher: Publisher, standing: Standing
) -> tuple[PublishedCopy, int]:
    if standing.equal is None:
        return await _send(attempt, publisher, standing)
    if standing.recorded:
        attempt.source.check()
        return standing.equal, 0
    return await publisher.adopt(standing.equal), 0


async def _send(
    attempt: Attempt, publisher: Publisher, standing: Standing
) -> tuple[PublishedCopy, int]:
    target, layout = attempt.target, attempt.layout
    await staging.prepare(target, layout)
    made = await staging.ensure_directory(target, layout.pool, attempt.source.pool_mode)
    if not made and attempt.job.base is None:
        await staging.sync(target, layout.vault)
    path = layout.stage(attempt.job.generation, secrets.token_hex(8))
    stage = await target.create(path)
    try:
        intended = await _fill(attempt, stage, path)
        return await publisher.publish(path, standing, intended), intended.size
    except BaseException:
        await discard(target, path)
        raise


async def _fill(attempt: Attempt, stage: TargetFile, path: str) -> PublishedCopy:
    """Write, finish and verify the stage; the attributes come last, before it is made durable."""
    source, size = attempt.source, attempt.source.identity.size
    digests = await send(
        source,
        stage,
        block=attempt.target.max_block,
        patience_s=attempt.route.patience_s,
        report=attempt.reporter(Phase.SENDING, size),
    )
    arrived = await stage.size()
    await stage.set_attributes(mode=source.mode, atime=source.atime, mtime=source.mtime)
    await stage.sync()
    await stage.close()
    sha256, verified = await attempt.target_digest(path, size, Phase.VERIFYING)
    if arrived != size or sha256 != digests.sha256:
        raise Ended(
            CopyFailed(
                f"what arrived is not what was sent ({arrived} of {size} bytes, SHA-256 "
                f"{sha256[:12]} instead of {digests.sha256[:12]})",
                "suspect the target's storage or memory; the copy is tried again",
            )
        )
    return PublishedCopy(
        generation=attempt.job.generation,
        source=source.identity,
        size=size,
        sha256=digests.sha256,
        blake3=digests.blake3,
        stamp=TargetStamp(size, min(max(source.mtime, 0), 0xFFFFFFFF)),
        verified=verified,
    )
