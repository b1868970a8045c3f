"""Our staging directory at the target: made, fenced, tidied, and the small durable files in it."""

import logging
import secrets

from copyagent.core.copying import PublishedCopy
from copyagent.transfer import manifest
from copyagent.transfer.layout import Layout, parent
from copyagent.transfer.target import (
    EntryKind,
    Target,
    TargetError,
    TargetMissing,
    TargetRefused,
    VaultUnfit,
)
from vtsfs.contract.naming import TapeId

_log = logging.getLogger(__name__)


async def collect_stages(target: Target, layout: Layout) -> None:
    """Remove what earlier attempts at this tape left behind; done before the tape is looked at.

    A server process that lost its client before it executed the rename can do so whenever it wakes
    up. Once its stage has no name, what is seen under the tape's name stays.
    """
    try:
        names = await target.list_names(layout.directory)
    except TargetMissing:
        return
    for name in names:
        if layout.is_stage(name):
            await target.remove(f"{layout.directory}/{name}")


async def prepare(target: Target, layout: Layout) -> None:
    """Make our directories durable unless they are there."""
    if await target.lstat(layout.records) is None:
        await make_directories(target, layout)


async def make_directories(target: Target, layout: Layout) -> None:
    """Make our directories in a vault that is there: a missing one may not be mounted."""
    vault = await target.lstat(layout.vault)
    if vault is None or vault.kind is not EntryKind.DIRECTORY:
        raise VaultUnfit(
            f"looking for the vault {layout.vault}",
            "there is no such directory",
            "check targets.*.vaults in the settings, and that the vault is mounted there",
        )
    for path in (layout.staging_root, layout.directory, layout.records):
        await ensure_directory(target, path, 0o700)


async def ensure_directory(target: Target, path: str, mode: int) -> bool:
    """Make the directory *path* and its name durable unless it is there; tell whether it was made.

    One that is there may have been made by an attempt that ended before it was durable.
    """
    found = await target.lstat(path)
    if found is None:
        await target.make_directory(path, mode)
        await sync(target, parent(path))
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
    temporary = f"{path}.{secrets.token_hex(8)}.new"
    file = await target.create(temporary)
    try:
        await file.write(0, data)
        await file.sync()
        await file.close()
        await target.rename(temporary, path)
    except TargetError:
        await target.remove(temporary)
        raise
    await sync(target, parent(path))


async def read_record(target: Target, path: str, destination: TapeId) -> PublishedCopy | None:
    """Read a manifest or an intent; None if it is not there or not ours."""
    entry = await target.lstat(path)
    if entry is None or entry.kind is not EntryKind.FILE or entry.size > manifest.MAX_BYTES:
        return None
    file = await target.open(path)
    data = await file.read(0, manifest.MAX_BYTES)
    await file.close()
    found = manifest.decode(destination, data)
    return found.copy if found else None


async def record(target: Target, layout: Layout, copy: PublishedCopy) -> None:
    """Write the manifest of a publication and drop its intent; a failure costs no safety.

    The intent that then stays names the same digest, and the agent has its own record.
    """
    try:
        await write_durably(target, layout.manifest, manifest.encode(layout.tape, copy))
        await target.remove(layout.intent)
    except TargetError as error:
        _log.info("the manifest of %s was not written: %s", layout.tape, error)
