"""Is what stands in the stage what the source holds? Asked after sending, before publishing.

A chunk map says what has to be there; how much of it is looked at is the target's ``verify`` and
``readback`` in the settings, and what was done is recorded with the copy in the words below.
Whatever an earlier attempt had written, or came from a base that nobody could vouch for, is looked
at whatever the settings say: a size proves nothing.
"""

import hashlib
import math
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Self

import trio

from copyagent.core.copying import CopyFailed
from copyagent.transfer import ranges
from copyagent.transfer.attempt import Attempt, Ended
from copyagent.transfer.chunks import ChunkMap, chunk_ranges, touched
from copyagent.transfer.commands import parse_sha256, sha256_command
from copyagent.transfer.comparing import compare, compare_with
from copyagent.transfer.progress import Phase
from copyagent.transfer.reading import Reading
from copyagent.transfer.source import SourceProblem, SourceTape
from copyagent.transfer.target import EntryKind, TargetEntry, TargetError, TargetMissing
from vtsfs.contract.extents import ExtentSet

SIZE = "size"
SHA256 = "sha256"
READBACK = "readback"
READBACK_OF_SENT = "readback of what was sent"

#: From this size on starting a command at the target costs less than reading everything back.
_COMMAND_PAYS = 8 * 1024 * 1024

#: What a digest command is given: some time to start, and the slowest disk we put up with.
_COMMAND_S = 60.0
_SLOWEST_DISK = 2 * 1024 * 1024

#: How much of the source is read and digested at a time.
_READ = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is read back: whole *chunks*, and *pieces* of others.

    Chunks are compared with their digests, pieces with the source: a scattered change touches many
    more bytes of chunks than it has itself.
    """

    chunks: set[int]
    pieces: ExtentSet = field(default_factory=ExtentSet)

    @classmethod
    def of(cls, chunk_map: ChunkMap, wanted: ExtentSet, chunks: Iterable[int] = ()) -> Self:
        """Choose the *wanted* bytes, and whole *chunks* besides."""
        size = chunk_map.size
        whole = {i for i in touched(wanted, size) if wanted.covers(*chunk_map.range(i))}
        whole.update(chunks)
        pieces = ranges.without(ranges.clipped(wanted, 0, size), chunk_ranges(whole, size))
        return cls(whole, pieces)

    def total(self, chunk_map: ChunkMap) -> int:
        """Return how many bytes that are."""
        return chunk_ranges(self.chunks, chunk_map.size).total() + self.pieces.total()


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found. *how* goes into `PublishedCopy.verified`.

    *wrong* are byte ranges that are not what they should be: they have to be sent again, and then
    checked again. *sha256* is the hex digest of the whole, if one was made on the way.
    """

    how: str
    wrong: ExtentSet
    sha256: str = ""


def readback_of(share: float) -> str:
    """Name what reading back a *share* of the chunks has proven."""
    return f"readback of {100 * share:g}%"


def sample(chunk_map: ChunkMap, share: float, chance: Random | None) -> set[int]:
    """Draw a *share* of the chunks, at least one if there are any; *chance* is the system's own."""
    number = math.ceil(share * len(chunk_map))
    return set((chance or secrets.SystemRandom()).sample(range(len(chunk_map)), number))


def digest_patience_s(size: int) -> float:
    """Return how long a digest command for *size* bytes may take, in seconds."""
    return _COMMAND_S + size / _SLOWEST_DISK


async def check(
    attempt: Attempt,
    path: str,
    chunk_map: ChunkMap,
    sent: ExtentSet,
    proven: bool,
    *,
    resumed: ExtentSet | None = None,
    closed: TargetEntry | None = None,
    chance: Random | None = None,
) -> Checked:
    """Compare the closed and durable file *path* at the target with *chunk_map*, by policy.

    *sent* is what this attempt wrote, *resumed* what an earlier one had. *proven*: all other bytes
    came from where they were proven to be right, or were never written to a file that we made.
    *closed* is what was seen under that name since, if anything was. *chance* picks a sample. Raises `TargetError`, `SourceProblem` or OSError, and `Ended` if the
    policy cannot be met.
    """
    entry = closed or await attempt.target.lstat(path)
    if entry is None or entry.kind is not EntryKind.FILE:
        raise TargetMissing(f"verifying {path}")
    if entry.size > chunk_map.size:
        raise _failed(f"{path} has {entry.size} bytes instead of {chunk_map.size}")
    if entry.size < chunk_map.size:
        return Checked(SIZE, ExtentSet([(entry.size, chunk_map.size)]))
    everything = set(range(len(chunk_map)))
    chosen, how = _chosen(attempt, chunk_map, sent, resumed or ExtentSet(), chance)
    if not proven:
        chosen = Chosen(everything)
    if attempt.route.verify == "sha256" or _command_pays(attempt, chunk_map, chosen):
        checked = await _by_command(attempt, path, chunk_map)
        if checked is not None:
            return checked
        if attempt.route.verify == "sha256":
            raise _no_command(path)
    wrong = await _read_back(attempt, path, chunk_map, chosen)
    return Checked(READBACK if chosen.chunks == everything else how, wrong)


