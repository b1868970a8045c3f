import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from vtsfs.runtime.systemd import Notifier


@pytest.fixture
def systemd(scratch: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(scratch / "notify"))
        made.setblocking(False)
        yield made


@pytest.fixture
def notifier(systemd: socket.socket) -> Notifier:
    return Notifier.from_environment({"NOTIFY_SOCKET": systemd.getsockname()}, 1)


def test_every_state_in_its_words(systemd: socket.socket, notifier: Notifier) -> None:
    notifier.ready()
    notifier.ready("serving")
    notifier.reloading(1_234_567)
    notifier.status("one\ntwo")
    notifier.alive()
    notifier.stopping("bye")
    said = [systemd.recv(200).decode() for _ in range(6)]
    assert said == [
        "READY=1",
        "READY=1\nSTATUS=serving",
        "RELOADING=1\nMONOTONIC_USEC=1234",
        "STATUS=one two",
        "WATCHDOG=1",
        "STOPPING=1\nSTATUS=bye",
    ]


def test_an_abstract_address() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind("\0vts-autocopy-test")
        systemd.setblocking(False)
        Notifier("@vts-autocopy-test").alive()
        assert systemd.recv(100) == b"WATCHDOG=1"


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "/no/such/socket", "@nobody-there"])
def test_without_systemd_nothing_happens(address: str) -> None:
    Notifier(address).ready("x")


def test_a_systemd_that_does_not_read_blocks_nobody(notifier: Notifier) -> None:
    for _ in range(1000):
        notifier.alive()


@pytest.mark.parametrize(
    ("environ", "interval"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "7"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "8"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_half_of_the_watchdogs_limit(environ: dict[str, str], interval: float | None) -> None:
    assert Notifier.from_environment(environ, 7).watchdog_interval == interval
