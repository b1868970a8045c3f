"""``copyagent audit``: what lies here and there is listed, paired by name, and judged.

One list of names for each side is all that is kept, whatever the number of tapes; what is on record
is read along in the order of the names.
"""

import os
import stat
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import click
import trio

from copyagent.cli.console import line_of, printable
from copyagent.cli.ledger import Ledger
from copyagent.cli.own_line import OwnLine, own_line, run_with_asyncio
from copyagent.cli.patience import patience
from copyagent.cli.progress_line import ProgressLine
from copyagent.cli.target_names import copies_named, target_named
from copyagent.core.audit import Audit, Flaw, Found, Here, There
from copyagent.core.on_record import OnRecord
from copyagent.transfer.layout import Layout
from copyagent.transfer.published import Reader
from copyagent.transfer.same_content import differs
from copyagent.transfer.source import SourceProblem, identity_of, open_tape
from copyagent.transfer.target import EntryKind, TargetEntry, TargetMissing
from vtsfs.contract import companions
from vtsfs.contract.errors import RequestFailed, Unprotected
from vtsfs.contract.naming import PoolId, TapeId
from vtsfs.contract.settings import AutoCopy, Settings
from vtsfs.contract.settings_file import read_settings
from vtsfs.contract.units import format_count
from vtsfs.runtime.clock import wall_ns

#: Files of one flaw are listed up to this number for people; the rest is counted.
MOST_LISTED = 20

