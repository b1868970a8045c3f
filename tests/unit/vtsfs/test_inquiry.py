import socket
import threading
from pathlib import Path

import pytest

from vtsfs import inquiry


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
