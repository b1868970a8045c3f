"""What stands at the target under the tape's name, and may it be replaced?

A target file that this agent did not publish in its present form is never replaced without an
operator's word (DESIGN section 7). Records of ours, wherever they lie, only say what to compare
with; what makes a file ours is that its content is what we published.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from copyagent.core.copying import CopyHeld, HoldReason, PublishedCopy, TargetStamp
from copyagent.transfer.attempt import Attempt, Ended, same_content
from copyagent.transfer.progress import Phase
from copyagent.transfer.staging import read_record
from copyagent.transfer.target import EntryKind


@dataclass(frozen=True, slots=True)
class Standing:
    """The answer: the name may be published to as long as its file still has *stamp*.

    *stamp* None: nothing is there. *equal* is set if what is there is what would be sent;
    *recorded* then says that the agent's own record already says so.
    """

    stamp: TargetStamp | None
    equal: PublishedCopy | None = None
    recorded: bool = False


async def judge(attempt: Attempt) -> Standing:
    """Look at the target's file; end the attempt (`CopyHeld`) if it must be left alone."""
    entry = await attempt.target.lstat(attempt.layout.destination)
    if entry is None:
        return Standing(None)
    if entry.kind is not EntryKind.FILE:
        path = attempt.layout.destination
        raise Ended(CopyHeld(HoldReason.TARGET_UNKNOWN, f"{path} at the target is no plain file"))
    stamp = await attempt.stamp(attempt.layout.destination)
    if stamp is None:
        return Standing(None)
    job, layout = attempt.job, attempt.layout
    at_target = await read_record(attempt.target, layout.intent, layout.tape)
    pending = job.intent is not None or at_target is not None
    if job.base is not None and job.base.stamp.agrees(stamp) and not pending:
        return await _untouched(attempt, job.base, stamp)
    if job.override is not None and job.override.agrees(stamp):
        return Standing(stamp)
    manifest = await read_record(attempt.target, layout.manifest, layout.tape)
    ours = [copy for copy in (job.base, job.intent, manifest, at_target) if copy is not None]
    return await _by_content(attempt, stamp, ours)


async def _untouched(attempt: Attempt, base: PublishedCopy, stamp: TargetStamp) -> Standing:
    """Our last publication stands there; is it what we would send?"""
    identity = attempt.source.identity
    if base.source.same_bytes(identity) and same_content(base, await attempt.source_digests()):
        same = replace(base, generation=attempt.job.generation, source=identity, stamp=stamp)
        return Standing(stamp, same, recorded=True)
    return Standing(stamp)


async def _by_content(attempt: Attempt, stamp: TargetStamp, ours: list[PublishedCopy]) -> Standing:
    """Read what stands there, if its size could be right, and compare it with all we know."""
    source = attempt.source.identity
    if stamp.size not in {source.size, *(copy.size for copy in ours)}:
        raise _held(attempt, stamp, ours, "")
    path = attempt.layout.destination
    sha256, how = await attempt.target_digest(path, stamp.size, Phase.COMPARING)
    known = any(copy.sha256 == sha256 for copy in ours)
    if stamp.size == source.size:
        digests = await attempt.source_digests()
        if digests.sha256 == sha256:
            equal = PublishedCopy(
                generation=attempt.job.generation,
                source=source,
                size=source.size,
                sha256=sha256,
                blake3=digests.blake3,
                stamp=stamp,
                verified=how if known else "adopted",
            )
            return Standing(stamp, equal)
    if known:
        return Standing(stamp)
    raise _held(attempt, stamp, ours, sha256)


def _held(attempt: Attempt, stamp: TargetStamp, ours: list[PublishedCopy], sha256: str) -> Ended:
    reason = HoldReason.TARGET_CHANGED if ours else HoldReason.TARGET_UNKNOWN
    found = describe(stamp) + (f", SHA-256 {sha256[:12]}" if sha256 else "")
    said = "is not what was published there" if ours else "was not published from here"
    detail = f"{attempt.layout.destination} at the target ({found}) {said}"
    return Ended(CopyHeld(reason, detail, stamp))


def describe(stamp: TargetStamp) -> str:
    """Say for people what a stamp is of."""
    dated = datetime.fromtimestamp(stamp.mtime, UTC)
    return f"{stamp.size} bytes, dated {dated:%Y-%m-%d %H:%M:%S} UTC"
