"""A source vault, a target vault behind a real sshd, and what a copy between them needs."""

import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path

from copyagent.core.copying import CopyJob, CopyOutcome, PublishedCopy
from copyagent.ssh.sftp import SftpTarget, connect
from copyagent.transfer.attempt import Attempt, Readback, Route
from copyagent.transfer.copier import copy_tape
from copyagent.transfer.layout import Layout
from copyagent.transfer.pacing import UNPACED
from copyagent.transfer.premises import Premises, Surroundings
from copyagent.transfer.progress import CopyProgress, Phase
from copyagent.transfer.source import SourceTape, identity_of
from copyagent.transfer.target import Target
from tests.support.sshd import ADDRESS, Sshd
from vtsfs.contract.naming import TapeId
from vtsfs.contract.settings import Target as TargetSettings

#: The clock that the copies are given: any fixed time will do.
NOW_NS = 1_767_225_600_000_000_000


def yes() -> bool:
    return True


@dataclass
class Journal:
    """Keeps what was intended, as the agent's state would."""

    intended: list[PublishedCopy] = field(default_factory=list)
    on_intend: Callable[[], None] = lambda: None

    async def intend(self, copy: PublishedCopy) -> None:
        self.intended.append(copy)
        self.on_intend()


class CopyRig:
    """Vault VAULT00 with pool BILL here, an empty VAULT00 there, system TAPESRV1."""

    def __init__(self, directory: Path, sshd: Sshd) -> None:
        self.sshd = sshd
        self.backing = directory / "backing"
        self.vault = directory / "target" / "VAULT00"
        (self.backing / "BILL").mkdir(parents=True)
        self.vault.mkdir(parents=True)
        self.agent = directory / "agent"
        self.agent.mkdir(mode=0o700)
        self.readback: Readback = "all"
        self.pace = UNPACED
        self.keep_free = 0.0
        self.surroundings = Surroundings()
        self.premises = Premises()
        self.companions: tuple[str, ...] = ()
        self.journal = Journal()
        self.seen: list[CopyProgress] = []
        self.on_progress: Callable[[CopyProgress], None] = lambda _: None
        self.permit: Callable[[], bool] = yes

    def settings(self, **changes: object) -> TargetSettings:
        values: dict[str, object] = {
            "host": ADDRESS,
            "port": self.sshd.port,
            "user": self.sshd.user,
            "key": str(self.sshd.key),
            "known_hosts": str(self.sshd.known_hosts),
            "vaults": {"VAULT00": str(self.vault)},
            "connect_timeout": "5s",
            "keepalive": "5s",
        }
        return TargetSettings.model_validate(values | changes)

    def connect(self, **changes: object) -> AbstractAsyncContextManager[SftpTarget]:
        return connect(self.settings(**changes))

    def layout(self, label: str = "X00001", pool: str = "BILL") -> Layout:
        return Layout(str(self.vault), ".vts-autocopy", "TAPESRV1", TapeId("VAULT00", pool, label))

    def tape(self, label: str = "X00001", pool: str = "BILL") -> Path:
        return self.backing / pool / label

    def published(self, label: str = "X00001", pool: str = "BILL") -> Path:
        return self.vault / pool / label

    def write(self, content: bytes, label: str = "X00001") -> Path:
        path = self.tape(label)
        path.write_bytes(content)
        return path

    def job(self, label: str = "X00001", generation: int = 1, pool: str = "BILL") -> CopyJob:
        """Order a copy of the tape as it is now; the identity is left out if it cannot be had."""
        tape = TapeId("VAULT00", pool, label)
        try:
            identity = identity_of(os.lstat(self.tape(label, pool)))
        except FileNotFoundError:
            identity = None
        return CopyJob(tape, "drsite", tape, generation, identity)

    def at(self, path: str) -> Path:
        """Give a path of the layout as one of this machine, which is the target as well."""
        return Path(path)

    def route(self, job: CopyJob, verify: str = "auto", patience_s: float = 10.0) -> Route:
        return Route(
            self.backing,
            self.layout(job.destination.label, job.destination.pool),
            self.settings(verify=verify).verify,
            patience_s,
            surroundings=self.surroundings,
            premises=self.premises,
            readback=self.readback,
            keep_free=self.keep_free,
            pace=self.pace,
            companions=self.companions,
            agent=self.agent,
        )

    def attempt(self, source: SourceTape, target: Target) -> Attempt:
        """Make an attempt at the tape as it is now, to try out one step of it."""
        job = self.job()
        return Attempt(job, self.route(job), source, target, self.seen.append)

    async def copy(
        self,
        job: CopyJob | None = None,
        *,
        verify: str = "auto",
        patience_s: float = 10.0,
        connecting: Callable[[], AbstractAsyncContextManager[Target]] | None = None,
        **changes: object,
    ) -> CopyOutcome:
        job = job or self.job()
        route = self.route(job, verify, patience_s)

        def progress(step: CopyProgress) -> None:
            self.seen.append(step)
            self.on_progress(step)

        return await copy_tape(
            job,
            route,
            connect=connecting or (lambda: self.connect(**changes)),
            journal=self.journal,
            permit=self.permit,
            progress=progress,
            wall_ns=lambda: NOW_NS,
        )

    def at_phase(self, phase: Phase, act: Callable[[], object]) -> None:
        """Call *act* once, when the next copy reaches *phase*."""
        todo = [act]

        def on_progress(step: CopyProgress) -> None:
            if step.phase is phase and todo:
                todo.pop()()

        self.on_progress = on_progress

    def staged(self) -> list[str]:
        """List the stages that lie at the target."""
        directory = Path(self.layout().directory)
        return sorted(path.name for path in directory.glob("*.stage"))
