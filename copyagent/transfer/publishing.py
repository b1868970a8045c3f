"""The moment of publication: from "nothing at the target has changed" to "durable and recorded"."""

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import trio

from copyagent.core.copying import CopyHeld, CopyStopped, HoldReason, PublishedCopy, TargetStamp
from copyagent.transfer import guards, manifest, staging
from copyagent.transfer.attempt import Attempt, Ended
from copyagent.transfer.chunks import ChunkMap
from copyagent.transfer.keeping import Kept
from copyagent.transfer.progress import Phase
from copyagent.transfer.standing import Standing, describe
from copyagent.transfer.target import (
    EntryKind,
    LinkLost,
    TargetEntry,
    TargetError,
    TargetFile,
    TargetRefused,
)
from copyagent.transfer.together import together

#: How long the publish section may take; it cannot be cancelled, so it must not be unbounded.
PUBLISH_S = 30.0

#: Freeing less than this takes some milliseconds.
_LONG = 64 * 1024 * 1024

_log = logging.getLogger(__name__)

_Step = Callable[[], Awaitable[None]]


class CopyJournal(Protocol):
    """The agent's durable state, as far as the copier needs it."""

    async def intend(self, copy: PublishedCopy) -> None:
        """Return when it is durable that *copy* may be published at any moment from now on."""


@dataclass(frozen=True, slots=True)
class Published:
    """What stands under the tape's name now, and the former generations beside it."""

    copy: PublishedCopy
    kept: tuple[PublishedCopy, ...]


