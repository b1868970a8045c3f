"""Logged-in connections that wait a while for the next copy.

Logging in takes longer than copying a small tape. What must be a copy's own is the server process
that may still write for it, and that is one channel: a connection is handed on only after every
channel of the copy before, but those that only held a file, was closed at both ends with nothing
unanswered. Two copies never share one at the same time.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
import trio

from copyagent.ssh.dialling import hang_up
from copyagent.ssh.sftp import SftpTarget, open_target
from copyagent.ssh.target_log_in import in_time, log_in_to
from copyagent.transfer.target import TargetError
from vtsfs.contract import settings

#: How long a connection waits for the next copy, in seconds.
IDLE_S = 60.0

#: After so many seconds a connection is not handed on any more: a key that was taken out at the
#: target, or a host key that changed there, comes to light within minutes.
LIFE_S = 300.0


@dataclass(slots=True, eq=False)
class _Line:
    """One connection and what it was made from; *files* are the states of our two key files.

    *block* is the largest request that the server takes, 0 as long as it was not asked.
    """

    target: settings.Target
    files: tuple[tuple[int, int, int], ...]
    connection: asyncssh.SSHClientConnection
    dialled_s: float
    block: int = 0
    away_s: float = field(default=0.0)


class Connections:
    """Opens conversations with targets over connections that are there, or over new ones."""

    def __init__(
        self, nursery: trio.Nursery, *, idle_s: float = IDLE_S, life_s: float = LIFE_S
    ) -> None:
        self._nursery = nursery
        self._idle_s = idle_s
        self._life_s = life_s
        self._idle: list[_Line] = []

    @asynccontextmanager
    async def connect(self, target: settings.Target) -> AsyncIterator[SftpTarget]:
        """Begin a conversation with *target* that ends with the block; raises `TargetError`.

        A waiting connection that turns out to be of no use is dropped, and another one made, with
        all the time that the settings allow.
        """
        line, opened = await self._reuse(target) or await self._dial(target)
        try:
            yield opened
        finally:
            if await opened.end():
                line.block = opened.max_block
                self._put_away(line)
            else:
                await hang_up(line.connection, politely=False)

    async def _dial(self, target: settings.Target) -> tuple[_Line, SftpTarget]:
        where = f"{target.host}:{target.port}"
        late = f"{where} did not answer within {target.connect_timeout:g} s"
        begun = trio.current_time()
        files = await trio.to_thread.run_sync(_files, target)
        with in_time(begun + target.connect_timeout, late):
            connection = await log_in_to(target)
        try:
            with in_time(begun + target.connect_timeout, late):
                opened = await open_target(connection, where, target.keepalive)
        except BaseException:
            await hang_up(connection, politely=False)
            raise
        return _Line(target, files, connection, begun), opened

    async def _reuse(self, target: settings.Target) -> tuple[_Line, SftpTarget] | None:
        files = await trio.to_thread.run_sync(_files, target)
        while line := next((line for line in self._idle if line.target == target), None):
            self._idle.remove(line)
            opened = None
            try:
                if self._is_good(line, files):
                    opened = await self._open(line)
            finally:
                if opened is None:
                    await hang_up(line.connection, politely=False)
            if opened is not None:
                return line, opened
        return None

    def _is_good(self, line: _Line, files: tuple[tuple[int, int, int], ...]) -> bool:
        old = trio.current_time() - line.dialled_s >= self._life_s
        return bool(files) and files == line.files and not old and not line.connection.is_closed()

    async def _open(self, line: _Line) -> SftpTarget | None:
        """Begin another conversation; None if that fails or takes longer than a keep-alive."""
        target = line.target
        where = f"{target.host}:{target.port}"
        try:
            with in_time(trio.current_time() + target.keepalive, where):
                return await open_target(line.connection, where, target.keepalive, line.block)
        except TargetError:
            return None

    def _put_away(self, line: _Line) -> None:
        line.away_s = trio.current_time()
        self._idle.insert(0, line)
        self._nursery.start_soon(self._expire, line, line.away_s)

    async def _expire(self, line: _Line, away_s: float) -> None:
        await trio.sleep_until(min(away_s + self._idle_s, line.dialled_s + self._life_s))
        if line in self._idle and line.away_s == away_s:
            self._idle.remove(line)
            await hang_up(line.connection, politely=True)

    async def close(self) -> None:
        """End the waiting connections."""
        idle, self._idle = self._idle, []
        for line in idle:
            await hang_up(line.connection, politely=True)


@asynccontextmanager
async def open_connections(
    *, idle_s: float = IDLE_S, life_s: float = LIFE_S
) -> AsyncIterator[Connections]:
    """Keep connections for as long as the block lasts; entered within `open_bridge`."""
    async with trio.open_nursery() as nursery:
        connections = Connections(nursery, idle_s=idle_s, life_s=life_s)
        try:
            yield connections
        finally:
            nursery.cancel_scope.cancel()
            with trio.CancelScope(shield=True):
                await connections.close()


def _files(target: settings.Target) -> tuple[tuple[int, int, int], ...]:
    """Tell one state of our key and of the pinned host keys from another; empty if unreadable."""
    try:
        found = [Path(path).stat() for path in (target.key, target.known_hosts)]
    except OSError:
        return ()
    return tuple((one.st_ino, one.st_size, one.st_mtime_ns) for one in found)
