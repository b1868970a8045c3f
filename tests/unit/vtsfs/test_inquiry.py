import os
import socket
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.attached_vault import VAULT, Vault
from vtsfs import inquiry
from vtsfs.runtime.files import lock_file


def test_nobody_there(tmp_path: Path) -> None:
    assert inquiry.ask_daemon(tmp_path / "none") is None


@pytest.mark.parametrize("answer", [b"", b"no json\n", b'{"hello": 1}\n'])
def test_an_answer_that_is_none(scratch: Path, answer: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(scratch / "feed"))
        server.listen()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(100)
                connection.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        assert inquiry.ask_daemon(scratch / "feed") is None
        thread.join()


def test_the_status_comes_after_the_hello(scratch: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind(str(scratch / "feed"))
        server.listen()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                connection.sendall(b'{"hello": {}}\n')
                connection.recv(100)
                connection.sendall(b'{"status": {"pid": 7}}\n')

        thread = threading.Thread(target=serve)
        thread.start()
        assert inquiry.ask_daemon(scratch / "feed") == {"pid": 7}
        thread.join()


def test_a_queue_that_is_full_is_no_answer(scratch: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server, ExitStack() as waiting:
        server.bind(str(scratch / "feed"))
        server.listen(0)
        client = waiting.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        client.connect(str(scratch / "feed"))
        assert inquiry.ask_daemon(scratch / "feed") is None


def test_a_holder_that_says_nothing_is_neither_dead_nor_attached(scratch: Path) -> None:
    settings = Vault(scratch).settings
    lock = settings.overlay_lock(VAULT)
    lock.parent.mkdir()
    with lock_file(lock):
        state = inquiry.state_of(settings, VAULT, patience_s=0)
        assert (state.attached, state.dead, state.silent) == (False, False, True)
        assert state.to_json()["pid"] == os.getpid()
    state = inquiry.state_of(settings, VAULT)
    assert (state.attached, state.dead, state.silent) == (False, False, False)


def test_a_holder_is_given_time_to_answer(scratch: Path) -> None:
    """As a daemon that has just begun: it locks, and listens a little later."""
    settings = Vault(scratch).settings
    lock = settings.overlay_lock(VAULT)
    lock.parent.mkdir()
    begun = threading.Event()

    def serve() -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
            begun.wait()
            server.bind(str(settings.feed_socket(VAULT)))
            server.listen()
            connection, _ = server.accept()
            with connection:
                connection.recv(100)
                connection.sendall(b'{"status": {"pid": 7}}\n')

    thread = threading.Thread(target=serve)
    thread.start()
    with lock_file(lock):
        timer = threading.Timer(0.1, begun.set)
        timer.start()
        assert inquiry.state_of(settings, VAULT, patience_s=10).daemon == {"pid": 7}
    thread.join()
    timer.join()
