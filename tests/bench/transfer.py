"""Whole tapes to a real OpenSSH server on loopback: our copier against scp and rsync.

All talk to the same sshd with the same cipher, each logs in by itself, and each is timed until the
target's file is on stable storage. The copier does more in that time: it makes the chunk map of the
tape and publishes the copy by renaming, and what it does to prove the copy stands in its name
(``verify``). scp and rsync are told the cipher that the copier prefers, for by default they take a
slower one.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import trio

from copyagent.core.copying import CopyDone, CopyJob
from copyagent.ssh.bridge import open_bridge
from copyagent.ssh.connections import Connections, open_connections
from copyagent.transfer.agent_mark import AgentMark
from copyagent.transfer.premises import Premises, Surroundings
from tests.bench.deltas import CIPHER, MIB, make_tape, need_rsync
from tests.bench.frame import Side, Work
from tests.support.copy_rig import CopyRig
from tests.support.sshd import ADDRESS, Sshd

SIZE = 2048 * MIB

#: The tapes of small-500x1m, and how many are copied at once, as the settings have it by default.
SMALL = 500
SMALL_SIZE = MIB
AT_ONCE = 2


class Whole:
    """Copies one tape, whole, to an empty vault in different ways; each returns its seconds."""

    def __init__(self, rig: CopyRig, port: int) -> None:
        self.rig = rig
        self.port = port

    def ours(self, verify: str) -> float:
        """Copy with our copier."""
        self.empty()
        took = trio.run(self._copied, verify)
        self._check()
        return took

    async def _copied(self, verify: str) -> float:
        async with open_bridge():
            job = self.rig.job()
            begun = time.perf_counter()
            outcome = await self.rig.copy(job, verify=verify, port=self.port)
            took = time.perf_counter() - begun
        _expect_done(job, outcome)
        return took

    def scp(self) -> float:
        """Copy with scp, then sync."""
        return self._by(["scp", *self._options(), "-q", "-P", str(self.port)])

    def rsync(self) -> float:
        """Copy with ``rsync --whole-file``, then sync."""
        program = ["ssh", *self._options(), "-p", str(self.port)]
        return self._by(["rsync", "--whole-file", "-e", " ".join(program)])

    def _options(self) -> list[str]:
        return [*self.rig.sshd.client_options(), "-c", CIPHER]

    def _by(self, command: list[str]) -> float:
        self.empty()
        copy = self.rig.published()
        copy.parent.mkdir()
        begun = time.perf_counter()
        target = f"{self.rig.sshd.user}@{ADDRESS}:{copy}"
        subprocess.run([*command, str(self.rig.tape()), target], check=True)
        sync([copy, copy.parent])
        took = time.perf_counter() - begun
        self._check()
        return took

    def _check(self) -> None:
        if self.rig.published().stat().st_size != self.rig.tape().stat().st_size:
            raise AssertionError(f"{self.rig.published()} is not whole")

    def empty(self) -> None:
        """Forget the last run, and let the disk finish with it: the next must not pay for it."""
        empty(self.rig)


def _expect_done(job: CopyJob, outcome: object) -> None:
    if not isinstance(outcome, CopyDone):
        raise AssertionError(f"the copy of {job.tape} ended otherwise: {outcome}")


def guarded(rig: CopyRig) -> CopyRig:
    """Have copies look at their surroundings as an agent's do: its mark, the label, our storage."""
    rig.surroundings = Surroundings(
        mark=AgentMark("b" * 32, "TAPESRV1", "here"),
        vaults={"VAULT00": str(rig.vault)},
        storages=(rig.backing, *rig.backing.parents),
    )
    return rig


def empty(rig: CopyRig) -> None:
    """Remove everything from the target's vault, and what the copier remembers of it."""
    for directory in (rig.vault, rig.agent):
        for entry in directory.iterdir():
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()
    rig.premises = Premises()
    os.sync()


def sync(paths: Iterable[Path]) -> None:
    """Make files and directories durable, as the copier does with its own."""
    for path in paths:
        fd = os.open(path, os.O_RDONLY)
        os.fsync(fd)
        os.close(fd)


