import os
import socket
from pathlib import Path

import pytest
import trio

from vtsfs.runtime.peers import Peer, groups_of, is_member, peer_of, user_name

NOBODY = 65534


def test_the_kernel_says_who_is_there() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert peer_of(ours) == Peer(os.getpid(), os.geteuid(), os.getegid())


async def test_a_trio_stream_too() -> None:
    ours, theirs = socket.socketpair()
    async with trio.SocketStream(trio.socket.from_stdlib_socket(ours)) as stream:
        assert peer_of(stream).uid == os.geteuid()
        assert peer_of(stream.socket).pid == os.getpid()
    theirs.close()


def test_another_group_is_another_peer(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become somebody else")
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        child = os.fork()
        if child == 0:
            try:
                os.setgid(NOBODY)
                with socket.socket(socket.AF_UNIX) as caller:
                    caller.connect(str(path))
            finally:
                os._exit(0)
        accepted, _ = listener.accept()
        with accepted:
            found = peer_of(accepted)
        os.waitpid(child, 0)
    assert (found.pid, found.gid) == (child, NOBODY)


def test_without_a_peer_there_is_nobody() -> None:
    for family in (socket.AF_UNIX, socket.AF_INET):
        with socket.socket(family) as alone:
            found = peer_of(alone)
        assert (found.pid, found.uid) == (0, 2**32 - 1)
        assert groups_of(found.uid) == frozenset()
    closed = socket.socket(socket.AF_UNIX)
    closed.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        peer_of(closed)


def test_names_and_groups() -> None:
    assert user_name(0) == "root"
    assert Peer(1, 4_000_000_000, 5).user == "4000000000"
    assert 0 in groups_of(0)
    assert groups_of(4_000_000_000) == frozenset()
    assert is_member(Peer(1, 4_000_000_000, 5), 5)
    assert is_member(Peer(1, 0, 5), 0)
    assert not is_member(Peer(1, NOBODY, NOBODY), 0)