_TITLES = {
    Flaw.MISSING: "Missing at {target}",
    Flaw.STALE: "Stale: not the tape's present content",
    Flaw.DIFFERENT: "Different from what was published",
    Flaw.EXTRA: "Extra: not copied from here",
    Flaw.STRAY: "Neither tapes nor companions",
}


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line says."""

    pool: PoolId
    target: str | None
    content: bool
    as_json: bool


def run_audit(config: Path, wanted: Wanted) -> None:
    """Compare; raise `Unprotected` if anything was found."""
    settings = read_settings(config)
    named = None if wanted.target is None else target_named(settings, wanted.target)
    entries = copies_named(settings, wanted.pool, named)
    found = sum(run_with_asyncio(partial(_audit_all, settings, entries, wanted)))
    if found:
        raise Unprotected(f"not as it should be: {format_count(found, 'file')}")


async def _audit_all(settings: Settings, entries: list[AutoCopy], wanted: Wanted) -> list[int]:
    ledger = Ledger(settings)
    with_agent = await trio.to_thread.run_sync(ledger.answers)
    if not with_agent:
        click.echo("No agent answers: compared by size and date alone.", err=True)
    found = []
    for entry in entries:
        async with own_line(settings, entry.target) as line:
            auditor = _Auditor(ledger, line, entry, wanted, with_agent=with_agent)
            found.append(await auditor.run())
    return found


@dataclass(slots=True)
class _Auditor:
    """Compares one pool with its copy at one target."""

    ledger: Ledger
    line: OwnLine
    entry: AutoCopy
    wanted: Wanted
    with_agent: bool = field(kw_only=True)
    audit: Audit = field(default_factory=Audit)
    shown: Counter[Flaw] = field(default_factory=Counter)
    progress: ProgressLine = field(default_factory=ProgressLine)
    began_ns: int = field(default_factory=wall_ns)

    async def run(self) -> int:
        """Compare everything; return how many files are not as they should be."""
        self.progress.begin()
        with patience(f"{self.wanted.pool} is listed here and at {self.entry.target}"):
            here = await trio.to_thread.run_sync(self._here)
            there = await self._there()
        if not self.wanted.as_json:
            click.echo(f"{self.wanted.pool} and its copy at {self.entry.target}")
        patterns = self.ledger.settings.patterns_of(self.wanted.pool.vault)
        records = _Records(self.ledger, self.wanted.pool, self.entry.target, self.with_agent)
        names = sorted(here.keys() | there.keys())
        for number, name in enumerate(names):
            self.progress.count(f"{self.wanted.pool} at {self.entry.target}", number, len(names))
            if patterns.is_label(name):
                found = await self._tape(name, here.get(name), there.get(name), records)
            elif companions.label_of(name, self.entry.companions, patterns.is_label) is not None:
                found = self.audit.companion(name, here.get(name), there.get(name))
            else:
                sides = [("here", name in here), ("there", name in there)]
                where = " and ".join(side for side, has_it in sides if has_it)
                found = self.audit.stray(name, where)
            if found is not None:
                self._show(found)
        self._conclude()
        return self.audit.flaws.total()

    def _here(self) -> dict[str, Here]:
        """List the pool, in its backing storage: looking must not seem to be a mount."""
        pool, found = self.wanted.pool, {}
        directory = self.ledger.settings.vaults[pool.vault].backing / pool.pool
        try:
            with os.scandir(directory) as entries:
                for entry in entries:
                    if entry.name.startswith("."):
                        continue
                    seen = entry.stat(follow_symlinks=False)
                    if not stat.S_ISDIR(seen.st_mode):
                        found[entry.name] = _here_of(seen)
        except OSError as error:
            raise RequestFailed(f"{directory} cannot be read: {error.strerror}") from error
        return found

    async def _there(self) -> dict[str, There]:
        layout = self._layout("X")
        try:
            entries = await self.line.target.list_entries(layout.pool)
        except TargetMissing:
            return {}
        return {
            name: _there_of(entry)
            for name, entry in entries
            if not name.startswith(".") and entry.kind is not EntryKind.DIRECTORY
        }

    def _layout(self, label: str) -> Layout:
        pool = self.entry.target_pool
        tape = TapeId(pool.vault, pool.pool, label)
        return Layout.of(self.ledger.settings, self.entry.target, tape)

    async def _tape(
        self, label: str, here: Here | None, there: There | None, records: "_Records"
    ) -> Found | None:
        tape = TapeId(self.wanted.pool.vault, self.wanted.pool.pool, label)
        record = await records.of(tape)
        good = self.audit.good
        found = self.audit.tape(label, here, there, record)
        if found is not None and await self._moved_on(tape, here, record):
            self.audit.withdraw(found)
            found = await self._look_again(tape)
        if self.wanted.content and self.audit.good > good:
            why = await self._compare(tape)
            found = self.audit.content(label, why) if why else found
        return found

    async def _moved_on(self, tape: TapeId, here: Here | None, record: OnRecord | None) -> bool:
        """Tell whether the tape or its copy may have changed since they were listed."""
        published = None if record is None else record.published
        if published is not None and published.published_ns >= self.began_ns:
            return True
        return await trio.to_thread.run_sync(self._here_now, tape) != here

    def _here_now(self, tape: TapeId) -> Here | None:
        backing = self.ledger.settings.vaults[tape.vault].backing
        try:
            return _here_of((backing / tape.pool / tape.label).lstat())
        except OSError:
            return None

    async def _look_again(self, tape: TapeId) -> Found | None:
        """Judge a tape by what is so this moment."""
        here = await trio.to_thread.run_sync(self._here_now, tape)
        entry = await self.line.target.lstat(self._layout(tape.label).destination)
        there = None if entry is None else _there_of(entry)
        records = _Records(self.ledger, tape, self.entry.target, self.with_agent)
        return self.audit.tape(tape.label, here, there, await records.of(tape))

    async def _compare(self, tape: TapeId) -> str:
        """Compare a tape with its copy by content; return in what they differ, if they do."""
        backing = self.ledger.settings.vaults[tape.vault].backing
        self.progress.begin()
        try:
            with await trio.to_thread.run_sync(open_tape, backing, tape) as source:
                size = source.identity.size

                def report(done: int) -> None:
                    self.progress.show(str(tape), done, size)

                reader = Reader(self.line.target, self.line.patience_s, report, self.line.pace)
                why = await differs(reader, self._layout(tape.label).destination, source)
                source.check()
        except (SourceProblem, OSError) as error:
            return f"it cannot be compared: {error}"
        return why

    def _show(self, found: Found) -> None:
        self.progress.clear()
        self.shown[found.flaw] += 1
        if self.wanted.as_json:
            click.echo(line_of(finding_document(self.wanted.pool, self.entry.target, found)))
        elif self.shown[found.flaw] <= MOST_LISTED:
            click.echo(printable(f"  {found.flaw}: {found.name}: {found.why}"))

    def _conclude(self) -> None:
        self.progress.clear()
        audit, target = self.audit, self.entry.target
        if self.wanted.as_json:
            click.echo(line_of(summary_document(self.wanted.pool, target, audit)))
            return
        for flaw, number in audit.flaws.items():
            left = f" ({number - MOST_LISTED} not listed)" if number > MOST_LISTED else ""
            click.echo(f"{_TITLES[flaw].format(target=target)}: {number}{left}")
        rest = [f"well: {format_count(audit.good, 'copy', 'copies')}"]
        rest += [f"kept of tapes erased here: {audit.kept}"] if audit.kept else []
        rest += (
            [f"{format_count(audit.in_use, 'tape is', 'tapes are')} in use and not compared"]
            if audit.in_use
            else []
        )
        click.echo(", ".join(rest) + ".")
        if held := audit.held.total():
            click.echo(f"Held: {held}; no sync copies them, copyagent explain TAPE says what does")
        for command in audit.commands(self.wanted.pool, target):
            click.echo(f"To mend: {command}")


@dataclass(slots=True)
class _Records:
    """What is on record of a tape, or of the tapes of a pool, read along in the order of their names."""

    ledger: Ledger
    where: PoolId | TapeId
    target: str
    with_agent: bool
    _said: Iterator[OnRecord] | None = None
    _next: OnRecord | None = None

    async def of(self, tape: TapeId) -> OnRecord | None:
        """Return the record of *tape*; each call must name a later one than the call before."""
        if not self.with_agent:
            return None
        if self._said is None:
            said = self.ledger.agent_says(self.where)
            self._said = (copy for copy in said if copy.target == self.target)
            self._next = await self._advance()
        while self._next is not None and str(self._next.tape) < str(tape):
            self._next = await self._advance()
        if self._next is not None and self._next.tape == tape:
            return self._next
        # The agent answers, and has nothing on record.
        return OnRecord(tape, self.target, "", 0, None, None)

    async def _advance(self) -> OnRecord | None:
        if self._said is None:
            return None
        found: OnRecord | None = await trio.to_thread.run_sync(next, self._said, None)
        return found


def _there_of(entry: TargetEntry) -> There:
    return There(entry.size, entry.mtime, entry.kind is EntryKind.FILE)


def _here_of(seen: os.stat_result) -> Here:
    return Here(identity_of(seen) if stat.S_ISREG(seen.st_mode) else None)


def finding_document(pool: PoolId, target: str, found: Found) -> dict[str, Any]:
    """Return one file as ``copyagent audit --json`` prints it."""
    return {
        "pool": str(pool),
        "target": target,
        "name": found.name,
        "flaw": found.flaw.value,
        "why": found.why,
    }


def summary_document(pool: PoolId, target: str, audit: Audit) -> dict[str, Any]:
    """Return the last line of ``copyagent audit --json`` for one target."""
    return {
        "pool": str(pool),
        "target": target,
        "good": audit.good,
        "in_use": audit.in_use,
        "kept": audit.kept,
        "flaws": {flaw.value: audit.flaws[flaw] for flaw in Flaw},
        "held": audit.held.total(),
        "commands": audit.commands(pool, target),
    }
