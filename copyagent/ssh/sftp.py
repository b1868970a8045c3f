"""The target over SSH: the `Target` of the copies. Every failure becomes a `TargetError` here."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial

import asyncssh
import trio

from copyagent.ssh import sftp_packets as packets
from copyagent.ssh.asking import Asker, Step
from copyagent.ssh.bridge import in_asyncio
from copyagent.ssh.dialling import hang_up
from copyagent.ssh.sftp_channel import ChannelLost, SftpChannel
from copyagent.ssh.sftp_file import SftpFile
from copyagent.ssh.sftp_names import entry_of
from copyagent.ssh.sftp_packets import BadAnswer, Refusal
from copyagent.ssh.sftp_start import start_sftp
from copyagent.ssh.shell import shell_of
from copyagent.ssh.target_log_in import in_time, log_in_to
from copyagent.ssh.writing import Lane
from copyagent.transfer.target import (
    Abilities,
    CommandResult,
    Draft,
    EntryKind,
    LinkLost,
    Space,
    TargetEntry,
    TargetError,
    TargetFile,
    TargetMissing,
    TargetRefused,
)
from vtsfs.contract import settings

_log = logging.getLogger(__name__)

#: What OpenSSH's server accepts in one request (limits@openssh.com); a longer WRITE ends the link.
_LARGEST_BLOCK = 261_120
_BLOCK_WITHOUT_LIMITS = 32_768

#: How long the end of a server process is waited for, in seconds.
_END_S = 1.0

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
    with in_time(until, late):
        connection = await log_in_to(target)
    well = False
    try:
        with in_time(until, late):
            opened = await open_target(connection, where, target.keepalive)
        yield opened
        well = True
    finally:
        await hang_up(connection, politely=well)


async def open_target(
    connection: asyncssh.SSHClientConnection, where: str, keepalive_s: float, block: int = 0
) -> "SftpTarget":
    """Begin a conversation over *connection*; raises `TargetError`.

    *block* is the largest request that this server takes, 0 if it is to be asked.
    """
    channel = await start_sftp(connection)
    opened = SftpTarget(connection, Asker(channel, where, keepalive_s), block)
    if not block and packets.LIMITS in channel.offers:
        opened.ask_for_limits()
    return opened


class SftpTarget:
    """A `Target` over one SSH connection."""

    def __init__(self, connection: asyncssh.SSHClientConnection, ask: Asker, block: int) -> None:
        self._connection = connection
        self._ask = ask
        self._commands: bool | None = None
        self._tidy = True
        #: What was begun and has not ended as it should.
        self._doubts = 0
        self._more: list[SftpChannel] = []
        self._holding: list[SftpChannel] = []
        self.max_block = block or _BLOCK_WITHOUT_LIMITS

    def ask_for_limits(self) -> None:
        """Ask how large requests may be; until the answer is there they are small.

        Nobody waits for it: it comes before that of any later request.
        """

        def told(packet: bytes | None, _lost: ChannelLost | None) -> None:
            if packet is None:
                return
            try:
                sizes = packets.largest(packets.answer(packet))
            except (Refusal, BadAnswer) as error:
                _log.debug("limits are not told: %s", error)
            else:
                largest = min(size or _BLOCK_WITHOUT_LIMITS for size in sizes)
                self.max_block = min(largest, _LARGEST_BLOCK)

        self._ask.channel.post_idly(packets.limits(), told)

    @property
    def can(self) -> Abilities:
        offers = self._ask.channel.offers
        return Abilities(
            posix_rename=packets.POSIX_RENAME in offers,
            sync=packets.FSYNC in offers,
            copy_data=packets.COPY_DATA in offers,
            hard_links=packets.HARD_LINK in offers,
            space=packets.STATVFS in offers,
            commands=self._commands,
        )

    @asynccontextmanager
    async def side(self) -> "AsyncIterator[SftpTarget]":
        channel = await self._another_channel()
        opened = SftpTarget(self._connection, self._ask.over(channel), self.max_block)
        try:
            yield opened
        finally:
            self._tidy = await opened.end() and self._tidy

    async def end(self) -> bool:
        """End the conversation; True if the other end has nothing of it left, not even a request.

        Then the connection is as good as new. A process that holds a file may take longer to go: it
        never wrote, and has nothing to do.
        """
        for channel in self._holding:
            self._tidy = self._tidy and channel.quiet
            channel.close()
        channels = [self._ask.channel, *self._more]
        if self._tidy and not self._doubts:
            with trio.move_on_after(_END_S, shield=True):
                await self._ask.channel.settle()
        tidy = self._tidy and not self._doubts and all(channel.quiet for channel in channels)
        for channel in channels:
            channel.close()
        if tidy:
            with trio.move_on_after(_END_S, shield=True) as late:
                for channel in channels:
                    await channel.wait_closed()
            tidy = not late.cancelled_caught
        return tidy and not self._connection.is_closed()

    async def hold(self, path: str) -> None:
        channel = await self._another_channel()
        self._holding.append(channel)
        request = packets.open_file(os.fsencode(path), packets.OPEN_READ, 0)
        ask = self._ask.over(channel)
        await ask(f"opening {path}", request, packets.handle, near=path)

    async def lstat(self, path: str) -> TargetEntry | None:
        try:
            request = packets.lstat(os.fsencode(path))
            found = await self._ask(f"looking at {path}", request, packets.attributes, near=path)
        except TargetMissing:
            return None
        return entry_of(found)

    async def list_names(self, path: str) -> list[str]:
        return [name for name, _ in await self.list_entries(path)]

    async def list_entries(self, path: str) -> list[tuple[str, TargetEntry]]:
        doing = f"listing {path}"
        request = packets.open_directory(os.fsencode(path))
        handle = await self._ask(doing, request, packets.handle, near=path)
        lines: list[packets.Name] = []

        def read(answer: packets.Answer) -> int:
            names = packets.names(answer)
            lines.extend(names)
            return len(names)

        # The second answer mostly says that there is nothing more.
        more = Step(doing, packets.read_directory(handle), read, path)
        while 0 not in (told := await self._ask.in_order(more, more)):
            _expect_done(told)
        _expect_done(told)
        self._ask.channel.post_idly(packets.close(handle))
        return [
            (os.fsdecode(one.name), entry_of(one.attributes, one.long))
            for one in lines
            if one.name not in {b".", b".."}
        ]

    async def space(self, path: str) -> Space | None:
        if not self.can.space:
            return None
        doing = f"measuring the file system of {path}"
        request = packets.statvfs(os.fsencode(path))
        found = await self._ask(doing, request, packets.file_system, near=path)
        return Space(
            total=found.blocks * found.unit,
            free=found.blocks_available * found.unit,
            files_free=found.files_available if found.files else None,
        )

    async def make_directories(
        self,
        paths: Sequence[str],
        mode: int,
        *,
        opening: Sequence[str] = (),
        durably: Sequence[TargetFile] = (),
    ) -> list[TargetFile]:
        steps: list[Step] = []
        for path in paths:
            raw = os.fsencode(path)
            request = packets.make_directory(raw, mode)
            steps.append(Step(f"making the directory {path}", request, packets.done, path))
            request = packets.lstat(raw)
            steps.append(Step(f"looking at {path}", request, packets.attributes, path))
        for path in opening:
            request = packets.open_file(os.fsencode(path), packets.OPEN_READ, 0)
            steps.append(Step(f"opening {path}", request, packets.handle, path))
        steps += [_ours(directory).syncing() for directory in durably]
        answers = await self._ask.in_order(*steps)
        for path in paths:
            made, found, *answers = answers
            await self._expect_made(path, mode, made, found)
        _expect_done(answers)
        handles = [handle for handle in answers if isinstance(handle, bytes)]
        return [
            self._file(path, handle, writable=False)
            for path, handle in zip(opening, handles, strict=True)
        ]

    async def _expect_made(self, path: str, mode: int, made: object, found: object) -> None:
        """Take a directory that is there, and see to the mode of one that was made: by a umask."""
        entry = entry_of(found) if isinstance(found, packets.Attributes) else None
        if isinstance(made, TargetError):
            if entry is None or entry.kind is not EntryKind.DIRECTORY:
                raise made
        elif entry is None or entry.mode != mode:
            request = packets.set_mode(os.fsencode(path), mode)
            await self._ask(f"making the directory {path}", request, packets.done, near=path)

    async def create(self, path: str) -> SftpFile:
        flags = packets.OPEN_READ | packets.OPEN_WRITE | packets.OPEN_NEW
        return await self._open(f"creating {path}", path, flags)

    async def open(self, path: str) -> SftpFile:
        return await self._open(f"opening {path}", path, packets.OPEN_READ)

    async def reopen(self, path: str) -> SftpFile:
        flags = packets.OPEN_READ | packets.OPEN_WRITE
        return await self._open(f"opening {path} for writing", path, flags)

    async def copy_data(
        self, source: TargetFile, start: int, length: int, into: TargetFile, at: int
    ) -> None:
        source, into = _ours(source), _ours(into)
        doing = f"copying from {source.path} to {into.path} at the target"
        request = packets.copy_data(source.handle, start, length, into.handle, at)
        patience_s = self._ask.patience_for(length)
        into.grew_by(length)
        await self._ask(doing, request, packets.done, near=into.path, patience_s=patience_s)

    async def link(self, existing: str, new: str) -> None:
        request = packets.link(os.fsencode(existing), os.fsencode(new))
        await self._ask(f"linking {existing} to {new}", request, packets.done, near=new)

    async def _open(self, doing: str, path: str, flags: int) -> SftpFile:
        request = packets.open_file(os.fsencode(path), flags, 0o600)
        handle = await self._ask(doing, request, packets.handle, near=path)
        return self._file(path, handle, writable=bool(flags & packets.OPEN_WRITE))

    def _file(self, path: str, handle: bytes, *, writable: bool) -> SftpFile:
        return SftpFile(self._ask, path, handle, partial(self._lane, path), writable=writable)

    async def _lane(self, path: str) -> Lane | None:
        """Open a file that we write once more, over a channel of its own; None if that is refused.

        A server may allow fewer sessions on a connection than we would like.
        """
        try:
            channel = await self._another_channel()
            self._more.append(channel)
            request = packets.open_file(os.fsencode(path), packets.OPEN_WRITE, 0o600)
            ask = self._ask.over(channel)
            handle = await ask(f"opening {path} again", request, packets.handle, near=path)
        except TargetRefused as error:
            _log.info("%s is written over fewer channels: %s", path, error)
            return None
        return Lane(channel, handle)

    async def _another_channel(self) -> SftpChannel:
        late = f"{self._ask.where} did not start another SFTP server in time"
        self._doubts += 1
        with in_time(trio.current_time() + self._ask.patience_for(0), late):
            channel = await start_sftp(self._connection)
        self._doubts -= 1
        return channel

    async def rename(self, old: str, new: str, *, durably: Sequence[TargetFile] = ()) -> None:
        syncing = [_ours(directory).syncing() for directory in durably]
        _expect_done(await self._ask.in_order(_renaming(old, new), *syncing))

    async def put_in_place(self, drafts: Mapping[str, Draft], directory: TargetFile) -> None:
        steps: list[Step] = []
        for draft in drafts.values():
            steps += _ours(draft.file).finishing(draft.content, self.max_block)
        steps += [_renaming(draft.path, name) for name, draft in drafts.items()]
        steps.append(_ours(directory).syncing())
        patience_s = self._ask.patience_for(sum(len(draft.content) for draft in drafts.values()))
        _expect_done(await self._ask.in_order(*steps, patience_s=patience_s))

    async def remove(self, path: str) -> None:
        try:
            request = packets.remove(os.fsencode(path))
            await self._ask(f"removing {path}", request, packets.done, near=path)
        except TargetMissing:
            pass

    async def remove_directory(self, path: str) -> None:
        try:
            request = packets.remove_directory(os.fsencode(path))
            await self._ask(f"removing {path}", request, packets.done, near=path)
        except TargetMissing:
            pass

    async def warm_up(self) -> None:
        if self._commands is not False:
            await in_asyncio(self._begin_shell)

    async def _begin_shell(self) -> None:
        shell_of(self._connection).begin_soon()

    async def run(self, command: str, patience_s: float) -> CommandResult | None:
        ended: CommandResult | None = None
        self._doubts += 1
        with trio.move_on_after(patience_s) as late:
            try:
                ended = await in_asyncio(self._run, command)
            except asyncssh.ChannelOpenError as error:
                _log.debug("running %s: %s", command, error)
            except (asyncssh.Error, OSError, asyncio.CancelledError) as error:
                raise LinkLost(f"running {command}: the connection was lost ({error})") from error
        if late.cancelled_caught:
            where = self._ask.where
            raise LinkLost(f"running {command}: {where} did not answer within {patience_s:g} s")
        self._doubts -= 1
        if ended is None or ended.status is None:
            # asyncssh reports a lost connection as a refused channel, or the command's end.
            await self.lstat("/")
        if ended is None:
            self._commands = False
        return ended

    async def _run(self, command: str) -> CommandResult:
        answer = await shell_of(self._connection).run(os.fsencode(command))
        if answer is not None:
            self._commands = True
            status, output = answer
            return CommandResult(status, output.decode("utf-8", "replace"))
        ended = await self._connection.run(
            os.fsencode(command), stdin=asyncssh.DEVNULL, encoding=None
        )
        found = ended.stdout if isinstance(ended.stdout, bytes) else b""
        if found:
            self._commands = found != _SFTP_ONLY
        return CommandResult(ended.exit_status, found.decode("utf-8", "replace"))


def _ours(file: TargetFile) -> SftpFile:
    if not isinstance(file, SftpFile):
        raise TypeError("a file of another target")
    return file


def _renaming(old: str, new: str) -> Step:
    request = packets.posix_rename(os.fsencode(old), os.fsencode(new))
    return Step(f"renaming {old} to {new}", request, packets.done, new)


def _expect_done(answers: Sequence[object]) -> None:
    """Raise the first failure among what `Asker.in_order` returned."""
    for answer in answers:
        if isinstance(answer, TargetError):
            raise answer
