"""``kill -9`` and power cuts at random moments under load: every byte that was promised is there.

VTS_FAULTS_MINUTES=10 goes on for so many minutes each, instead of a few rounds; VTS_FAULTS_SEED
repeats a run as far as threads can be repeated.
"""

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.attached_vault import POOL, VAULT, Follower, Vault, attached_vault
from tests.support.ledger import TapeWriter, look_at
from tests.support.processes import ProcessId, send_signal
from tests.support.signal_sink import FixedClock, Sink
from tests.support.waiting import wait_until
from vtsfs import recovery
from vtsfs.contract.signals import Kind, Signal
from vtsfs.outbox.database import Database
from vtsfs.overlay.reports import Reporter

pytestmark = [pytest.mark.mount, pytest.mark.slow]

WRITERS = 6
MINUTES = float(os.environ.get("VTS_FAULTS_MINUTES", "0"))
SEED = int(os.environ.get("VTS_FAULTS_SEED", "20261122"))


def rounds(few: int) -> Iterator[random.Random]:
    """Give a source of chance per round: *few* rounds, or as many as fit into the time given."""
    end = time.monotonic() + MINUTES * 60
    number = 0
    while number < few or time.monotonic() < end:
        yield random.Random(SEED + number)
        number += 1
    print(f"{number} rounds, seed {SEED}")


def writers_for(vault: Vault, chance: random.Random) -> list[TapeWriter]:
    return [
        TapeWriter(vault.pool, vault.backing / POOL, f"T{n:05}", chance.randrange(1 << 30))
        for n in range(WRITERS)
    ]


class Listener(threading.Thread):
    """Hears the feed, and tells each writer when its tape's session has ended and is durable."""

    def __init__(self, feed: Follower, writers: list[TapeWriter]) -> None:
        super().__init__(daemon=True)
        self._feed = feed
        self._writers = {writer.label: writer for writer in writers}

    def run(self) -> None:
        try:
            while True:
                told = self._feed.next()
                if told.kind is Kind.DISMOUNTED and told.synced and told.label in self._writers:
                    self._tell(told)
        except (OSError, AssertionError, ValueError):
            return  # the feed has ended, with the overlay or with the test

    def _tell(self, told: Signal) -> None:
        identity = told.identity
        if identity is not None:
            look = (identity.ino, identity.size, identity.mtime_ns)
            self._writers[told.label].was_told_durable(look)


@contextmanager
def load(vault: Vault, chance: random.Random) -> Iterator[list[TapeWriter]]:
    """Have the tapes written while the block runs."""
    writers = writers_for(vault, chance)
    with vault.follow() as feed:
        listener = Listener(feed, writers)
        for thread in (listener, *writers):
            thread.start()
        try:
            yield writers
        finally:
            for writer in writers:
                writer.stop()
            for writer in writers:
                writer.join(30)
                assert not writer.is_alive(), f"{writer.label} hangs"
            with suppress(OSError):
                feed.hang_up()
            listener.join(30)


def test_after_a_kill_every_acknowledged_byte_is_below(scratch: Path) -> None:
    acknowledged = 0
    with attached_vault(scratch) as vault:
        for chance in rounds(3):
            for path in (vault.backing / POOL).iterdir():
                path.unlink()
            with load(vault, chance) as writers:
                moment = chance.uniform(0.2, 0.8)
                time.sleep(moment)  # noqa: TID251 - any moment is a good one to die
                vault.kill()
            for writer in writers:
                below = vault.backing / POOL / writer.label
                found = below.read_bytes() if below.exists() else b""
                complaint = writer.ledger.complaint_after_kill(found)
                assert not complaint, f"{writer.label}: {complaint}"
                acknowledged += writer.ledger.acknowledged
            vault.attach()
            told = everything_told(vault)
            for writer in writers:
                assert is_known(told, vault.backing / POOL / writer.label, writer), writer.label
    print(f"{acknowledged} writes were acknowledged")
    assert acknowledged > 50


def everything_told(vault: Vault) -> list[Signal]:
    """Return what the agent would be told, and acknowledge it."""
    told: list[Signal] = []
    with vault.follow() as feed:
        assert feed.hello.unclean
        while not told or told[-1].seq < feed.hello.highest:
            told.append(feed.next())
        feed.send({"ack": feed.hello.highest})
    return told


