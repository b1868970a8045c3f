"""Our staging directory at the target: made, fenced, tidied, and the small durable files in it."""

import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import trio

from copyagent.core.copying import PublishedCopy
from copyagent.transfer import manifest
from copyagent.transfer.chunks import ChunkMap, encode
from copyagent.transfer.layout import Layout, parent
from copyagent.transfer.manifest import Manifest
from copyagent.transfer.target import (
    Draft,
    EntryKind,
    LinkLost,
    Space,
    Target,
    TargetEntry,
    TargetError,
    TargetFile,
    TargetMissing,
    TargetRefused,
    VaultUnfit,
)
from copyagent.transfer.together import together
from vtsfs.contract.naming import TapeId

_log = logging.getLogger(__name__)

#: How long what was measured of a file system is believed, in seconds.
_FRESH_S = 5.0


_Step = Callable[[], Awaitable[None]]

#: What stands at some paths at the target; None where nothing does.
Seen = Mapping[str, TargetEntry | None]


async def survey(target: Target, layout: Layout) -> Seen:
    """Look at all of our directories and what is around them, in one round trip."""
    ours = (layout.staging_root, layout.directory, layout.records, layout.kept_directory)
    paths = (layout.vault, *ours, layout.mark, layout.pool)
    found = await together(partial(target.lstat, path) for path in paths)
    return dict(zip(paths, found, strict=True))


async def prepare(target: Target, layout: Layout) -> None:
    """Make our directories durable unless they are there."""
    await (await begin_to_prepare(target, layout, await survey(target, layout)))()


async def begin_to_prepare(target: Target, layout: Layout, seen: Seen) -> _Step:
    """See to it that our own directory is there, going by what was *seen* just now.

    Return what makes the rest of it, if anything is missing, and all of it durable.
    """
    if seen[layout.records] is None or seen[layout.kept_directory] is None:
        return await _begin_directories(target, layout, seen)
    return _nothing


async def make_directories(target: Target, layout: Layout) -> None:
    """Make our directories in a vault that is there: a missing one may not be mounted."""
    await (await _begin_directories(target, layout, await survey(target, layout)))()


async def _begin_directories(target: Target, layout: Layout, seen: Seen) -> _Step:
    """Make those above; return what makes the others when what leads to them is durable.

    For it is the latter that are looked for.
    """
    _expect_directory(seen[layout.vault], layout)
    ways = (layout.staging_root, layout.directory)
    ends = _missing(seen, (layout.records, layout.kept_directory))
    places = (*map(parent, ways), layout.directory)
    opened = await target.make_directories(_missing(seen, ways), 0o700, opening=places)

    async def make_others() -> None:
        *above, ours = opened
        await together(file.sync for file in above)
        await target.make_directories(ends, 0o700, durably=[ours])
        for file in opened:
            await file.close()

    return make_others


async def _nothing() -> None:
    """All is there."""


def _missing(seen: Seen, paths: Sequence[str]) -> list[str]:
    """Return which directories have to be made; raises `TargetRefused` if that cannot be."""
    return [path for path in paths if not _is_there(path, seen[path])]


async def expect_vault(target: Target, layout: Layout) -> None:
    """Raise `VaultUnfit` if the vault's directory is not there."""
    _expect_directory(await target.lstat(layout.vault), layout)


def _expect_directory(vault: TargetEntry | None, layout: Layout) -> None:
    if vault is None or vault.kind is not EntryKind.DIRECTORY:
        raise VaultUnfit(
            f"looking for the vault {layout.vault}",
            "there is no such directory",
            "check targets.*.vaults in the settings, and that the vault is mounted there",
        )


def _is_there(path: str, found: TargetEntry | None) -> bool:
    """Tell whether the directory *path* is what was *found*; raises `TargetRefused`."""
    if found is not None and found.kind is not EntryKind.DIRECTORY:
        raise TargetRefused(f"making the directory {path}", "something else has that name")
    return found is not None


@dataclass(frozen=True, slots=True)
class Ground:
    """Where a copy goes: the *space* there, None if it is not known, and the vault's directory.

    The latter is open if it has to be made durable (`settle`) before anything is published.
    """

    space: Space | None
    vault: TargetFile | None

    async def settle(self) -> None:
        """Make the pool's name durable, if need be."""
        if self.vault is not None:
            await self.vault.sync()
            await self.vault.close()


@dataclass(frozen=True, slots=True)
class Around:
    """What is around a tape's name at the target, seen at *at_s* (trio's clock)."""

    pool: TargetEntry | None
    space: Space | None
    at_s: float


async def look_around(target: Target, layout: Layout) -> Around:
    """Look at the pool, and at the room; raises `VaultUnfit` if the vault is away."""
    found: list[TargetEntry | None] = []
    spaces: list[Space | None] = []

    async def look() -> None:
        found.append(await target.lstat(layout.pool))

    async def measure() -> None:
        spaces.append(await target.space(layout.directory))

    try:
        await together([look, measure])
    except TargetMissing:
        await expect_vault(target, layout)
        raise
    return Around(found[0], spaces[0], trio.current_time())


