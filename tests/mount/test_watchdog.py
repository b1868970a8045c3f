"""The overlay of a disk that stalls goes on telling systemd that it lives; one that is stopped does not."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.attached_vault import VAULT, Vault
from tests.support.disks import memory_image, mounted_disk
from tests.support.waiting import wait_until

pytestmark = pytest.mark.mount

#: The watchdog's limit; it is to be fed within that time.
LIMIT_S = 0.5


@contextmanager
def watched(vault: Vault, top: Path) -> Iterator[tuple[subprocess.Popen[bytes], socket.socket]]:
    """Serve the vault as systemd would, and listen to what the overlay tells it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(top / "notify"))
        systemd.settimeout(10)
        told = {"NOTIFY_SOCKET": str(top / "notify"), "WATCHDOG_USEC": str(int(LIMIT_S * 1e6))}
        overlay = subprocess.Popen(
            [
                *(sys.executable, "-m", "vtsfs", "--config", str(vault.config)),
                *("attach", VAULT, "--foreground"),
            ],
            env=os.environ | told,
            stderr=subprocess.DEVNULL,
        )
        try:
            while b"READY=1" not in systemd.recv(4096):
                pass
            yield overlay, systemd
        finally:
            overlay.send_signal(signal.SIGCONT)
            overlay.terminate()
            overlay.wait(20)


def fed(systemd: socket.socket, within_s: float) -> bool:
    """Tell whether the watchdog is fed anew within that time."""
    systemd.setblocking(False)
    try:
        while systemd.recv(4096):
            pass
    except BlockingIOError:
        pass
    systemd.settimeout(within_s)
    try:
        return systemd.recv(4096) == b"WATCHDOG=1"
    except TimeoutError:
        return False


def state_of(pid: int) -> str:
    stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    return stat.rpartition(")")[2].split()[0]


def test_a_disk_that_stalls_is_no_reason_to_end_the_overlay(scratch: Path) -> None:
    with memory_image() as image, mounted_disk(image, scratch / "backing") as disk:
        vault = Vault(scratch)
        with watched(vault, scratch) as (overlay, systemd):
            tape = os.open(vault.pool / "X00001", os.O_WRONLY | os.O_CREAT, 0o644)
            os.pwrite(tape, b"first", 0)
            disk.freeze()
            writer = threading.Thread(target=os.pwrite, args=(tape, b"second", 10))
            try:
                writer.start()
                wait_until(lambda: state_of(overlay.pid) == "D", 5, "the loop waits for the disk")
                assert all(fed(systemd, LIMIT_S) for _ in range(4))
                assert state_of(overlay.pid) == "D"
            finally:
                disk.thaw()
                writer.join(10)
                os.close(tape)


def test_an_overlay_that_is_stopped_feeds_nobody(scratch: Path) -> None:
    vault = Vault(scratch)
    with watched(vault, scratch) as (overlay, systemd):
        assert fed(systemd, 5)
        overlay.send_signal(signal.SIGSTOP)
        wait_until(lambda: state_of(overlay.pid) == "T", 5, "it is stopped")
        fed(systemd, 0.01)
        assert not fed(systemd, 2 * LIMIT_S)
