"""Companions of a tape: published before it, by the same steps, under the same guards.

Each is a small tape of its own to the copier: staged, compared, renamed into place, with a manifest
that tells ours from foreign files. They are published when the tape's stage is complete and proven,
just before its rename; so what fails earlier leaves the target as it was. A crash between them
leaves companions that are newer than their tape, each of them whole, until the next attempt. One
that is gone at the source stays at the target.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import trio

from copyagent.core.copying import CopyHeld, CopyStopped, PublishedCopy
from copyagent.transfer.attempt import Attempt, Ended
from copyagent.transfer.converging import converge, look
from copyagent.transfer.progress import CopyProgress
from copyagent.transfer.publishing import Publisher
from copyagent.transfer.resuming import collect, list_staging
from copyagent.transfer.source import (
    SourceDiffers,
    SourceMissing,
    SourceOpen,
    SourceTape,
    SourceUnfit,
    open_tape,
)
from copyagent.transfer.staging import read_record
from vtsfs.contract.companions import label_of
from vtsfs.contract.naming import TapeId


@dataclass(slots=True)
class Companions:
    """The companions of the tape of *attempt*; `publish` does all of it, once.

    *permit* and *wall_ns* are those of the tape's own publication.
    """

    attempt: Attempt
    permit: Callable[[], bool]
    wall_ns: Callable[[], int]
    _done: bool = field(default=False, init=False)

    async def publish(self) -> None:
        """Bring every companion to the target that is not there yet; a second time does nothing.

        Raises what a copy raises; a companion that somebody writes, or that changes meanwhile,
        makes the tape wait.
        """
        if self._done or not self.attempt.route.companions:
            return
        self._done = True
        # So that they do not go ahead of a tape that will not follow.
        self.attempt.source.check()
        for name in await trio.to_thread.run_sync(self._names):
            with _named(name):
                await self._publish(name)

    def _names(self) -> list[str]:
        route, tape = self.attempt.route, self.attempt.job.tape
        is_label = route.surroundings.patterns.is_label
        with os.scandir(route.backing / tape.pool) as entries:
            # Most of a pool are other tapes, which need no pattern to be told.
            near = [
                entry.name
                for entry in entries
                if tape.label in entry.name and entry.is_file(follow_symlinks=False)
            ]
        found = (name for name in near if label_of(name, route.companions, is_label) == tape.label)
        return sorted(found)

    async def _publish(self, name: str) -> None:
        job, route = self.attempt.job, self.attempt.route
        tape = TapeId(job.tape.vault, job.tape.pool, name)
        try:
            source = await trio.to_thread.run_sync(open_tape, route.backing, tape)
        except SourceMissing:
            return  # deleted since it was listed; what the target has of it stays
        with source:
            source.check()
            await trio.to_thread.run_sync(source.make_durable)
            attempt = await self._attempt(tape, source)
            found = await collect(attempt, await list_staging(attempt))
            publisher = Publisher(attempt, _Unrecorded(), self.permit, self.wall_ns)
            standing, around = await look(attempt)
            await converge(attempt, publisher, standing, around, found)

    async def _attempt(self, tape: TapeId, source: SourceTape) -> Attempt:
        """Return an attempt at one companion.

        Nothing of it is on the agent's record, so its manifest says what was published; without
        one, or if the file is not what that says, its content tells whether it is ours.
        """
        job, route = self.attempt.job, self.attempt.route
        goes_to = replace(job.destination, label=tape.label)
        layout = replace(route.layout, tape=goes_to)
        manifest = await read_record(self.attempt.target, layout.manifest, goes_to)
        order = replace(
            job,
            tape=tape,
            destination=goes_to,
            identity=source.identity,
            base=manifest.copy if manifest is not None else None,
            intent=None,
            changes=(),
            kept=(),
            keep=0,
            wish=None,
        )
        way = replace(route, layout=layout, companions=())
        return Attempt(order, way, source, self.attempt.target, _unwatched)


class _Unrecorded:
    """The intent of a companion lies at the target alone."""

    async def intend(self, copy: PublishedCopy) -> None:
        """Nothing: the agent's own record is of the tape."""


def _unwatched(_: CopyProgress) -> None:
    """Who watches the tape's progress wants to hear of the tape."""


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Say of which companion a failure is, and that what changed is not the tape."""
    try:
        yield
    except SourceOpen as error:
        raise SourceOpen(f"its companion {name}: {error}") from error
    except SourceDiffers as error:
        raise SourceOpen(f"its companion {name} changed meanwhile") from error
    except SourceUnfit as error:
        raise SourceUnfit(f"its companion {name}: {error}") from error
    except Ended as ended:
        match ended.outcome:
            case CopyHeld(detail=detail) | CopyStopped(detail=detail) if name not in detail:
                said = replace(ended.outcome, detail=f"its companion {name}: {detail}")
                raise Ended(said) from ended
            case _:
                raise
