"""A whole tape of 256 MiB to a real OpenSSH server on loopback: our copier against scp.

The copier does what scp does not: it hashes the tape, proves the copy at the target, makes it
durable (fsync of file and directories) and publishes it by renaming. All of that is in its time;
so is the log-in of both. scp is told the cipher that the copier prefers, for by default it takes a
slower one.
"""

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import trio

from copyagent.core.copying import CopyDone
from copyagent.ssh.bridge import open_bridge
from tests.bench.frame import Side, Work
from tests.support.copy_rig import CopyRig
from tests.support.sshd import ADDRESS, Sshd

SIZE = 256 << 20
CIPHER = "aes128-gcm@openssh.com"


@contextmanager
def prepare(directory: Path) -> Iterator[Sequence[Side]]:
    """Run an sshd over an empty target vault, with one tape of random bytes at the source."""
    with Sshd(directory / "sshd") as sshd:
        rig = CopyRig(directory, sshd)
        tape = rig.write(os.urandom(SIZE))

        def copy() -> float:
            _empty(rig.vault)
            return trio.run(_copy, rig)

        def scp() -> float:
            _empty(rig.vault)
            rig.published().parent.mkdir()
            target = f"{sshd.user}@{ADDRESS}:{rig.published()}"
            options = [*sshd.client_options(), "-q", "-c", CIPHER, "-P", str(sshd.port)]
            begun = time.perf_counter()
            subprocess.run(["scp", *options, str(tape), target], check=True)
            took = time.perf_counter() - begun
            _check(rig)
            return took

        yield (Side("copyagent", copy), Side(f"scp -c {CIPHER.partition('@')[0]}", scp))


async def _copy(rig: CopyRig) -> float:
    async with open_bridge():
        job = rig.job()
        begun = time.perf_counter()
        outcome = await rig.copy(job)
        took = time.perf_counter() - begun
    if not isinstance(outcome, CopyDone):
        raise AssertionError(f"the copy ended otherwise: {outcome}")
    _check(rig)
    return took


def _check(rig: CopyRig) -> None:
    if rig.published().stat().st_size != SIZE:
        raise AssertionError(f"{rig.published()} is not whole")


def _empty(vault: Path) -> None:
    """Forget the last run, and let the disk finish with it, so that the next does not pay for it."""
    for entry in vault.iterdir():
        shutil.rmtree(entry)
    os.sync()


FULL_256M = Work(
    bench="transfer",
    name="full-256m",
    prepare=prepare,
    rounds=5,
    amount=SIZE / 1e6,
    unit="MB/s",
)
