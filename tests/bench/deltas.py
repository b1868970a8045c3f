"""A tape of 2 GiB that changed a little, brought up to date: our delta against rsync's.

Either side has a tape and a target of its own, of the same size; before each run its tape is changed
in the same way, untimed. Both talk to the same sshd with the same cipher, and each is timed until the
target's file is on stable storage. rsync digests the whole tape at both ends. What we send is known
from what the overlay saw, digested where it was touched, read back, and published by renaming;
the verification policy stands in the side's name.

rsync frees the file that it replaces before it ends; we have it freed after the record, and that is
waited for before anybody's next run, untimed.

What went over the line is counted by a proxy in a run of its own, which is not timed.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import blake3
import trio

from copyagent.core.changes import Change
from copyagent.core.copying import CopyDone, CopyJob, PublishedCopy
from copyagent.ssh.bridge import open_bridge
from copyagent.ssh.sftp import connect
from copyagent.transfer.source import identity_of
from tests.bench.frame import Side, Work
from tests.bench.limits import limit_row
from tests.bench.overlay.attached import BenchError
from tests.bench.ratios import Row
from tests.support.copy_rig import CopyRig
from tests.support.processes import descendants
from tests.support.sshd import ADDRESS, Sshd
from tests.support.tcp_proxy import TcpProxy, open_proxy
from tests.support.waiting import wait_until
from vtsfs.contract.extents import ExtentSet, Range

MIB = 1 << 20
SIZE = 2048 * MIB
CIPHER = "aes128-gcm@openssh.com"

#: The change of delta-1pct-2g: 20 MiB in so many places.
PLACES = 200
PIECE = 20 * MIB // PLACES

#: The change of append-64m-2g.
APPENDED = 64 * MIB

#: What the line may carry, over the change rounded to blocks of 64 KiB.
OVERHEAD = 1.05
_ROUNDING = 64 * 1024

#: Content is made in pieces of this size.
_PIECE = 64 * MIB

#: Changes a file in place, number by number; returns what it wrote.
Changing = Callable[[Path, int], list[Range]]


def scattered(path: Path, number: int) -> list[Range]:
    """Rewrite 1 % of the tape in 200 places, none of them at a block's edge."""
    size = path.stat().st_size
    step = size // PLACES
    length = min(PIECE, step // 2)
    written = []
    with path.open("r+b") as file:
        for place in range(PLACES):
            at = place * step + (number * 7919 + 513) % (step - length)
            file.seek(at)
            file.write(os.urandom(length))
            written.append((at, at + length))
    return written


def appended(path: Path, _number: int) -> list[Range]:
    """Write 64 MiB, or 1/32 of the tape, at its end."""
    size = path.stat().st_size
    length = min(APPENDED, max(size // 32, 1))
    with path.open("ab") as file:
        file.write(os.urandom(length))
    return [(size, size + length)]


def make_tape(path: Path, size: int) -> None:
    """Write *size* random bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for at in range(0, size, _PIECE):
            # As random as it has to be, and four times as quick as the kernel's.
            file.write(blake3.blake3(os.urandom(32)).digest(length=min(_PIECE, size - at)))


def rounded(written: Sequence[Range], size: int) -> int:
    """Return how many bytes *written* touches, in blocks of 64 KiB."""
    blocks = ExtentSet(
        (start // _ROUNDING * _ROUNDING, min(-(-end // _ROUNDING) * _ROUNDING, size))
        for start, end in sorted(written)
    )
    return blocks.total()


@dataclass
class Ours:
    """Our side: what the agent would know of its tape, from copy to copy."""

    rig: CopyRig
    changing: Changing
    keep: int
    size: int = SIZE
    generation: int = 1
    base: PublishedCopy | None = None
    kept: tuple[PublishedCopy, ...] = ()
    changes: list[Change] = field(default_factory=list)
    written: list[Range] = field(default_factory=list)

    @property
    def tape(self) -> Path:
        """The tape here."""
        return self.rig.tape()

    def first(self) -> None:
        """Make the tape and copy it."""
        make_tape(self.tape, self.size)
        trio.run(self._copied)

    def change(self) -> None:
        """Let a session change the tape, as the overlay would tell of it."""
        before = identity_of(os.lstat(self.tape))
        self.written = self.changing(self.tape, self.generation)
        after = identity_of(os.lstat(self.tape))
        self.generation += 1
        self.changes.append(Change(self.generation, before, after, tuple(self.written)))

    def run(self) -> float:
        """Change the tape; return how long its copy took."""
        self.change()
        os.sync()
        took = trio.run(self._copied)
        # The file that was replaced is being freed by a process over there: none of rsync's business.
        wait_until(self._is_quiet, 30, "the server's processes are gone")
        return took

    def _is_quiet(self) -> bool:
        return not descendants(self.rig.sshd.pid)

    async def counted(self) -> tuple[int, int]:
        """Change the tape; return how many bytes its copy sent and received over the line."""
        self.change()
        sshd = self.rig.sshd
        async with open_proxy(sshd.port) as proxy:
            pin(sshd, proxy)
            await self._copied(proxy.port)
            return proxy.sent, proxy.received

    async def _copied(self, port: int | None = None) -> float:
        settings = self.rig.settings(port=port or self.rig.sshd.port)
        async with open_bridge():
            job = self._job()
            begun = time.perf_counter()
            outcome = await self.rig.copy(job, connecting=lambda: connect(settings))
            took = time.perf_counter() - begun
        if not isinstance(outcome, CopyDone):
            raise AssertionError(f"the copy ended otherwise: {outcome}")
        if self.base is not None and outcome.way != "extents":
            raise AssertionError(f"not a delta of what the overlay saw, but: {outcome.summary}")
        self.base, self.kept = outcome.copy, outcome.kept
        return took

    def _job(self) -> CopyJob:
        return replace(
            self.rig.job(generation=self.generation),
            base=self.base,
            kept=self.kept,
            keep=self.keep,
            changes=tuple(self.changes),
        )


@dataclass
class Rsync:
    """rsync's side: a tape and a target directory of its own, behind the same sshd."""

    directory: Path
    sshd: Sshd
    changing: Changing
    number: int = 0

    @property
    def tape(self) -> Path:
        """The tape here."""
        return self.directory / "tapes" / "X00001"

    @property
    def copy(self) -> Path:
        """The tape at the target."""
        return self.directory / "far" / "X00001"

    def first(self, like: Path) -> None:
        """Make a tape *like* ours, and its copy."""
        self.tape.parent.mkdir(parents=True)
        self.copy.parent.mkdir()
        for path in (self.tape, self.copy):
            shutil.copyfile(like, path)

    def run(self) -> float:
        """Change the tape; return how long bringing its copy up to date took."""
        self.number += 1
        self.changing(self.tape, self.number)
        os.sync()
        begun = time.perf_counter()
        self._sync()
        for path in (self.copy, self.copy.parent):
            fd = os.open(path, os.O_RDONLY)
            os.fsync(fd)
            os.close(fd)
        return time.perf_counter() - begun

    def _sync(self) -> None:
        program = ["ssh", *self.sshd.client_options(), "-c", CIPHER, "-p", str(self.sshd.port)]
        command = ["rsync", "--no-whole-file", "--ignore-times", "--times", "--perms"]
        target = f"{self.sshd.user}@{ADDRESS}:{self.copy}"
        subprocess.run([*command, "-e", " ".join(program), str(self.tape), target], check=True)


def pin(sshd: Sshd, proxy: TcpProxy) -> None:
    """Let the server's key be known on the proxy's port, too."""
    line = f"[{ADDRESS}]:{sshd.port} "
    known = sshd.known_hosts.read_text(encoding="ascii")
    there = [each for each in known.splitlines() if each.startswith(line)]
    more = [each.replace(line, f"[{ADDRESS}]:{proxy.port} ") for each in there]
    sshd.known_hosts.write_text("\n".join([*known.splitlines(), *more]) + "\n", encoding="ascii")


def need_rsync() -> None:
    """Raise BenchError where there is no rsync to compare with."""
    if shutil.which("rsync") is None:
        raise BenchError("there is no rsync to compare with: apt-get install rsync")


@dataclass(frozen=True)
class Delta:
    """The rows of one change: ratios to rsync's delta, and bytes on the line against their limit.

    *base* says what the next generation is built from at the target: ``copy-data`` of what is
    published, or a ``kept generation`` that is brought forward.
    """

    name: str
    changing: Changing
    base: str
    wanted: float
    rounds: int = 4
    bench: str = "transfer"

    @property
    def effort(self) -> str:
        """Say how much there is to do."""
        return f"{self.rounds} rounds, {SIZE // MIB} MiB twice here and twice at the target"

    def rows(self, directory: Path) -> list[Row]:
        """Compare, and count."""
        counted: list[Row] = []

        @contextmanager
        def prepare(place: Path) -> Iterator[Sequence[Side]]:
            need_rsync()
            with Sshd(place / "sshd") as sshd:
                keep = 1 if self.base == "kept generation" else 0
                ours = Ours(CopyRig(place, sshd), self.changing, keep)
                theirs = Rsync(place / "rsync", sshd, self.changing)
                ours.first()
                theirs.first(ours.tape)
                name = f"copyagent ({self.base}, verify auto)"
                yield Side(name, ours.run), Side("rsync-delta", theirs.run)
                _expect_equal(ours)
                counted.append(self._line(ours))

        work = Work(
            bench=self.bench,
            name=self.name,
            prepare=prepare,
            rounds=self.rounds,
            amount=SIZE / 1e6,
            unit="MB/s of the tape",
            wanted={"rsync-delta": self.wanted},
        )
        return [*work.rows(directory), *counted]

    def _line(self, ours: Ours) -> Row:
        sent, received = trio.run(ours.counted)
        changed = rounded(ours.written, ours.tape.stat().st_size)
        more = {
            "MB received": received / 1e6,
            "MB changed, in blocks of 64 KiB": changed / 1e6,
            "sent over changed": sent / changed,
        }
        limit = OVERHEAD * changed / 1e6
        return limit_row(self.bench, f"{self.name} on the line", limit, "MB", [sent / 1e6], more)


def _expect_equal(ours: Ours) -> None:
    """Compare both ends once: a fast copy of something else is none."""
    with ours.tape.open("rb") as here, ours.rig.published().open("rb") as there:
        while piece := here.read(_PIECE):
            if there.read(_PIECE) != piece:
                raise AssertionError(f"{ours.rig.published()} is not what {ours.tape} is")


DELTAS = (
    Delta("delta-1pct-2g", scattered, "copy-data", 1.5),
    Delta("delta-1pct-2g-kept", scattered, "kept generation", 4.0),
    Delta("append-64m-2g", appended, "copy-data", 1.5),
    Delta("append-64m-2g-kept", appended, "kept generation", 4.0),
)