def _chosen(
    attempt: Attempt,
    chunk_map: ChunkMap,
    sent: ExtentSet,
    resumed: ExtentSet,
    chance: Random | None,
) -> tuple[Chosen, str]:
    """Return what is read back, and in which words that is recorded."""
    match attempt.route.verify, attempt.route.readback:
        case "size", _:
            return Chosen.of(chunk_map, resumed), SIZE
        case "readback", "all":
            return Chosen(set(range(len(chunk_map)))), READBACK
        case "readback", float() as share:
            drawn = sample(chunk_map, share, chance)
            return Chosen.of(chunk_map, resumed, drawn), readback_of(share)
        case _:
            return Chosen.of(chunk_map, ranges.joined(sent, resumed)), READBACK_OF_SENT


def _command_pays(attempt: Attempt, chunk_map: ChunkMap, chosen: Chosen) -> bool:
    """Tell whether having the whole digested there is less work than reading *chosen* back."""
    pays = max(_COMMAND_PAYS, chunk_map.size // 2)
    return attempt.route.verify == "auto" and chosen.total(chunk_map) >= pays


async def _read_back(attempt: Attempt, path: str, chunk_map: ChunkMap, chosen: Chosen) -> ExtentSet:
    total, done = chosen.total(chunk_map), 0
    if not total:
        return ExtentSet()
    report = attempt.reporter(Phase.VERIFYING, total)
    target, route = attempt.target, attempt.route
    how = Reading(target.max_block, route.patience_s, route.pace)
    file = await target.open(path)
    wrong = await compare(file, chunk_map, chosen.chunks, how, report)
    done = chunk_ranges(chosen.chunks, chunk_map.size).total()
    differing = await compare_with(
        file, chosen.pieces, attempt.source.read, how, lambda more: report(done + more)
    )
    await file.close()
    return ranges.joined(wrong, differing)


async def _by_command(attempt: Attempt, path: str, chunk_map: ChunkMap) -> Checked | None:
    """Compare by the target's own ``sha256sum``; None where it gives no digest.

    If the digests differ, the chunks tell where.
    """
    theirs, ours = await _both_digests(attempt, path)
    if theirs is None:
        return None
    if theirs == ours:
        return Checked(SHA256, ExtentSet(), theirs)
    wrong = await _read_back(attempt, path, chunk_map, Chosen(set(range(len(chunk_map)))))
    if not wrong:
        # What was read for the map is there: then it is the source that was not read twice alike.
        attempt.source.check()
        raise _failed(
            f"{path} has the SHA-256 {theirs[:12]} by the target's sha256sum, the source "
            f"{ours[:12]}, and yet every chunk of it is right"
        )
    return Checked(SHA256, wrong)


async def _both_digests(attempt: Attempt, path: str) -> tuple[str | None, str]:
    """Return the SHA-256 of the target's file and of the source, made at the same time.

    Without a digest over there ours is of no use, and may be missing.
    """
    theirs: str | None = None
    ours = ""
    problem: TargetError | SourceProblem | OSError | None = None

    async def digest_ours() -> None:
        nonlocal ours, problem
        try:
            ours = await _digest(attempt.source)
        except (SourceProblem, OSError) as error:
            problem = problem or error

    async with trio.open_nursery() as nursery:
        nursery.start_soon(digest_ours)
        try:
            theirs = await _digest_there(attempt, path)
        except TargetError as error:
            # Raised below: a nursery would wrap it in a group.
            problem = error
        if theirs is None:
            nursery.cancel_scope.cancel()
    if problem is not None:
        raise problem
    return theirs, ours


async def _digest_there(attempt: Attempt, path: str) -> str | None:
    size = attempt.source.identity.size
    attempt.reporter(Phase.VERIFYING, size)
    answer = await attempt.target.run(sha256_command(path), digest_patience_s(size))
    return parse_sha256(answer.output) if answer and answer.status == 0 else None


async def _digest(source: SourceTape) -> str:
    hasher = hashlib.sha256()
    for start in range(0, source.identity.size, _READ):
        size = min(_READ, source.identity.size - start)
        hasher.update(await trio.to_thread.run_sync(source.read, start, size))
    return hasher.hexdigest()


def _failed(cause: str) -> Ended:
    return Ended(
        CopyFailed(cause, "suspect the target's storage or memory; the copy is tried again")
    )


def _no_command(path: str) -> Ended:
    return Ended(
        CopyFailed(
            f"verifying {path}: the target gives no digest by sha256sum",
            "let the user run commands at the target, or set verify: auto for it",
            permanent=True,
        )
    )
