"""A terminal on a host, over SSH: the `Wire` of host links with ``access: ssh``.

What a NonStop host gives to whom is settled there (SSH reference manual 544701-014): a shell of
its own choice, with ``SHELL-PROGRAM *MENU* TACL1 FORCE`` a TACL that may be logged on already; the
subsystem ``tacl``; or what a command starts. The terminal type is none of the 6530 family, which
would switch it to block mode. Not tried on a real host.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import asyncssh
import trio

from copyagent.core.host_events import LinkTrouble
from copyagent.ems.dialogue import LinkFailure
from copyagent.ems.link_settings import LinkSettings
from copyagent.ems.plain_text import LineEnds, typed
from copyagent.ems.tcp import connect, no_answer
from copyagent.ssh.bridge import in_asyncio
from copyagent.ssh.dialling import (
    Login,
    SshFailure,
    SshTrouble,
    detached,
    hang_up,
    log_in,
    read_keys,
)

_log = logging.getLogger(__name__)

#: A terminal that can do nothing special: no host sends it control sequences (terminfo(5)).
_TERMINAL_TYPE = "dumb"
_TERMINAL_SIZE = (132, 24)

#: The host need not echo what we type; one that does so is understood as well (RFC 4254, 8).
_MODES = {asyncssh.PTY_ECHO: 0, asyncssh.PTY_ECHOE: 0, asyncssh.PTY_ECHOK: 0}

#: How ssh(1) is told that its argument names a subsystem, not a command.
_SUBSYSTEM = "-s "

_BREAK_MS = 500
_INTERRUPT = b"\x03"
_ENTER = b"\r"

#: Most bytes that are kept unread here, and the most that asyncssh takes in beyond them.
_MOST_UNREAD = 262_144

_TROUBLES = {
    SshTrouble.UNREACHABLE: LinkTrouble.UNREACHABLE,
    SshTrouble.HOST_KEY: LinkTrouble.HOST_KEY_REJECTED,
    SshTrouble.REFUSED: LinkTrouble.LOGIN_REFUSED,
    SshTrouble.NO_AGREEMENT: LinkTrouble.NO_AGREEMENT,
    SshTrouble.LOST: LinkTrouble.DISCONNECTED,
}


async def open_ssh(settings: LinkSettings) -> "SshWire | LinkFailure":
    """Connect, log in and get a terminal within ``connect_timeout``, or say why it cannot be done."""
    login = _login(settings)
    doing = "the connection"
    with trio.move_on_after(settings.connect_timeout):
        try:
            keys = await read_keys(login)
            stream = await connect(login.host, login.port)
            if isinstance(stream, LinkFailure):
                return stream
            doing = "the log-in over SSH"
            connection = await log_in(login, keys, detached(stream))
            doing = "the opening of a terminal"
            return await _open_terminal(connection, settings)
        except SshFailure as failure:
            advice = f"; {failure.next_step}" if failure.next_step else ""
            return LinkFailure(_TROUBLES[failure.trouble], f"{failure}{advice}")
    if doing == "the connection":
        return no_answer(login.host, login.port)
    late = f"{login.where}: {doing} took longer than {settings.connect_timeout:g} s"
    return LinkFailure(LinkTrouble.TIMED_OUT, late)


def _login(settings: LinkSettings) -> Login:
    if settings.known_hosts is None:
        raise ValueError(f"{settings.host}: SSH without known_hosts, which the settings require")
    return Login(
        settings.address,
        settings.port,
        settings.ssh_user,
        settings.known_hosts,
        settings.keep_alive or 0,
        key=settings.key,
        password=settings.plan.password.reveal,
    )


async def _open_terminal(
    connection: asyncssh.SSHClientConnection, settings: LinkSettings
) -> "SshWire | LinkFailure":
    screen = _Screen()
    given = False
    try:
        await in_asyncio(_request_terminal, connection, screen, settings.ssh_command)
        given = True
        return SshWire(connection, screen)
    except asyncssh.ChannelOpenError as error:
        # So asyncssh calls it when the connection was lost meanwhile.
        if "connection closed" in error.reason.lower():
            return LinkFailure(LinkTrouble.DISCONNECTED, f"when a terminal was asked for: {error}")
        asked = settings.ssh_command or "a shell"
        return LinkFailure(LinkTrouble.NO_TERMINAL, f"{asked} for {settings.ssh_user}: {error}")
    except (asyncssh.Error, OSError, asyncio.CancelledError) as error:
        return LinkFailure(LinkTrouble.DISCONNECTED, f"when a terminal was asked for: {error}")
    finally:
        if not given:
            await hang_up(connection, politely=False)


async def _request_terminal(
    connection: asyncssh.SSHClientConnection, screen: "_Screen", command: str | None
) -> None:
    asked: dict[str, Any] = {"command": command}
    if command is not None and command.startswith(_SUBSYSTEM):
        asked = {"command": None, "subsystem": command.removeprefix(_SUBSYSTEM).strip()}
    await connection.create_session(
        lambda: screen,
        **asked,
        request_pty="force",
        term_type=_TERMINAL_TYPE,
        term_size=_TERMINAL_SIZE,
        term_modes=_MODES,
        encoding=None,
        window=_MOST_UNREAD,
        send_env=None,
        env=None,
        x11_forwarding=False,
    )


class _Screen(asyncssh.SSHClientSession[bytes]):
    """Holds what the host has shown until it is read, no more than a bounded amount of it.

    asyncssh calls these methods from its loop, which is a task of trio's here.
    """

    def __init__(self) -> None:
        self._channel: asyncssh.SSHClientChannel[bytes] | None = None
        self._shown = bytearray()
        self._changed = trio.Event()
        self._paused = False
        self._is_over = False
        self.error: Exception | None = None

    def connection_made(self, chan: asyncssh.SSHClientChannel[bytes]) -> None:
        self._channel = chan

    def data_received(
        self,
        data: bytes,
        datatype: asyncssh.DataType,  # noqa: ARG002 - what a terminal shows is all one
    ) -> None:
        self._shown += data
        if not self._paused and len(self._shown) >= _MOST_UNREAD:
            self._paused = True
            self.channel.pause_reading()
        self._changed.set()

    def eof_received(self) -> bool:
        self._end()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.error = exc
        self._end()

    def _end(self) -> None:
        self._is_over = True
        self._changed.set()

    async def take(self, deadline: float) -> bytes | None:
        """Return what was shown since, empty by *deadline* if nothing; None when it is over."""
        with trio.move_on_at(deadline):
            await self._changed.wait()
        data = bytes(self._shown)
        self._shown.clear()
        if self._is_over:
            return data or None
        if data:
            self._changed = trio.Event()
        if self._paused:
            self._paused = False
            await in_asyncio(_soon, self.channel.resume_reading)
        return data

    @property
    def channel(self) -> asyncssh.SSHClientChannel[bytes]:
        """The channel, which exists as soon as the terminal was given to us."""
        if self._channel is None:
            raise RuntimeError("this terminal was not given yet")
        return self._channel


def _of_end(error: Exception | None) -> LinkFailure | None:
    if error is None:
        return None
    # So asyncssh says that its keep-alives were not answered.
    silent = isinstance(error, asyncssh.ConnectionLost) and "keepalive" in str(error).lower()
    return LinkFailure(
        LinkTrouble.SILENT if silent else LinkTrouble.DISCONNECTED, str(error) or "by the network"
    )


async def _soon(call: Callable[[], None]) -> None:
    """Do on the asyncio side what asyncssh does at once."""
    call()


class SshWire:
    """A `Wire` over one SSH connection with one terminal."""

    is_terminal = True

    def __init__(self, connection: asyncssh.SSHClientConnection, screen: _Screen) -> None:
        self._connection = connection
        self._screen = screen
        self._line_ends = LineEnds()
        self.is_open = True
        self.gap = ""
        self.ended: LinkFailure | None = None

    async def receive(self, deadline: float) -> str | None:
        data = await self._screen.take(deadline) if self.is_open else None
        if data is None:
            self.is_open = False
            self.ended = _of_end(self._screen.error)
            return None
        return self._line_ends.feed(data).decode("latin-1")

    async def type_line(self, line: str) -> None:
        await self._send(lambda: self._screen.channel.write(typed(line) + _ENTER))

    async def interrupt(self) -> None:
        """Send both forms of the Break key: RFC 4335's, and the character of a Unix terminal."""

        def send_break() -> None:
            self._screen.channel.send_break(_BREAK_MS)
            self._screen.channel.write(_INTERRUPT)

        await self._send(send_break)

    async def ping(self) -> None:
        """Do nothing: asyncssh sends its keep-alives by itself, at the same interval."""
        await trio.lowlevel.checkpoint()

    async def _send(self, call: Callable[[], None]) -> None:
        try:
            await in_asyncio(_soon, call)
        except (asyncssh.Error, OSError) as error:
            _log.debug("not typed: %s", error)

    async def close(self) -> None:
        self.is_open = False
        await hang_up(self._connection, politely=False)
