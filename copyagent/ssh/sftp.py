"""The target over SSH: the `Target` of the copies. Every failure becomes a `TargetError` here.

Reads and writes bypass asyncssh's own splitting of requests (``block_size=0``): when one of its
parallel requests fails or is cancelled, the others are left behind as tasks nobody collects.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import asyncssh
import trio

from copyagent.ssh.asking import Asker
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
from copyagent.ssh.sftp_file import SftpFile
from copyagent.ssh.sftp_names import entry_of
from copyagent.transfer.target import (
    Abilities,
    CommandResult,
    EntryKind,
    HostKeyRejected,
    LoginRefused,
    Space,
    TargetEntry,
    TargetError,
    TargetFile,
    TargetLacks,
    TargetMissing,
    TargetRefused,
    TargetUnreachable,
)
from vtsfs.contract import settings

_log = logging.getLogger(__name__)

#: What OpenSSH's server accepts in one request (limits@openssh.com); a longer WRITE ends the link.
_LARGEST_BLOCK = 261_120
_BLOCK_WITHOUT_LIMITS = 32_768

#: How OpenSSH's sshd answers a command where only its SFTP server may be run (session.c).
_SFTP_ONLY = b"This service allows sftp connections only.\n"


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
        algorithms=target.algorithms,
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
                failure.next_step or "allow a cipher both sides have in its sshd_config",
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
        self._ask = Asker(client, where, keepalive_s)
        self._commands: bool | None = None
        limit = client.limits.max_write_len or _BLOCK_WITHOUT_LIMITS
        self.max_block = min(limit, client.limits.max_read_len or limit, _LARGEST_BLOCK)

    @property
    def can(self) -> Abilities:
        # What the server said of itself is told nowhere else.
        handler = self._client._handler
        return Abilities(
            posix_rename=handler._supports_posix_rename,
            sync=handler._supports_fsync,
            copy_data=handler.supports_copy_data,
            hard_links=handler._supports_hardlink,
            space=handler._supports_statvfs,
            commands=self._commands,
        )

    @asynccontextmanager
    async def side(self) -> "AsyncIterator[SftpTarget]":
        late = f"{self._where} did not start another SFTP server in time"
        with _in_time(trio.current_time() + self._ask.patience_for(0), late):
            client = await _start_sftp(self._connection)
        try:
            yield SftpTarget(self._connection, client, self._where, self._keepalive_s)
        finally:
            client.exit()

    async def lstat(self, path: str) -> TargetEntry | None:
        try:
            found = await self._ask(
                f"looking at {path}", self._client.lstat, os.fsencode(path), near=path
            )
        except TargetMissing:
            return None
        return entry_of(found, None)

    async def list_names(self, path: str) -> list[str]:
        return [name for name, _ in await self.list_entries(path)]

    async def list_entries(self, path: str) -> list[tuple[str, TargetEntry]]:
        found = await self._ask(
            f"listing {path}", self._client.readdir, os.fsencode(path), near=path
        )
        return [
            (os.fsdecode(one.filename), entry_of(one.attrs, one.longname))
            for one in found
            if one.filename not in {b".", b".."}
        ]

    async def space(self, path: str) -> Space | None:
        if not self.can.space:
            return None
        doing = f"measuring the file system of {path}"
        found = await self._ask(doing, self._client.statvfs, os.fsencode(path), near=path)
        return Space(
            total=found.blocks * found.frsize,
            free=found.bavail * found.frsize,
            files_free=found.favail if found.files else None,
        )

    async def make_directory(self, path: str, mode: int) -> None:
        raw = os.fsencode(path)
        doing = f"making the directory {path}"
        try:
            await self._ask(doing, self._client.mkdir, raw, near=path)
        except TargetError:
            found = await self.lstat(path)
            if found is None or found.kind is not EntryKind.DIRECTORY:
                raise
            return
        await self._ask(doing, self._client.chmod, raw, mode, near=path)

    async def create(self, path: str) -> SftpFile:
        flags = asyncssh.FXF_READ | asyncssh.FXF_WRITE | asyncssh.FXF_CREAT | asyncssh.FXF_EXCL
        return await self._open(f"creating {path}", path, flags)

    async def open(self, path: str) -> SftpFile:
        return await self._open(f"opening {path}", path, asyncssh.FXF_READ)

    async def reopen(self, path: str) -> SftpFile:
        flags = asyncssh.FXF_READ | asyncssh.FXF_WRITE
        return await self._open(f"opening {path} for writing", path, flags)

    async def copy_data(
        self, source: TargetFile, start: int, length: int, into: TargetFile, at: int
    ) -> None:
        if not isinstance(source, SftpFile) or not isinstance(into, SftpFile):
            raise TypeError("files of another target")
        doing = f"copying from {source.path} to {into.path} at the target"
        if not self.can.copy_data:
            raise TargetLacks(doing, "no copy-data")
        await self._ask(
            doing,
            self._client.remote_copy,
            *(source.handle, into.handle, start, length, at),
            near=into.path,
            patience_s=self._ask.patience_for(length),
        )
        into.grew_by(length)

    async def link(self, existing: str, new: str) -> None:
        names = os.fsencode(existing), os.fsencode(new)
        await self._ask(f"linking {existing} to {new}", self._client.link, *names, near=new)

    async def _open(self, doing: str, path: str, flags: int) -> SftpFile:
        async def open_raw() -> asyncssh.SFTPClientFile:
            return await self._client.open(
                os.fsencode(path),
                flags,
                asyncssh.SFTPAttrs(permissions=0o600),
                encoding=None,
                block_size=0,
            )

        return SftpFile(self._ask, path, await self._ask(doing, open_raw, near=path))

    async def rename(self, old: str, new: str) -> None:
        doing = f"renaming {old} to {new}"
        names = os.fsencode(old), os.fsencode(new)
        await self._ask(doing, self._client.posix_rename, *names, near=new)

    async def remove(self, path: str) -> None:
        try:
            await self._ask(f"removing {path}", self._client.remove, os.fsencode(path), near=path)
        except TargetMissing:
            pass

    async def remove_directory(self, path: str) -> None:
        try:
            await self._ask(f"removing {path}", self._client.rmdir, os.fsencode(path), near=path)
        except TargetMissing:
            pass

    async def run(self, command: str, patience_s: float) -> CommandResult | None:
        async def run_it() -> asyncssh.SSHCompletedProcess:
            return await self._connection.run(
                os.fsencode(command), stdin=asyncssh.DEVNULL, encoding=None
            )

        ended: asyncssh.SSHCompletedProcess | None = None
        try:
            ended = await self._ask(f"running {command}", run_it, patience_s=patience_s)
        except TargetRefused as error:
            _log.debug("%s", error)
        if ended is None or ended.exit_status is None:
            # asyncssh reports a lost connection as a refused channel, or the command's end.
            await self.lstat("/")
        if ended is None:
            self._commands = False
            return None
        output = ended.stdout if isinstance(ended.stdout, bytes) else b""
        if output == _SFTP_ONLY:
            self._commands = False
        elif output:
            self._commands = True
        return CommandResult(ended.exit_status, output.decode("utf-8", "replace"))
