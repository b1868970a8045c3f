import os
import socket
from pathlib import Path

import pytest
import trio

from vtsfs.runtime.peers import Peer, groups_of, groups_of_peer, peer_of, user_name

NOBODY = 65534


def test_the_kernel_says_who_is_there() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        mine = frozenset(os.getgroups())
        assert peer_of(ours) == Peer(os.getpid(), os.geteuid(), os.getegid(), mine)


async def test_a_trio_stream_too() -> None:
    ours, theirs = socket.socketpair()
    async with trio.SocketStream(trio.socket.from_stdlib_socket(ours)) as stream:
        assert peer_of(stream).uid == os.geteuid()
        assert peer_of(stream.socket).pid == os.getpid()
    theirs.close()


def connected_with(path: Path, groups: list[int]) -> Peer:
    """Return whom the kernel names when a process with these further groups has connected."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        child = os.fork()
        if child == 0:
            try:
                os.setgroups(groups)
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
    return found


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can have other groups")


@as_root
@pytest.mark.parametrize("groups", [[], [4242], list(range(1000, 1256))])
def test_the_groups_are_those_of_the_process(tmp_path: Path, groups: list[int]) -> None:
    found = connected_with(tmp_path / "s", groups)
    assert found.groups == frozenset(groups)
    assert groups_of_peer(found) == {*groups, NOBODY}


@as_root
def test_of_one_with_more_groups_than_are_told_the_database_is_asked(tmp_path: Path) -> None:
    found = connected_with(tmp_path / "s", list(range(1000, 1300)))
    assert found.groups is None
    assert groups_of_peer(found) == groups_of(0) | {NOBODY}


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
    assert groups_of_peer(Peer(1, 4_000_000_000, 5)) == {5}
    assert groups_of_peer(Peer(1, 0, 5)) >= {0, 5}
    assert groups_of_peer(Peer(1, 0, 5, frozenset({7}))) == {5, 7}
