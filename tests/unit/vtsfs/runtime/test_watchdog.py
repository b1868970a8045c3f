"""Who gets on is fed, and so is who waits for a disk; whoever hangs is not."""

import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from tests.support.waiting import wait_until_async
from vtsfs.runtime.systemd import Notifier
from vtsfs.runtime.watchdog import any_is_held_by_a_disk, feed_watchdog, is_held_by_a_disk

#: A watchdog's limit, so that it is fed every 50 ms.
LIMIT_S = 0.2


@pytest.fixture
def systemd(scratch: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(scratch / "notify"))
        made.setblocking(False)
        yield made


@pytest.fixture
def notifier(systemd: socket.socket) -> Notifier:
    return Notifier(systemd.getsockname(), LIMIT_S / 2)


def fed(systemd: socket.socket) -> int:
    """Count what was said since the last time."""
    times = 0
    try:
        while systemd.recv(100) == b"WATCHDOG=1":
            times += 1
    except BlockingIOError:
        pass
    return times


def hang(seconds: float) -> None:
    """Keep the loop from turning, in the state of who sleeps."""
    threading.Event().wait(seconds)


async def test_a_loop_that_turns_is_fed(systemd: socket.socket, notifier: Notifier) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed_watchdog, notifier)
        for _ in range(3):
            await wait_until_async(lambda: fed(systemd), 5, "the watchdog is fed")
        nursery.cancel_scope.cancel()


async def test_a_loop_that_hangs_is_not(systemd: socket.socket, notifier: Notifier) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(feed_watchdog, notifier)
        await wait_until_async(lambda: fed(systemd), 5, "the watchdog is fed")
        hang(LIMIT_S)
        fed(systemd)
        hang(2 * LIMIT_S)
        assert fed(systemd) == 0
        await wait_until_async(lambda: fed(systemd), 5, "the watchdog is fed again")
        nursery.cancel_scope.cancel()


async def test_one_that_waits_for_a_disk_is(systemd: socket.socket, notifier: Notifier) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: feed_watchdog(notifier, waits=lambda: True))
        await wait_until_async(lambda: fed(systemd), 5, "the watchdog is fed")
        hang(3 * LIMIT_S)
        assert fed(systemd) >= 3
        nursery.cancel_scope.cancel()


async def test_what_has_to_be_proved_is_proved(systemd: socket.socket, notifier: Notifier) -> None:
    may_answer = trio.Event()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: feed_watchdog(notifier, proof=may_answer.wait))
        await wait_until_async(lambda: fed(systemd), 5, "the beginning counts")
        await trio.sleep(2 * LIMIT_S)
        assert fed(systemd) == 0
        may_answer.set()
        await wait_until_async(lambda: fed(systemd), 5, "the watchdog is fed")
        nursery.cancel_scope.cancel()


async def test_without_a_watchdog_there_is_nothing_to_feed(systemd: socket.socket) -> None:
    await feed_watchdog(Notifier(systemd.getsockname()))
    assert fed(systemd) == 0


def test_who_runs_is_held_by_no_disk() -> None:
    assert not is_held_by_a_disk(threading.get_native_id())
    assert not is_held_by_a_disk(2**22)
    assert not any_is_held_by_a_disk()
