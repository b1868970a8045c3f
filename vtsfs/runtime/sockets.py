"""Unix sockets that daemons listen on, and lines read from them with a limit."""

import errno
import os
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import trio

from vtsfs.contract.errors import AgentBusy, FeedError, StateError, VtsError
from vtsfs.runtime.files import group_id
from vtsfs.runtime.socket_path import check_length

_BACKLOG = 64


@asynccontextmanager
async def unix_listener(
    path: Path,
    *,
    mode: int = 0o600,
    group: str | int | None = None,
    busy: type[VtsError] = AgentBusy,
    failed: type[VtsError] = StateError,
) -> AsyncIterator[trio.SocketListener]:
    """Listen on *path* while the block runs, and take the socket away after it.

    A socket that a dead process left there is removed; one that answers raises *busy*. Mode and
    group are right before anybody can connect. Raises `SettingsError` for a path that is too long
    for the kernel and *failed* for everything else.
    """
    bound = bind_unix(path, mode=mode, group=group, busy=busy, failed=failed)
    ours = os.stat(path, follow_symlinks=False).st_ino
    try:
        async with trio.SocketListener(trio.socket.from_stdlib_socket(bound)) as listener:
            yield listener
    finally:
        _take_away(path, ours)


def _take_away(path: Path, inode: int) -> None:
    """A successor may have put its own socket there already."""
    with suppress(FileNotFoundError):
        if os.stat(path, follow_symlinks=False).st_ino == inode:
            path.unlink()


def bind_unix(
    path: Path,
    *,
    mode: int,
    group: str | int | None,
    busy: type[VtsError],
    failed: type[VtsError],
) -> socket.socket:
    """Return a listening socket on *path*, as `unix_listener` describes it."""
    check_length(path)
    _remove_stale(path, busy, failed)
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        made.bind(str(path))
        # Until listen() every connect is refused, so nobody slips in before the mode is right.
        _make_ours(path, mode, group, failed)
        made.listen(_BACKLOG)
        made.setblocking(False)
    except OSError as error:
        made.close()
        raise failed(
            f"cannot listen on {path}: {error.strerror or error}; see paths.run in the settings"
        ) from error
    except BaseException:
        made.close()
        raise
    return made


def _make_ours(path: Path, mode: int, group: str | int | None, failed: type[VtsError]) -> None:
    """Give the socket on *path* its mode and group, and nothing else that somebody puts there now.

    The directory may belong to the agent's user while root binds in it. What was opened stays the
    same file, and a link in /proc/self/fd leads to it whatever becomes of its name.
    """
    fd = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        if not stat.S_ISSOCK(os.fstat(fd).st_mode):
            raise failed(f"{path} was replaced by something that is no socket; see who did that")
        itself = f"/proc/self/fd/{fd}"
        os.chmod(itself, mode)
        if group is not None:
            os.chown(itself, -1, group_id(group, failed))
    except PermissionError as error:
        path.unlink()
        raise failed(
            f"{path} cannot be given to the group {group}: the user who runs this has to be in it; "
            "see service in the settings"
        ) from error
    finally:
        os.close(fd)


def _remove_stale(path: Path, busy: type[VtsError], failed: type[VtsError]) -> None:
    try:
        if not stat.S_ISSOCK(os.stat(path, follow_symlinks=False).st_mode):
            raise failed(f"{path} is in the way and is no socket; move it, or change paths.run")
        if _answers(path):
            raise busy(f"another process already listens on {path}; stop that one first")
        path.unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        raise failed(f"cannot look at {path}: {error.strerror}") from error


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as probe:
        probe.setblocking(False)
        result = probe.connect_ex(str(path))
    if result in (0, errno.EAGAIN):
        return True  # EAGAIN: somebody listens and the queue is full
    if result == errno.ECONNREFUSED:
        return False
    raise OSError(result, os.strerror(result))


class LineReader:
    """Reads lines of at most *max_line* bytes (their end not counted) from *stream*.

    Use it from one task. Memory is bounded by the longest line and one receive.
    """

    def __init__(self, stream: trio.abc.ReceiveStream, max_line: int) -> None:
        self._stream = stream
        self._max = max_line
        self._buffer = bytearray()
        self._searched = 0

    async def read_line(self) -> bytes | None:
        """Return the next line without its end, or None when the peer has ended properly.

        Raises `FeedError` for a line that is too long or cut off by the end, and
        trio.BrokenResourceError when the connection broke.
        """
        while True:
            at = self._buffer.find(b"\n", self._searched)
            if at < 0:
                self._searched = len(self._buffer)
            if (at if at >= 0 else len(self._buffer)) > self._max:
                raise FeedError(f"a line from the peer has more than {self._max} bytes")
            if at >= 0:
                line = bytes(self._buffer[:at])
                del self._buffer[: at + 1]
                self._searched = 0
                return line
            received = await self._stream.receive_some(65536)
            if not received:
                if self._buffer:
                    raise FeedError(
                        f"the peer ended within a line, after {len(self._buffer)} bytes"
                    )
                return None
            self._buffer += received

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._lines()

    async def _lines(self) -> AsyncIterator[bytes]:
        while (line := await self.read_line()) is not None:
            yield line
