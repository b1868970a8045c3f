"""One request of a target and its answer: patience, and what each failure means for a copy."""

import asyncio
import os
import posixpath
from collections.abc import Awaitable, Callable
from typing import TypeVar

import asyncssh
import trio

from copyagent.ssh.bridge import in_asyncio
from copyagent.transfer.target import (
    LinkLost,
    TargetError,
    TargetFull,
    TargetLacks,
    TargetMissing,
    TargetRefused,
)

_T = TypeVar("_T")

#: How long a request that is no transfer may take, in keep-alive intervals, before the server
#: process counts as frozen (sshd answers keep-alives on its behalf).
_PATIENCE = 4

#: What has to reach a disk at the target gets as much more time as this rate needs, in bytes per
#: second: with the default keep-alive, 64 MiB are given up within a minute.
_SLOWEST_DISK = 4 * 1024 * 1024

#: Less than one block of a transfer.
_FULL = 261_120

_READ_ONLY = 0x1


class Asker:
    """Makes requests over one SFTP channel and gives up on a server that does not answer."""

    def __init__(self, client: asyncssh.SFTPClient, where: str, keepalive_s: float) -> None:
        self._client = client
        self._where = where
        self._keepalive_s = keepalive_s

    async def __call__(
        self,
        doing: str,
        call: Callable[..., Awaitable[_T]],
        *args: object,
        near: str = "/",
        patience_s: float | None = None,
    ) -> _T:
        """Make one request; translate its failure, and give up on a server that does not answer.

        *near* is the path to look at when the server gives no reason. *patience_s* of infinity
        leaves the giving up to the caller.
        """
        if patience_s is None:
            patience_s = self.patience_for(0)
        with trio.move_on_after(patience_s):
            try:
                return await in_asyncio(call, *args)
            except (asyncssh.Error, OSError, asyncio.CancelledError) as error:
                raise _of_request(doing, error) or await self._explained(doing, near) from error
        raise LinkLost(f"{doing}: {self._where} did not answer within {patience_s:g} s")

    def patience_for(self, size: int) -> float:
        """Say how long a request may take, in seconds, that moves *size* bytes to a disk."""
        return _PATIENCE * self._keepalive_s + size / _SLOWEST_DISK

    async def _explained(self, doing: str, near: str) -> TargetError:
        """Find out why the server said no more than "Failure": SFTP version 3 has few codes."""
        for path in (near, posixpath.dirname(near)):
            with trio.move_on_after(self.patience_for(0)):
                try:
                    found = await in_asyncio(self._client.statvfs, os.fsencode(path))
                except asyncssh.SFTPError:
                    continue
                except (asyncssh.Error, OSError, asyncio.CancelledError):
                    break
                if found.flags & _READ_ONLY:
                    return TargetRefused(
                        doing, "read-only file system", "make the target's vault writable"
                    )
                if found.bavail * found.frsize < _FULL or not found.favail:
                    return TargetFull(f"{doing}: no space left at the target")
                break
        return TargetRefused(
            doing,
            "the server gives no reason",
            "look at the target: a disk quota, a file in the way, or two file systems in one vault",
        )


def _of_request(doing: str, error: BaseException) -> TargetError | None:
    """Translate what needs no further question, the most specific first."""
    text = str(error) or type(error).__name__
    match error:
        case asyncssh.SFTPNoSuchFile() | asyncssh.SFTPNoSuchPath():
            return TargetMissing(doing)
        case asyncssh.SFTPPermissionDenied():
            return TargetRefused(doing, "permission denied")
        case asyncssh.SFTPNoSpaceOnFilesystem() | asyncssh.SFTPQuotaExceeded():
            return TargetFull(f"{doing}: {text}")
        case asyncssh.SFTPOpUnsupported():
            return TargetLacks(doing, text)
        case asyncssh.SFTPFailure():
            return None
        case asyncssh.SFTPConnectionLost() | asyncssh.SFTPNoConnection():
            return LinkLost(f"{doing}: the connection was lost ({text})")
        case asyncssh.SFTPError() | asyncssh.ChannelOpenError():
            return TargetRefused(doing, f"the server answers: {text}")
        case _:
            return LinkLost(f"{doing}: the connection was lost ({text})")