@contextmanager
def one_large(directory: Path, size: int = SIZE) -> Iterator[Sequence[Side]]:
    """Run an sshd over an empty target vault, with one tape of random bytes at the source."""
    need_rsync()
    with Sshd(directory / "sshd") as sshd:
        rig = guarded(CopyRig(directory, sshd))
        make_tape(rig.tape(), size)
        whole = Whole(rig, sshd.port)
        yield (
            Side("copyagent (verify size)", lambda: whole.ours("size")),
            Side("scp", whole.scp),
            Side("rsync-W", whole.rsync),
            Side("copyagent (verify auto)", lambda: whole.ours("auto")),
        )


class Small:
    """Copies many small tapes."""

    def __init__(self, rig: CopyRig, count: int) -> None:
        self.rig = rig
        self.labels = [f"S{number:05}" for number in range(count)]
        for label in self.labels:
            rig.write(os.urandom(SMALL_SIZE), label)
        self._options = [*rig.sshd.client_options(), "-q", "-c", CIPHER, "-P", str(rig.sshd.port)]

    def ours(self) -> float:
        """Copy all, some at once, as the agent would: each is published and recorded by itself."""
        empty(self.rig)
        took = trio.run(self._copied)
        self._check()
        return took

    async def _copied(self) -> float:
        begun = time.perf_counter()
        async with open_bridge(), open_connections() as connections, trio.open_nursery() as nursery:
            left = iter(self.labels)
            for _ in range(AT_ONCE):
                nursery.start_soon(self._copy, connections, left)
        return time.perf_counter() - begun

    async def _copy(self, connections: Connections, left: Iterator[str]) -> None:
        settings = self.rig.settings()
        for label in left:
            job = self.rig.job(label)
            outcome = await self.rig.copy(
                job, verify="size", connecting=lambda: connections.connect(settings)
            )
            _expect_done(job, outcome)

    def scp_each(self) -> float:
        """Copy one after the other, as whoever has no agent does at every dismount; then sync."""
        return self._by([[label] for label in self.labels])

    def scp_all(self) -> float:
        """Copy all with one command, for which all must be there; then sync."""
        return self._by([self.labels])

    def _by(self, commands: list[list[str]]) -> float:
        empty(self.rig)
        pool = self.rig.vault / "BILL"
        pool.mkdir()
        begun = time.perf_counter()
        for labels in commands:
            tapes = [str(self.rig.tape(label)) for label in labels]
            target = f"{self.rig.sshd.user}@{ADDRESS}:{pool}"
            subprocess.run(["scp", *self._options, *tapes, target], check=True)
            sync(pool / label for label in labels)
        sync([pool])
        took = time.perf_counter() - begun
        self._check()
        return took

    def _check(self) -> None:
        whole = [self.rig.published(label).stat().st_size == SMALL_SIZE for label in self.labels]
        if not all(whole):
            raise AssertionError(f"{whole.count(False)} copies are not whole")


@contextmanager
def many_small(directory: Path, count: int = SMALL) -> Iterator[Sequence[Side]]:
    """Run an sshd over an empty target vault, with many small tapes at the source."""
    with Sshd(directory / "sshd") as sshd:
        small = Small(guarded(CopyRig(directory, sshd)), count)
        yield (
            Side("copyagent (2 at once, verify size)", small.ours),
            Side("scp, one by one", small.scp_each),
            Side("scp, all at once", small.scp_all),
        )


FULL_2G = Work(
    bench="transfer",
    name="full-2g",
    prepare=one_large,
    rounds=4,
    amount=SIZE / 1e6,
    unit="MB/s",
    wanted={"scp": 1.0, "rsync-W": 1.0},
)

SMALL_500 = Work(
    bench="transfer",
    name="small-500x1m",
    prepare=many_small,
    rounds=3,
    amount=SMALL,
    unit="tapes/s",
    wanted={"scp, one by one": 2.0},
)
