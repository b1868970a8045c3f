"""``copyagent drill``: the files for each vault of a target are written, and told of."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import click
import trio

from copyagent.cli.console import printable
from copyagent.cli.done_already import put_on_record
from copyagent.cli.drill_listing import Lister, Records
from copyagent.cli.ledger import Ledger
from copyagent.cli.own_line import OwnLine, own_line, run_with_asyncio
from copyagent.cli.target_names import target_named
from copyagent.control.errands import MAX_DIGESTS, Drilled
from copyagent.core.dates import iso
from copyagent.core.drill_list import (
    CHECK,
    LIST,
    Drill,
    How,
    check_text,
    list_text,
)
from copyagent.transfer import staging
from copyagent.transfer.agent_mark import AgentMark
from copyagent.transfer.guards import read_mark
from copyagent.transfer.known_digests import KnownDigests
from copyagent.transfer.layout import Layout
from vtsfs.contract.errors import (
    RequestFailed,
    Unprotected,
    UsageError,
)
from vtsfs.contract.naming import PoolId, TapeId
from vtsfs.contract.settings import AutoCopy, Settings
from vtsfs.contract.settings_file import read_settings
from vtsfs.contract.units import format_count
from vtsfs.runtime.clock import wall_ns

SCHEMA = 1

#: What is not protected is shown to people up to this number; the list at the target has all.
MOST_SHOWN = 20

#: What an earlier drill left unfinished is removed after so many seconds.
_ABANDONED_S = 86_400


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line says; no *pools*: all that go to the target."""

    target: str
    pools: tuple[PoolId, ...]
    because: str
    as_json: bool


@dataclass(frozen=True, slots=True)
class Written:
    """A drill of one vault and where it lies there; *digest* is of the file of digests."""

    drill: Drill
    layout: Layout
    digest: str

    @property
    def list(self) -> str:
        """The list for people."""
        return f"{self.layout.directory}/{LIST}"

    @property
    def check(self) -> str:
        """The file for ``sha256sum -c``."""
        return f"{self.layout.directory}/{CHECK}"


def run_drill(config: Path, wanted: Wanted) -> None:
    """Write a drill's files and tell of them; raise `Unprotected` if a copy is not as it should be."""
    settings = read_settings(config)
    target = target_named(settings, wanted.target)
    entries = _entries(settings, target, wanted.pools)
    records = Records(Ledger(settings), target)
    written = run_with_asyncio(partial(_drill, settings, target, entries, records))
    _tell_agent(settings, target, wanted.because, written)
    if wanted.as_json:
        click.echo(json.dumps(drill_document(settings.system.name, target, written), indent=1))
    else:
        for line in _shown(written):
            click.echo(printable(line))
    if flawed := sum(len(one.drill.flawed) for one in written):
        raise Unprotected(f"{_tapes(flawed)} at {target} not in order: see above, and {LIST}")


def _entries(settings: Settings, target: str, pools: tuple[PoolId, ...]) -> list[AutoCopy]:
    entries = [entry for entry in settings.autocopy if entry.target == target]
    known = {entry.pool for entry in entries}
    for pool in pools:
        if pool not in known:
            raise UsageError(f"{pool} is not copied to {target}: see autocopy: in the settings")
    wanted = [entry for entry in entries if not pools or entry.pool in pools]
    if not wanted:
        raise UsageError(f"no pool is copied to {target}: see autocopy: in the settings")
    return wanted


async def _drill(
    settings: Settings, target: str, entries: list[AutoCopy], records: Records
) -> list[Written]:
    await trio.to_thread.run_sync(records.begin)
    known = await trio.to_thread.run_sync(KnownDigests.read, settings.agent_directory() / "digests")
    written = []
    async with own_line(settings, target) as line:
        for vault in dict.fromkeys(entry.target_pool.vault for entry in entries):
            layout = Layout.of(settings, target, TapeId(vault, "-", "-"))
            await _expect_ours(line, layout, settings)
            lister = Lister(settings, line, records, known)
            for entry in entries:
                if entry.target_pool.vault == vault:
                    await lister.add(entry)
            written.append(await _write(line, layout, lister.drill(vault)))
    return written