@dataclass(frozen=True, slots=True)
class Publisher:
    """Publishes a finished stage.

    *permit* is asked last, with nothing awaited between its answer and the rename: evidence that
    arrived during the copy can still stop it. *wall_ns* is the time since the epoch. *before*
    publishes what has to be there before the tape: its companions.
    """

    attempt: Attempt
    journal: CopyJournal
    permit: Callable[[], bool]
    wall_ns: Callable[[], int]
    before: Callable[[], Awaitable[None]] | None = None

    async def publish(
        self,
        stage: str,
        standing: Standing,
        intended: PublishedCopy,
        chunk_map: ChunkMap,
        kept: Kept,
    ) -> Published:
        """Give *stage*, closed and durable, the tape's name; return what then stands there.

        Raises `Ended` if a guard refuses: nothing was published. Raises `TargetError`; unless
        that is before the rename, only the next attempt can tell what stands there.
        """
        attempt = self.attempt
        attempt.reporter(Phase.PUBLISHING, 0)
        former = kept.former(standing)
        if self.before is not None and attempt.route.companions:
            await self._expect(standing)
            await self.before()
        await self._note(standing)
        has_map = await self._announce(standing, intended, chunk_map, former, kept)
        try:
            await self.journal.intend(intended)
            former, directories = await self._keep(standing, former, kept)
            attempt.source.check()
            allowed = self.permit()
        except BaseException:
            await self._withdraw(former, kept)
            raise
        if not allowed:
            await self._withdraw(former, kept)
            raise Ended(CopyStopped("the permission to publish was withdrawn during the copy"))
        published: Published | None = None
        with trio.move_on_after(PUBLISH_S, shield=True):
            await attempt.target.rename(stage, attempt.layout.destination, durably=directories)
            for directory in directories:
                await directory.close()
            published = await self._record(
                stage, standing, intended, chunk_map, former, kept, has_map=has_map
            )
        if published is None:
            raise LinkLost(f"publishing did not end within {PUBLISH_S:g} s")
        return published

    async def _expect(self, standing: Standing) -> None:
        """Look again: much time may have passed since fence and target's file were looked at."""
        attempt, path = self.attempt, self.attempt.layout.destination
        fenced = partial(guards.check_fence, attempt.target, attempt.layout)
        now: TargetStamp | None = None
        if standing.stamp is None:
            found = await attempt.target.lstat(path)
            await fenced()
            if found is None:
                return
            now = await attempt.stamp(path)
        else:
            await fenced()
            now = await attempt.stamp(path)
            if now is not None and now.agrees(standing.stamp):
                return
        found_now = describe(now) if now else "gone, or no plain file any more"
        detail = f"{path} at the target changed during the copy: {found_now}"
        raise Ended(CopyHeld(HoldReason.TARGET_CHANGED, detail, now))

    async def _keep(
        self, standing: Standing, former: PublishedCopy | None, kept: Kept
    ) -> tuple[PublishedCopy | None, list[TargetFile]]:
        """Keep the former generation, and look for the last time at what is about to be replaced.

        In one round trip. Without the token, since a new name changes that. Returns as well the
        directories that have to be durable when the stage was renamed, open.
        """
        layout = self.attempt.layout
        opened: list[TargetFile] = []

        async def open_one(place: str) -> None:
            opened.append(await self.attempt.target.open(place))

        async def open_kept() -> None:
            try:
                await open_one(layout.kept_directory)
            except LinkLost:
                raise
            except TargetError as error:
                unopened.append(error)

        unopened: list[TargetError] = []
        found: list[TargetEntry | None] = []
        linked: list[PublishedCopy | None] = []
        path = self.attempt.layout.destination

        async def link() -> None:
            linked.append(await kept.link(former))

        async def look() -> None:
            found.append(await self.attempt.target.lstat(path))

        fenced = partial(guards.check_fence, self.attempt.target, layout)
        steps: list[_Step] = [look, fenced, link]
        steps += [partial(open_one, place) for place in (layout.pool, layout.directory)]
        await guards.all_of(*steps, *([] if former is None else [open_kept]))
        if unopened and linked[0] is not None:
            raise unopened[0]
        if not _is_as_judged(found[0], standing.stamp):
            await self._expect(standing)
        return linked[0], opened

    async def _note(self, standing: Standing) -> None:
        """Say in the manifest what stands there, if only an intent does: the next takes its place.

        Else what we published would be nobody's, should nothing come of this publication.
        """
        if standing.ours is None or standing.noted:
            return
        target, layout = self.attempt.target, self.attempt.layout
        data = manifest.encode(layout.tape, standing.ours, standing.kept)
        await staging.write_durably(target, layout.manifest, data)

    async def _announce(
        self,
        standing: Standing,
        intended: PublishedCopy,
        chunk_map: ChunkMap,
        former: PublishedCopy | None,
        kept: Kept,
    ) -> bool:
        """Make durable what is about to be, here and there, unless a look forbids it.

        All at once, for each takes its time; if one fails, all of it is taken back. Tells whether
        the target has the chunk map already.
        """
        target, layout = self.attempt.target, self.attempt.layout
        listed = [*([] if former is None else [former]), *kept.copies]
        data = manifest.encode(layout.tape, intended, listed)
        there: list[bool] = []

        async def look_for_map() -> None:
            there.append(await staging.has_map(target, layout, chunk_map.root))

        steps: list[_Step] = [
            look_for_map,
            partial(self._expect, standing),
            partial(self._hold, standing, intended, listed),
            partial(self.keep_map, chunk_map, listed),
            partial(staging.write_durably, target, layout.intent, data),
        ]
        try:
            await guards.all_of(*steps)
        except BaseException:
            await self._withdraw(None, kept)
            raise
        return there[0]

    async def _hold(
        self, standing: Standing, intended: PublishedCopy, listed: list[PublishedCopy]
    ) -> None:
        """Let a long file that is about to be replaced be freed later: that takes a file system long.

        Not where former generations are counted against the free space, nor where that is short.
        """
        target, layout = self.attempt.target, self.attempt.layout
        if standing.stamp is None or standing.stamp.size < _LONG or listed:
            return
        try:
            space = await target.space(layout.vault)
            if space is not None and space.free > 2 * max(standing.stamp.size, intended.size):
                await target.hold(layout.destination)
        except LinkLost:
            raise
        except TargetError as error:
            _log.debug("%s is replaced without being held: %s", layout.destination, error)

    async def keep_map(self, chunk_map: ChunkMap, listed: list[PublishedCopy]) -> None:
        """Return when the agent has the map, beside those of all that may be at the target."""
        job = self.attempt.job
        records = [job.base, job.intent, *job.kept, *listed]
        roots = {copy.root for copy in records if copy is not None and copy.root}
        put = partial(self.attempt.maps.put, job.tape, job.target, chunk_map, roots)
        await trio.to_thread.run_sync(put)

    async def _withdraw(self, former: PublishedCopy | None, kept: Kept) -> None:
        """Take the intent back at the target: it would make the next attempt read the tape there."""
        with trio.move_on_after(2, shield=True):
            try:
                # The intent that lists it stays as long as it does: the next attempt removes it.
                if await kept.unlink(former):
                    await self.attempt.target.remove(self.attempt.layout.intent)
            except TargetError:
                return

    async def _expect_replaced(self, stage: str, intended: PublishedCopy) -> None:
        """Look at the tape's name, and the stage's, after the rename."""
        target, layout = self.attempt.target, self.attempt.layout
        looks = [partial(target.lstat, path) for path in (stage, layout.destination)]
        left, found = await together(looks)
        if left is not None:
            # rename(2) between two names of one inode succeeds and does nothing.
            raise TargetRefused(f"publishing {layout.destination}", "the stage is still there")
        if found is None or found.kind is not EntryKind.FILE or found.size != intended.size:
            raise TargetRefused(
                f"publishing {layout.destination}", "something else stands there afterwards"
            )

    async def _record(
        self,
        stage: str,
        standing: Standing,
        intended: PublishedCopy,
        chunk_map: ChunkMap,
        former: PublishedCopy | None,
        kept: Kept,
        *,
        has_map: bool,
    ) -> Published:
        target, layout = self.attempt.target, self.attempt.layout
        found: list[tuple[TargetStamp | None, tuple[PublishedCopy, ...]]] = []
        begun: list[staging.BegunFiles | None] = []

        async def look() -> None:
            found.append(await kept.took_place(former, standing))

        async def begin() -> None:
            begun.append(
                await staging.begin_record(target, layout, chunk_map.root, has_map=has_map)
            )

        # What is to be written is begun at once with the looks that say what it is.
        steps: list[_Step] = [partial(self._expect_replaced, stage, intended), look, begin]
        await together(steps)
        stamp, listed = found[0]
        if stamp is None:
            raise TargetRefused(f"publishing {layout.destination}", "it is gone afterwards")
        listed = listed[: await kept.short_of_room()]
        copy = replace(intended, stamp=stamp, published_ns=self.wall_ns())
        # Before the record, which is the last that knows of it: else a crash leaves a file to nobody.
        await kept.drop_surplus(len(listed))
        listed = kept.copies
        await staging.record(begun[0], layout, copy, listed, chunk_map)
        job = self.attempt.job
        formerly = [standing.ours, job.base, job.intent, *job.kept, *standing.kept]
        await kept.drop_maps([one for one in formerly if one is not None], [copy, *listed])
        return Published(copy, listed)

    async def adopt(
        self, equal: PublishedCopy, chunk_map: ChunkMap, kept: tuple[PublishedCopy, ...]
    ) -> Published:
        """Make what stands there already, equal to the source, durable and record it as ours."""
        target, layout = self.attempt.target, self.attempt.layout
        self.attempt.reporter(Phase.PUBLISHING, 0)
        self.attempt.source.check()
        await staging.prepare(target, layout)
        places = (layout.destination, layout.pool, layout.vault)
        await together(partial(staging.sync, target, place) for place in places)
        await self._expect(Standing(equal.stamp))
        await self.keep_map(chunk_map, list(kept))
        adopted = replace(equal, published_ns=self.wall_ns())
        has_map = await staging.has_map(target, layout, chunk_map.root)
        begun = await staging.begin_record(target, layout, chunk_map.root, has_map=has_map)
        await staging.record(begun, layout, adopted, kept, chunk_map)
        return Published(adopted, kept)


def _is_as_judged(found: TargetEntry | None, judged: TargetStamp | None) -> bool:
    if found is None or judged is None:
        return found is None and judged is None
    same = (found.size, found.mtime) == (judged.size, judged.mtime)
    return same and found.kind is EntryKind.FILE
