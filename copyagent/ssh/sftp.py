"""The target over SSH: the `Target` of the copies. Every failure becomes a `TargetError` here.

Reads and writes bypass asyncssh's own splitting of requests (``block_size=0``): when one of its
parallel requests fails or is cancelled, the others are left behind as tasks nobody collects.
"""

import asyncio
import logging
import math
import os
import posixpath
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar

import asyncssh
import trio

from copyagent.ssh.bridge import in_asyncio
from copyagent.ssh.dialling import (
    Login,
    SshFailure,
    SshTrouble,
    hang_up,
    log_in,
    open_socket,
    read_keys,
)
from copyagent.transfer.target import (
    CommandResult,
    EntryKind,
    HostKeyRejected,
    LinkLost,
    LoginRefused,
    TargetEntry,
    TargetError,
    TargetFull,
    TargetLacks,
    TargetMissing,
    TargetRefused,
    TargetUnreachable,
)
from vtsfs.contract import settings

_T = TypeVar("_T")

_log = logging.getLogger(__name__)

#: How long a request that is no transfer may take, in keep-alive intervals, before the server
#: process counts as frozen (sshd answers keep-alives on its behalf). fsync may have to write out
#: what the server has cached, so it gets more.
_PATIENCE = 4
_SYNC_PATIENCE = 60

#: What OpenSSH's server accepts in one request (limits@openssh.com); a longer WRITE ends the link.
_LARGEST_BLOCK = 261_120
_BLOCK_WITHOUT_LIMITS = 32_768

_READ_ONLY = 0x1


@asynccontextmanager
async def connect(target: settings.Target) -> "AsyncIterator[SftpTarget]":
    """Log in to *target* and start SFTP; the connection ends with the block.

    Raises `TargetUnreachable`, `HostKeyRejected`, `LoginRefused` or another `TargetError`, at the
    latest after ``connect_timeout``.
    """
    where = f"{target.host}:{target.port}"
    late = f"{where} did not answer within {target.connect_timeout:g} s"
    until = trio.current_time() + target.connect_timeout
    with _in_time(until, late):
        connection = await _log_in(target)
    well = False
    try:
        with _in_time(until, late):
            client = await _start_sftp(connection)
        yield SftpTarget(connection, client, where, target.keepalive)
        well = True
    finally:
        await hang_up(connection, politely=well)


@contextmanager
def _in_time(until: float, late: str) -> Iterator[None]:
    try:
        with trio.fail_at(until):
            yield
    except trio.TooSlowError as error:
        raise TargetUnreachable(late) from error


async def _log_in(target: settings.Target) -> asyncssh.SSHClientConnection:
    login = Login(
        target.host,
        target.port,
        target.user,
        target.known_hosts,
        target.keepalive,
        key=target.key,
    )
    try:
        keys = await read_keys(login)
        return await log_in(login, keys, await open_socket(target.host, target.port))
    except SshFailure as failure:
        raise _of_dialling(failure, login) from failure


def _of_dialling(failure: SshFailure, login: Login) -> TargetError:
    """Say what a log-in that failed means for the copies to this target."""
    match failure.trouble:
        case SshTrouble.HOST_KEY:
            return HostKeyRejected(str(failure), failure.next_step)
        case SshTrouble.REFUSED:
            return LoginRefused(str(failure), failure.next_step)
        case SshTrouble.NO_AGREEMENT:
            return TargetRefused(
                f"logging in to {login.where}",
                str(failure),
                "allow a cipher both sides have in its sshd_config",
            )
        case SshTrouble.UNREACHABLE | SshTrouble.LOST:
            return TargetUnreachable(str(failure), failure.next_step)


async def _start_sftp(connection: asyncssh.SSHClientConnection) -> asyncssh.SFTPClient:
    try:
        return await in_asyncio(connection.start_sftp_client)
    except (asyncssh.ChannelOpenError, asyncssh.SFTPBadMessage) as error:
        if error.code == asyncssh.OPEN_CONNECT_FAILED:
            raise TargetUnreachable(
                f"the connection ended when SFTP was started: {error}"
            ) from error
        raise TargetRefused(
            "starting SFTP", str(error), "let the target's sshd serve the sftp subsystem"
        ) from error
    except (asyncssh.Error, OSError, asyncio.CancelledError) as error:
        raise TargetUnreachable(
            f"the connection ended when SFTP was started: {error}",
            "see the target's sshd log; the user there may be allowed no sftp subsystem",
        ) from error


