"""Names: everything that makes, removes, renames or reads entries of directories.

What concerns a tape's name is reported before the caller gets its answer; the report is committed
after the fact, and a crash in between leaves the vault unclean, so that a sweep finds it.
"""

import os
import stat
from typing import Protocol

from vtsfs.contract.naming import NamePatterns, TapeId
from vtsfs.contract.signals import Kind, Signal
from vtsfs.overlay import store
from vtsfs.overlay.caller import Caller, acting_for
from vtsfs.overlay.files import Parts
from vtsfs.overlay.inodes import Inode
from vtsfs.overlay.links import FileKey
from vtsfs.overlay.moves import Report, reports_of_exchange, reports_of_rename
from vtsfs.overlay.places import ELSEWHERE, Place, place_of

#: An entry as the kernel gets it: the file and its attributes.
Entry = tuple[Inode, os.stat_result]


#: After these something is to be copied from here. A peer makes durable itself what it publishes.
_HERE_NOW = frozenset({Kind.MOVED, Kind.CHANGED})


class Adopt(Protocol):
    """What tells open handles that their files have become tapes: `Files.adopt`."""

    async def __call__(self, tape: TapeId | None, file: FileKey, *signals: Signal) -> None: ...


class Names:
    """The directories of one vault."""

    def __init__(self, parts: Parts, vault: str, patterns: NamePatterns, adopt: Adopt) -> None:
        self._parts = parts
        self._adopt = adopt
        self._vault = vault
        self._patterns = patterns

    def place(self, parent: Inode, name: bytes) -> Place:
        """Say what *name* in *parent* would be."""
        root = self._parts.inodes.root
        if parent is root:
            return place_of(self._vault, name, self._patterns)
        above = store.relative_path(parent.fd, root.fd)
        if above is None:
            return ELSEWHERE
        return place_of(self._vault, above + b"/" + name, self._patterns)

    def lookup(self, parent: Inode, name: bytes) -> Entry:
        """Find *name*; raises FileNotFoundError."""
        return self._parts.inodes.lookup(parent, name)

    async def mknod(
        self, parent: Inode, name: bytes, mode: int, device: int, caller: Caller
    ) -> Entry:
        """Make a file, FIFO, socket or device node of exactly *mode*."""
        with acting_for(caller):
            os.mknod(name, mode, device, dir_fd=parent.fd)
        entry = self._parts.inodes.lookup(parent, name)
        place = self.place(parent, name)
        if place.tape is not None and stat.S_ISREG(entry[1].st_mode):
            self._parts.renamed.make_durable(parent, name)
            report = Report(Kind.CHANGED, place.tape.pool_id, place.tape, cause="create")
            await self._report([report], entry[1])
        await self._tell_companion(place, entry[1])
        return entry

    def mkdir(self, parent: Inode, name: bytes, mode: int, caller: Caller) -> Entry:
        """Make a directory of exactly *mode* (and the set-group-ID bit, where that is inherited)."""
        with acting_for(caller):
            os.mkdir(name, stat.S_IMODE(mode), dir_fd=parent.fd)
        return self._parts.inodes.lookup(parent, name)

    def symlink(self, parent: Inode, name: bytes, target: bytes, caller: Caller) -> Entry:
        """Make a symbolic link to *target*."""
        with acting_for(caller):
            os.symlink(target, name, dir_fd=parent.fd)
        return self._parts.inodes.lookup(parent, name)

    async def link(self, inode: Inode, parent: Inode, name: bytes, caller: Caller) -> Entry:
        """Give a file a further name; if that is a tape's, a tape has come into being."""
        with acting_for(caller):
            store.link(inode, parent, name)
        entry = self._parts.inodes.lookup(parent, name)
        place = self.place(parent, name)
        if place.tape is not None and stat.S_ISREG(entry[1].st_mode):
            self._parts.renamed.make_durable(parent, name)
            report = Report(Kind.MOVED, place.tape.pool_id, place.tape, cause="link")
            await self._adopt(place.tape, _key(entry[1]), self._signal(report, entry[1]))
        await self._tell_companion(place, entry[1])
        return entry

    async def unlink(self, parent: Inode, name: bytes) -> None:
        """Remove a name; open handles keep the file."""
        place = self.place(parent, name)
        tape = place.tape
        found = None if place == ELSEWHERE else store.lstat(parent, name)
        gone = self._parts.inodes.leaving(parent, name)
        os.unlink(name, dir_fd=parent.fd)
        self._parts.inodes.left(gone)
        if found is not None:
            self._parts.sessions.name_gone(found.st_dev, found.st_ino)
        if tape is not None and found is not None and stat.S_ISREG(found.st_mode):
            await self._report([Report(Kind.REMOVED, tape.pool_id, tape, cause="unlink")], None)
        await self._tell_companion(place, found)

    def rmdir(self, parent: Inode, name: bytes) -> None:
        """Remove an empty directory."""
        self._parts.inodes.leaving(parent, name)
        os.rmdir(name, dir_fd=parent.fd)

    async def rename(
        self, old: tuple[Inode, bytes], new: tuple[Inode, bytes], flags: int, caller: Caller
    ) -> None:
        """Rename in every form of renameat2(2)."""
        source, target = self.place(*old), self.place(*new)
        if source == target == ELSEWHERE:
            self._rename(old, new, flags, caller)
            return
        moved, over = store.lstat(*old), store.lstat(*new)
        self._rename(old, new, flags, caller)
        if moved is None:
            return
        for found in (moved, over):
            if found is not None:
                self._parts.sessions.name_gone(found.st_dev, found.st_ino)
        if flags & store.RENAME_EXCHANGE and over is not None:
            reports = reports_of_exchange(source, target, (moved.st_mode, over.st_mode))
        else:
            replaced = over is not None and stat.S_ISREG(over.st_mode)
            reports = reports_of_rename(source, target, moved.st_mode, replaced=replaced)
        signals: list[Signal] = []
        for report in reports:
            at = new if report.tape == target.tape else old
            if report.kind in _HERE_NOW:
                self._parts.renamed.make_durable(*at)
            signals.append(self._signal(report, store.lstat(*at)))
        if any(each is not None and stat.S_ISREG(each.st_mode) for each in (moved, over)):
            signals += self._companions_renamed(source, target, new)
        await self._adopt(target.tape, _key(moved), *signals)

    def _rename(
        self, old: tuple[Inode, bytes], new: tuple[Inode, bytes], flags: int, caller: Caller
    ) -> None:
        inodes = self._parts.inodes
        moved, over = inodes.leaving(*old), inodes.leaving(*new)
        # The caller's, too, are a block by which the directory grows and a whiteout left behind.
        with acting_for(caller):
            store.rename(old, new, flags)
        inodes.renamed(moved, *new)
        if flags & store.RENAME_EXCHANGE:
            inodes.renamed(over, *old)
        else:
            inodes.left(over)

    async def _tell_companion(self, place: Place, found: os.stat_result | None) -> None:
        if place.companion is not None and found is not None and stat.S_ISREG(found.st_mode):
            await self._parts.reporter.commit(*self._parts.companions.told(place.companion))

    def _companions_renamed(
        self, source: Place, target: Place, new: tuple[Inode, bytes]
    ) -> list[Signal]:
        if target.companion is not None:
            self._parts.renamed.make_durable(*new)
        # A peer that publishes a companion tells of its tape by publishing that.
        there = None if source.staging else target.companion
        return self._parts.companions.told(source.companion, there)

    def _signal(self, report: Report, found: os.stat_result | None) -> Signal:
        gone = report.kind is Kind.REMOVED or report.tape is None or found is None
        identity = None if gone or found is None else store.identity_of(found)
        return self._parts.reporter.of_report(report, identity)

    async def _report(self, reports: list[Report], found: os.stat_result | None) -> None:
        await self._parts.reporter.commit(*(self._signal(report, found) for report in reports))


def _key(found: os.stat_result) -> FileKey:
    return found.st_dev, found.st_ino
