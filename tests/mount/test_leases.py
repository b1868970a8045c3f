"""A lease on a backing file (fcntl(2), F_SETLEASE) makes its opener wait, and nobody else."""

import errno
import fcntl
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.attached_vault import Vault
from tests.support.posix_case import fails_with, opened
from tests.support.waiting import wait_until


@contextmanager
def leased(path: Path) -> Iterator[threading.Event]:
    """Hold a lease on *path*; the event tells that somebody waits for it to be given back."""
    asked = threading.Event()
    before = signal.signal(signal.SIGIO, lambda *_: asked.set())
    try:
        with opened(path, os.O_RDONLY) as fd:
            fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
            yield asked
    finally:
        signal.signal(signal.SIGIO, before)


@pytest.mark.skipif(os.geteuid() != 0, reason="a lease on the backing file takes root here")
def test_who_does_not_want_to_wait_for_a_lease_hears_of_it_at_once(vault: Vault) -> None:
    (vault.pool / "X00001").write_bytes(b"x")
    wait_until(lambda: vault.status()["open_tapes"] == [], 10, "the session has ended")
    with leased(vault.backing / "BILL" / "X00001") as asked:
        with fails_with(errno.EAGAIN):
            os.open(vault.pool / "X00001", os.O_WRONLY | os.O_NONBLOCK)
        assert asked.is_set()


@pytest.mark.skipif(os.geteuid() != 0, reason="a lease on the backing file takes root here")
def test_an_open_that_waits_for_a_lease_below_holds_up_nobody_else(vault: Vault) -> None:
    (vault.pool / "X00001").write_bytes(b"x")
    # The overlay itself writes no more, so that the lease is granted.
    wait_until(lambda: vault.status()["open_tapes"] == [], 10, "the session has ended")
    done = threading.Event()

    def write() -> None:
        (vault.pool / "X00001").write_bytes(b"after the lease")
        done.set()

    others = threading.Thread(target=lambda: [os.statvfs(vault.mount) for _ in range(10)])
    writer = threading.Thread(target=write)
    with leased(vault.backing / "BILL" / "X00001") as asked:
        writer.start()
        wait_until(asked.is_set, 10, "the lease's holder is asked for it")
        others.start()
        others.join(5)
        held_up, went_on = others.is_alive(), done.is_set()
    writer.join(10)
    others.join(10)
    assert not held_up
    assert not went_on
    assert (vault.pool / "X00001").read_bytes() == b"after the lease"
