"""A file at the target, opened over SFTP."""

import math
import stat
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncssh

from copyagent.ssh.asking import Asker

_T = TypeVar("_T")


class SftpFile:
    """A `TargetFile`: one handle of the server's."""

    def __init__(self, asker: Asker, path: str, handle: asyncssh.SFTPClientFile) -> None:
        self.path = path
        self.handle = handle
        self._asker = asker
        self._unsynced = 0

    async def write(self, offset: int, data: bytes) -> None:
        doing = f"writing {self.path}"
        self._unsynced += len(data)
        await self._ask(doing, self.handle.write, data, offset, patience_s=math.inf)

    async def read(self, offset: int, size: int) -> bytes:
        async def read_bytes() -> bytes:
            data: bytes = await self.handle.read(size, offset)
            return data

        return await self._ask(f"reading {self.path}", read_bytes, patience_s=math.inf)

    async def size(self) -> int:
        found = await self._ask(f"looking at {self.path}", self.handle.stat)
        return found.size or 0

    async def set_size(self, size: int) -> None:
        doing = f"setting the size of {self.path}"
        await self._ask(doing, self.handle.setstat, asyncssh.SFTPAttrs(size=size))

    async def set_attributes(self, *, mode: int, atime: int, mtime: int) -> None:
        attributes = asyncssh.SFTPAttrs(
            permissions=stat.S_IMODE(mode), atime=_seconds(atime), mtime=_seconds(mtime)
        )
        doing = f"setting mode and times of {self.path}"
        await self._ask(doing, self.handle.setstat, attributes)

    async def sync(self) -> None:
        doing = f"making {self.path} durable"
        patience_s = self._asker.patience_for(self._unsynced)
        await self._ask(doing, self.handle.fsync, patience_s=patience_s)
        self._unsynced = 0

    async def close(self) -> None:
        await self._ask(f"closing {self.path}", self.handle.close)

    def grew_by(self, size: int) -> None:
        """Note that *size* bytes were written by other means: the next `sync` takes longer."""
        self._unsynced += size

    async def _ask(
        self,
        doing: str,
        call: Callable[..., Awaitable[_T]],
        *args: object,
        patience_s: float | None = None,
    ) -> _T:
        return await self._asker(doing, call, *args, near=self.path, patience_s=patience_s)


def _seconds(time: int) -> int:
    """Fit a time into SFTP's 32 bits; a tape dated 2128 is copied, with the last date there is."""
    return min(max(time, 0), 0xFFFFFFFF)
