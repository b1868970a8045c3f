"""``copyagent verify``: copies are looked at one by one over a line of the command's own."""

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import click
import trio

from copyagent.cli.console import LOOK_S, line_of, printable
from copyagent.cli.ledger import Ledger
from copyagent.cli.own_line import OwnLine, own_line, run_with_asyncio
from copyagent.cli.progress_line import ProgressLine
from copyagent.cli.target_names import copies_named, target_named
from copyagent.control.client import ask
from copyagent.control.inquiries import Doubt
from copyagent.core import on_record
from copyagent.core.on_record import OnRecord
from copyagent.transfer.layout import Layout
from copyagent.transfer.published import Looked, Reader, Result, look
from copyagent.transfer.together import together
from vtsfs.contract.errors import NameUnknown, RequestFailed, Unprotected, VtsError
from vtsfs.contract.naming import PoolId, TapeId
from vtsfs.contract.settings import Settings
from vtsfs.contract.settings_file import read_settings
from vtsfs.contract.units import format_count

#: So many copies are looked at together.
#: A copy that is being replaced is looked at again, so often and after so many seconds.
_TOGETHER = 4
_AGAIN = 60
_AGAIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the command line says; *share* None: read everything."""

    where: TapeId | PoolId | None
    target: str | None
    share: float | None
    as_json: bool


@dataclass(slots=True)
class Tally:
    """What was found so far."""

    looked: int = 0
    bad: int = 0
    bytes: int = 0
    doubts: list[str] = field(default_factory=list)


def run_verify(config: Path, wanted: Wanted) -> None:
    """Look at all that is wanted; raise `Unprotected` if anything is not as it should be."""
    settings = read_settings(config)
    places = list(places_of(settings, wanted))
    tally = Tally()
    run_with_asyncio(partial(_verify, settings, wanted, places, tally))
    if tally.bad:
        raise Unprotected(
            f"{tally.bad} of {format_count(tally.looked, 'copy is', 'copies are')} not what was published; see: "
            "copyagent status"
        )
    if not wanted.as_json:
        click.echo(f"{format_count(tally.looked, 'copy is', 'copies are')} what was published.")


def places_of(settings: Settings, wanted: Wanted) -> Iterator[tuple[str, TapeId | PoolId]]:
    """Return which targets to look at for what; raises `NameUnknown` if that is nothing."""
    named = None if wanted.target is None else target_named(settings, wanted.target)
    where = wanted.where
    pool = where.pool_id if isinstance(where, TapeId) else where
    found = [
        (entry.target, where or entry.pool)
        for entry in settings.autocopy
        if pool in (None, entry.pool) and named in (None, entry.target)
    ]
    if not found and pool is not None:
        copies_named(settings, pool, named)
    if not found:
        raise NameUnknown(f"no pool is copied to {named}: see autocopy: in the settings")
    yield from found


async def _verify(
    settings: Settings,
    wanted: Wanted,
    places: list[tuple[str, TapeId | PoolId]],
    tally: Tally,
) -> None:
    ledger = Ledger(settings)
    with_agent = await trio.to_thread.run_sync(ledger.answers)
    if not with_agent:
        click.echo(
            "No agent answers: compared with the targets' own records, which others can edit.",
            err=True,
        )
    for target in dict.fromkeys(target for target, _ in places):
        async with own_line(settings, target) as line:
            verifier = Verifier(ledger, line, wanted, tally, with_agent=with_agent)
            for where in (where for name, where in places if name == target):
                await verifier.verify_all(where)


@dataclass(slots=True)
class Verifier:
    """Looks at the copies at one target."""

    ledger: Ledger
    line: OwnLine
    wanted: Wanted
    tally: Tally
    with_agent: bool = field(kw_only=True)
    progress: ProgressLine = field(default_factory=ProgressLine)

    async def copies(self, where: TapeId | PoolId) -> AsyncGenerator[OnRecord]:
        """Go through what is on record of *where* at this target."""
        if self.with_agent:
            said = self.ledger.agent_says(where)
            while (copy := await trio.to_thread.run_sync(next, said, None)) is not None:
                if copy.target == self.line.name:
                    yield copy
            return
        for tape in await self._tapes(where):
            found = await self.ledger.target_says(self.line.target, tape, self.line.name)
            if found is not None:
                yield found

    async def _tapes(self, where: TapeId | PoolId) -> list[TapeId]:
        """Name the tapes at the target, for want of somebody who knows what should be there."""
        if isinstance(where, TapeId):
            return [where]
        any_tape = self.ledger.layout(TapeId(where.vault, where.pool, "X"), self.line.name)
        patterns = self.ledger.settings.patterns_of(where.vault)
        names = [] if any_tape is None else await self.line.target.list_names(any_tape.pool)
        return [
            TapeId(where.vault, where.pool, name)
            for name in sorted(names)
            if patterns.is_label(name)
        ]

    async def verify_all(self, where: TapeId | PoolId) -> None:
        """Look at all copies of *where*, some at the same time: a long line has to be filled."""
        batch: list[OnRecord] = []
        async with aclosing(self.copies(where)) as copies:
            async for copy in copies:
                batch.append(copy)
                if len(batch) == _TOGETHER:
                    await together(partial(self.verify, each) for each in batch)
                    batch.clear()
        await together(partial(self.verify, each) for each in batch)

    async def verify(self, copy: OnRecord) -> None:
        """Look at one copy, tell what was found, and the agent if it is not good."""
        layout = self.ledger.layout(copy.tape, copy.target)
        if copy.published is None or layout is None:
            if isinstance(self.wanted.where, TapeId):
                raise RequestFailed(f"no copy of {copy.tape} at {copy.target} is on record")
            return
        copy, found = await self._look_until_it_stands(copy, layout)
        self.tally.looked += 1
        told = ""
        if found.result is not Result.GOOD:
            self.tally.bad += 1
            told = await self._tell(copy, found)
        self.progress.clear()
        if self.wanted.as_json:
            click.echo(line_of(document(copy, found, told)))
        elif found.result is not Result.GOOD or isinstance(self.wanted.where, TapeId):
            for line in sentence(copy, found, told).splitlines():
                click.echo(printable(line))

    async def _look_until_it_stands(
        self, copy: OnRecord, layout: Layout
    ) -> tuple[OnRecord, Looked]:
        """Look at a copy; at one that is being replaced meanwhile, until it is on record."""
        found = await self._look(copy, layout)
        for _ in range(_AGAIN):
            now = None if found.result is Result.GOOD else await self._on_record_now(copy.tape)
            if now is None or now.published is None:
                break
            if now.published == copy.published:
                # The rename comes after the intent and before the record.
                if await self.line.target.lstat(layout.intent) is None:
                    break
                await trio.sleep(_AGAIN_S)
            copy = now
            found = await self._look(copy, layout)
        return copy, found

    async def _look(self, copy: OnRecord, layout: Layout) -> Looked:
        published, target = copy.published, self.line.target
        if published is None:
            return Looked(Result.UNPROVEN, detail="nothing is on record")
        what = f"{copy.tape} at {copy.target}"
        self.progress.begin()

        def report(done: int) -> None:
            self.progress.show(what, done, published.size)

        reader = Reader(target, self.line.patience_s, report, self.line.pace)
        chunk_map = await self.ledger.map_of(target, copy.tape, copy.target, published.root)
        return await look(reader, layout.destination, published, chunk_map, share=self.wanted.share)

    async def _on_record_now(self, tape: TapeId) -> OnRecord | None:
        if not self.with_agent:
            return await self.ledger.target_says(self.line.target, tape, self.line.name)
        said = await trio.to_thread.run_sync(list, self.ledger.agent_says(tape))
        return next((copy for copy in said if copy.target == self.line.name), None)

    async def _tell(self, copy: OnRecord, found: Looked) -> str:
        """Tell the agent that a copy is not what was published; return what it answers."""
        if not self.with_agent or copy.published is None or found.result is Result.UNPROVEN:
            return ""
        published_ns = copy.published.published_ns
        word = on_record.Doubt(copy.tape, copy.target, published_ns, found.detail)
        request = Doubt(word)
        socket = self.ledger.settings.control_socket()
        try:
            said = await trio.to_thread.run_sync(partial(ask, socket, request, timeout=LOOK_S))
        except VtsError as error:
            return f"the agent was not told: {error}"
        return "; ".join(said)


def document(copy: OnRecord, found: Looked, told: str) -> dict[str, Any]:
    """Return what was found of one copy as ``copyagent verify --json`` prints it."""
    published = copy.published
    return {
        "tape": str(copy.tape),
        "target": copy.target,
        "generation": published.generation if published else None,
        "size": published.size if published else None,
        "result": found.result.value,
        "how": found.how,
        "detail": found.detail,
        "wrong": [list(each) for each in found.wrong or ()],
        "told": told,
    }


def sentence(copy: OnRecord, found: Looked, told: str) -> str:
    """Return what was found of one copy in words."""
    published = copy.published
    generation = f" (generation {published.generation})" if published else ""
    how = f", by {found.how}" if found.how else ""
    detail = f": {found.detail}" if found.detail else ""
    mark = found.result.value if found.result is Result.GOOD else found.result.value.upper()
    line = f"{copy.tape} at {copy.target}{generation}: {mark}{how}{detail}"
    return f"{line}\n  {told}" if told else line
