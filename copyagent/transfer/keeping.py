"""Former generations stay at the target as hard links, under names of their own in our staging.

Nothing is copied for it: what was published gets a second name before the new generation takes the
first one away from it. The oldest goes when there are too many, or when room gets short. What
stands under the tape's name is never among them, and a file that could be it is never written.
"""

import logging
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import trio

from copyagent.core.copying import PublishedCopy, TargetStamp
from copyagent.transfer.attempt import Attempt
from copyagent.transfer.standing import Standing
from copyagent.transfer.target import EntryKind, LinkLost, TargetError
from copyagent.transfer.together import together

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Kept:
    """The former generations of one tape at one target, newest first, as one attempt changes them."""

    attempt: Attempt
    copies: tuple[PublishedCopy, ...]
    _rubbish: list[str] = field(default_factory=list)

    @classmethod
    def begin(cls, attempt: Attempt, standing: Standing) -> "Kept":
        """Take over what is known to be there."""
        return cls(attempt, standing.kept, list(standing.stray))

    def former(self, standing: Standing) -> PublishedCopy | None:
        """Return the record that what stands there will have when it is kept; None if it is not."""
        keep = self.attempt.job.keep
        ours = standing.ours
        if ours is None or not keep or not self.attempt.target.can.hard_links:
            return None
        name = self.attempt.layout.kept_name(ours.generation, secrets.token_hex(8))
        return replace(ours, name=name)

    def about_to_go(self) -> PublishedCopy | None:
        """Return the oldest, if there is no place for it beside what stands there now."""
        return self.copies[-1] if len(self.copies) >= max(self.attempt.job.keep, 1) else None

    async def link(self, former: PublishedCopy | None) -> PublishedCopy | None:
        """Give what stands there its second name; None if that cannot be done, and is not worth failing."""
        if former is None:
            return None
        layout = self.attempt.layout
        try:
            await self.attempt.target.link(layout.destination, layout.kept(former.name))
        except LinkLost:
            raise
        except TargetError as error:
            _log.warning("the former generation of %s is not kept: %s", layout.tape, error)
            return None
        return former

    async def unlink(self, former: PublishedCopy | None) -> bool:
        """Take the second name back: nothing was published. Tell whether it is gone."""
        return former is None or await self._remove([former.name])

    async def took_place(
        self, former: PublishedCopy | None, standing: Standing
    ) -> tuple[TargetStamp | None, tuple[PublishedCopy, ...]]:
        """After a publication: return the stamp of what stands there now, and what is kept.

        What is not there any more is not listed, nor what is another file than was looked at.
        """
        layout, job = self.attempt.layout, self.attempt.job
        listed = [*([] if former is None else [former]), *self.copies]
        now, *stamps = await self.attempt.stamps(
            layout.destination, *(layout.kept(copy.name) for copy in listed)
        )
        found = []
        for copy, stamp in zip(listed, stamps, strict=True):
            before = standing.stamp if copy is former else copy.stamp
            if stamp is None or before is None:
                _log.info("the kept generation %s is gone", copy.name)
            elif _same_file(stamp, before):
                # Only the one that has just got its second name may have another ctime. Whoever
                # edited an older one and set its date back shows by that for ever.
                found.append(replace(copy, stamp=stamp) if copy is former else copy)
            elif copy is former:
                # It lost its name after the last look at it; it is not ours to remove as well.
                _log.warning("%s was written by others as %s was published", copy.name, layout.tape)
            else:
                _log.warning("%s is not as it was kept, and is dropped", copy.name)
                self._rubbish.append(copy.name)
        self.copies = tuple(found)
        return now, self.copies[: job.keep]

    async def drop_surplus(self, keep: int) -> None:
        """Remove all but the newest *keep*, and what is of no use.

        After a failure all of them stay in `copies`, and so on record: the next publication finds
        out which are there, and tries again. Else nobody would know of them any more.
        """
        surplus = [copy.name for copy in self.copies[keep:]]
        if await self._remove([*self._rubbish, *surplus]):
            self.copies = self.copies[:keep]
            self._rubbish.clear()

    async def drop_maps(
        self, formerly: Sequence[PublishedCopy], now: Sequence[PublishedCopy]
    ) -> None:
        """Remove the target's chunk maps of what is there no more."""
        layout, wanted = self.attempt.layout, {copy.root for copy in now}
        roots = {copy.root for copy in formerly if copy.root} - wanted
        await self._remove_all([layout.map(root) for root in sorted(roots)])

    async def short_of_room(self) -> int:
        """Return how many of the newest may stay so that enough of the file system stays free.

        What a file gives back is its size, unless it has another name still.
        """
        copies, route = self.copies[: self.attempt.job.keep], self.attempt.route
        space = await self.attempt.target.space(route.layout.directory) if copies else None
        if space is None:
            return len(copies)
        free = space.free
        stay = len(copies)
        while stay and free < route.keep_free * space.total:
            stay -= 1
            free += copies[stay].size
        return stay

    async def make_room(self, need: int) -> None:
        """Remove the oldest until about *need* bytes came free, or none is left."""
        while need > 0 and self.copies:
            oldest = self.copies[-1]
            if not await self._remove([oldest.name]):
                return
            self.copies = self.copies[:-1]
            need -= oldest.size

    async def _remove(self, names: Sequence[str]) -> bool:
        return await self._remove_all([self.attempt.layout.kept(name) for name in names])

    async def _remove_all(self, paths: Sequence[str]) -> bool:
        """Remove files of ours; one that stays costs room and nothing else. Tell whether all went."""
        layout, target = self.attempt.layout, self.attempt.target
        with trio.move_on_after(5, shield=True):
            try:
                await together(partial(target.remove, path) for path in paths)
            except TargetError as error:
                _log.info("former generations of %s stay for now: %s", layout.tape, error)
            else:
                return True
        return False


def _same_file(now: TargetStamp, before: TargetStamp) -> bool:
    """Compare what a second name leaves alone: it changes the ctime, and with it half the token."""
    inode, former = now.token.partition(" ")[0], before.token.partition(" ")[0]
    same_inode = not inode or not former or inode == former
    return same_inode and (now.size, now.mtime) == (before.size, before.mtime)


async def is_there(attempt: Attempt, copy: PublishedCopy) -> bool:
    """Tell whether the kept generation *copy* lies at the target as it was recorded."""
    path = attempt.layout.kept(copy.name)
    entry = await attempt.target.lstat(path)
    if entry is None or entry.kind is not EntryKind.FILE:
        return False
    stamp = await attempt.stamp(path)
    return stamp is not None and stamp.agrees(copy.stamp)