async def prepare_pool(
    target: Target, layout: Layout, around: Around, mode: int, *, known: bool
) -> Ground:
    """Make the pool's directory unless it is there; raises `VaultUnfit` if the vault is away.

    Whether its name is durable is *known* where something was published in it before: else it may
    have been made by an attempt that ended too early, or by this one.
    """
    vault: Sequence[TargetFile] = ()
    try:
        if not _is_there(layout.pool, around.pool):
            vault = await target.make_directories([layout.pool], mode, opening=[layout.vault])
        elif not known:
            vault = [await target.open(layout.vault)]
    except TargetMissing:
        await expect_vault(target, layout)
        raise
    fresh = trio.current_time() - around.at_s < _FRESH_S
    return Ground(around.space if fresh else None, vault[0] if vault else None)


async def sync(target: Target, path: str) -> None:
    """Make a file's content or a directory's entries durable."""
    opened = await target.open(path)
    await opened.sync()
    await opened.close()


async def write_durably(target: Target, path: str, data: bytes) -> None:
    """Write a small file so that after any crash the old or the new one is there, whole."""
    await write_all_durably(target, {path: data})


async def write_all_durably(target: Target, files: Mapping[str, bytes]) -> None:
    """Write several small files of one directory, each so; *files* are contents by path."""
    await (await begin_files(target, list(files))).finish(files)


@dataclass(frozen=True, slots=True)
class BegunFiles:
    """Small files of one *directory* that are about to be written: temporary ones, by their path."""

    target: Target
    directory: TargetFile
    temporary: Mapping[str, tuple[str, TargetFile]]

    async def finish(self, contents: Mapping[str, bytes]) -> None:
        """Write each, in the order of *contents*, and give it its name.

        In one round trip: a server does one after the other, so after a crash each name stands for
        the old or the new one, whole. After a failure it may also stand for a damaged one, which no
        reader takes for a record. Raises `TargetError`.
        """
        drafts = {
            path: Draft(self.temporary[path][1], self.temporary[path][0], data)
            for path, data in contents.items()
        }
        try:
            await self.target.put_in_place(drafts, self.directory)
        except TargetError:
            await self.drop()
            raise
        await self.directory.close()

    async def drop(self) -> None:
        """Remove what was begun, if that is quick; what stays costs some bytes and nothing else."""
        await _remove_quickly(self.target, [path for path, _ in self.temporary.values()])


async def _remove_quickly(target: Target, paths: Sequence[str]) -> None:
    with trio.move_on_after(1, shield=True), contextlib.suppress(TargetError):
        await together(partial(target.remove, path) for path in paths)


async def begin_files(target: Target, paths: Sequence[str]) -> BegunFiles:
    """Begin to write the files *paths* of one directory; raises `TargetError`."""
    temporary = [f"{path}.{secrets.token_hex(8)}.new" for path in paths]
    calls = [partial(target.open, parent(paths[0]))]
    calls += [partial(target.create, path) for path in temporary]
    try:
        directory, *files = await together(calls)
    except BaseException:
        await _remove_quickly(target, temporary)
        raise
    return BegunFiles(
        target, directory, dict(zip(paths, zip(temporary, files, strict=True), strict=True))
    )


async def read_record(target: Target, path: str, destination: TapeId) -> Manifest | None:
    """Read a manifest or an intent; None if it is not there or not ours."""
    entry = await target.lstat(path)
    if entry is None or entry.kind is not EntryKind.FILE or entry.size > manifest.MAX_BYTES:
        return None
    file = await target.open(path)
    data = await file.read(0, manifest.MAX_BYTES)
    await file.close()
    return manifest.decode(destination, data)


async def has_map(target: Target, layout: Layout, root: str) -> bool:
    """Tell whether the chunk map of *root* lies beside the tape's records."""
    return await target.lstat(layout.map(root)) is not None


async def begin_record(
    target: Target, layout: Layout, root: str, *, has_map: bool
) -> BegunFiles | None:
    """Begin what `record` writes: the manifest, and the map of *root* unless it is there.

    None if that cannot be done, which is not unsafe.
    """
    try:
        paths = [layout.manifest] if has_map else [layout.map(root), layout.manifest]
        return await begin_files(target, paths)
    except LinkLost:
        raise
    except TargetError as error:
        _not_recorded(layout, error)
        return None


async def record(
    begun: BegunFiles | None,
    layout: Layout,
    copy: PublishedCopy,
    kept: Sequence[PublishedCopy],
    chunk_map: ChunkMap,
) -> None:
    """Write the manifest of a publication and its map, and drop its intent; no failure is unsafe.

    *begun* is from `begin_record`. The intent that stays after a failure names the same root, and
    the agent has its own record.
    """
    if begun is None:
        return
    told = manifest.encode(layout.tape, copy, kept)
    try:
        await begun.finish(
            {
                path: told if path == layout.manifest else encode(chunk_map)
                for path in begun.temporary
            }
        )
        await begun.target.remove(layout.intent)
    except LinkLost:
        raise
    except TargetError as error:
        _not_recorded(layout, error)


def _not_recorded(layout: Layout, error: TargetError) -> None:
    _log.info("the manifest of %s was not written: %s", layout.tape, error)
