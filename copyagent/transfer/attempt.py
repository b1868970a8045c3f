"""One attempt at one copy: the order, the open source, the connection, and what they can tell."""

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal, Self

import trio

from copyagent.core.copying import CopyJob, CopyOutcome, PublishedCopy, TargetStamp
from copyagent.transfer.chunks import ChunkMap
from copyagent.transfer.commands import parse_tokens, token_command
from copyagent.transfer.layout import Layout
from copyagent.transfer.maps import MapStore
from copyagent.transfer.pacing import UNPACED, Pace
from copyagent.transfer.premises import Premises, Surroundings
from copyagent.transfer.progress import CopyProgress, Phase
from copyagent.transfer.source import SourceTape
from copyagent.transfer.target import EntryKind, Target, TargetEntry, TargetError
from copyagent.transfer.together import together
from vtsfs.contract.extents import ExtentSet
from vtsfs.contract.settings import Settings

Verify = Literal["auto", "size", "sha256", "readback"]
Readback = Literal["all", "sent"] | float

#: A request without an answer for this many keep-alive intervals means that the link is dead.
_PATIENCE = 4

#: Told how many bytes of a phase are done.
Report = Callable[[int], None]


class Ended(Exception):
    """The attempt is over before its end, with *outcome*."""

    def __init__(self, outcome: CopyOutcome) -> None:
        super().__init__(str(outcome))
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Route:
    """From where to where a tape goes, and how its arrival is proven.

    *backing* is the storage of the source's vault, never the overlay's mount point. *patience_s*
    bounds the time without an answer of the target. *readback* is how much is read back where
    *verify* says so: all, what was sent, or a share of the chunks. *agent* is the directory of the
    agent's own records, *keep_free* the share of the target's file system that kept generations
    leave free. *pace* are the bandwidth limits: everything of the tape that goes to the target, or
    comes back, keeps them. *companions* are patterns of the files that travel with the tape.
    """

    backing: Path
    layout: Layout
    verify: Verify = "auto"
    patience_s: float = 40.0
    surroundings: Surroundings = field(default_factory=Surroundings)
    premises: Premises = field(default_factory=Premises)
    readback: Readback = "all"
    keep_free: float = 0.1
    pace: Pace = UNPACED
    companions: tuple[str, ...] = ()
    agent: Path = field(kw_only=True)

    @classmethod
    def of(cls, settings: Settings, job: CopyJob, premises: Premises) -> Self:
        """Take *job*'s route from the settings; KeyError if they name no such vault or target.

        *premises* are those of the target, the same for all copies to it.
        """
        target = settings.targets[job.target]
        return cls(
            backing=settings.vaults[job.tape.vault].backing,
            layout=Layout.of(settings, job.target, job.destination),
            verify=target.verify,
            patience_s=_PATIENCE * target.keepalive,
            surroundings=Surroundings.of(settings, job),
            premises=premises,
            readback=target.readback,
            keep_free=target.keep_free,
            companions=settings.companions_of(job.tape, job.target),
            agent=settings.agent_directory(),
        )


@dataclass(slots=True)
class Attempt:
    """What every step of an attempt needs.

    *data* is what of the source is no hole, None if that is not known. *digests* are those of its
    chunks that were read so far, by index.
    """

    job: CopyJob
    route: Route
    source: SourceTape
    target: Target
    progress: Callable[[CopyProgress], None]
    data: ExtentSet | None = None
    digests: dict[int, bytes] = field(default_factory=dict)
    _tells_tokens: bool = True
    _stages: set[str] = field(default_factory=set)

    @property
    def layout(self) -> Layout:
        """Where things lie at the target."""
        return self.route.layout

    def new_stage(self) -> str:
        """Name a stage that is nobody else's; until `release` other attempts leave it alone."""
        path = self.layout.stage(self.job.generation, secrets.token_hex(8))
        name = path.rpartition("/")[2]
        self._stages.add(name)
        self.route.premises.building.add(name)
        return path

    def release(self) -> None:
        """Let others collect what is left of this attempt's stages."""
        self.route.premises.building -= self._stages

    def reporter(self, phase: Phase, total: int) -> Report:
        """Return what tells the watchers how many bytes of *phase* are done."""

        def report(done: int) -> None:
            self.progress(CopyProgress(self.job.tape, self.job.target, phase, done, total))

        report(0)
        return report

    def recorded(self, copy: PublishedCopy) -> bool:
        """Tell whether the agent's own records know *copy*.

        One that only the target has vouches for the bytes that were read there, and for nothing
        else: anybody over there can write it.
        """
        own = (self.job.base, self.job.intent, *self.job.kept)
        facts = (copy.generation, copy.source, copy.root)
        known = [(one.generation, one.source, one.root) for one in own if one is not None]
        return bool(copy.root) and facts in known

    @property
    def maps(self) -> MapStore:
        """The agent's own chunk maps."""
        return MapStore(self.route.agent / "maps")

    async def read_map(self, root: str) -> ChunkMap | None:
        """Return the agent's own map of that *root*, None without one."""
        read = partial(self.maps.read, self.job.tape, self.job.target, root)
        return await trio.to_thread.run_sync(read)

    async def stamp(self, path: str) -> TargetStamp | None:
        """Return the present state of the plain file *path* at the target; None if it is not one.

        Without a way to run commands the stamp has no token.
        """
        (stamp,) = await self.stamps(path)
        return stamp

    async def stamps(self, *paths: str) -> list[TargetStamp | None]:
        """Return the present state of several plain files at the target, asked for together."""
        asked = [partial(self.target.lstat, path) for path in paths]
        entries: list[TargetEntry | None]
        tokens: list[str]
        if not self._tells_tokens or self.target.can.commands is False:
            entries, tokens = await together(asked), [""] * len(paths)
        else:
            entries, tokens = await self._with_tokens(asked, paths)
        return [
            TargetStamp(entry.size, entry.mtime, token)
            if entry is not None and entry.kind is EntryKind.FILE
            else None
            for entry, token in zip(entries, tokens, strict=True)
        ]

    async def _with_tokens(
        self, asked: Sequence[Callable[[], Awaitable[TargetEntry | None]]], paths: Sequence[str]
    ) -> tuple[list[TargetEntry | None], list[str]]:
        """Ask for entries and tokens at the same time; a file that changes between is looked at again.

        Whoever compares two stamps of one file takes either half for the file's state.
        """
        tokens = [""] * len(paths)

        async def run() -> TargetEntry | None:
            answer = await self.target.run(token_command(*paths), self.route.patience_s)
            if answer is None or not answer.output.strip():
                # Such as an internal-sftp that is forced on everybody: it will not run the next.
                self._tells_tokens = False
            elif answer.status == 0:
                tokens[:] = parse_tokens(answer.output, len(paths))
            return None

        *entries, _ = await together([*asked, run])
        return entries, tokens


async def discard(target: Target, path: str) -> None:
    """Remove a stage if that is quick; what stays is collected by the tape's next attempt."""
    with trio.move_on_after(1, shield=True):
        try:
            await target.remove(path)
        except TargetError:
            return