class SftpTarget:
    """A `Target` over one SSH connection."""

    def __init__(
        self,
        connection: asyncssh.SSHClientConnection,
        client: asyncssh.SFTPClient,
        where: str,
        keepalive_s: float,
    ) -> None:
        self._connection = connection
        self._client = client
        self._where = where
        self._keepalive_s = keepalive_s
        limit = client.limits.max_write_len or _BLOCK_WITHOUT_LIMITS
        self.max_block = min(limit, client.limits.max_read_len or limit, _LARGEST_BLOCK)

    async def lstat(self, path: str) -> TargetEntry | None:
        try:
            found = await self.ask(
                f"looking at {path}", self._client.lstat, os.fsencode(path), near=path
            )
        except TargetMissing:
            return None
        mode = found.permissions or 0
        kinds = {stat.S_IFREG: EntryKind.FILE, stat.S_IFDIR: EntryKind.DIRECTORY}
        return TargetEntry(
            kind=kinds.get(stat.S_IFMT(mode), EntryKind.OTHER),
            size=found.size or 0,
            mtime=found.mtime or 0,
            mode=stat.S_IMODE(mode),
        )

    async def list_names(self, path: str) -> list[str]:
        names = await self.ask(
            f"listing {path}", self._client.listdir, os.fsencode(path), near=path
        )
        return [name for name in map(os.fsdecode, names) if name not in {".", ".."}]

    async def make_directory(self, path: str, mode: int) -> None:
        raw = os.fsencode(path)
        doing = f"making the directory {path}"
        try:
            await self.ask(doing, self._client.mkdir, raw, near=path)
        except TargetError:
            found = await self.lstat(path)
            if found is None or found.kind is not EntryKind.DIRECTORY:
                raise
            return
        await self.ask(doing, self._client.chmod, raw, mode, near=path)

    async def create(self, path: str) -> "SftpFile":
        flags = asyncssh.FXF_READ | asyncssh.FXF_WRITE | asyncssh.FXF_CREAT | asyncssh.FXF_EXCL
        return await self._open(f"creating {path}", path, flags)

    async def open(self, path: str) -> "SftpFile":
        return await self._open(f"opening {path}", path, asyncssh.FXF_READ)

    async def _open(self, doing: str, path: str, flags: int) -> "SftpFile":
        async def open_raw() -> asyncssh.SFTPClientFile:
            return await self._client.open(
                os.fsencode(path),
                flags,
                asyncssh.SFTPAttrs(permissions=0o600),
                encoding=None,
                block_size=0,
            )

        return SftpFile(self, path, await self.ask(doing, open_raw, near=path))

    async def rename(self, old: str, new: str) -> None:
        doing = f"renaming {old} to {new}"
        names = os.fsencode(old), os.fsencode(new)
        await self.ask(doing, self._client.posix_rename, *names, near=new)

    async def remove(self, path: str) -> None:
        try:
            await self.ask(f"removing {path}", self._client.remove, os.fsencode(path), near=path)
        except TargetMissing:
            pass

    async def run(self, command: str, patience_s: float) -> CommandResult | None:
        async def run_it() -> asyncssh.SSHCompletedProcess:
            return await self._connection.run(
                os.fsencode(command), stdin=asyncssh.DEVNULL, encoding=None
            )

        ended: asyncssh.SSHCompletedProcess | None = None
        try:
            ended = await self.ask(f"running {command}", run_it, patience_s=patience_s)
        except TargetRefused as error:
            _log.debug("%s", error)
        if ended is None or ended.exit_status is None:
            # asyncssh reports a lost connection as a refused channel, or the command's end.
            await self.lstat("/")
        if ended is None:
            return None
        output = ended.stdout if isinstance(ended.stdout, bytes) else b""
        return CommandResult(ended.exit_status, output.decode("utf-8", "replace"))

    async def ask(
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
            patience_s = _PATIENCE * self._keepalive_s
        with trio.move_on_after(patience_s):
            try:
                return await in_asyncio(call, *args)
            except (asyncssh.Error, OSError, asyncio.CancelledError) as error:
                raise _of_request(doing, error) or await self._explained(doing, near) from error
        raise LinkLost(f"{doing}: {self._where} did not answer within {patience_s:g} s")

    @property
    def sync_patience_s(self) -> float:
        """How long an fsync may take, in seconds."""
        return _SYNC_PATIENCE * self._keepalive_s

    async def _explained(self, doing: str, near: str) -> TargetError:
        """Find out why the server said no more than "Failure": SFTP version 3 has few codes."""
        for path in (near, posixpath.dirname(near)):
            with trio.move_on_after(_PATIENCE * self._keepalive_s):
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
                if found.bavail * found.frsize < _LARGEST_BLOCK or not found.favail:
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


class SftpFile:
    """A `TargetFile`: one handle of the server's."""

    def __init__(self, target: SftpTarget, path: str, handle: asyncssh.SFTPClientFile) -> None:
        self._target = target
        self._path = path
        self._handle = handle

    async def write(self, offset: int, data: bytes) -> None:
        doing = f"writing {self._path}"
        await self._ask(doing, self._handle.write, data, offset, patience_s=math.inf)

    async def read(self, offset: int, size: int) -> bytes:
        async def read_bytes() -> bytes:
            data: bytes = await self._handle.read(size, offset)
            return data

        return await self._ask(f"reading {self._path}", read_bytes, patience_s=math.inf)

    async def size(self) -> int:
        found = await self._ask(f"looking at {self._path}", self._handle.stat)
        return found.size or 0

    async def set_attributes(self, *, mode: int, atime: int, mtime: int) -> None:
        attributes = asyncssh.SFTPAttrs(
            permissions=stat.S_IMODE(mode), atime=_seconds(atime), mtime=_seconds(mtime)
        )
        doing = f"setting mode and times of {self._path}"
        await self._ask(doing, self._handle.setstat, attributes)

    async def sync(self) -> None:
        doing = f"making {self._path} durable"
        patience_s = self._target.sync_patience_s
        await self._ask(doing, self._handle.fsync, patience_s=patience_s)

    async def close(self) -> None:
        await self._ask(f"closing {self._path}", self._handle.close)

    async def _ask(
        self,
        doing: str,
        call: Callable[..., Awaitable[_T]],
        *args: object,
        patience_s: float | None = None,
    ) -> _T:
        return await self._target.ask(doing, call, *args, near=self._path, patience_s=patience_s)


def _seconds(time: int) -> int:
    """Fit a time into SFTP's 32 bits; a tape dated 2128 is copied, with the last date there is."""
    return min(max(time, 0), 0xFFFFFFFF)
