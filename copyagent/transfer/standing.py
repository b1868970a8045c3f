"""What stands at the target under the tape's name, and may it be replaced?

A target file that this agent did not publish in its present form is never replaced without an
operator's word (DESIGN section 7). Records of ours, wherever they lie, only say what to compare
with; what makes a file ours is that its content is what we published.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

from copyagent.core.copying import CopyHeld, Errand, HoldReason, PublishedCopy, TargetStamp
from copyagent.transfer.attempt import Attempt, Ended
from copyagent.transfer.chunks import ChunkMap
from copyagent.transfer.content import content_of_source, content_of_target
from copyagent.transfer.manifest import Manifest
from copyagent.transfer.staging import read_record
from copyagent.transfer.target import EntryKind
from copyagent.transfer.together import together


@dataclass(frozen=True, slots=True)
class Standing:
    """The answer: the name may be published to as long as its file still has *stamp*.

    *stamp* None: nothing is there. *ours* is the publication of ours that it is, None of another
    file that an operator released; *base* its map, if it is proven to have that content: a delta
    can be built on it. *equal* is set if what is there is what would be sent. *kept* are the former
    generations that the target has by all we know, newest first; *stray* the names of links that
    were made for a publication that did not happen. *noted*: a record that outlives the next intent
    says what stands there; the publication that an intent was for has none before it is recorded.
    """

    stamp: TargetStamp | None
    ours: PublishedCopy | None = None
    base: ChunkMap | None = None
    equal: PublishedCopy | None = None
    kept: tuple[PublishedCopy, ...] = ()
    stray: tuple[str, ...] = ()
    noted: bool = True


async def judge(attempt: Attempt) -> Standing:
    """Look at the target's file; end the attempt (`CopyHeld`) if it must be left alone."""
    job, layout = attempt.job, attempt.layout
    entry = await attempt.target.lstat(layout.destination)
    if entry is not None and entry.kind is not EntryKind.FILE:
        what = f"{layout.destination} at the target is no plain file"
        raise Ended(CopyHeld(HoldReason.TARGET_UNKNOWN, what))
    stamp, found = None, _Found()
    if entry is not None:
        stamp, found = await _look(attempt)
    if stamp is None:
        _expect_no_adoption(attempt, "there is nothing")
        return Standing(None, kept=job.kept)
    untouched = job.base is not None and job.base.stamp.agrees(stamp) and _tells(job.base, stamp)
    if job.base is not None and untouched and job.intent is None and found.intent is None:
        base = await attempt.read_map(job.base.root) if found.confirms(job.base) else None
        return Standing(stamp, job.base, base, kept=job.kept)
    if job.override is not None and job.override.agrees(stamp):
        return Standing(stamp, kept=job.kept)
    return await _by_content(attempt, stamp, found)