def is_known(told: list[Signal], tape: Path, writer: TapeWriter) -> bool:
    """Tell whether an agent that hears all this, and sweeps, knows if the tape is what it was told.

    Either its session is told to be interrupted; or a stat shows that it is not what the last
    signal told of; or it is exactly that.
    """
    mine = [s for s in told if s.label == tape.name and (s.wrote or s.kind is not Kind.MOUNTED)]
    if any(signal.kind is Kind.INTERRUPTED for signal in mine) or not mine:
        return True
    identity = mine[-1].identity
    if identity is None or not tape.exists():
        return True
    look = look_at(tape)
    if look != (identity.ino, identity.size, identity.mtime_ns):
        return True
    held = writer.ledger.history.get(look)
    return held is None or held == tape.read_bytes()


# ---- power cuts ----------------------------------------------------------------------------------


class Machine:
    """A vault, with its outbox, on one disk whose journal nothing but fsync commits."""

    def __init__(self, scratch: Path) -> None:
        self._image = scratch / "disk"
        self._copy = scratch / "cut"
        self._after = scratch / "after"
        self.disk = scratch / "d"
        with self._image.open("wb") as file:
            file.truncate(64 << 20)
        subprocess.run(["mkfs.ext4", "-q", self._image], check=True, capture_output=True)
        _mount(self._image, self.disk)

    @contextmanager
    def after_a_cut(self) -> Iterator[Path]:
        """Give what the machine would find on its disk if the power failed now."""
        subprocess.run(["cp", "--sparse=always", self._image, self._copy], check=True)
        _mount(self._copy, self._after)
        try:
            yield self._after
        finally:
            subprocess.run(["umount", self._after], check=True)


def _mount(image: Path, point: Path) -> None:
    point.mkdir(exist_ok=True)
    command = ["mount", "-o", "loop,commit=300", str(image), str(point)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no disk can be mounted here: {done.stderr.strip()}")


@contextmanager
def halted(process: ProcessId) -> Iterator[None]:
    """Stop every thread of the process; what it had asked the disk for is done by then."""
    send_signal(process, signal.SIGSTOP)
    try:
        wait_until(lambda: _states(process.pid) <= {"T", "t"}, 20, "the daemon stands still")
        yield
    finally:
        send_signal(process, signal.SIGCONT)


def _states(pid: int) -> set[str]:
    threads = Path(f"/proc/{pid}/task").iterdir()
    return {(thread / "stat").read_text().rpartition(")")[2].split()[0] for thread in threads}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk")
def test_after_a_power_cut_every_byte_that_was_made_durable_is_there(scratch: Path) -> None:
    machine = Machine(scratch)
    synced = 0
    top = machine.disk / "v"
    top.mkdir()
    with attached_vault(top) as vault:
        daemon = vault.daemon()
        with load(vault, random.Random(SEED)) as writers:
            for chance in rounds(5):
                moment = chance.uniform(0.1, 0.5)
                time.sleep(moment)  # noqa: TID251 - any moment is a good one for the power to fail
                with halted(daemon):
                    check_cut(machine, vault, writers)
        for writer in writers:
            assert writer.error is None, writer.error
            synced += writer.ledger.synced
        vault.detach()
    print(f"{synced} times something was made durable")
    assert synced > 20


def check_cut(machine: Machine, vault: Vault, writers: list[TapeWriter]) -> None:
    """Cut the power, and look at everything that is left."""
    locks = [writer.ledger.lock for writer in writers]
    for lock in locks:
        lock.acquire()
    try:
        with machine.after_a_cut() as after:
            left = after / vault.backing.relative_to(machine.disk) / POOL
            outbox = after / vault.settings.outbox_path(VAULT).relative_to(machine.disk)
            told = told_after(outbox, left.parent)
            for writer in writers:
                tape = left / writer.label
                found = tape.read_bytes() if tape.exists() else b""
                complaint = writer.ledger.complaint_after_cut(found)
                assert not complaint, f"{writer.label}: {complaint}"
                assert is_known(told, tape, writer), writer.label
    finally:
        for lock in locks:
            lock.release()


def told_after(outbox: Path, backing: Path) -> list[Signal]:
    """Read what the next start would find and tell."""
    reporter = Reporter(VAULT, Sink(), FixedClock())
    database = Database(outbox)
    try:
        assert database.meta().attached, "the next start will have the vault swept"
        told = [Signal.from_json(body) for _, body in database.after(0, 1_000_000)]
        found = recovery.interrupted(database.marks(), reporter, backing)
        return told + [entry for entry in found if isinstance(entry, Signal)]
    finally:
        database.close()
