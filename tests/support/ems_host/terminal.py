"""One connection to the scripted host: Telnet, log-on, TACL, and the distributor's output.

It shares no code with the agent's side of the link, so that one misreading of Telnet cannot hide
in both.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import trio

IAC = 255
BREAK_LINE = "\x03BREAK"
TERMINAL_TYPE, ECHO, SGA, NAWS = 24, 1, 3, 31


@dataclass(slots=True)
class HostOptions:
    """Describe the host and its misbehaviour; all of it may be changed while it runs.

    *silent_at* names the step at which it stops to answer: ``banner``, ``service``, ``user``,
    ``password``, ``distributor``. *cut_after* closes each connection after so many bytes.
    """

    login: str = "TACL"
    user: str = "VTS.EMS"
    password: str = "s3cret-Pass"
    has_services: bool = True
    negotiates: bool = True
    echoes: bool = True
    echoes_password: bool = False
    refuses_log_on: bool = False
    refuses_distributor: bool = False
    accepts: bool = True
    silent_at: str | None = None
    cut_after: int | None = None
    ready_prompt: str = "TACL {n}> "
    news: str = "Welcome.\r\nInvalid logon attempts since the last log-on: 0\r\n"


class HungUp(Exception):
    """The connection is over, whoever ended it."""


@dataclass(slots=True)
class Terminal:
    """Serve one connection. *prints* is true while a distributor prints on it."""

    stream: trio.SocketStream
    options: HostOptions
    changed: Callable[[], Awaitable[None]]
    prints: bool = False
    typed: list[str] = field(default_factory=list)
    sent: int = 0
    replies: bytearray = field(default_factory=bytearray)
    _buffer: bytearray = field(default_factory=bytearray)
    _prompt_number: int = 1
    _lock: trio.Lock = field(default_factory=trio.Lock)

    async def serve(self) -> None:
        """Go through banner, log-on and commands until one side hangs up."""
        if not self.options.accepts:
            return
        await self._greet()
        while not await self._log_on():
            pass
        await self._command_loop()

    async def send(self, text: str) -> None:
        """Send text as it is, or hang up where *cut_after* says so."""
        await self._send_bytes(text.encode("latin-1"))

    async def _send_bytes(self, data: bytes) -> None:
        async with self._lock:
            cut = self.options.cut_after
            if cut is not None:
                data = data[: max(0, cut - self.sent)]
            self.sent += len(data)
            try:
                await self.stream.send_all(data)
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise HungUp from error
        if cut is not None and self.sent >= cut:
            await self.stream.aclose()
            raise HungUp

    async def _greet(self) -> None:
        if self.options.negotiates:
            await self._send_bytes(bytes((IAC, 253, TERMINAL_TYPE, IAC, 251, ECHO, IAC, 251, SGA)))
            await self._send_bytes(bytes((IAC, 253, NAWS, IAC, 250, 99, 1, IAC, IAC, 2, IAC, 240)))
        await self._may_fall_silent("banner")
        await self.send("WELCOME TO dev2.example.COMM\r\nTELNET SERVER\r\n\r\n")
        if self.options.has_services:
            await self.send("Available Services:\r\n\r\nTACL EXIT\r\n")
            while True:
                await self.send("Enter Choice> ")
                choice = await self.read_line()
                await self._may_fall_silent("service")
                if choice.strip().upper() == "TACL":
                    break
        await self.send("TACL (T9205D46 - 01JAN2006), Operating System G06\r\n")

    async def _log_on(self) -> bool:
        user = await self._ask_for_user()
        await self._may_fall_silent("user")
        await self.send("Password: ")
        password = await self.read_line(secret=not self.options.echoes_password)
        await self._may_fall_silent("password")
        right = (user, password) == (self.options.user, self.options.password)
        if not right or self.options.refuses_log_on:
            await self.send("\r\n*ERROR* Invalid username or password\r\n")
            return False
        await self.send(f"\r\n{self.options.news}")
        return True

    async def _ask_for_user(self) -> str:
        if self.options.login == "TACLS":
            await self.send("Login: ")
            return (await self.read_line()).strip()
        while True:
            await self.send(f"TACL {self._prompt_number}> ")
            self._prompt_number += 1
            command = (await self.read_line()).strip()
            if self.options.login == "SAFEGUARD" and command.lower() == "logon":
                await self.send("SAFEGUARD\r\nUser name: ")
                return (await self.read_line()).strip()
            found = re.fullmatch(r"(?i)LOGON\s+(\S+)", command)
            if found:
                return found[1]
            await self.send("*ERROR* Not logged on\r\n")

    async def _command_loop(self) -> None:
        number = 1
        while True:
            await self.send(self.options.ready_prompt.format(n=number))
            number += 1
            command = (await self.read_line()).strip()
            word = command.split(" ", 1)[0].upper()
            if word in {"LOGOUT", "LOGOFF", "EXIT"}:
                raise HungUp
            if word == "STOP":
                await self._set_printing(on=False)
            elif word == "EMSDIST":
                await self._run_distributor(command)
            elif word and command != BREAK_LINE:
                await self.send("*ERROR* Name of file or process not found\r\n")

    async def _run_distributor(self, command: str) -> None:
        await self._may_fall_silent("distributor")
        if self.options.refuses_distributor or "TYPE P" not in command.upper():
            await self.send("*ERROR* EMSDIST: illegal parameter\r\n")
            return
        await self._set_printing(on=True)
        if "NOWAIT" in command.upper():
            return
        while await self.read_line() != BREAK_LINE:
            pass

    async def _set_printing(self, *, on: bool) -> None:
        self.prints = on
        await self.changed()

    async def _may_fall_silent(self, step: str) -> None:
        while self.options.silent_at == step:
            await self._receive()

    async def read_line(self, *, secret: bool = False) -> str:
        """Read what is typed up to Enter, or the Break key; *secret* is not echoed."""
        while True:
            line = self._take_line()
            if line is not None:
                break
            await self._receive()
        self.typed.append(line)
        if self.options.echoes and not secret and line != BREAK_LINE:
            await self.send(f"{line}\r\n")
        return line

    async def _receive(self) -> None:
        try:
            data = await self.stream.receive_some(4096)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise HungUp from error
        if not data:
            raise HungUp
        self._buffer += data

    def _take_line(self) -> str | None:
        """Take the next line out of the buffer, Telnet commands before it put aside."""
        plain = bytearray()
        position = 0
        while position < len(self._buffer):
            byte = self._buffer[position]
            if byte == IAC:
                if position + 1 >= len(self._buffer):
                    return None
                verb = self._buffer[position + 1]
                length = 3 if verb in {251, 252, 253, 254} else 2
                if position + length > len(self._buffer):
                    return None
                command = bytes(self._buffer[position : position + length])
                if verb == 243:
                    del self._buffer[: position + 2]
                    return BREAK_LINE
                if verb == IAC:
                    plain.append(IAC)
                else:
                    self.replies += command
                    del self._buffer[position : position + length]
                    continue
                position += length
                continue
            if byte == 10:
                del self._buffer[: position + 1]
                return plain.decode("latin-1").rstrip("\r")
            plain.append(byte)
            position += 1
        return None
