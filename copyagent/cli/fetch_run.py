"""``copyagent fetch``: which copy, from where, to where, and what keeps it from a tape in use."""

import json
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import click

from copyagent.cli.console import printable
from copyagent.cli.done_already import put_on_record
from copyagent.cli.generations_run import generation_document
from copyagent.cli.ledger import Ledger
from copyagent.cli.own_line import own_line, run_with_asyncio
from copyagent.cli.progress_line import ProgressLine
from copyagent.cli.target_names import copies_named, target_named
from copyagent.control.errands import AtTarget
from copyagent.core.copying import PublishedCopy
from copyagent.core.on_record import OnRecord
from copyagent.transfer.fetching import Place
from copyagent.transfer.fetching import fetch as fetch_file
from copyagent.transfer.lease import is_closed
from copyagent.transfer.published import Reader
from copyagent.transfer.source import SourceMissing, SourceProblem, open_tape
from vtsfs.contract.errors import RequestFailed, UsageError
from vtsfs.contract.naming import TapeId
from vtsfs.contract.settings import Settings
from vtsfs.contract.settings_file import read_settings
from vtsfs.contract.units import format_size


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line says; *because* stands for ``--replace`` and its reason."""

    tape: TapeId
    generation: int | None
    target: str | None
    to: Path | None
    because: str
    as_json: bool = False


@dataclass(frozen=True, slots=True)
class Chosen:
    """The generation that is fetched, and the target that has it."""

    target: str
    copy: PublishedCopy


def run_fetch(config: Path, wanted: Wanted) -> None:
    """Fetch it; raise why it cannot be done, and what is left here for the next time."""
    settings = read_settings(config)
    named = None if wanted.target is None else target_named(settings, wanted.target)
    targets = [e.target for e in copies_named(settings, wanted.tape.pool_id, named)]
    place = place_of(settings, wanted)
    chosen, got = run_with_asyncio(partial(_fetch, Ledger(settings), wanted, targets, place))
    size = format_size(chosen.copy.size)
    text = (
        f"{place.path}: generation {chosen.copy.generation} of {wanted.tape} from {chosen.target}, "
        f"{size} ({format_size(got)} came over the line), equal to what was published"
    )
    document = fetched_document(wanted.tape, chosen, place, got)
    click.echo(json.dumps(document, indent=1) if wanted.as_json else printable(text))
    if wanted.because:
        _record(settings, wanted, chosen)


def fetched_document(tape: TapeId, chosen: Chosen, place: Place, got: int) -> dict[str, Any]:
    """Return what was fetched, as ``copyagent fetch --json`` prints it."""
    return {
        "schema": 1,
        "tape": str(tape),
        "path": str(place.path),
        "received": got,
        **generation_document(chosen.target, chosen.copy),
    }


async def _fetch(
    ledger: Ledger, wanted: Wanted, targets: Sequence[str], place: Place
) -> tuple[Chosen, int]:
    chosen = await _choose(ledger, wanted, targets)
    layout = ledger.layout(wanted.tape, chosen.target)
    if layout is None:
        raise UsageError(f"{wanted.tape} is not copied to {chosen.target}")
    copy = chosen.copy
    path = layout.kept(copy.name) if copy.name else layout.destination
    progress = ProgressLine()

    def report(done: int) -> None:
        progress.show(str(wanted.tape), done, copy.size)

    async with own_line(ledger.settings, chosen.target) as line:
        chunk_map = await ledger.map_of(line.target, wanted.tape, chosen.target, copy.root)
        reader = Reader(line.target, line.patience_s, report, line.pace)
        try:
            got = await fetch_file(reader, path, copy, chunk_map, place)
        except OSError as error:
            raise RequestFailed(
                f"{place.path} cannot be written: {error.strerror}; nothing was kept"
            ) from error
        finally:
            progress.clear()
    return chosen, got


async def _choose(ledger: Ledger, wanted: Wanted, targets: Sequence[str]) -> Chosen:
    """Find the generation; of several targets that have it the first in the settings."""
    found, told = await ledger.look_up(wanted.tape, targets)
    if wanted.because and any(copy.unsettled for copy in found):
        raise RequestFailed(
            f"{wanted.tape} is open for writing, or what was written is not judged yet; "
            f"dismount it first, and look at: copyagent explain {wanted.tape}"
        )
    chosen = pick(wanted, found)
    if chosen.target in told:
        click.echo(f"The agent does not tell: {chosen.target}'s own record is believed.", err=True)
    return chosen


def pick(wanted: Wanted, found: Sequence[OnRecord]) -> Chosen:
    """Choose the generation that is wanted, or the latest; raise `RequestFailed` without one."""
    there = [
        Chosen(copy.target, each)
        for copy in found
        for each in ([] if copy.published is None else [copy.published, *copy.kept])
    ]
    if wanted.generation is None:
        published = [each for each in there if not each.copy.name]
        if published:
            return max(published, key=lambda each: each.copy.generation)
        raise RequestFailed(f"no copy of {wanted.tape} is on record")
    for each in there:
        if each.copy.generation == wanted.generation:
            return each
    known = ", ".join(f"{each.copy.generation} at {each.target}" for each in there) or "none"
    raise RequestFailed(
        f"generation {wanted.generation} of {wanted.tape} is not on record; there are: {known}"
    )


# ---- where it goes -------------------------------------------------------------------------------


def place_of(settings: Settings, wanted: Wanted) -> Place:
    """Return where the copy goes; raise `UsageError` or `RequestFailed` if it may not."""
    if wanted.because:
        return _own_place(settings, wanted.tape)
    directory = (wanted.to or Path()).absolute()
    vault = _vault_of(settings, directory)
    if vault is not None:
        raise UsageError(
            f"{directory} is in the vault {vault}, where files are tapes; say --to another "
            "directory, or --replace --because TEXT to put the copy in the tape's own place"
        )
    return Place(directory, wanted.tape.label)


def _vault_of(settings: Settings, directory: Path) -> str | None:
    """Name the vault that *directory* is in, by whatever path; None if it is in none."""
    try:
        real = directory.resolve(strict=True)
        above = {_identity(path) for path in (real, *real.parents)}
    except OSError as error:
        raise UsageError(f"{directory}: {error.strerror}; say --to a directory") from error
    for name, vault in settings.vaults.items():
        for path in (vault.backing, vault.mountpoint):
            try:
                if _identity(path) in above:
                    return name
            except OSError:
                continue
    return None


def _identity(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_dev, found.st_ino


def _own_place(settings: Settings, tape: TapeId) -> Place:
    """Return the tape's own place: through the overlay where there is one, so that it hears of it.

    A file that is renamed over a tape is a change without a mount to the overlay; without one the
    next sweep finds it.
    """
    vault = settings.vaults.get(tape.vault)
    if vault is None:
        raise UsageError(f"vault {tape.vault} is not under vaults: in the settings")
    root = vault.mountpoint if os.path.ismount(vault.mountpoint) else vault.backing
    pool = root / tape.pool
    if not pool.is_dir():
        raise UsageError(f"there is no pool {tape.pool_id} here; make it first")
    try:
        there = (vault.backing / tape.pool / tape.label).lstat()
    except FileNotFoundError:
        there = pool.stat()
    if stat.S_ISLNK(there.st_mode):
        raise RequestFailed(f"{tape} is a symbolic link here; remove it first")
    owner = (there.st_uid, there.st_gid)
    check = partial(_expect_closed, vault.backing, tape)
    check()
    return Place(pool, tape.label, replace=True, owner=owner, check=check)


def _expect_closed(backing: Path, tape: TapeId) -> None:
    """Return if nobody has the tape open, or it is not there; else raise `RequestFailed`."""
    try:
        with open_tape(backing, tape) as source:
            if is_closed(source.fd):
                return
    except SourceMissing:
        return
    except (SourceProblem, OSError) as error:
        raise RequestFailed(f"{tape} cannot be replaced: {error}") from error
    raise RequestFailed(
        f"somebody has {tape} open; dismount it, see who: fuser {backing}/{tape.pool}/{tape.label}"
    )


def _record(settings: Settings, wanted: Wanted, chosen: Chosen) -> None:
    """Put the operator's deed on record, as what goes through the agent is."""
    about = f"{wanted.tape} generation {chosen.copy.generation} from {chosen.target}"
    put_on_record(settings, AtTarget("fetch", chosen.target, wanted.because, about))
