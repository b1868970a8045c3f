import os
import socket
import stat
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from vtsfs.contract.errors import (
    AgentBusy,
    AttachError,
    FeedError,
    StateError,
    VaultBusy,
)
from vtsfs.runtime.socket_path import MAX_PATH
from vtsfs.runtime.sockets import LineReader, unix_listener


async def test_listen_connect_and_leave_nothing(scratch: Path) -> None:
    path = scratch / "s"
    async with unix_listener(path, mode=0o660, group=os.getegid()) as listener:
        found = path.stat()
        assert stat.S_ISSOCK(found.st_mode)
        assert stat.S_IMODE(found.st_mode) == 0o660
        async with await trio.open_unix_socket(path) as client:
            async with await listener.accept() as server:
                await client.send_all(b"x")
                assert await server.receive_some(1) == b"x"
    assert not path.exists()


async def test_a_dead_ones_socket_is_replaced(scratch: Path) -> None:
    path = scratch / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
        dead.listen()
    async with unix_listener(path):
        async with await trio.open_unix_socket(path):
            pass


async def test_a_live_ones_socket_is_not(scratch: Path) -> None:
    path = scratch / "s"
    async with unix_listener(path):
        with pytest.raises(AgentBusy, match="already listens"):
            async with unix_listener(path):
                pass
        with pytest.raises(VaultBusy):
            async with unix_listener(path, busy=VaultBusy):
                pass
        assert path.exists()


async def test_a_full_queue_is_an_answer(scratch: Path) -> None:
    path = scratch / "s"
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(str(path))
        busy.listen(0)
        waiting.connect(str(path))
        with pytest.raises(AgentBusy):
            async with unix_listener(path):
                pass


async def test_a_file_in_the_way_is_not_deleted(scratch: Path) -> None:
    path = scratch / "s"
    path.write_text("precious", encoding="ascii")
    with pytest.raises(AttachError, match="is no socket"):
        async with unix_listener(path, failed=AttachError):
            pass
    assert path.read_text(encoding="ascii") == "precious"


async def test_what_is_put_in_its_place_while_it_is_made_keeps_its_mode(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, precious = scratch / "s", scratch / "precious"
    precious.write_text("precious", encoding="ascii")
    precious.chmod(0o600)

    def bind_and_lose(bound: socket.socket, address: str) -> None:
        socket.SocketType.bind(bound, address)
        path.unlink()
        path.symlink_to(precious)

    monkeypatch.setattr(socket.socket, "bind", bind_and_lose)
    with pytest.raises(StateError, match="was replaced"):
        async with unix_listener(path, mode=0o666, group=os.getegid()):
            pass
    assert stat.S_IMODE(precious.stat().st_mode) == 0o600


async def test_a_directory_that_is_missing(scratch: Path) -> None:
    with pytest.raises(StateError, match=r"cannot listen on .*: No such file.*paths\.run"):
        async with unix_listener(scratch / "missing" / "s"):
            pass


async def test_a_group_that_is_missing_leaves_no_listener(scratch: Path) -> None:
    with pytest.raises(StateError, match="no group"):
        async with unix_listener(scratch / "s", group="no-such-group"):
            pass
    async with unix_listener(scratch / "s"):
        pass


async def test_the_longest_path_works(scratch: Path) -> None:
    path = scratch / ("x" * (MAX_PATH - len(str(scratch)) - 1))
    async with unix_listener(path):
        assert path.exists()


async def test_a_successors_socket_is_left_alone(scratch: Path) -> None:
    path = scratch / "s"
    with socket.socket(socket.AF_UNIX) as successor:
        async with unix_listener(path):
            path.rename(scratch / "old")
            successor.bind(str(path))
        assert path.exists()


class Pieces(trio.abc.ReceiveStream):
    """A stream to which *pieces* arrive one by one, and then the end."""

    def __init__(self, *pieces: bytes) -> None:
        self._waiting = list(pieces)

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        return self._waiting.pop(0) if self._waiting else b""

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


async def lines_of(*pieces: bytes, max_line: int = 10) -> list[bytes]:
    return [line async for line in LineReader(Pieces(*pieces), max_line)]


async def test_lines_arrive_in_any_pieces() -> None:
    assert await lines_of(b"one\ntw", b"o\n", b"\nthree\n") == [b"one", b"two", b"", b"three"]
    assert await lines_of() == []


@given(
    st.lists(st.binary(max_size=10).map(lambda line: line.replace(b"\n", b"")), max_size=5),
    st.integers(1, 7),
)
def test_no_cut_changes_the_lines(lines: list[bytes], size: int) -> None:
    data = b"".join(line + b"\n" for line in lines)
    pieces = [data[at : at + size] for at in range(0, len(data), size)]

    async def read() -> list[bytes]:
        return await lines_of(*pieces)

    assert trio.run(read) == lines


async def test_the_longest_line_passes_and_one_byte_more_does_not() -> None:
    assert await lines_of(b"0123456789\n") == [b"0123456789"]
    for pieces in ([b"0123456789a\n"], [b"01234", b"56789a"], [b"ok\n0123456789a"]):
        with pytest.raises(FeedError, match="more than 10 bytes"):
            await lines_of(*pieces)


async def test_an_end_within_a_line_is_told() -> None:
    with pytest.raises(FeedError, match="within a line, after 3 bytes"):
        await lines_of(b"one\ntwo")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
async def test_a_group_that_this_user_is_not_in_is_told(scratch: Path) -> None:
    scratch.chmod(0o777)
    groups = os.getgroups()
    os.setgroups([])
    os.seteuid(65534)
    try:
        with pytest.raises(StateError, match="cannot be given to the group 1: the user who runs"):
            async with unix_listener(scratch / "s", mode=0o660, group=1):
                pytest.fail("nobody listens there")
    finally:
        os.seteuid(0)
        os.setgroups(groups)
    assert not (scratch / "s").exists()
