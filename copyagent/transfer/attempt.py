"""One attempt at one copy: the order, the open source, the connection, and what they can tell."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self

import trio

from copyagent.core.copying import CopyJob, CopyOutcome, PublishedCopy, TargetStamp
from copyagent.transfer.commands import (
    parse_sha256,
    parse_token,
    sha256_command,
    token_command,
)
from copyagent.transfer.layout import Layout
from copyagent.transfer.pacing import UNPACED, Pace
from copyagent.transfer.premises import Premises, Surroundings
from copyagent.transfer.progress import CopyProgress, Phase
from copyagent.transfer.source import Digests, SourceTape
from copyagent.transfer.streams import Report, digest_file, digest_source
from copyagent.transfer.target import EntryKind, Target, TargetError, TargetRefused
from vtsfs.contract.settings import Settings

Verify = Literal["auto", "size", "sha256", "readback"]

#: A request without an answer for this many keep-alive intervals means that the link is dead.
_PATIENCE = 4

#: What a digest command is given: some time to start, and the slowest disk we put up with.
_COMMAND_S = 60.0
_SLOWEST_DISK = 2 * 1024 * 1024


class Ended(Exception):
    """The attempt is over before its end, with *outcome*."""

    def __init__(self, outcome: CopyOutcome) -> None:
        super().__init__(str(outcome))
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Route:
    """From where to where a tape goes, and how its arrival is proven.

    *backing* is the storage of the source's vault, never the overlay's mount point. *patience_s*
    bounds the time without an answer of the target.
    """

    backing: Path
    layout: Layout
    verify: Verify = "auto"
    patience_s: float = 40.0
    pace: Pace = UNPACED
    surroundings: Surroundings = field(default_factory=Surroundings)
    premises: Premises = field(default_factory=Premises)

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
        )


@dataclass(slots=True)
class Attempt:
    """What every step of an attempt needs. The source's digests are computed at most once."""

    job: CopyJob
    route: Route
    source: SourceTape
    target: Target
    progress: Callable[[CopyProgress], None]
    _digests: Digests | None = None

    @property
    def layout(self) -> Layout:
        """Where things lie at the target."""
        return self.route.layout

    def reporter(self, phase: Phase, total: int) -> Report:
        """Return what tells the watchers how many bytes of *phase* are done."""

        def report(done: int) -> None:
            self.progress(CopyProgress(self.job.tape, self.job.target, phase, done, total))

        report(0)
        return report

    async def source_digests(self) -> Digests:
        """Read the whole source and digest it."""
        if self._digests is None:
            report = self.reporter(Phase.COMPARING, self.source.identity.size)
            self._digests = await digest_source(self.source, report)
        return self._digests

    async def stamp(self, path: str) -> TargetStamp | None:
        """Return the present state of the plain file *path* at the target; None if it is not one.

        Without a way to run commands the stamp has no token.
        """
        entry = await self.target.lstat(path)
        if entry is None or entry.kind is not EntryKind.FILE:
            return None
        answer = await self.target.run(token_command(path), self.route.patience_s)
        token = parse_token(answer.output) if answer and answer.status == 0 else ""
        return TargetStamp(entry.size, entry.mtime, token)

    async def target_digest(self, path: str, size: int, phase: Phase) -> tuple[str, str]:
        """Return the SHA-256 of a file at the target, and how it was had.

        By the target's own command where that works and the settings allow it: then the bytes need
        not come back over the line.
        """
        report = self.reporter(phase, size)
        if self.route.verify != "readback":
            found = await self._digest_by_command(path, size)
            if found is not None:
                return found, "sha256"
            if self.route.verify == "sha256":
                raise TargetRefused(
                    f"running sha256sum on {path}",
                    "no digest came back",
                    "let the user run commands at the target, or set verify: auto",
                )
        file = await self.target.open(path)
        digests = await digest_file(
            file,
            size,
            block=self.target.max_block,
            patience_s=self.route.patience_s,
            report=report,
        )
        await file.close()
        return digests.sha256, "readback"

    async def _digest_by_command(self, path: str, size: int) -> str | None:
        patience_s = _COMMAND_S + size / _SLOWEST_DISK
        answer = await self.target.run(sha256_command(path), patience_s)
        return parse_sha256(answer.output) if answer and answer.status == 0 else None


def same_content(copy: PublishedCopy, digests: Digests) -> bool:
    """Tell whether *copy* records the content that *digests* are of."""
    return copy.sha256 == digests.sha256


async def discard(target: Target, path: str) -> None:
    """Remove a stage if that is quick; what stays is collected by the tape's next attempt."""
    with trio.move_on_after(1, shield=True):
        try:
            await target.remove(path)
        except TargetError:
            return