def _tells(base: PublishedCopy, stamp: TargetStamp) -> bool:
    """Tell whether an edit since the publication would show in *stamp*.

    Whole seconds alone do not tell one that came in the second that the tape itself is dated.
    """
    if base.stamp.token and stamp.token:
        return True
    return abs(base.published_ns // 10**9 - stamp.mtime) > 1


@dataclass(frozen=True, slots=True)
class _Found:
    """The records of ours that lie at the target."""

    manifest: Manifest | None = None
    intent: Manifest | None = None

    def confirms(self, base: PublishedCopy) -> bool:
        """Tell whether the manifest says what the agent's own record says."""
        return (
            bool(base.root) and self.manifest is not None and self.manifest.copy.root == base.root
        )

    def kept_beside(self, copy: PublishedCopy) -> tuple[PublishedCopy, ...] | None:
        """Return what was kept when *copy* was published, if either record is of that."""
        for record in (self.intent, self.manifest):
            if record is not None and is_same(record.copy, copy):
                return record.kept
        return None

    def stray(self, kept: Sequence[PublishedCopy]) -> tuple[str, ...]:
        """Return which links a publication that did not happen has left, beside what is *kept*."""
        if self.intent is None:
            return ()
        listed = [*kept, *(self.manifest.kept if self.manifest else ())]
        known = {copy.name for copy in listed}
        return tuple(copy.name for copy in self.intent.kept if copy.name not in known)


async def _look(attempt: Attempt) -> tuple[TargetStamp | None, _Found]:
    """Take the file's stamp, and read what records of ours are there."""
    layout, target = attempt.layout, attempt.target
    stamps: list[TargetStamp | None] = []

    async def stamp() -> None:
        stamps.append(await attempt.stamp(layout.destination))

    read = partial(read_record, target, destination=layout.tape)
    wanted: list[Callable[[], Awaitable[Manifest | None]]]
    wanted = [stamp, partial(read, layout.manifest), partial(read, layout.intent)]
    _, manifest, intent = await together(wanted)
    return stamps[0], _Found(_of_this_tape(attempt, manifest), _of_this_tape(attempt, intent))


def _of_this_tape(attempt: Attempt, record: Manifest | None) -> Manifest | None:
    """Leave out of a record what is not this tape's to drop: anybody at the target can edit it."""
    if record is None:
        return None
    kept = tuple(copy for copy in record.kept if attempt.layout.is_kept(copy.name))
    return replace(record, kept=kept)


async def _by_content(attempt: Attempt, stamp: TargetStamp, found: _Found) -> Standing:
    """Read what stands there, if its size could be right, and compare it with all we know."""
    job, source = attempt.job, attempt.source.identity
    records = [record.copy for record in (found.intent, found.manifest) if record is not None]
    known = [copy for copy in (job.base, job.intent, *records, *job.kept) if copy is not None]
    if stamp.size not in {source.size, *(copy.size for copy in known)}:
        raise _held(attempt, stamp, known, "")
    there = await content_of_target(attempt, stamp.size, known)
    ours = next((copy for copy in known if there.is_of(copy)), None)
    kept = (found.kept_beside(ours) if ours else None) or job.kept
    here = await content_of_source(attempt, there) if stamp.size == source.size else None
    if here is not None and there.equals(here):
        equal = PublishedCopy(
            generation=job.generation,
            source=source,
            size=source.size,
            sha256=here.sha256 or there.sha256,
            stamp=stamp,
            verified=there.how if ours else "adopted",
            root=here.root,
            sole=ours.sole if ours else False,
        )
        others = _others(kept, equal)
        stray = found.stray([*others, *job.kept])
        noted = found.confirms(equal)
        return Standing(stamp, ours or equal, here.chunk_map, equal, others, stray, noted)
    if ours is None:
        raise _held(attempt, stamp, known, there.short)
    base = there.chunk_map or await attempt.read_map(ours.root)
    others = _others(kept, ours)
    stray = found.stray([*others, *job.kept])
    noted = found.manifest is not None and is_same(found.manifest.copy, ours)
    now = replace(ours, stamp=stamp)
    return Standing(stamp, now, base, kept=others, stray=stray, noted=noted)


def _others(kept: Sequence[PublishedCopy], copy: PublishedCopy) -> tuple[PublishedCopy, ...]:
    """Leave out of *kept* what *copy* is: after a roll back it may still be listed there."""
    return tuple(one for one in kept if not is_same(one, copy))


def is_same(one: PublishedCopy, other: PublishedCopy) -> bool:
    """Tell whether both record the same generation with the same content."""
    same = one.root == other.root if one.root and other.root else one.sha256 == other.sha256
    return same and one.generation == other.generation


def not_equal(attempt: Attempt, found: str, stamp: TargetStamp | None) -> CopyHeld:
    """Say to an operator who wanted what stands there to be taken over that it is another content."""
    detail = f"{attempt.layout.destination} at the target is not equal to the tape: {found}"
    return CopyHeld(HoldReason.NOT_EQUAL, detail, stamp)


def _expect_no_adoption(attempt: Attempt, found: str, stamp: TargetStamp | None = None) -> None:
    wish = attempt.job.wish
    if wish is not None and wish.errand is Errand.ADOPT:
        raise Ended(not_equal(attempt, found, stamp))


def _held(attempt: Attempt, stamp: TargetStamp, ours: list[PublishedCopy], digest: str) -> Ended:
    found = describe(stamp) + (f", {digest}" if digest else "")
    _expect_no_adoption(attempt, found, stamp)
    reason = HoldReason.TARGET_CHANGED if ours else HoldReason.TARGET_UNKNOWN
    said = "is not what was published there" if ours else "was not published from here"
    detail = f"{attempt.layout.destination} at the target ({found}) {said}"
    return Ended(CopyHeld(reason, detail, stamp))


def describe(stamp: TargetStamp) -> str:
    """Say for people what a stamp is of."""
    dated = datetime.fromtimestamp(stamp.mtime, UTC)
    return f"{stamp.size} bytes, dated {dated:%Y-%m-%d %H:%M:%S} UTC"
