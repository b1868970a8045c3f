"""What an attempt that ended early leaves to the next one: a stage, and a note of what it holds.

The note lies with the agent. It names the stage, the generation and the source's identity it was
made of, and the ranges that were on stable storage when it was written; when an attempt fails and
the agent lives, also those that the server had only acknowledged. It proves nothing: what was
resumed is read back before it is published.

A server process that lost its client may still write what it had received into the stage. For the
same generation and the same source these are the same bytes, so they do no harm there; but such a
file never becomes one that later generations are built in (`PublishedCopy.sole`).
"""

import hashlib
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Self

import trio

from copyagent.transfer import ranges
from copyagent.transfer.attempt import Attempt
from copyagent.transfer.layout import SENTINEL
from copyagent.transfer.target import (
    EntryKind,
    Target,
    TargetEntry,
    TargetError,
    TargetMissing,
)
from vtsfs.contract.errors import StateError
from vtsfs.contract.extents import ExtentSet, Range
from vtsfs.contract.naming import TapeId
from vtsfs.contract.signals import Identity
from vtsfs.runtime.files import private_directory, write_atomic

_log = logging.getLogger(__name__)

VERSION = 1

#: How much may be lost to the next attempt: so many bytes, or what comes in so many seconds.
EVERY_BYTES = 64 * 1024 * 1024
EVERY_S = 5.0

#: From so many bytes on, what was acknowledged is worth a note when an attempt ends early.
LEAST_SALVAGED = 4 * 1024 * 1024

#: Stages of other tapes that are so much older than the newest file there are collected, in seconds.
ABANDONED_S = 86_400

#: A note that is older, in nanoseconds, is of a copy that nobody makes any more.
FORGOTTEN_NS = 30 * 86_400 * 1_000_000_000

#: Most ranges that a note has; the shortest are left out, and sent again.
_MOST_RANGES = 4096


@dataclass(frozen=True, slots=True)
class StageNote:
    """One stage at a target. *names* are the ones it may have there, the newest first.

    *durable* holds the bytes of the source, or did when the target was last heard of. *closed*: all
    that was sent to it was executed, so that nobody can write it any more. *over*: it began as a
    copy of a former generation, so that what is not durable is not zero.
    """

    generation: int
    source: Identity
    names: tuple[str, ...]
    durable: tuple[Range, ...] = ()
    closed: bool = False
    over: bool = False

    def is_for(self, attempt: Attempt) -> bool:
        """Tell whether the stage was made for what *attempt* is to publish."""
        same = self.source.same_bytes(attempt.source.identity)
        return same and self.generation == attempt.job.generation

    def encode(self) -> bytes:
        """Write the note as JSON."""
        return json.dumps({"version": VERSION, **asdict(self)}).encode("ascii") + b"\n"

    @classmethod
    def decode(cls, data: bytes) -> Self | None:
        """Read a note; None for anything else."""
        try:
            found = json.loads(data)
            if found["version"] != VERSION:
                return None
            return cls(
                generation=int(found["generation"]),
                source=Identity(**{key: int(value) for key, value in found["source"].items()}),
                names=tuple(map(str, found["names"])),
                durable=tuple((int(start), int(end)) for start, end in found["durable"]),
                closed=found["closed"] is True,
                over=found["over"] is True,
            )
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None


