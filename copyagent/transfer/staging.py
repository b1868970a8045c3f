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


async def prepare(target: Target, layout: Layout) -> None:
    """Make our directories durable unless they are there."""
    ours = (layout.records, layout.kept_directory)
    if None in await together(partial(target.lstat, path) for path in ours):
        await make_directories(target, layout)


async def make_directories(target: Target, layout: Layout) -> None:
    """Make our directories in a vault that is there: a missing one may not be mounted.

    Those that `prepare` looks for are made when what leads to them is durable.
    """
    ways = (layout.staging_root, layout.directory)
    ends = (layout.records, layout.kept_directory)
    looks = (layout.vault, *ways, *ends)
    vault, *found = await together(partial(target.lstat, path) for path in looks)
    _expect_directory(vault, layout)
    await _make(target, ways[0], 0o700, found[0])
    await _make_and_sync(target, [(ways[1], found[1])], [parent(path) for path in ways])
    await _make_and_sync(target, list(zip(ends, found[2:], strict=True)), [layout.directory])


async def _make_and_sync(
    target: Target, makes: Sequence[tuple[str, TargetEntry | None]], directories: Sequence[str]
) -> None:
    """Make some directories, and then others durable, which are opened meanwhile."""
    opened: list[TargetFile] = []

    async def open_one(path: str) -> None:
        opened.append(await target.open(path))

    steps: list[Callable[[], Awaitable[object]]] = [
        partial(_make, target, path, 0o700, entry) for path, entry in makes
    ]
    steps += [partial(open_one, path) for path in directories]
    await together(steps)
    await together(file.sync for file in opened)
    for file in opened:
        await file.close()


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


async def ensure_pool(target: Target, layout: Layout, mode: int) -> bool:
    """Make the pool's directory unless it is there; raises `VaultUnfit` if the vault is away."""
    try:
        return await ensure_directory(target, layout.pool, mode)
    except TargetMissing:
        await expect_vault(target, layout)
        raise


async def ensure_directory(target: Target, path: str, mode: int) -> bool:
    """Make the directory *path* and its name durable unless it is there; tell whether it was made.

    One that is there may have been made by an attempt that ended before it was durable.
    """
    made = await _make(target, path, mode, await target.lstat(path))
    if made:
        await sync(target, parent(path))
    return made


async def _make(target: Target, path: str, mode: int, found: TargetEntry | None) -> bool:
    """Make the directory *path* if nothing was *found* there; tell whether it was made."""
    if found is None:
        await target.make_directory(path, mode)
    elif found.kind is not EntryKind.DIRECTORY:
        raise TargetRefused(f"making the directory {path}", "something else has that name")
    return found is None


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
