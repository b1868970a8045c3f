"""A whole tape over a long line: 50 ms each way, 200 Mbit/s.

The line is a proxy in a process of its own; all sides come through it, log-in included. A server
takes 2 MiB on a channel before it acknowledges, which is less than this line holds.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.bench.deltas import MIB, make_tape, need_rsync
from tests.bench.frame import Side, Work
from tests.bench.overlay.attached import BenchError
from tests.bench.transfer import Whole, guarded
from tests.support.copy_rig import CopyRig
from tests.support.sshd import ADDRESS, Sshd

SIZE = 256 * MIB
DELAY_S = 0.05
RATE = 200e6 / 8


@contextmanager
def line(server_port: int, delay_s: float, rate: float) -> Iterator[int]:
    """Run a line to a port of this machine; give the port at its near end."""
    command = [sys.executable, "-m", "tests.support.tcp_proxy", str(server_port)]
    options = ["--delay", str(delay_s), "--rate", str(rate)]
    with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True) as proxy:
        try:
            port = proxy.stdout.readline() if proxy.stdout else ""
            if not port.strip().isdecimal():
                raise BenchError("the line does not start")
            yield int(port)
        finally:
            proxy.kill()


@contextmanager
def prepare(directory: Path, size: int = SIZE) -> Iterator[Sequence[Side]]:
    """Run an sshd behind the line."""
    need_rsync()
    with Sshd(directory / "sshd") as sshd, line(sshd.port, DELAY_S, RATE) as port:
        known = sshd.known_hosts.read_text(encoding="ascii")
        near = known.replace(f"[{ADDRESS}]:{sshd.port} ", f"[{ADDRESS}]:{port} ")
        sshd.known_hosts.write_text(known + near, encoding="ascii")
        rig = guarded(CopyRig(directory, sshd))
        make_tape(rig.tape(), size)
        whole = Whole(rig, port)
        yield (
            Side("copyagent (verify size)", lambda: whole.ours("size")),
            Side("rsync-W", whole.rsync),
            Side("scp", whole.scp),
        )


LONG_LINE = Work(
    bench="transfer",
    name="long-line",
    prepare=prepare,
    rounds=4,
    amount=SIZE / 1e6,
    unit="MB/s",
    wanted={"rsync-W": 1.0},
)
