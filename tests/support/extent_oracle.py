"""The oracle of extents: an agent that copies nothing but what it is told to.

`ModelAgent` keeps an old copy of each tape, as a target system would, and brings it up to date from
the signals alone: all of the tape where the extents are unknown or do not begin at the copy's own
state, and nothing but the reported ranges where they do. Once everything is quiet, each copy must
equal its tape; where it does not, something has changed that was not told.
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from tests.support.attached_vault import VAULT, Follower
from vtsfs.contract.naming import PoolId, TapeId
from vtsfs.contract.signals import Access, Identity, Kind, Signal

#: A tape outside the tested pools; new times of it are told, and come after all that was before.
FENCE = ("FENCE", "F00001")
#: A release reaches the overlay after close(2) has returned, so its signal may come after a fence.
PATIENCE_S = 1.0

_ENDS = {Kind.DISMOUNTED, Kind.INTERRUPTED}


@dataclass(slots=True)
class Copy:
    """What the model has of a tape, and the identity that the tape had when it was so."""

    data: bytearray
    identity: Identity | None


def identity_of(path: Path) -> Identity:
    found = os.stat(path)
    return Identity(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


class ModelAgent:
    """Replays what the feed of one vault says about the tapes in *pools* of its *backing*.

    *ranges* counts the signals that were replayed by their extents, *whole* those that were not.
    """

    def __init__(self, mount: Path, backing: Path, pools: Iterable[str]) -> None:
        self._fence_path = mount.joinpath(*FENCE)
        self._backing = backing
        self.pools = frozenset(pools)
        self._open: set[str] = set()
        self.copies: dict[TapeId, Copy] = {}
        self.seq = 0
        self.ranges = 0
        self.whole = 0
        self.log: list[str] = []

    def sweep(self, pools: Iterable[str] | None = None) -> None:
        """Copy every tape of *pools* (all) as it is, and forget the others there."""
        swept = self.pools if pools is None else self.pools.intersection(pools)
        self.copies = {t: copy for t, copy in self.copies.items() if t.pool not in swept}
        for pool in swept:
            for tape in self._tapes_of(pool):
                self._copy_whole(tape, None)

    def catch_up(self, feed: Follower) -> None:
        """Take in what has been told so far, a fence of our own being the last of it."""
        fence_ns = self._fence_path.stat().st_mtime_ns + 1
        os.utime(self._fence_path, ns=(0, fence_ns))
        while True:
            signal = feed.next()
            self.seq = signal.seq
            identity = signal.identity
            if (signal.pool, signal.label) != FENCE:
                self.take(signal)
            elif identity is not None and identity.mtime_ns == fence_ns:
                return

    def check(self, feed: Follower) -> None:
        """Fail unless, nobody having a tape open any more, every copy equals its tape."""
        end = monotonic() + PATIENCE_S
        self.catch_up(feed)
        while (self._open or self._differences()) and monotonic() < end:
            self.catch_up(feed)
        assert not self._open, f"sessions without an end: {self._open}\n{self._told()}"
        assert not self._differences(), f"{self._differences()}\n{self._told()}"

    def take(self, signal: Signal) -> None:
        """Do with the copies what the signal asks for."""
        self.log.append(signal.to_json()[:900])
        if signal.pool not in self.pools or (signal.session and signal.access is Access.READ):
            return
        if signal.session and signal.kind is Kind.MOUNTED:
            self._open.add(signal.session)
        elif signal.kind in _ENDS:
            self._open.discard(signal.session)
        tape = signal.tape
        if tape is None:
            self._take_pool(signal)
        elif signal.kind is Kind.REMOVED:
            self.copies.pop(tape, None)
        elif signal.kind is not Kind.MOUNTED and signal.identity is not None:
            self._take_tape(tape, signal)

    def _take_pool(self, signal: Signal) -> None:
        origin = PoolId.parse(signal.origin).pool if signal.origin else signal.pool
        self.sweep({signal.pool, origin})

    def _take_tape(self, tape: TapeId, signal: Signal) -> None:
        if signal.kind is Kind.MOVED and signal.origin:
            origin = TapeId.parse(signal.origin)
            if origin in self.copies and not self._path(origin).exists():
                del self.copies[origin]
        copy = self.copies.get(tape)
        if copy is None or signal.extents is None or not _follows(copy, signal):
            self.whole += 1
            self._copy_whole(tape, signal.identity)
            return
        self.ranges += 1
        assert signal.identity is not None
        self._copy_ranges(tape, copy, signal.extents, signal.identity)

    def _copy_whole(self, tape: TapeId, identity: Identity | None) -> None:
        """Copy the tape as it is; *identity*, older than that or not, is what we know it by."""
        try:
            known = identity or identity_of(self._path(tape))
            self.copies[tape] = Copy(bytearray(self._path(tape).read_bytes()), known)
        except FileNotFoundError:
            # Gone since; there is a signal on its way that says so.
            self.copies.pop(tape, None)

    def _copy_ranges(
        self, tape: TapeId, copy: Copy, extents: Iterable[tuple[int, int]], identity: Identity
    ) -> None:
        try:
            new = self._path(tape).read_bytes()
        except FileNotFoundError:
            self.copies.pop(tape, None)
            return
        old = copy.data
        old.extend(bytes(max(0, identity.size - len(old))))
        for start, end in extents:
            part = new[start:end]
            old[start : start + len(part)] = part
        del old[identity.size :]
        copy.identity = identity

    def _differences(self) -> list[str]:
        there = {tape for pool in self.pools for tape in self._tapes_of(pool)}
        wrong = [f"{tape} is there and was not told" for tape in there - self.copies.keys()]
        wrong += [f"{tape} has gone and was not told" for tape in self.copies.keys() - there]
        for tape in there & self.copies.keys():
            new, old = self._path(tape).read_bytes(), self.copies[tape].data
            if new != old:
                at = next((i for i, (a, b) in enumerate(zip(new, old, strict=False)) if a != b), -1)
                wrong.append(f"{tape} differs at {at} (sizes {len(new)}, copy {len(old)})")
        return wrong

    def _tapes_of(self, pool: str) -> list[TapeId]:
        directory = self._backing / pool
        if not directory.is_dir():
            return []
        return [
            TapeId(VAULT, pool, path.name)
            for path in directory.iterdir()
            if path.name.isalnum() and path.is_file()
        ]

    def _path(self, tape: TapeId) -> Path:
        return self._backing / tape.pool / tape.label

    def _told(self) -> str:
        return "\n".join(self.log[-60:])


def _follows(copy: Copy, signal: Signal) -> bool:
    """Whether the extents of *signal* begin at the state that was copied."""
    return signal.opened is not None and signal.opened.same_bytes(copy.identity)
