"""What a drill lists: what is published by the record, and how each digest is come by.

A digest that is not on record is read: here, if the tape is still what was published, else from the
target. What is read is believed only if it has the root of the chunk map on record.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import click
import trio

from copyagent.cli.console import LOOK_S
from copyagent.cli.ledger import Ledger
from copyagent.cli.own_line import OwnLine
from copyagent.cli.progress_line import ProgressLine
from copyagent.control.client import ask
from copyagent.control.protocol import Status
from copyagent.core.copying import PublishedCopy
from copyagent.core.drill_list import Drill, Flaw, How, Lacking, Listed, expressible
from copyagent.core.on_record import OnRecord
from copyagent.state.history_file import copies_in_file, state_file
from copyagent.transfer.known_digests import KnownDigests
from copyagent.transfer.layout import Layout
from copyagent.transfer.own_digest import digest_here
from copyagent.transfer.published import Reader
from copyagent.transfer.target import EntryKind, TargetEntry, TargetMissing
from vtsfs.contract.errors import AgentUnreachable, StateError
from vtsfs.contract.naming import PoolId, TapeId
from vtsfs.contract.settings import AutoCopy, Settings
from vtsfs.runtime.clock import wall_ns

#: A copy that was replaced while it was looked at is looked at again so often.
_AGAIN = 3


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
