"""The time between a tape's last close and the end of its session, on a real mount.

The settle time of most of these is an hour: what ends a session before is not the clock.
"""

import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.attached_vault import POOL, VAULT, Follower, Vault, attached_vault
from tests.support.posix_case import close_dead, opened
from tests.support.processes import is_alive, send_signal
from tests.support.waiting import wait_until
from vtsfs.contract.signals import Kind, Signal

TAPE = "X00001"


@pytest.fixture
def vault(scratch: Path) -> Iterator[Vault]:
    with attached_vault(scratch, settle="1h") as attached:
        yield attached


def write(path: Path, data: bytes) -> None:
    with opened(path, os.O_RDWR | os.O_CREAT) as fd:
        os.write(fd, data)


def marked(vault: Vault, feed: Follower, label: str) -> list[Signal]:
    """Return what was told up to now: up to a tape that is made for that."""
    os.mknod(vault.pool / label)
    return feed.up_to(Kind.CHANGED, label)[:-1]


def test_who_comes_back_in_time_stays_in_the_session(vault: Vault, feed: Follower) -> None:
    for data in (b"one", b"twotwo", b"three"):
        write(vault.pool / TAPE, data)
    # Also by path: the session has not ended.
    os.truncate(vault.pool / TAPE, 2)
    os.utime(vault.pool / TAPE, ns=(5, 7))
    (mounted,) = marked(vault, feed, "MARK1")
    assert mounted.kind is Kind.MOUNTED
    (told,) = vault.status()["open_tapes"]
    assert (told["tape"], told["settling"]) == (str(mounted.tape), True)
    assert "closed and settling" in vault.run("status").stdout
    assert "no tape is open" in vault.run("status").stdout
    # Nothing is open, so a detach is not refused, and waits for no hour.
    vault.detach()
    vault.attach()
    with vault.follow() as later:
        dismounted = later.until(Kind.DISMOUNTED, TAPE)
    assert dismounted.session == mounted.session
    assert dismounted.bytes_written == len(b"onetwotwothree")
    assert dismounted.synced
    found = os.stat(vault.backing / POOL / TAPE)
    assert dismounted.identity is not None
    assert (dismounted.identity.size, dismounted.identity.mtime_ns) == (2, 7)
    assert found.st_size == 2
    assert not vault.status()["unclean"]


def test_what_is_told_when_a_settling_tape_is_renamed_or_goes(vault: Vault, feed: Follower) -> None:
    pool = vault.pool
    write(pool / TAPE, b"renamed")
    os.rename(pool / TAPE, pool / "X00002")
    mounted, moved = marked(vault, feed, "MARK1")
    assert (mounted.kind, moved.kind, moved.label) == (Kind.MOUNTED, Kind.MOVED, "X00002")
    # The session goes on under the new name, until that is no tape's any more.
    os.rename(pool / "X00002", pool / "X00002.old")
    dismounted, removed = marked(vault, feed, "MARK2")
    assert (dismounted.kind, dismounted.session) == (Kind.DISMOUNTED, mounted.session)
    assert (dismounted.identity, dismounted.cause) == (None, "removed")
    assert removed.kind is Kind.REMOVED
    write(pool / TAPE, b"unlinked")
    os.unlink(pool / TAPE)
    kinds = [s.kind for s in marked(vault, feed, "MARK3")]
    assert kinds == [Kind.MOUNTED, Kind.DISMOUNTED, Kind.REMOVED]
    write(pool / TAPE, b"replaced")
    os.rename(pool / "X00002.old", pool / TAPE)
    kinds = [s.kind for s in marked(vault, feed, "MARK4")]
    assert kinds == [Kind.MOUNTED, Kind.DISMOUNTED, Kind.CHANGED]
    assert vault.status()["open_tapes"] == []


def test_sigterm_does_not_wait_for_what_is_closed(vault: Vault) -> None:
    write(vault.pool / TAPE, b"written")
    process = vault.daemon()
    send_signal(process, signal.SIGTERM)
    wait_until(lambda: not is_alive(process), 10, "the daemon has ended")
    assert not os.path.ismount(vault.mount)
    vault.attach()
    with vault.follow() as feed:
        assert feed.hello.unclean is False
        assert feed.until(Kind.DISMOUNTED, TAPE).synced


def test_killed_while_it_settles_a_tape_is_not_held(vault: Vault) -> None:
    """It was closed and durable: nobody need look at it before it is copied."""
    write(vault.pool / TAPE, b"whole")
    write(vault.pool / "X00002", b"half")
    wait_until(lambda: noted(vault) == 2, 10, "how the tapes were left is noted")
    fd = os.open(vault.pool / "X00002", os.O_WRONLY | os.O_APPEND)
    os.write(fd, b", and the other half was to come")
    vault.kill()
    close_dead(fd)
    vault.attach()
    with vault.follow() as feed:
        assert feed.hello.unclean
        ended: dict[str, Signal] = {}
        while len(ended) < 2:
            told = feed.next()
            if told.kind is not Kind.MOUNTED:
                ended[told.label] = told
    assert ended["X00002"].kind is Kind.INTERRUPTED
    assert ended[TAPE].kind is Kind.DISMOUNTED
    assert ended[TAPE].synced
    assert (ended[TAPE].bytes_written, ended[TAPE].extents) == (5, None)
    assert noted(vault) == 0


def noted(vault: Vault) -> int:
    path = vault.settings.outbox_path(VAULT)
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as outbox:
        count = outbox.execute("SELECT count(*) FROM closed_sessions").fetchone()[0]
    return int(count)


def test_the_settle_time_is_waited_for(scratch: Path) -> None:
    with attached_vault(scratch, settle="400ms") as vault, vault.follow() as feed:
        write(vault.pool / TAPE, b"written")
        closed = time.monotonic()
        dismounted = feed.until(Kind.DISMOUNTED, TAPE)
        assert time.monotonic() - closed > 0.39
        assert 400_000_000 <= dismounted.quiet_ns < 5_000_000_000
