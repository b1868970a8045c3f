"""A copy of 512 MiB that loses its line at 90 %: how much the next attempt sends again.

A proxy cuts the connection when nine tenths of the tape have passed it, and counts what the second
attempt sends; the limit is 11 % of the tape. Beside it stand rsync's figures where it is told to keep
what it had (``--partial``), and goes on from there by comparing: information, not a promise.
"""

import os
import subprocess
import time
from dataclasses import dataclass, replace
from pathlib import Path

import trio

from copyagent.core.copying import CopyDone, CopyFailed
from copyagent.ssh.bridge import open_bridge
from copyagent.ssh.sftp import connect
from tests.bench.deltas import CIPHER, MIB, make_tape, need_rsync, pin
from tests.bench.limits import limit_row
from tests.bench.ratios import Row
from tests.support.copy_rig import CopyRig
from tests.support.sshd import ADDRESS, Sshd
from tests.support.tcp_proxy import open_proxy

#: What is counted are bytes; they come through a proxy that takes its time.
SIZE = 512 * MIB
SHARE = 0.90
LIMIT_PERCENT = 11.0


@dataclass(frozen=True)
class Resumed:
    """What the second attempt cost."""

    sent: int
    took_s: float


@dataclass(frozen=True)
class Resume:
    """The rows; a bench without sides that take turns."""

    bench: str = "transfer"
    name: str = "resume-90pct"
    rounds: int = 3

    @property
    def effort(self) -> str:
        """Say how much there is to do."""
        return f"{self.rounds} rounds, {SIZE // MIB} MiB, cut at {SHARE:.0%}"

    def rows(self, directory: Path) -> list[Row]:
        """Measure in an empty directory."""
        need_rsync()
        with Sshd(directory / "sshd") as sshd:
            rig = CopyRig(directory, sshd)
            make_tape(rig.tape(), SIZE)
            found = [trio.run(_ours, rig, number + 1) for number in range(self.rounds)]
            theirs = trio.run(_theirs, rig, directory / "rsync")
        percent = [100 * one.sent / SIZE for one in found]
        more = {
            "s": found[-1].took_s,
            "% of the tape, rsync --partial": 100 * theirs.sent / SIZE,
            "s, rsync --partial": theirs.took_s,
        }
        unit = "% of the tape"
        return [limit_row(self.bench, self.name, LIMIT_PERCENT, unit, percent, more)]


async def _ours(rig: CopyRig, generation: int) -> Resumed:
    tape = rig.tape()
    os.utime(tape, ns=(0, tape.stat().st_mtime_ns + 1))  # a tape that the target has not
    async with open_bridge(), open_proxy(rig.sshd.port) as proxy:
        pin(rig.sshd, proxy)
        settings = rig.settings(port=proxy.port)
        job = replace(rig.job(generation=generation), base=None)
        rig.published().unlink(missing_ok=True)
        proxy.cut_after(int(SHARE * SIZE))
        failed = await rig.copy(job, connecting=lambda: connect(settings))
        if not isinstance(failed, CopyFailed):
            raise AssertionError(f"the line was cut, and yet: {failed}")
        before, begun = proxy.sent, time.perf_counter()
        outcome = await rig.copy(job, connecting=lambda: connect(settings))
        took = time.perf_counter() - begun
        if not isinstance(outcome, CopyDone):
            raise AssertionError(f"the second attempt ended otherwise: {outcome}")
        return Resumed(proxy.sent - before, took)


async def _theirs(rig: CopyRig, directory: Path) -> Resumed:
    directory.mkdir()
    async with open_proxy(rig.sshd.port) as proxy:
        pin(rig.sshd, proxy)
        program = ["ssh", *rig.sshd.client_options(), "-c", CIPHER, "-p", str(proxy.port)]
        target = f"{rig.sshd.user}@{ADDRESS}:{directory}/"
        command = ["rsync", "--partial", "--no-whole-file", "--times", "-e", " ".join(program)]
        command += [str(rig.tape()), target]
        proxy.cut_after(int(SHARE * SIZE))
        await trio.run_process(command, check=False, stderr=subprocess.DEVNULL)
        before, begun = proxy.sent, time.perf_counter()
        await trio.run_process(command)
        return Resumed(proxy.sent - before, time.perf_counter() - begun)


RESUME = Resume()
