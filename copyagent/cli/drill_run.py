"""``copyagent drill``: what is published is listed by the record, and its digests are come by.

A digest that is not on record is read: here, if the tape is still what was published, else from the
target. What is read is believed only if it has the root of the chunk map on record.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import click
import trio

from copyagent.cli.console import LOOK_S, printable
from copyagent.cli.done_already import put_on_record
from copyagent.cli.ledger import Ledger
from copyagent.cli.own_line import OwnLine, own_line, run_with_asyncio
from copyagent.cli.progress_line import ProgressLine
from copyagent.cli.target_names import target_named
from copyagent.control.client import ask
from copyagent.control.errands import MAX_DIGESTS, Drilled
from copyagent.control.protocol import Status
from copyagent.core.copying import PublishedCopy
from copyagent.core.dates import iso
from copyagent.core.drill_list import (
    CHECK,
    LIST,
    Drill,
    Flaw,
    How,
    Lacking,
    Listed,
    check_text,
    expressible,
    list_text,
)
from copyagent.core.on_record import OnRecord
from copyagent.state.history_file import copies_in_file, state_file
from copyagent.transfer import staging
from copyagent.transfer.agent_mark import AgentMark
from copyagent.transfer.guards import read_mark
from copyagent.transfer.known_digests import KnownDigests
from copyagent.transfer.layout import Layout
from copyagent.transfer.own_digest import digest_here
from copyagent.transfer.published import Reader
from copyagent.transfer.target import EntryKind, TargetEntry, TargetMissing
from vtsfs.contract.errors import (
    AgentUnreachable,
    RequestFailed,
    StateError,
    Unprotected,
    UsageError,
)
from vtsfs.contract.naming import PoolId, TapeId
from vtsfs.contract.settings import AutoCopy, Settings
from vtsfs.contract.settings_file import read_settings
from vtsfs.runtime.clock import wall_ns

SCHEMA = 1

#: What is not protected is shown to people up to this number; the list at the target has all.
MOST_SHOWN = 20

#: A copy that was replaced while it was looked at is looked at again so often.
_AGAIN = 3


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


@dataclass(slots=True)
class Records:
    """What is on record of the copies at *target*: from the agent, or its state file without one."""

    ledger: Ledger
    target: str
    shown: dict[TapeId, tuple[str, str]] = field(default_factory=dict)
    from_file: bool = False

    def begin(self) -> None:
        """Find out who answers; raises `AgentUnreachable` if nobody does, and no file either."""
        settings = self.ledger.settings
        try:
            status: Any = ask(settings.control_socket(), Status(), timeout=LOOK_S)
        except AgentUnreachable as error:
            path = state_file(settings)
            try:
                next(copies_in_file(path, settings.autocopy[0].pool), None)
            except StateError as unread:
                raise AgentUnreachable(f"{error}; {unread}") from unread
            self.from_file = True
            click.echo("No agent answers: its state file is read.", err=True)
            return
        for entry in status["attention"]:
            if entry["target"] == self.target:
                self.shown[TapeId.parse(entry["tape"])] = entry["state"], entry["why"]

    def of(self, where: TapeId | PoolId) -> Iterator[OnRecord]:
        """Go through what is on record of *where* at the target, by name."""
        if self.from_file:
            said = copies_in_file(state_file(self.ledger.settings), where)
        else:
            said = self.ledger.agent_says(where)
        return (copy for copy in said if copy.target == self.target)


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
    return written


@dataclass(slots=True)
class Lister:
    """Lists what lies in one vault of a target."""

    settings: Settings
    line: OwnLine
    records: Records
    known: KnownDigests
    listed: list[Listed] = field(default_factory=list)
    lacking: list[Lacking] = field(default_factory=list)
    progress: ProgressLine = field(default_factory=ProgressLine)

    def drill(self, vault: str) -> Drill:
        """Return all that was listed, the unprotected ones oldest first."""
        self.progress.clear()
        self.lacking.sort(key=lambda one: (one.since_ns, one.tape))
        return Drill(
            self.settings.system.name,
            self.line.name,
            vault,
            wall_ns(),
            self.listed,
            self.lacking,
        )

    async def add(self, entry: AutoCopy) -> None:
        """List the tapes of one pool."""
        there = await self._there(entry)
        copies = self.records.of(entry.pool)
        while (copy := await trio.to_thread.run_sync(next, copies, None)) is not None:
            if copy.lacking:
                state, why = self.records.shown.get(copy.tape, (copy.state, ""))
                self.lacking.append(Lacking(copy.tape, state, copy.lacking_ns, why))
            if copy.published is not None:
                found = there.get(copy.tape.label)
                self.listed.append(await self._settled(copy, copy.published, entry, found))

    async def _there(self, entry: AutoCopy) -> dict[str, TargetEntry]:
        layout = self._layout(entry, "X")
        try:
            return dict(await self.line.target.list_entries(layout.pool))
        except TargetMissing:
            return {}

    def _layout(self, entry: AutoCopy, label: str) -> Layout:
        pool = entry.target_pool
        tape = TapeId(pool.vault, pool.pool, label)
        return Layout.of(self.settings, self.line.name, tape)

    async def _settled(
        self,
        copy: OnRecord,
        published: PublishedCopy,
        entry: AutoCopy,
        found: TargetEntry | None,
    ) -> Listed:
        """Look at a copy; at one that is replaced meanwhile, by what is on record then."""
        listed = await self._listed(copy, published, entry, found)
        for _ in range(_AGAIN):
            if listed.flaw in {None, Flaw.UNNAMEABLE}:
                break
            now = await trio.to_thread.run_sync(next, self.records.of(copy.tape), None)
            if now is None or now.published is None or now.published == published:
                break
            published = now.published
            path = self._layout(entry, copy.tape.label).destination
            found = await self.line.target.lstat(path)
            listed = await self._listed(now, published, entry, found)
        return listed

    async def _listed(
        self,
        copy: OnRecord,
        published: PublishedCopy,
        entry: AutoCopy,
        found: TargetEntry | None,
    ) -> Listed:
        layout = self._layout(entry, copy.tape.label)
        listed = Listed(
            tape=copy.tape,
            place=layout.tape,
            generation=published.generation,
            size=published.size,
            source_mtime_ns=published.source.mtime_ns,
            published_ns=published.published_ns,
            verified=published.verified,
            sha256=published.sha256,
            how=How.ON_RECORD if published.sha256 else None,
            behind=copy.lacking,
        )
        if not expressible(layout.tape):
            return replace(listed, flaw=Flaw.UNNAMEABLE)
        if found is None:
            listed = replace(listed, flaw=Flaw.MISSING, detail="there is no such file")
        elif found.kind is not EntryKind.FILE or found.size != published.size:
            detail = f"it has {found.size} bytes, {published.size} were published"
            listed = replace(listed, flaw=Flaw.WRONG, detail=detail)
        if listed.sha256:
            return listed
        return await self._digested(listed, layout, published)

    async def _digested(self, listed: Listed, layout: Layout, published: PublishedCopy) -> Listed:
        """Come by a digest that is not on record."""
        tape = listed.tape
        if known := self.known.of(published.root):
            return replace(listed, sha256=known, how=How.READ_BEFORE)
        self.progress.begin()
        report = partial(self._report, str(tape), published.size)
        backing = self.settings.vaults[tape.vault].backing
        digest = await trio.to_thread.run_sync(digest_here, backing, tape, published, report)
        if digest:
            self.known.add(published.root, digest)
            return replace(listed, sha256=digest, how=How.READ_HERE)
        if listed.flaw is not None:
            return listed
        if not published.root:
            detail = "neither a digest nor a chunk map is on record, and the tape here is newer"
            return replace(listed, flaw=Flaw.UNPROVEN, detail=detail)
        reader = Reader(self.line.target, self.line.patience_s, report, self.line.pace)
        try:
            file = await self.line.target.open(layout.destination)
            root, digest = await reader.digest(file, published.size)
            await file.close()
        except TargetMissing:
            return replace(listed, flaw=Flaw.MISSING, detail="it went away while it was read")
        if root != published.root:
            return replace(listed, flaw=Flaw.WRONG, detail="its content is another one")
        self.known.add(root, digest)
        return replace(listed, sha256=digest, how=How.READ_BACK)

    def _report(self, what: str, total: int, done: int) -> None:
        self.progress.show(what, done, total)


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
    return "1 tape" if count == 1 else f"{count} tapes"


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
