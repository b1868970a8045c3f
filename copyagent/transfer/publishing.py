"""The moment of publication: from "nothing at the target has changed" to "durable and recorded"."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import trio

from copyagent.core.copying import (
    CopyHeld,
    CopyStopped,
    HoldReason,
    PublishedCopy,
    TargetStamp,
)
from copyagent.transfer import guards, manifest, staging
from copyagent.transfer.attempt import Attempt, Ended
from copyagent.transfer.progress import Phase
from copyagent.transfer.standing import Standing, describe
from copyagent.transfer.target import EntryKind, LinkLost, TargetError, TargetRefused

#: How long the publish section may take; it cannot be cancelled, so it must not be unbounded.
PUBLISH_S = 30.0


class CopyJournal(Protocol):
    """The agent's durable state, as far as the copier needs it."""

    async def intend(self, copy: PublishedCopy) -> None:
        """Return when it is durable that *copy* may be published at any moment from now on."""


@dataclass(frozen=True, slots=True)
class Publisher:
    """Publishes a finished stage.

    *permit* is asked last, with nothing awaited between its answer and the rename: evidence that
    arrived during the copy can still stop it. *wall_ns* is the time since the epoch.
    """

    attempt: Attempt
    journal: CopyJournal
    permit: Callable[[], bool]
    wall_ns: Callable[[], int]

    async def publish(
        self, stage: str, standing: Standing, intended: PublishedCopy
    ) -> PublishedCopy:
        """Give *stage*, closed and durable, the tape's name; return what then stands there.

        Raises `Ended` if a guard refuses: nothing was published. Raises `TargetError`; unless
        that is before the rename, only the next attempt can tell what stands there.
        """
        attempt = self.attempt
        attempt.reporter(Phase.PUBLISHING, 0)
        await guards.check_fence(attempt.target, attempt.layout)
        await self._expect(standing)
        await staging.write_durably(
            attempt.target,
            attempt.layout.intent,
            manifest.encode(attempt.layout.tape, intended),
        )
        try:
            await self.journal.intend(intended)
            attempt.source.check()
            allowed = self.permit()
        except BaseException:
            await self._withdraw()
            raise
        if not allowed:
            await self._withdraw()
            raise Ended(CopyStopped("the permission to publish was withdrawn during the copy"))
        published: PublishedCopy | None = None
        with trio.move_on_after(PUBLISH_S, shield=True):
            published = await self._replace(stage, intended)
            await staging.record(attempt.target, attempt.layout, published)
        if published is None:
            raise LinkLost(f"publishing did not end within {PUBLISH_S:g} s")
        return published

    async def _expect(self, standing: Standing) -> None:
        """Look again: much time may have passed since the target's file was judged."""
        path = self.attempt.layout.destination
        now = await self.attempt.stamp(path)
        if now is None and standing.stamp is None:
            if await self.attempt.target.lstat(path) is None:
                return
        elif now is not None and standing.stamp is not None and now.agrees(standing.stamp):
            return
        found = describe(now) if now else "gone, or no plain file any more"
        detail = f"{path} at the target changed during the copy: {found}"
        raise Ended(CopyHeld(HoldReason.TARGET_CHANGED, detail, now))

    async def _withdraw(self) -> None:
        """Take the intent back at the target: it would make the next attempt read the tape there."""
        with trio.move_on_after(2, shield=True):
            try:
                await self.attempt.target.remove(self.attempt.layout.intent)
            except TargetError:
                return

    async def _replace(self, stage: str, intended: PublishedCopy) -> PublishedCopy:
        target, layout = self.attempt.target, self.attempt.layout
        await target.rename(stage, layout.destination)
        left = await target.lstat(stage)
        found = await target.lstat(layout.destination)
        if left is not None:
            # rename(2) between two names of one inode succeeds and does nothing.
            raise TargetRefused(f"publishing {layout.destination}", "the stage is still there")
        if found is None or found.kind is not EntryKind.FILE or found.size != intended.size:
            raise TargetRefused(
                f"publishing {layout.destination}", "something else stands there afterwards"
            )
        await staging.sync(target, layout.pool)
        await staging.sync(target, layout.directory)
        stamp = await self.attempt.stamp(layout.destination)
        return replace(
            intended,
            stamp=stamp or TargetStamp(found.size, found.mtime),
            published_ns=self.wall_ns(),
        )

    async def adopt(self, equal: PublishedCopy) -> PublishedCopy:
        """Make what stands there already, equal to the source, durable and record it as ours."""
        target, layout = self.attempt.target, self.attempt.layout
        self.attempt.reporter(Phase.PUBLISHING, 0)
        self.attempt.source.check()
        await staging.prepare(target, layout)
        for path in (layout.destination, layout.pool, layout.vault):
            await staging.sync(target, path)
        await self._expect(Standing(equal.stamp))
        adopted = replace(equal, published_ns=self.wall_ns())
        await staging.record(target, layout, adopted)
        return adopted