async def _expect_ours(line: OwnLine, layout: Layout, settings: Settings) -> None:
    """Return unless another agent of this name works in the staging directory."""
    await staging.make_directories(line.target, layout)
    mark = await read_mark(line.target, layout.mark)
    if mark is not None and mark.agent != AgentMark.of(settings).agent:
        raise RequestFailed(
            f"{layout.directory} at {line.name} is that of another agent, of {mark.system} on "
            f"{mark.node}; nothing was written. See: copyagent take-over {line.name}"
        )


async def _write(line: OwnLine, layout: Layout, drill: Drill) -> Written:
    check = check_text(drill).encode("utf-8", "surrogateescape")
    written = Written(drill, layout, sha256(check).hexdigest())
    text = list_text(drill, written.digest).encode()
    # The list names the digest of the other: a reader never takes one for that of another drill.
    files = {written.check: check, written.list: text}
    await staging.write_all_durably(line.target, files)
    await _tidy(line, layout)
    return written


async def _tidy(line: OwnLine, layout: Layout) -> None:
    """Remove what drills that were broken off have left; one that is under way keeps its own."""
    old = wall_ns() // 1_000_000_000 - _ABANDONED_S
    for name, entry in await line.target.list_entries(layout.directory):
        if name.startswith((f"{LIST}.", f"{CHECK}.")) and entry.mtime < old:
            await line.target.remove(f"{layout.directory}/{name}")


def _tell_agent(settings: Settings, target: str, because: str, written: list[Written]) -> None:
    digests = ", ".join(f"{CHECK} of {one.drill.vault}: {one.digest}" for one in written)
    put_on_record(settings, Drilled(target, because, digests[:MAX_DIGESTS]))


def _shown(written: list[Written]) -> Iterator[str]:
    for one in written:
        drill = one.drill
        count = sum(listed.checkable for listed in drill.listed)
        hows = ", ".join(f"{drill.hows[how]} {how}" for how in How if drill.hows[how])
        yield f"{drill.target}, vault {drill.vault}: {_tapes(count)} ({hows or 'no digest'})"
        yield f"  list: {one.list}"
        yield f"  digests: {one.check}"
        yield f"  sha256 of the digests: {one.digest}"
        yield f"  to prove it there: cd {one.layout.directory} && sha256sum -c {CHECK}"
        for listed in drill.flawed:
            flaw = "" if listed.flaw is None else listed.flaw.value
            yield f"  NOT IN ORDER: {listed.tape}: {flaw}: {listed.detail}".removesuffix(": ")
    lacking = [(one.drill.at_ns, each) for one in written for each in one.drill.lacking]
    if not lacking:
        yield "Every tape of the pools is there as it is here."
        return
    yield f"NOT PROTECTED at this moment: {_tapes(len(lacking))}"
    for at_ns, each in lacking[:MOST_SHOWN]:
        yield f"  {each.words(at_ns)}"
    if len(lacking) > MOST_SHOWN:
        yield f"  ... and {len(lacking) - MOST_SHOWN} more (the list has all)"


def _tapes(count: int) -> str:
    return format_count(count, "tape")


def drill_document(system: str, target: str, written: list[Written]) -> dict[str, Any]:
    """Return what was written as ``copyagent drill --json`` prints it."""
    return {
        "schema": SCHEMA,
        "system": system,
        "target": target,
        "vaults": [
            {
                "vault": one.drill.vault,
                "at": iso(one.drill.at_ns),
                "list": one.list,
                "check": one.check,
                "check_sha256": one.digest,
                "tapes": sum(listed.checkable for listed in one.drill.listed),
                "digests": {how.value: one.drill.hows[how] for how in How},
                "flaws": [
                    {"tape": str(each.tape), "flaw": each.flaw, "detail": each.detail}
                    for each in one.drill.flawed
                ],
            }
            for one in written
        ],
        "unprotected": [
            {
                "tape": str(each.tape),
                "since": iso(each.since_ns),
                "state": each.state,
                "why": each.why,
            }
            for one in written
            for each in one.drill.lacking
        ],
    }