@dataclass(frozen=True, slots=True)
class StageNotes:
    """The notes below *directory*: one file per tape and target. Everything here blocks."""

    directory: Path

    def path(self, tape: TapeId, target: str) -> Path:
        """Return the file for *tape* at *target*."""
        name = f"{tape}\0{target}".encode("utf-8", "surrogatepass")
        return self.directory / f"{hashlib.sha256(name).hexdigest()[:32]}.stage"

    def read(self, tape: TapeId, target: str) -> StageNote | None:
        """Return the note, None if there is none or it cannot be read."""
        try:
            return StageNote.decode(self.path(tape, target).read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            _log.warning("what was sent of %s is not known: %s", tape, error)
            return None

    def write(self, tape: TapeId, target: str, note: StageNote) -> None:
        """Return when the note is durable; raises `StateError`."""
        path = self.path(tape, target)
        private_directory(self.directory)
        try:
            write_atomic(path, note.encode())
        except OSError as error:
            raise StateError(f"{path} cannot be written: {error.strerror}; make room") from error

    def forget_old(self, now_ns: int) -> None:
        """Remove notes of tapes that were not copied for a month; their stages are then collected.

        *now_ns* is since the epoch. A failure puts it off.
        """
        try:
            for path in self.directory.glob("*.stage"):
                if path.stat().st_mtime_ns < now_ns - FORGOTTEN_NS:
                    path.unlink(missing_ok=True)
        except OSError as error:
            _log.warning("old notes of stages stay where they are: %s", error)

    def names(self) -> set[str]:
        """Return the names of all stages that there are notes of; raises OSError."""
        found: set[str] = set()
        for path in self.directory.glob("*.stage"):
            note = StageNote.decode(path.read_bytes())
            found.update(note.names if note else ())
        return found

    def forget(self, tape: TapeId, target: str) -> None:
        """Remove the note; a failure costs no safety."""
        try:
            self.path(tape, target).unlink(missing_ok=True)
        except OSError as error:
            _log.warning("a note of %s cannot be removed: %s", tape, error)


def notes_of(attempt: Attempt) -> StageNotes:
    """Return the agent's notes."""
    return StageNotes(attempt.route.agent / "stages")


@dataclass(frozen=True, slots=True)
class Found:
    """A stage of an earlier attempt that can be used, and where it lies at the target."""

    note: StageNote
    path: str

    @property
    def durable(self) -> ExtentSet:
        """What it holds."""
        return ranges.exact(self.note.durable)


#: What lies in our staging directory at the target.
Listing = Sequence[tuple[str, TargetEntry]]


async def list_staging(attempt: Attempt) -> Listing:
    """List our staging directory; it is empty as long as there is none."""
    try:
        return await attempt.target.list_entries(attempt.layout.directory)
    except TargetMissing:
        return ()


async def collect(attempt: Attempt, entries: Listing) -> Found | None:
    """Remove what earlier attempts at this tape left behind, but for a stage that can be used.

    *entries* were listed in this attempt. Done before the tape is looked at: a server process that
    lost its client before it executed the rename can do so whenever it wakes up. Once its stage has
    no name, or another one, what is seen under the tape's name stays. One that lost its client makes
    no stage any more that could be renamed: a rename is asked for after the CLOSE was answered.
    """
    job, layout, target = attempt.job, attempt.layout, attempt.target
    note = await trio.to_thread.run_sync(notes_of(attempt).read, job.tape, job.target)
    await _collect_sentinels(attempt, entries)
    await _collect_of_others(attempt, entries)
    names = [name for name, _ in entries if layout.is_stage(name)]
    usable = None
    if note is not None and note.is_for(attempt):
        usable = next((name for name in note.names if name in names), None)
    for name in names:
        if name != usable:
            await target.remove(f"{layout.directory}/{name}")
    if note is None or usable is None:
        return None
    return await _settled(attempt, note, usable)


async def _collect_sentinels(attempt: Attempt, entries: Listing) -> None:
    """Remove those of attempts that were killed while they looked for it here."""
    for name, _ in entries:
        if name.endswith(SENTINEL) and name not in attempt.route.premises.building:
            await attempt.target.remove(f"{attempt.layout.directory}/{name}")


async def _collect_of_others(attempt: Attempt, entries: Listing) -> None:
    """Remove stages of other tapes that nobody comes back to: they are not copied any more.

    Neither is anybody at work on them, nor is there a note, nor was one made lately that this agent
    may have forgotten.
    """
    layout, busy = attempt.layout, attempt.route.premises.building
    newest = max((entry.mtime for _, entry in entries), default=0)
    old = [
        name
        for name, entry in entries
        if name.endswith(".stage") and not layout.is_stage(name) and name not in busy
        and entry.kind is EntryKind.FILE and entry.mtime < newest - ABANDONED_S
    ]  # fmt: skip
    if not old:
        return
    try:
        noted = await trio.to_thread.run_sync(notes_of(attempt).names)
    except OSError:
        return
    for name in old:
        # Asked again: somebody may have begun with it while the notes were read.
        if name not in noted and name not in busy:
            await attempt.target.remove(f"{layout.directory}/{name}")


async def _settled(attempt: Attempt, note: StageNote, name: str) -> Found:
    """Give a stage that may have been about to be published a name that no late rename knows."""
    job, layout = attempt.job, attempt.layout
    path = f"{layout.directory}/{name}"
    if not note.closed:
        return Found(note, path)  # a rename is only ever asked for after the CLOSE was answered
    fresh = attempt.new_stage()
    note = replace(note, names=(fresh.rpartition("/")[2], name))
    write = partial(notes_of(attempt).write, job.tape, job.target, note)
    await trio.to_thread.run_sync(write)
    await attempt.target.rename(path, fresh)
    return Found(note, fresh)


@dataclass(slots=True)
class Keeper:
    """Sees to it that what was sent becomes durable, and is noted, while more is being sent.

    On a server process of its own: making durable takes long, and would keep the writes waiting.
    That it cannot be done is no reason to stop: only more is sent again, if it comes to that.
    *silent*: nothing of this stage is noted, for it must not be resumed.
    """

    attempt: Attempt
    path: str
    note: StageNote
    noted: bool = False
    silent: bool = False
    _acknowledged: ExtentSet = field(default_factory=ranges.exact)
    _news: int = 0
    _more: trio.Event = field(default_factory=trio.Event)
    _over: bool = False

    def __post_init__(self) -> None:
        self._acknowledged = ranges.exact(self.note.durable)

    def acknowledged(self, start: int, end: int) -> None:
        """Note that the server has written a range."""
        self._acknowledged.add(start, end)
        self._news += end - start
        if self._news >= EVERY_BYTES:
            self._more.set()

    def finish(self) -> None:
        """End `run`."""
        self._over = True
        self._more.set()

    async def run(self) -> None:
        """Run until `finish`; raises nothing."""
        try:
            if await self._wait():
                async with self.attempt.target.side() as side:
                    await self._keep(side)
        except (TargetError, StateError) as error:
            _log.info("%s: what is sent is not noted any more: %s", self.attempt.job.tape, error)

    async def _wait(self) -> bool:
        """Wait until there is enough to be noted; tell whether to go on."""
        while True:
            with trio.move_on_after(EVERY_S):
                await self._more.wait()
            self._more = trio.Event()
            if self._over:
                return False
            if self._news and not self.silent:
                return True

    async def _keep(self, side: Target) -> None:
        file = await side.open(self.path)
        while True:
            durable, self._news = _bounded(self._acknowledged), 0
            await file.sync()
            await self.write(replace(self.note, durable=durable))
            if not await self._wait():
                break
        await file.close()

    async def write(self, note: StageNote) -> None:
        """Write *note*; raises `StateError`."""
        job = self.attempt.job
        await trio.to_thread.run_sync(notes_of(self.attempt).write, job.tape, job.target, note)
        self.note, self.noted = note, True

    async def salvage(self) -> None:
        """Note what the server has acknowledged, when the attempt has failed; raises nothing.

        It may not be durable there. But it is only the line that failed, mostly; and what is
        resumed is read back before it is published.
        """
        had = sum(end - start for start, end in self.note.durable)
        if self.silent or self._acknowledged.total() - had < LEAST_SALVAGED:
            return
        try:
            with trio.CancelScope(shield=True):
                await self.write(replace(self.note, durable=_bounded(self._acknowledged)))
        except StateError as error:
            _log.info("%s: what was sent is not noted: %s", self.attempt.job.tape, error)

    async def closed(self, size: int) -> None:
        """Note that the whole stage is durable and closed."""
        if self.silent:
            return
        await self.write(replace(self.note, durable=((0, size),), closed=True))

    async def reopened(self) -> None:
        """Note that it is going to be written again."""
        if self.noted:
            await self.write(replace(self.note, closed=False))

    def forget(self) -> None:
        """Remove the note: the stage was published, or is of no use."""
        if self.noted:
            notes_of(self.attempt).forget(self.attempt.job.tape, self.attempt.job.target)
            self.noted = False


def _bounded(acknowledged: ExtentSet) -> tuple[Range, ...]:
    """Return most of what was acknowledged in not too many ranges: the longest are the ones."""
    found = list(acknowledged)
    if len(found) > _MOST_RANGES:
        longest = sorted(found, key=lambda r: r[0] - r[1])[:_MOST_RANGES]
        found = sorted(longest)
    return tuple(found)
